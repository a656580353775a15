// Role map: functions in pieces, rounding, sine and cosine, by the override OP (the order of `UnaryOp::code` in
// src/kernels/unary.rs):
//
//     0 abs           5 round         to the nearest, halves to even
//     1 negative      6 leaky relu    x for x >= 0, else a x
//     2 sign          7 hard sigmoid  max(0, min(1, a x + b))
//     3 floor         8 hard swish    x max(0, min(1, a x + b))
//     4 ceil          9 threshold     x for x > a, else b
//    10 softsign      x / (1 + |x|)
//    11 shrink        x + b for x < -a, x - b for x > a, else 0
//    12 sin, 13 cos   NaN at infinity
//
// Promise: exact up to one rounding a written operation; sine and cosine to 1e-7 + 2e-11 |x| for |x| up to 10^5, and
// to 2 ulp around 0. NaN stays NaN. No barriers.

// sin(x + turn pi/2): x is brought to |r| <= pi/4 by quarter turns; pi/2 in three pieces, of which the first times
// the number of turns is exact up to 2^16 turns.
fn map_sine(v: vec4<f32>, turn: i32) -> vec4<f32> {
    let x = clamp(v, vec4<f32>(-1e8), vec4<f32>(1e8));
    let n = floor(x * 0.636619772 + 0.5);
    let r = ((x - n * 1.5703125) - n * 4.8375129699707031e-4) - n * 7.54978995489e-8;
    let z = r * r;
    let odd = r - r * z * (1.0 / 6.0 - z * (1.0 / 120.0 - z * (1.0 / 5040.0 - z / 362880.0)));
    let even = 1.0 - z * (0.5 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0 - z / 3628800.0))));
    let quarter = vec4<i32>(n) + turn;
    let y = select(odd, even, (quarter & vec4<i32>(1)) == vec4<i32>(1));
    let bits = bitcast<vec4<u32>>(v);
    let endless = (bits & vec4<u32>(0x7fffffffu)) == vec4<u32>(0x7f800000u);
    let wrong = bitcast<vec4<f32>>(bits | vec4<u32>(0x00400000u));
    return select(select(y, -y, (quarter & vec4<i32>(2)) == vec4<i32>(2)), wrong, endless);
}

fn map_value(v: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    switch OP {
        case 1u: {
            return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) ^ vec4<u32>(0x80000000u));
        }
        case 2u: {
            return sign(v);
        }
        case 3u: {
            return floor(v);
        }
        case 4u: {
            return ceil(v);
        }
        case 5u: {
            return round(v);
        }
        case 6u: {
            return select(params.a * v, v, v >= zero);
        }
        case 7u: {
            return clamp(params.a * v + params.b, zero, vec4<f32>(1.0));
        }
        case 8u: {
            return v * clamp(params.a * v + params.b, zero, vec4<f32>(1.0));
        }
        case 9u: {
            return select(vec4<f32>(params.b), v, v > vec4<f32>(params.a));
        }
        case 10u: {
            return v / (1.0 + abs(v));
        }
        case 11u: {
            let up = select(zero, v + params.b, v < vec4<f32>(-params.a));
            return select(up, v - params.b, v > vec4<f32>(params.a));
        }
        case 12u: {
            return map_sine(v, 0);
        }
        case 13u: {
            return map_sine(v, 1);
        }
        default: {
            return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu));
        }
    }
}

fn apply(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(map_value(v), bitcast<vec4<f32>>(bits | vec4<u32>(0x00400000u)), nan);
}
