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
// Promise: 2 ulp (elu, mish: 4) for all x, also where the result is tiny, on every adapter: of the language's own
// functions only division and roots are used. NaN stays NaN. No barriers.

// The word is a variable since the language has no constant that is infinite.
var<private> map_infinite: u32 = 0x7f800000u;

fn map_infinity() -> vec4<f32> {
    return vec4<f32>(bitcast<f32>(map_infinite));
}

// 2^n for -126 <= n <= 127.
fn map_power(n: vec4<i32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((n + 127) << vec4<u32>(23u));
}

// e^r - 1 for |r| < 0.36, to 1 ulp: the series to r^8.
fn map_small_expm1(r: vec4<f32>) -> vec4<f32> {
    var s = 1.0 / 720.0 + r * (1.0 / 5040.0 + r * (1.0 / 40320.0));
    s = 1.0 / 24.0 + r * (1.0 / 120.0 + r * s);
    return r + r * r * (0.5 + r * (1.0 / 6.0 + r * s));
}

// x = n log 2 + r; log 2 in two pieces, of which n times the first is exact.
fn map_exp(v: vec4<f32>) -> vec4<f32> {
    let x = clamp(v, vec4<f32>(-104.0), vec4<f32>(89.0));
    let n = floor(x * 1.44269504 + 0.5);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    let whole = vec4<i32>(n);
    let half = whole / 2;
    let y = (1.0 + map_small_expm1(r)) * map_power(half) * map_power(whole - half);
    return select(y, map_infinity(), v > vec4<f32>(88.72284));
}

fn map_expm1(v: vec4<f32>) -> vec4<f32> {
    return select(map_exp(v) - 1.0, map_small_expm1(v), abs(v) < vec4<f32>(0.35));
}

// log(1 + f) + e log 2 for a factor 1 + f within sqrt(2) of 1: with s = f / (2 + f),
// log(1 + f) = f - f^2 / 2 + s (f^2 / 2 + 2 s^2 (1/3 + s^2 (1/5 + ..))).
fn map_log_of(f: vec4<f32>, e: vec4<f32>) -> vec4<f32> {
    let s = f / (2.0 + f);
    let z = s * s;
    let rest = z * (0.666666687 + z * (0.4 + z * (0.285714298 + z * 0.222222224)));
    let square = 0.5 * f * f;
    return e * 0.693359375 + (f - (square - (s * (square + rest) - e * 2.12194440e-4)));
}

// By the bits, so that a denormal x counts even where the adapter flushes it.
fn map_log(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let low = bits & vec4<u32>(0x007fffffu);
    let shift = vec4<u32>(23u) - min(firstLeadingBit(low), vec4<u32>(23u));
    let small = bits < vec4<u32>(0x00800000u);
    let mantissa = select(low, (low << shift) & vec4<u32>(0x007fffffu), small);
    var e = select(vec4<i32>(bits >> vec4<u32>(23u)) - 127, -126 - vec4<i32>(shift), small);
    let high = mantissa > vec4<u32>(0x3504f3u);
    let m = bitcast<vec4<f32>>(mantissa | select(vec4<u32>(0x3f800000u), vec4<u32>(0x3f000000u), high));
    e = select(e, e + 1, high);
    let y = map_log_of(m - 1.0, vec4<f32>(e));
    let wrong = bitcast<vec4<f32>>(vec4<u32>(map_infinite | 0x00400000u));
    let ends = select(y, -map_infinity(), (bits << vec4<u32>(1u)) == vec4<u32>(0u));
    let top = select(ends, map_infinity(), bits == vec4<u32>(map_infinite));
    return select(top, wrong, bits > vec4<u32>(0x80000000u));
}

// log(1 + t) for 0 <= t <= 1. What rounding 1 + t loses is given back.
fn map_log1p(t: vec4<f32>) -> vec4<f32> {
    let u = 1.0 + t;
    let high = u > vec4<f32>(1.41421354);
    let f = select(u - 1.0, 0.5 * u - 1.0, high);
    let lost = (t - (u - 1.0)) / u;
    let y = map_log_of(f, select(vec4<f32>(0.0), vec4<f32>(1.0), high)) + lost;
    return select(y, t - 0.5 * t * t, t < vec4<f32>(1e-4));
}

fn map_softplus(v: vec4<f32>) -> vec4<f32> {
    return max(v, vec4<f32>(0.0)) + map_log1p(map_exp(-abs(v)));
}

// tanh(log(1 + e^x)) = ((1 + w)^2 - 1) / ((1 + w)^2 + 1), w = e^x; both sides are divided by w^2 where it is large.
fn map_mish(v: vec4<f32>) -> vec4<f32> {
    let w = map_exp(-abs(v));
    let low = w * (w + 2.0);
    let high = 1.0 + 2.0 * w;
    return v * select(low / (low + 2.0), high / (high + 2.0 * w * w), v > vec4<f32>(0.0));
}

fn map_sqrt(v: vec4<f32>) -> vec4<f32> {
    let wrong = bitcast<vec4<f32>>(vec4<u32>(map_infinite | 0x00400000u));
    return select(select(sqrt(v), v, v == vec4<f32>(0.0)), wrong, bitcast<vec4<u32>>(v) > vec4<u32>(0x80000000u));
}

// A denormal x = m 2^-149 may come as 0: the reciprocal of the whole m 2^-74, times 2^75, instead. Not two factors
// after the division: drivers join them to one, which is infinite.
fn map_reciprocal(v: vec4<f32>) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    let small = 1.0 / (vec4<f32>(size) * map_power(vec4<i32>(-74))) * map_power(vec4<i32>(75));
    let negative = bitcast<vec4<u32>>(v) > vec4<u32>(0x7fffffffu);
    return select(1.0 / v, select(small, -small, negative), size < vec4<u32>(0x00800000u));
}

fn map_value(v: vec4<f32>) -> vec4<f32> {
    switch OP {
        case 1u: {
            return select(params.b * map_expm1(params.c * v), params.a * v, v > vec4<f32>(0.0));
        }
        case 2u: {
            return map_softplus(v);
        }
        case 3u: {
            return map_log(v);
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
            return map_exp(v);
        }
    }
}

fn apply(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(map_value(v), bitcast<vec4<f32>>(bits | vec4<u32>(0x00400000u)), nan);
}
