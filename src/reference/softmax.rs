//! Softmax over the last axis.

use super::{Array, Cell, F32_EPS, computed};

/// `exp(x - top) / sum(exp(x - top))` with the largest cell as `top`.
///
/// Bound, in half ulps: WGSL allows exp(-t) `3 + 2 t` ulp, and forming `t` rounds it once: `6 + 5 t`. In the sum a
/// cell is rescaled when a larger one comes; its exponents add up to `t`, each exponential adds 6 and each
/// product 1, at most `n / 16` times (a row is shared by at least 16 running sums); plus one rounding for each
/// term added, and the tree. The division adds 5, the last product 1. An exponential below the smallest normal
/// number may be flushed.
pub fn softmax(x: &Array, row: usize) -> Vec<Cell> {
    let values = x.row(row);
    let n = values.len() as f64;
    let top = values.iter().fold(f64::NEG_INFINITY, |a, v| a.max(*v));
    let sum = values.iter().map(|v| (v - top).exp()).sum::<f64>();
    let one = |t: f64| if t > 200.0 { 0.0 } else { 6.0 + 5.0 * t };
    let steps = (n / 16.0).ceil() + 20.0;
    let terms = values.iter().map(|v| (v - top).exp() * one(top - v)).sum::<f64>() / sum;
    let relative = |t: f64| (one(t) + terms + 8.0 * steps + 6.0) * F32_EPS;
    let cell = |v: &f64| {
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
        softmax(&Array::new(DType::F32, &[1, data.len()], data.to_vec()), 0)
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
    fn a_row_of_masks_is_uniform() {
        let mask = f64::from(f32::MIN);
        assert!(of(&[mask; 4]).iter().all(|c| c.want == 0.25 && c.bound.is_finite()));
    }
}
