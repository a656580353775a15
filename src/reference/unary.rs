//! Functions of one cell.

use super::act::phi;
use super::{Array, Cell, F32_EPS, act, computed, overflow};
use crate::kernels::UnaryOp;

/// Row `row` of `op(x)`.
pub fn unary(op: UnaryOp, x: &Array, row: usize) -> Vec<Cell> {
    let tiny = f64::from(f32::MIN_POSITIVE);
    let cell = |v: &f64| {
        let (want, error) = match op {
            _ if v.is_nan() => (f64::NAN, 0.0),
            // x times what ends at 0.
            UnaryOp::Act(_) | UnaryOp::Swish { .. } if *v == f64::NEG_INFINITY => ended(op),
            _ => family(op, *v),
        };
        computed(overflow(want), error + tiny, x.dtype)
    };
    x.row(row).iter().map(cell).collect()
}

fn ended(op: UnaryOp) -> (f64, f64) {
    use crate::kernels::Act::{Relu, Relu2};
    if matches!(op, UnaryOp::Act(Relu | Relu2)) { (0.0, 0.0) } else { (f64::NAN, 0.0) }
}

fn family(op: UnaryOp, v: f64) -> (f64, f64) {
    match op {
        UnaryOp::Act(_)
        | UnaryOp::Tanh
        | UnaryOp::Sigmoid
        | UnaryOp::Affine { .. }
        | UnaryOp::SoftCap { .. }
        | UnaryOp::Erf
        | UnaryOp::Swish { .. } => sigmoids(op, v),
        UnaryOp::Exp
        | UnaryOp::Elu { .. }
        | UnaryOp::Softplus
        | UnaryOp::Log
        | UnaryOp::Sqrt
        | UnaryOp::Reciprocal
        | UnaryOp::Mish => exponentials(op, v),
        _ => pieces(op, v),
    }
}

/// Bounds, in half ulps: exp(s) as WGSL allows, `3 + 2 |s|` ulp; the logistic function adds a sum and a division
/// and rounds `s` once. tanh: up to 0.6 a fraction of positive terms (10 roundings, cut at 6e-10), beyond it
/// `1 - r` with `r = 2 / (exp(2 |x|) + 1)` at most 0.86 of the result and off by `14 + 5 * 2 |x|`, which falls as
/// `r` does: 24 in all. A soft cap adds a division, a product, and no more, since tanh does not magnify
/// relative errors; a denormal flushed before it comes back times the cap. erf: a series of eight steps near 0; beyond,
/// the tail of the normal distribution with the bound it has in gelu, a subtraction and the rounding of its argument.
fn sigmoids(op: UnaryOp, v: f64) -> (f64, f64) {
    let tiny = f64::from(f32::MIN_POSITIVE);
    match op {
        UnaryOp::Act(kind) => {
            let cell = act(kind, v, 0.0);
            if v.is_infinite() { (v, 0.0) } else { (cell.want, cell.bound) }
        }
        UnaryOp::Tanh => (v.tanh(), v.tanh().abs() * 24.0 * F32_EPS),
        UnaryOp::Sigmoid => {
            let want = 1.0 / (1.0 + (-v).exp());
            (want, want * (12.0 + 5.0 * v.abs().min(110.0)) * F32_EPS)
        }
        UnaryOp::Affine { scale, shift } => {
            let product = v * f64::from(scale);
            let want = product + f64::from(shift);
            (want, (product.abs() + want.abs()) * F32_EPS)
        }
        UnaryOp::SoftCap { cap } => {
            let cap = f64::from(cap);
            let want = cap * (v / cap).tanh();
            (want, want.abs() * 34.0 * F32_EPS + cap.abs() * tiny)
        }
        UnaryOp::Swish { beta } => {
            let s = f64::from(beta) * v;
            let want = if v.is_infinite() { v } else { v / (1.0 + (-s).exp()) };
            let relative = (2.0 * (3.0 + 2.0 * s.abs()) + 8.0 * s.abs() + 12.0) * F32_EPS;
            (want, want.abs() * relative.min(1e-3) + (1.0 + v.abs()) * tiny)
        }
        _ => {
            let tail = 2.0 * phi(-v.abs().min(30.0) * std::f64::consts::SQRT_2);
            let want = v.signum() * (1.0 - tail);
            let want = if v.abs() < 1e-3 { v * std::f64::consts::FRAC_2_SQRT_PI * (1.0 - v * v / 3.0) } else { want };
            let s = v.abs().min(10.0).powi(2);
            (want, want.abs() * 16.0 * F32_EPS + tail * (2.0 * (3.0 + 2.0 * s) + 8.0 * s + 34.0) * F32_EPS)
        }
    }
}

/// Bounds, in half ulps. exp: its argument is reduced exactly but for a rounding of `r` (at most 0.36), the series and
/// the sum with 1 round 2 times: 4. `exp - 1` near 0 is the series; beyond, cancellation magnifies by at most 2.4: 10,
/// and what the argument's own rounding makes. log: the leading terms round 3 times, `e log 2` and the rest cancel by
/// less than half: 6. softplus: 4 of `exp`, 4 of the logarithm, a sum: 10. Mish: three of them in a fraction of
/// positive terms: 16. Roots as WGSL allows, by an inverse root and a division: 10; a division 5.
fn exponentials(op: UnaryOp, v: f64) -> (f64, f64) {
    let of = |want: f64, half_ulps: f64| (want, if want.is_finite() { want.abs() * half_ulps * F32_EPS } else { 0.0 });
    match op {
        UnaryOp::Exp => of(v.exp(), 4.0),
        UnaryOp::Elu { positive, .. } if v > 0.0 => of(f64::from(positive) * v, 1.0),
        UnaryOp::Elu { negative, inner, .. } => {
            let (b, u) = (f64::from(negative), f64::from(inner) * v);
            let (want, error) = of(b * u.exp_m1(), 11.0);
            let lost = if u.is_finite() {
                b.abs() * u.exp() * (u.abs() * F32_EPS + f64::from(f32::MIN_POSITIVE))
            } else {
                0.0
            };
            (want, error + lost)
        }
        UnaryOp::Softplus => of(if v > 700.0 { v } else { v.exp().ln_1p() }, 10.0),
        UnaryOp::Log => of(v.ln(), 6.0),
        // A denormal number may be taken for 0.
        UnaryOp::Sqrt if v.abs() < f64::from(f32::MIN_POSITIVE) => (v.sqrt(), f64::from(f32::MIN_POSITIVE).sqrt()),
        UnaryOp::Sqrt => of(v.sqrt(), 10.0),
        UnaryOp::Reciprocal => of(1.0 / v, 6.0),
        _ => {
            let softplus = if v > 700.0 { v } else { v.exp().ln_1p() };
            let (want, error) = of(v * softplus.tanh(), 16.0);
            let lost = if v.is_finite() { v.abs() * f64::from(f32::MIN_POSITIVE) } else { 0.0 };
            if v == f64::NEG_INFINITY { (f64::NAN, 0.0) } else { (want, error + lost) }
        }
    }
}

/// Bounds: one rounding a written operation; a division 2.5 ulp. What is whole is exact, but the adapter may take a
/// denormal number for 0. Sine and cosine: 2 ulp around 0; beyond, three roundings of numbers below 1, and that of the
/// second piece of pi/2, `3.1e-4 |x|` at half an ulp.
fn pieces(op: UnaryOp, v: f64) -> (f64, f64) {
    let flushed = v != 0.0 && v.abs() < f64::from(f32::MIN_POSITIVE);
    let whole = |want: f64| (want, if flushed { 1.0 } else { 0.0 });
    let hard = |slope: f32, shift: f32| {
        let product = f64::from(slope) * v;
        let sum = product + f64::from(shift);
        (sum.clamp(0.0, 1.0), if product.is_finite() { (product.abs() + sum.abs()) * F32_EPS } else { 0.0 })
    };
    match op {
        UnaryOp::Abs => (v.abs(), 0.0),
        UnaryOp::Neg => (-v, 0.0),
        UnaryOp::Sign => whole(if v == 0.0 { 0.0 } else { v.signum() }),
        UnaryOp::Floor => whole(v.floor()),
        UnaryOp::Ceil => whole(v.ceil()),
        UnaryOp::Round => whole(v.round_ties_even()),
        UnaryOp::LeakyRelu { .. } if v >= 0.0 => (v, 0.0),
        UnaryOp::LeakyRelu { slope } => (f64::from(slope) * v, (f64::from(slope) * v).abs() * F32_EPS),
        UnaryOp::HardSigmoid { slope, shift } => hard(slope, shift),
        UnaryOp::HardSwish { slope, shift } => {
            let (gate, error) = hard(slope, shift);
            (v * gate, v.abs() * error + (v * gate).abs() * F32_EPS)
        }
        UnaryOp::Threshold { bound, below } => (if v > f64::from(bound) { v } else { f64::from(below) }, 0.0),
        UnaryOp::Softsign => {
            let want = v / (1.0 + v.abs());
            (want, want.abs() * 7.0 * F32_EPS)
        }
        UnaryOp::Shrink { bound, bias } => {
            let (bound, bias) = (f64::from(bound), f64::from(bias));
            let want = if v < -bound {
                v + bias
            } else if v > bound {
                v - bias
            } else {
                0.0
            };
            (want, want.abs() * F32_EPS)
        }
        _ => {
            let want = if op == UnaryOp::Sin { v.sin() } else { v.cos() };
            let far = if v.abs() < 0.7 { want.abs() * 4.0 * F32_EPS } else { 3.0 * F32_EPS + v.abs() * 2e-11 };
            (want, far)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::kernels::Act;

    fn of(op: UnaryOp, v: f64) -> f64 {
        let cell = unary(op, &Array::new(DType::F32, &[1], vec![v]), 0)[0];
        assert!(!cell.want.is_finite() || cell.bound < 1e-4 * (1.0 + cell.want.abs()), "{op:?} {v}: {cell:?}");
        cell.want
    }

    #[test]
    fn values_are_the_definitions() {
        assert_eq!(of(UnaryOp::Exp, 0.5), 0.5f64.exp());
        assert_eq!(of(UnaryOp::Exp, 100.0), f64::INFINITY);
        assert_eq!(of(UnaryOp::Tanh, -2.0), (-2f64).tanh());
        assert_eq!(of(UnaryOp::Affine { scale: 2.0, shift: 1.0 }, -2.0), -3.0);
        assert_eq!(of(UnaryOp::SoftCap { cap: 2.0 }, -2.0), 2.0 * (-1f64).tanh());
        assert!((of(UnaryOp::Sigmoid, -2.0) - 0.119_202_922_022_117_55).abs() < 1e-15);
        assert_eq!(of(UnaryOp::Act(Act::Relu2), 3.0), 9.0);
        assert!((of(UnaryOp::Erf, 0.5) - 0.520_499_877_813_046_5).abs() < 1e-12);
        assert!((of(UnaryOp::Erf, 1e-4) - 1.128_379_163_334_249e-4).abs() < 1e-15);
        assert!((of(UnaryOp::Mish, 1.0) - 0.865_098_388_267_310_3).abs() < 1e-12);
        assert_eq!(of(UnaryOp::Elu { positive: 3.0, negative: 2.0, inner: 0.5 }, 2.0), 6.0);
        assert_eq!(of(UnaryOp::HardSwish { slope: 0.25, shift: 0.5 }, 1.0), 0.75);
        assert_eq!(of(UnaryOp::Shrink { bound: 0.5, bias: 0.25 }, -1.0), -0.75);
        assert_eq!(of(UnaryOp::Round, 2.5), 2.0);
        assert!(of(UnaryOp::Swish { beta: 1.0 }, f64::NEG_INFINITY).is_nan() && of(UnaryOp::Log, -1.0).is_nan());
    }
}
