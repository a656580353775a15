// Role map: exponentials, logarithms and roots, by the override OP (the order of `UnaryOp::code` in
// src/kernels/unary.rs):
//
//     0 exp         e^x: infinite above 88.72, denormal results may be 0
//     1 elu         a x for x > 0, else b (e^(c x) - 1)
//     2 softplus    log(1 + e^x)
//     3 log         the natural logarithm: minus infinity at 0, NaN below
//     4 sqrt        NaN below 0
//     5 reciprocal  1 / x: infinite at 0
//     6 mish        x tanh(softplus(x))
//
// Promise: 2 ulp (elu, mish: 4) for all x, also where the result is tiny. NaN stays NaN. Needs the role series. No
// barriers.

fn map_softplus(v: vec4<f32>) -> vec4<f32> {
    return max(v, vec4<f32>(0.0)) + series_log1p(series_exp(-abs(v)));
}

// tanh(log(1 + e^x)) = ((1 + w)^2 - 1) / ((1 + w)^2 + 1), w = e^x; both sides are divided by w^2 where it is large.
fn map_mish(v: vec4<f32>) -> vec4<f32> {
    let w = series_exp(-abs(v));
    let low = w * (w + 2.0);
    let high = 1.0 + 2.0 * w;
    return v * select(low / (low + 2.0), high / (high + 2.0 * w * w), v > vec4<f32>(0.0));
}

fn map_sqrt(v: vec4<f32>) -> vec4<f32> {
    let wrong = bitcast<vec4<f32>>(vec4<u32>(series_infinite | 0x00400000u));
    return select(select(sqrt(v), v, v == vec4<f32>(0.0)), wrong, bitcast<vec4<u32>>(v) > vec4<u32>(0x80000000u));
}

// A denormal x = m 2^-149 may come as 0: the reciprocal of the whole m 2^-74, times 2^75, instead. Not two factors
// after the division: drivers join them to one, which is infinite.
fn map_reciprocal(v: vec4<f32>) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    let small = 1.0 / (vec4<f32>(size) * series_power(vec4<i32>(-74))) * series_power(vec4<i32>(75));
    let negative = bitcast<vec4<u32>>(v) > vec4<u32>(0x7fffffffu);
    return select(1.0 / v, select(small, -small, negative), size < vec4<u32>(0x00800000u));
}

fn map_value(v: vec4<f32>) -> vec4<f32> {
    switch OP {
        case 1u: {
            return select(params.b * series_expm1(params.c * v), params.a * v, v > vec4<f32>(0.0));
        }
        case 2u: {
            return map_softplus(v);
        }
        case 3u: {
            return series_log(v);
        }
        case 4u: {
            return map_sqrt(v);
        }
        case 5u: {
            return map_reciprocal(v);
        }
        case 6u: {
            return map_mish(v);
        }
        default: {
            return series_exp(v);
        }
    }
}

fn apply(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(map_value(v), bitcast<vec4<f32>>(bits | vec4<u32>(0x00400000u)), nan);
}
