// Role pair: a function of two cells, by the override OP (the order of `BinaryOp::code` in src/kernels/binary.rs):
//
//     0 x + b    1 x - b    2 x b    3 x / b    4 the larger    5 the smaller    6 x for x >= 0, else b x
//
// Promise: one rounding; division 2.5 ulp. Where one cell is NaN, so are 4 and 5. No barriers.

fn pair_nan(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn pair(v: vec4<f32>, other: vec4<f32>) -> vec4<f32> {
    switch OP {
        case 1u: {
            return v - other;
        }
        case 2u: {
            return v * other;
        }
        case 3u: {
            return v / other;
        }
        case 4u: {
            return select(max(v, other), v + other, pair_nan(v) | pair_nan(other));
        }
        case 5u: {
            return select(min(v, other), v + other, pair_nan(v) | pair_nan(other));
        }
        case 6u: {
            return select(other * v, v, v >= vec4<f32>(0.0));
        }
        default: {
            return v + other;
        }
    }
}
