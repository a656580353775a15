// Role map: the activations and the sigmoid functions they are made of, by the override OP (the order of
// `UnaryOp::code` in src/kernels/unary.rs):
//
//     0 act       the activation ACT
//     1 tanh      tanh(x)
//     2 sigmoid   1 / (1 + exp(-x))
//     3 affine    x * a + b
//     4 soft cap  a * tanh(x / a)
//     5 erf       the error function
//     6 swish     x * sigmoid(a x)
//
// Promise: some ulps for all finite x. NaN stays NaN; a function that is a product of x and something that ends at 0
// is NaN at minus infinity, as the product is. Needs the role act. No barriers.

// Near 0 Lambert's continued fraction, cut where it is 6e-10 off at 0.6; beyond it by the exponential, whose
// argument is held where nothing overflows.
fn map_tanh(v: vec4<f32>) -> vec4<f32> {
    let a = min(abs(v), vec4<f32>(20.0));
    let z = a * a;
    let near = a * (945.0 + z * (105.0 + z)) / (945.0 + z * (420.0 + z * 15.0));
    let far = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    return sign(v) * select(far, near, a < vec4<f32>(0.6));
}

// Near 0 Taylor's series, cut where it is 2e-9 off at 0.7; beyond it by the normal distribution.
fn map_erf(v: vec4<f32>) -> vec4<f32> {
    let a = min(abs(v), vec4<f32>(6.0));
    let z = a * a;
    let tail = 1.0 / 216.0 - z * (1.0 / 1320.0 - z * (1.0 / 9360.0 - z / 75600.0));
    let near = 1.12837917 * v * (1.0 - z * (1.0 / 3.0 - z * (0.1 - z * (1.0 / 42.0 - z * tail))));
    let far = sign(v) * (1.0 - 2.0 * act_phi(-1.41421356 * a));
    return select(far, near, a < vec4<f32>(0.7));
}

fn map_value(v: vec4<f32>) -> vec4<f32> {
    switch OP {
        case 1u: {
            return map_tanh(v);
        }
        case 2u: {
            return act_sigmoid(v);
        }
        case 3u: {
            return v * params.a + params.b;
        }
        case 4u: {
            return params.a * map_tanh(v / params.a);
        }
        case 5u: {
            return map_erf(v);
        }
        case 6u: {
            return v * act_sigmoid(params.a * v);
        }
        default: {
            return act4(v);
        }
    }
}

// Whether the function is a product of x and something that ends at 0.
fn map_vanishes() -> bool {
    return (OP == 0u && ACT < 4u) || OP == 6u;
}

fn apply(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    let end = (bits == vec4<u32>(0xff800000u)) & vec4<bool>(map_vanishes());
    return select(map_value(v), bitcast<vec4<f32>>(bits | vec4<u32>(0x00400000u)), nan | end);
}
