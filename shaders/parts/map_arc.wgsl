// Role map: inverse circular, hyperbolic and inverse hyperbolic functions, by the override OP (the order of
// `UnaryOp::code` in src/kernels/unary.rs):
//
//     0 asin   1 acos   2 atan   3 sinh   4 cosh   5 asinh   6 acosh   7 atanh
//
// Promise: a relative error of 2e-6; NaN where a function is not defined. NaN stays NaN. Needs the role series. No
// barriers.

// To |q| <= sqrt(2) - 1 by atan(a) = pi/2 - atan(1/a) and atan(r) = pi/4 + atan((r - 1) / (r + 1)); then Taylor's series.
fn map_atan(v: vec4<f32>) -> vec4<f32> {
    let a = abs(v);
    let far = a > vec4<f32>(1.0);
    let r = select(a, 1.0 / a, far);
    let high = r > vec4<f32>(0.41421356);
    let q = select(r, (r - 1.0) / (r + 1.0), high);
    let z = q * q;
    let tail = 1.0 / 9.0 - z * (1.0 / 11.0 - z * (1.0 / 13.0 - z * (1.0 / 15.0 - z / 17.0)));
    let small = q * (1.0 - z * (1.0 / 3.0 - z * (0.2 - z * (1.0 / 7.0 - z * tail))));
    let near = small + select(vec4<f32>(0.0), vec4<f32>(0.785398163), high);
    return sign(v) * select(near, 1.57079633 - near, far);
}

// e^a / 2, where e^a alone would overflow; a is at least 20, so that e^-a does not count.
fn map_half_exp(a: vec4<f32>) -> vec4<f32> {
    let e = series_exp(0.5 * a);
    return 0.5 * e * e;
}

fn map_sinh(v: vec4<f32>) -> vec4<f32> {
    let a = abs(v);
    let t = series_expm1(min(a, vec4<f32>(20.0)));
    return sign(v) * select(0.5 * (t + t / (t + 1.0)), map_half_exp(a), a > vec4<f32>(20.0));
}

fn map_cosh(v: vec4<f32>) -> vec4<f32> {
    let a = abs(v);
    let e = series_exp(min(a, vec4<f32>(20.0)));
    return select(0.5 * (e + 1.0 / e), map_half_exp(a), a > vec4<f32>(20.0));
}

// log(a + sqrt(a^2 + 1)); far out log(2 a).
fn map_asinh(v: vec4<f32>) -> vec4<f32> {
    let a = abs(v);
    let c = min(a, vec4<f32>(5000.0));
    let near = series_log1p(c + c * c / (1.0 + sqrt(1.0 + c * c)));
    return sign(v) * select(near, series_log(a) + 0.693147181, a > vec4<f32>(4096.0));
}

// log(x + sqrt(x^2 - 1)), by t = x - 1; far out log(2 x).
fn map_acosh(v: vec4<f32>) -> vec4<f32> {
    let t = clamp(v - 1.0, vec4<f32>(0.0), vec4<f32>(5000.0));
    let near = series_log1p(t + sqrt(t * (t + 2.0)));
    return select(near, series_log(v) + 0.693147181, v > vec4<f32>(4096.0));
}

fn map_value(v: vec4<f32>) -> vec4<f32> {
    let one = vec4<f32>(1.0);
    let a = abs(v);
    let inside = min(a, one);
    switch OP {
        case 1u: {
            return 2.0 * map_atan(sqrt((1.0 - clamp(v, -one, one)) / (1.0 + clamp(v, -one, one))));
        }
        case 2u: {
            return map_atan(v);
        }
        case 3u: {
            return map_sinh(v);
        }
        case 4u: {
            return map_cosh(v);
        }
        case 5u: {
            return map_asinh(v);
        }
        case 6u: {
            return map_acosh(v);
        }
        case 7u: {
            let y = 0.5 * series_log1p(2.0 * inside / (1.0 - inside));
            return sign(v) * select(y, series_infinity(), a >= one);
        }
        default: {
            return sign(v) * map_atan(inside / sqrt((1.0 - inside) * (1.0 + inside)));
        }
    }
}

// Beyond 1 for asin, acos and atanh, below 1 for acosh.
fn map_undefined(v: vec4<f32>) -> vec4<bool> {
    if OP == 6u {
        return v < vec4<f32>(1.0);
    }
    return (abs(v) > vec4<f32>(1.0)) & vec4<bool>(OP < 2u || OP == 7u);
}

fn apply(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(map_value(v), bitcast<vec4<f32>>(bits | vec4<u32>(0x7fc00000u)), nan | map_undefined(v));
}
