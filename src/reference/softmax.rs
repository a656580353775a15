//! Softmax over the last axis.

use super::{Array, Cell, F32_EPS, computed};
use crate::kernels::Softmax;

/// `exp(x - top) / sum(exp(x - top))` with the largest cell as `top`, or its logarithm.
///
/// Bound, in half ulps: WGSL allows exp(-t) `3 + 2 t` ulp, and forming `t` rounds it once: `6 + 5 t`. In the sum a
/// cell is rescaled when a larger one comes; its exponents add up to `t`, each exponential adds 6 and each
/// product 1, at most `n / 16` times (a row is shared by at least 16 running sums); plus one rounding for each
/// term added, and the tree. The division adds 5, the last product 1. An exponential below the smallest normal
/// number may be flushed. Of the logarithm: the sum's relative error, that of WGSL's log (2^-21 up to 2, 3 ulp beyond),
/// and a rounding of each difference.
pub fn softmax(kernel: &Softmax, x: &Array, row: usize) -> Vec<Cell> {
    let values = x.row(row);
    let n = values.len() as f64;
    let top = values.iter().fold(f64::NEG_INFINITY, |a, v| a.max(*v));
    let sum = values.iter().map(|v| (v - top).exp()).sum::<f64>();
    let one = |t: f64| if t > 200.0 { 0.0 } else { 6.0 + 5.0 * t };
    let steps = (n / 16.0).ceil() + 20.0;
    let terms = values.iter().map(|v| (v - top).exp() * one(top - v)).sum::<f64>() / sum;
    let relative = |t: f64| (one(t) + terms + 8.0 * steps + 6.0) * F32_EPS;
    let log_error = if sum < 2.01 { f64::powi(2.0, -21) } else { 6.0 * F32_EPS * sum.ln() };
    let log_error = log_error + 1.01 * (terms + 8.0 * steps) * F32_EPS;
    let cell = |v: &f64| {
        if kernel.log {
            let want = (v - top) - sum.ln();
            return computed(want, log_error + ((v - top).abs() + want.abs()) * F32_EPS, x.dtype);
        }
        let want = (v - top).exp() / sum;
        computed(want, want * relative(top - v) + f64::from(f32::MIN_POSITIVE), x.dtype)
    };
    values.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn of(data: &[f64]) -> Vec<Cell> {
        softmax(&Softmax::default(), &Array::new(DType::F32, &[1, data.len()], data.to_vec()), 0)
    }

    #[test]
    fn values_are_the_definition() {
        let cells = of(&[0.0, 3f64.ln()]);
        assert!((cells[0].want - 0.25).abs() < 1e-15 && (cells[1].want - 0.75).abs() < 1e-15);
        let cells = of(&[1e4, -3e38, 1e4]);
        assert_eq!(cells.iter().map(|c| c.want).collect::<Vec<_>>(), [0.5, 0.0, 0.5]);
        assert!(cells.iter().all(|c| c.bound < 1e-4 && c.bound > 0.0));
    }

    #[test]
    fn logarithms_are_those_of_the_values() {
        let x = Array::new(DType::F32, &[1, 3], vec![0.0, 3f64.ln(), -1e4]);
        let cells = softmax(&Softmax { log: true }, &x, 0);
        assert!((cells[0].want - 0.25f64.ln()).abs() < 1e-15 && (cells[1].want - 0.75f64.ln()).abs() < 1e-15);
        assert!(cells.iter().all(|c| c.bound < 2e-3 && c.bound > 0.0) && cells[1].bound < 2e-5);
    }

    #[test]
    fn a_row_of_masks_is_uniform() {
        let mask = f64::from(f32::MIN);
        assert!(of(&[mask; 4]).iter().all(|c| c.want == 0.25 && c.bound.is_finite()));
    }
}
