//! Normalisations over the last axis.
//!
//! What the bounds rely on, whatever the variant: a row of `n` cells is shared by at least 16 running sums (four
//! streams, four lanes, or four streams over a longer workgroup), so each adds at most [`terms`] values before a
//! tree joins them; WGSL allows inverseSqrt 2 ulp and a division 2.5 ulp.

use super::{Array, Cell, F32_EPS, computed};
use crate::DType;
use crate::kernels::GroupNorm;

const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Roundings that a term of a sum over `n` cells meets at most: its running sum, the tree over lanes and
/// streams, the sum within a quad, and the division by the count.
fn terms(n: f64) -> f64 {
    (n / 16.0).ceil() + 20.0
}

/// `x / sqrt(mean(x^2) + eps) * gain`.
///
/// Bound: the squares are positive, so their sum is off by at most [`terms`] roundings of itself, half of that
/// after the root; root and products add eight. A flushed denormal of `x` is magnified by the scale and the gain, that
/// of the first product by the gain, that of the gain by the first product.
pub fn rms_norm(x: &Array, gain: &Array, eps: f64, row: usize) -> Vec<Cell> {
    let values = x.row(row);
    let n = values.len() as f64;
    let mean = values.iter().map(|v| v * v).sum::<f64>() / n;
    let scale = 1.0 / (mean + eps).sqrt();
    let relative = (terms(n) / 2.0 + 8.0) * F32_EPS;
    let cell = |(v, g): (&f64, &f64)| {
        let want = v * scale * g;
        let flushed = TINY * ((scale + 1.0) * g.abs() + (v * scale).abs());
        computed(want, want.abs() * relative + flushed, x.dtype)
    };
    values.iter().zip(&gain.data).map(cell).collect()
}

/// `x / max(sqrt(sum(x^2)), eps)`.
///
/// Bound: as [`rms_norm`]. Squares below the smallest normal number may be lost: `n` of them, which matters
/// only while the sum is not far above them.
pub fn l2_norm(x: &Array, eps: f64, row: usize) -> Vec<Cell> {
    let values = x.row(row);
    let n = values.len() as f64;
    let total = values.iter().map(|v| v * v).sum::<f64>();
    let inverse = |sum: f64| 1.0 / sum.max(0.0).sqrt().max(eps);
    let scale = inverse(total);
    let lost = (inverse(total - n * TINY) - scale).max(scale - inverse(total + n * TINY));
    let relative = (terms(n) / 2.0 + 8.0) * F32_EPS;
    let cell = |v: &f64| {
        let want = v * scale;
        computed(want, want.abs() * relative + v.abs() * lost + TINY * scale, x.dtype)
    };
    values.iter().map(cell).collect()
}

/// Mean and scale of a row as the kernels compute them, with their errors.
struct Stats {
    mean: f64,
    scale: f64,
    mean_error: f64,
    scale_error: f64,
    /// The largest scale that the errors allow.
    widest: f64,
}

/// Statistics of `values`, mean and variance in two passes.
///
/// Bound: let `a` be the largest magnitude and `v` the variance. A running mean is rounded once a step, at
/// most `a` times half an ulp, and its steps add a few more: `dm = (terms + 6 ln terms + 20) a` half ulps. The
/// squared deviations are positive, so their sum is off by [`terms`] roundings of itself; taking them from means
/// that are off by `dm` adds at most `2 dm sqrt(v) + dm^2` twice (within quads, and between them). A flushed denormal
/// moves the mean as well: that of a cell and that of the mean, and in each of the [`terms`] steps a difference and a sum.
fn stats(values: &[f64], eps: f64) -> Stats {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + eps).sqrt();
    let largest = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let dm = (terms(n) + 6.0 * terms(n).ln() + 20.0) * F32_EPS * largest + (2.0 * terms(n) + 2.0) * TINY;
    let dv = variance * (terms(n) + 10.0) * F32_EPS + 2.0 * (2.0 * dm * variance.sqrt() + dm * dm) + TINY;
    let widest = 1.0 / ((variance - dv).max(0.0) + eps).sqrt();
    let ds = (widest - scale).max(scale - 1.0 / (variance + dv + eps).sqrt()) + 6.0 * F32_EPS * widest;
    Stats { mean, scale, mean_error: dm, scale_error: ds, widest }
}

impl Stats {
    /// A cell that is scaled, then multiplied by `gain` and moved by `bias`. Denormals that may be flushed: the cell and
    /// its difference to the mean, both magnified by the scale; the scaled difference and the gain, each magnified by
    /// the other; the product and the bias.
    fn cell(&self, value: f64, gain: f64, bias: f64, dtype: DType) -> Cell {
        let away = value - self.mean;
        let want = away * self.scale * gain + bias;
        let product = away.abs() * self.scale_error
            + (self.mean_error + away.abs() * F32_EPS + 2.0 * TINY) * self.widest
            + 2.0 * (away * self.scale).abs() * F32_EPS;
        let error = gain.abs() * product + 2.0 * (away * self.scale * gain).abs() * F32_EPS + want.abs() * F32_EPS;
        let flushed = TINY * (gain.abs() + (away * self.scale).abs() + 2.0);
        computed(want, error + flushed, dtype)
    }
}

/// `(x - mean) / sqrt(variance + eps) * gain + bias`. Bound: that of the [`stats`], and a rounding for each of the
/// difference, the products and the sum.
pub fn layer_norm(x: &Array, gain: &Array, bias: Option<&Array>, eps: f64, row: usize) -> Vec<Cell> {
    let of = stats(x.row(row), eps);
    let bias = |i: usize| bias.map_or(0.0, |b| b.data[i]);
    x.row(row).iter().enumerate().map(|(i, v)| of.cell(*v, gain.data[i], bias(i), x.dtype)).collect()
}

/// The mean, or the inverse deviation, of every row.
pub fn layer_norm_stats(x: &Array, eps: f64, inverse: bool) -> Vec<Cell> {
    let cell = |row: usize| {
        let of = stats(x.row(row), eps);
        let (want, error) = if inverse { (of.scale, of.scale_error) } else { (of.mean, of.mean_error) };
        computed(want, error, DType::F32)
    };
    (0..x.rows()).map(cell).collect()
}

/// Row `row` (along the last axis) of `x` \[images, channels, ..\], normalised within its group of channels. Bound: as
/// [`layer_norm`].
pub fn group_norm(kernel: &GroupNorm, x: &Array, gain: &Array, bias: &Array, row: usize) -> Vec<Cell> {
    let (images, channels) = (x.shape[0], x.shape[1]);
    let plane = x.data.len() / (images * channels);
    let group_cells = channels / kernel.groups * plane;
    let cols = x.cols();
    let mut known: Option<(usize, Stats)> = None;
    let mut cells = Vec::with_capacity(cols);
    for at in row * cols..(row + 1) * cols {
        let group = at / group_cells;
        if known.as_ref().is_none_or(|(g, _)| *g != group) {
            let values = &x.data[group * group_cells..][..group_cells];
            known = Some((group, stats(values, f64::from(kernel.eps))));
        }
        if let Some((_, of)) = &known {
            let channel = at / plane % channels;
            cells.push(of.cell(x.data[at], gain.data[channel], bias.data[channel], x.dtype));
        }
    }
    cells
}

/// Row `row` (along the last axis) of batch normalisation; inputs are x, gain, bias, mean and variance.
///
/// Bound: the difference, the product of root (2 ulp, its argument rounded) and gain, that with the difference, and
/// the sum round once each.
pub fn batch_norm(inputs: &[Array], eps: f64, row: usize) -> Vec<Cell> {
    let [x, gain, bias, mean, variance] = inputs else { return Vec::new() };
    let channels = x.shape[1];
    let plane = x.data.len() / (x.shape[0] * channels);
    let cols = x.cols();
    let cell = |at: usize| {
        let c = at / plane % channels;
        let scale = gain.data[c] / (variance.data[c] + eps).sqrt();
        let product = (x.data[at] - mean.data[c]) * scale;
        let want = product + bias.data[c];
        let flushed = TINY * (2.0 + scale.abs() + (x.data[at] - mean.data[c]).abs());
        computed(want, 8.0 * F32_EPS * product.abs() + F32_EPS * want.abs() + flushed, x.dtype)
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(data: &[f64]) -> Array {
        Array::new(DType::F32, &[1, data.len()], data.to_vec())
    }
    fn close(cells: &[Cell], want: &[f64]) {
        for (c, w) in cells.iter().zip(want) {
            assert!((c.want - w).abs() < 1e-12 && c.bound.is_finite() && c.bound < 1e-4, "{c:?} {w}");
        }
    }

    #[test]
    fn values_are_the_definitions() {
        let (x, gain, bias) = (row(&[3.0, -4.0]), row(&[2.0, 0.5]), row(&[1.0, -1.0]));
        close(&rms_norm(&x, &gain, 0.0, 0), &[6.0 / 12.5f64.sqrt(), -2.0 / 12.5f64.sqrt()]);
        close(&l2_norm(&x, 1e-12, 0), &[0.6, -0.8]);
        close(&l2_norm(&x, 10.0, 0), &[0.3, -0.4]);
        close(&layer_norm(&x, &gain, Some(&bias), 0.0, 0), &[3.0, -1.5]);
        close(&layer_norm(&x, &gain, None, 0.75, 0), &[7.0 / 13f64.sqrt(), -1.75 / 13f64.sqrt()]);
    }

    #[test]
    fn groups_and_channels_are_in_order() {
        // One image, four channels of two cells, two groups.
        let x = Array::new(DType::F32, &[1, 4, 2], vec![1.0, 1.0, 3.0, 3.0, 0.0, 4.0, 0.0, 4.0]);
        let (gain, bias) = (row(&[1.0, 2.0, 3.0, 4.0]), row(&[0.0, 10.0, 20.0, 30.0]));
        let kernel = GroupNorm { groups: 2, eps: 0.0 };
        close(&group_norm(&kernel, &x, &gain, &bias, 1), &[12.0, 12.0]);
        close(&group_norm(&kernel, &x, &gain, &bias, 3), &[26.0, 34.0]);
        let inputs = [x, gain, bias, row(&[1.0, 1.0, 1.0, 2.0]), row(&[4.0, 4.0, 4.0, 1.0])];
        close(&batch_norm(&inputs, 0.0, 3), &[22.0, 38.0]);
        close(&layer_norm_stats(&inputs[0], 0.0, false)[2..], &[2.0, 2.0]);
        close(&layer_norm_stats(&inputs[0], 0.0, true)[2..], &[0.5, 0.5]);
    }

    #[test]
    fn an_offset_leaves_the_bound_small_enough_to_catch_cancellation() {
        let data: Vec<f64> = (0..896).map(|i| 1000.0 + f64::from(i % 7) / 7.0).collect();
        let cells = layer_norm(&row(&data), &row(&[1.0; 896]), None, 1e-5, 0);
        // E[x^2] - E[x]^2 in f32, as a careless kernel has it.
        let sums = data.iter().fold((0f32, 0f32), |s, v| (s.0 + *v as f32, s.1 + *v as f32 * *v as f32));
        let (mean, squares) = (sums.0 / 896.0, sums.1 / 896.0);
        let scale = 1.0 / ((squares - mean * mean).max(0.0) + 1e-5).sqrt();
        let careless = |v: f64| f64::from((v as f32 - mean) * scale);
        let worst = data.iter().zip(&cells).map(|(v, c)| (careless(*v) - c.want).abs() / c.bound).fold(0.0, f64::max);
        assert!(worst > 3.0, "{worst} times the bound");
    }
}
