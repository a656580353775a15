//! Activation functions in f64, with the error that their f32 form in a kernel may make.

use super::{Cell, F32_EPS};
use crate::kernels::Act;

/// `act(x)` where the kernel holds `x` with an absolute error of at most `dx`; no store rounding.
///
/// Bound, in half ulps (`F32_EPS`) of the result: WGSL allows exp(s) `3 + 2 |s|` ulp, division 2.5 ulp; the
/// argument `s` of the exponential itself carries up to six roundings, each `|s|` half ulps of the
/// exponential. `x Phi(x)` adds ten steps of a polynomial of mostly positive terms and its fit (2e-8). Then
/// `dx` times the largest slope (1.13 for the gelu family, 1.10 for silu, `2 x` for the square), and what
/// a flush of denormals loses.
pub fn act(kind: Act, x: f64, dx: f64) -> Cell {
    let relative = |s: f64| (2.0 * (3.0 + 2.0 * s.abs()) + 6.0 * s.abs() + 12.0) * F32_EPS;
    let (want, relative, slope) = match kind {
        Act::Gelu => (x * phi(x), relative(x * x / 2.0) + 20.0 * F32_EPS, 1.13),
        Act::GeluTanh => {
            let s = 2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            (x / (1.0 + (-s).exp()), relative(s), 1.13)
        }
        Act::QuickGelu => (x / (1.0 + (-1.702 * x).exp()), relative(1.702 * x), 1.1),
        Act::Silu => (x / (1.0 + (-x).exp()), relative(x), 1.1),
        Act::Relu => (x.max(0.0), 0.0, 1.0),
        Act::Relu2 => (x.max(0.0).powi(2), 2.0 * F32_EPS, 2.0 * x.abs() + dx),
    };
    // The exponent saturates: from there on the result is within a denormal of 0 or a rounding of x.
    let bound = want.abs() * relative.min(1e-3) + dx * slope + (1.0 + x.abs()) * f64::from(f32::MIN_POSITIVE);
    Cell { want, bound }
}

/// The normal distribution: erfc(-x / sqrt 2) / 2, by the series around 0 and the continued fraction of the
/// tail (Abramowitz & Stegun 7.1.6, 7.1.14), both to f64 accuracy.
pub(super) fn phi(x: f64) -> f64 {
    let a = x.abs() / std::f64::consts::SQRT_2;
    let tail = if a < 2.5 { 0.5 - 0.5 * erf_series(a) } else { 0.5 * erfc_fraction(a) };
    if x < 0.0 { tail } else { 1.0 - tail }
}

fn erf_series(a: f64) -> f64 {
    // 2/sqrt(pi) e^(-a^2) sum_n 2^n a^(2n+1) / (2n+1)!!: all terms positive.
    let mut term = a;
    let mut sum = 0.0;
    for n in 0..120 {
        sum += term;
        term *= 2.0 * a * a / f64::from(2 * n + 3);
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp() * sum
}

fn erfc_fraction(a: f64) -> f64 {
    // e^(-a^2)/sqrt(pi) * 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + ...)))).
    let mut below = a;
    for n in (1..=200).rev() {
        below = a + f64::from(n) / 2.0 / below;
    }
    (-a * a).exp() / (below * std::f64::consts::PI.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erfc_matches_tabulated_values() {
        // Abramowitz & Stegun, table 7.1, and erfc(3) from its digits.
        for (a, erfc) in [(0.0, 1.0), (0.5, 0.479_500_122_186_953_5), (1.0, 0.157_299_207_050_285_13)] {
            assert!((2.0 * phi(-a * std::f64::consts::SQRT_2) / erfc - 1.0).abs() < 1e-13, "{a}");
        }
        let a = 3.0 * std::f64::consts::SQRT_2;
        assert!((2.0 * phi(-a) / 2.209_049_699_858_544e-5 - 1.0).abs() < 1e-12);
        assert!((erfc_fraction(2.5) / (1.0 - erf_series(2.5)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn values_are_the_definitions() {
        let at = |kind, x| act(kind, x, 0.0).want;
        assert!((at(Act::Gelu, 1.0) - 0.841_344_746_068_542_9).abs() < 1e-12);
        let u = (2.0 / std::f64::consts::PI).sqrt() * (1.0 + 0.044715);
        assert!((at(Act::GeluTanh, 1.0) - 0.5 * (1.0 + u.tanh())).abs() < 1e-14);
        assert!((at(Act::Silu, -2.0) + 2.0 / (1.0 + 2f64.exp())).abs() < 1e-14);
        assert_eq!((at(Act::Relu, -2.0), at(Act::Relu2, 3.0)), (0.0, 9.0));
        for kind in Act::ALL {
            for x in [-1e30, -100.0, 0.0, 100.0, 1e15] {
                assert!(act(kind, x, 1e-7).bound.is_finite(), "{kind:?} {x}");
            }
        }
    }
}
