//! Normalisations over the last axis.

use super::{Array, Cell, F32_EPS};

/// `x / sqrt(mean(x^2) + eps) * gain`.
///
/// Bound: the sum of `n` squares by a tree or by strides is off by at most `n` roundings relative to the sum
/// of magnitudes (all terms are positive, so relative to the sum itself), half of that after the root; root,
/// division and the two products add four more (WGSL allows inverseSqrt 2 ulp, division 2.5 ulp).
pub fn rms_norm(x: &Array, gain: &Array, eps: f64, row: usize) -> Vec<Cell> {
    let values = x.row(row);
    let n = values.len() as f64;
    let mean = values.iter().map(|v| v * v).sum::<f64>() / n;
    let scale = 1.0 / (mean + eps).sqrt();
    let relative = (n / 2.0 + 12.0) * F32_EPS + x.store_ulp();
    let cells = values.iter().zip(&gain.data);
    cells
        .map(|(v, g)| {
            let want = v * scale * g;
            Cell { want, bound: want.abs() * relative + f64::from(f32::MIN_POSITIVE) }
        })
        .collect()
}
