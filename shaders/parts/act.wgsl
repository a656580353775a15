// Role act: the activation functions, chosen by the override ACT (the order of `Act` in src/kernels/act.rs).
//
//     0 gelu       x * Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016)
//     1 gelu_tanh  x * (1 + tanh(u)) / 2 = x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 x^3)
//     2 quick_gelu x * sigmoid(1.702 x)
//     3 silu       x * sigmoid(x)
//     4 relu       max(x, 0)
//     5 relu2      max(x, 0)^2
//     6 none       x
//
// Promise: a relative error of some ulps for all finite x, also where the result is tiny; no intermediate
// overflows (tanh and exp of large arguments are infinite or NaN on some drivers). No barriers.

override ACT: u32 = 6u;

// 1 / (1 + e^-s); beyond 88 the true value is below the smallest normal number, and 0 keeps a product with a huge x
// from becoming what it is not.
fn act_sigmoid(s: vec4<f32>) -> vec4<f32> {
    return select(1.0 / (1.0 + exp(min(-s, vec4<f32>(88.0)))), vec4<f32>(0.0), s < vec4<f32>(-88.0));
}

// Phi(x) = erfc(-x / sqrt(2)) / 2. With a = |x| / sqrt(2) and t = 1 / (1 + a / 2), erfc(a) = e^(-a^2) t P(t);
// P is a minimax polynomial on 0 <= a <= 10, fitted to a relative error of 2e-8.
fn act_phi(x: vec4<f32>) -> vec4<f32> {
    let a = min(abs(x) * 0.70710678, vec4<f32>(10.0));
    let t = 1.0 / (1.0 + 0.5 * a);
    var p = t * 0.0122832796 - 0.123251677;
    p = p * t + 0.428921878;
    p = p * t - 0.670014501;
    p = p * t + 0.421268284;
    p = p * t - 0.098314777;
    p = p * t + 0.225540981;
    p = p * t + 0.238645002;
    p = p * t + 0.282857031;
    p = p * t + 0.282064497;
    let tail = select(0.5 * exp(-a * a) * (t * p), vec4<f32>(0.0), a >= vec4<f32>(10.0));
    return select(1.0 - tail, tail, x < vec4<f32>(0.0));
}

fn act4(x: vec4<f32>) -> vec4<f32> {
    switch ACT {
        case 0u: {
            return x * act_phi(x);
        }
        case 1u: {
            // Beyond 12 the cubic is past the range of the sigmoid, and must not overflow.
            let c = clamp(x, vec4<f32>(-12.0), vec4<f32>(12.0));
            return x * act_sigmoid(1.59576912 * (c + 0.044715 * c * c * c));
        }
        case 2u: {
            return x * act_sigmoid(1.702 * x);
        }
        case 3u: {
            return x * act_sigmoid(x);
        }
        case 4u: {
            return max(x, vec4<f32>(0.0));
        }
        case 5u: {
            let r = max(x, vec4<f32>(0.0));
            return r * r;
        }
        default: {
            return x;
        }
    }
}

fn act1(x: f32) -> f32 {
    return act4(vec4<f32>(x)).x;
}
