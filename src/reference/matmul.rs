//! Matrix products with their epilogues.

use super::{Array, Cell, F32_EPS, act};
use crate::DType;
use crate::kernels::{Act, BatchMatMul, Strides};

/// Row `row` of `act(x w^T + bias) + residual`; `x` \[.., k\], `w` \[n, k\] row-major.
///
/// Bound: the f32 sum of `k` products in any order is off by at most `k + 1` roundings of the sum of
/// magnitudes (each product rounds once, each partial sum once; partial sums are no larger than that sum,
/// up to a factor `1 + k eps`, covered by the constant), the bias adds one. `act` passes that on by its
/// slope and adds its own error; what a weight is off by as it is read (`slack`) comes before all that; the residual adds one rounding, the store half an ulp of its type.
pub fn matmul(
    x: &Array,
    w: &Array,
    bias: Option<&Array>,
    kind: Option<Act>,
    residual: Option<&Array>,
    row: usize,
) -> Vec<Cell> {
    let values = x.row(row);
    let store = (x.store_ulp(), smallest_of(x.dtype));
    let cell = |n: usize| {
        let (mut sum, mut size) = (0.0, 0.0);
        let slack = values.iter().zip(w.slack_of(n)).map(|(a, s)| a.abs() * s).sum::<f64>();
        for (a, b) in values.iter().zip(w.row(n)) {
            sum += a * b;
            size += (a * b).abs();
        }
        let bias = bias.map_or(0.0, |b| b.data[n]);
        let added = residual.map(|r| r.row(row)[n]);
        epilogue(Sum { value: sum + bias, size: size + bias.abs(), terms: values.len(), slack }, kind, added, store)
    };
    (0..w.rows()).map(cell).collect()
}

/// Row `row` of y of [`BatchMatMul`], along the last axis of its shape: cells are counted in row-major order of
/// [batch, rows, cols].
///
/// Bound: as for [`matmul`]; the factors and the last sum round once each.
pub fn batch_matmul(spec: &BatchMatMul, inputs: &[Array], row: usize) -> Vec<Cell> {
    let width = spec.shape.last().copied().unwrap_or(1);
    (row * width..(row + 1) * width).map(|cell| batched(spec, inputs, cell)).collect()
}

fn batched(spec: &BatchMatMul, inputs: &[Array], cell: usize) -> Cell {
    let (n, i) = (cell % spec.cols, cell / spec.cols % spec.rows);
    // First element of an operand for this pair.
    let first = |strides: &Strides| {
        let mut left = cell / spec.cols / spec.rows;
        let mut at = 0;
        for (extent, stride) in spec.batch.iter().zip(&strides.batch).rev() {
            at += left % extent * stride;
            left /= extent;
        }
        at
    };
    let (x, w) = (first(&spec.x) + i * spec.x.outer, first(&spec.w) + n * spec.w.outer);
    let (mut sum, mut size) = (0.0, 0.0);
    for k in 0..spec.inner {
        let product = inputs[0].data[x + k * spec.x.inner] * inputs[1].data[w + k * spec.w.inner];
        sum += product;
        size += product.abs();
    }
    let added = spec.residual.as_ref().map_or(0.0, |r| inputs[2].data[first(r) + i * r.outer + n * r.inner]);
    let (alpha, added) = (f64::from(spec.alpha), added * f64::from(spec.beta));
    let want = sum * alpha + added;
    let tiny = f64::from(f32::MIN_POSITIVE);
    let error = (spec.inner as f64 + 4.0) * (F32_EPS * size + tiny) * alpha.abs() + 2.0 * tiny;
    let rounding = F32_EPS * ((sum * alpha).abs() + 2.0 * added.abs() + want.abs());
    let store = (inputs[0].store_ulp(), smallest_of(inputs[0].dtype));
    Cell { want, bound: (error + rounding) * (1.0 + store.0) + want.abs() * store.0 + store.1 }
}

/// A sum of products in f64, with what its f32 form depends on.
pub(super) struct Sum {
    /// The sum.
    pub value: f64,
    /// Sum of the magnitudes of its terms.
    pub size: f64,
    /// How many products.
    pub terms: usize,
    /// What the terms are off by before they are added.
    pub slack: f64,
}

/// Value and bound after activation, residual and store (`(half ulp, smallest step)` of the output type).
pub(super) fn epilogue(sum: Sum, kind: Option<Act>, residual: Option<f64>, store: (f64, f64)) -> Cell {
    let terms = sum.terms as f64;
    // Products and partial sums below the normal range may be flushed to zero.
    let error = sum.slack + (terms + 4.0) * (F32_EPS * (sum.size + sum.slack) + f64::from(f32::MIN_POSITIVE));
    let cell = match kind {
        Some(kind) => act(kind, sum.value, error),
        None => Cell { want: sum.value, bound: error },
    };
    let added = residual.unwrap_or(0.0);
    let want = cell.want + added;
    let rounding = if residual.is_some() { F32_EPS * (cell.want.abs() + added.abs()) } else { 0.0 };
    Cell { want, bound: (cell.bound + rounding) * (1.0 + store.0) + want.abs() * store.0 + store.1 }
}

/// The smallest normal value of an output type: what a store may lose where denormals are flushed.
pub(super) fn smallest_of(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f64::powi(2.0, -14),
        _ => f64::from(f32::MIN_POSITIVE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matmul_by_hand() {
        let x = Array::new(DType::F32, &[1, 2], vec![1.0, -2.0]);
        let w = Array::new(DType::F32, &[3, 2], vec![3.0, 1.0, 0.0, 1.0, -1.0, 5.0]);
        let bias = Array::new(DType::F32, &[3], vec![0.5, 0.0, 0.0]);
        let residual = Array::new(DType::F32, &[1, 3], vec![0.0, 10.0, 20.0]);
        let cells = matmul(&x, &w, Some(&bias), Some(Act::Relu), Some(&residual), 0);
        assert_eq!(cells.iter().map(|c| c.want).collect::<Vec<_>>(), [1.5, 10.0, 20.0]);
        // (k + 4) half ulps of 3 + 2 + 0.5, and one for the store.
        assert!(cells[0].bound > 6.0 * F32_EPS * 5.5 && cells[0].bound < 10.0 * F32_EPS * 5.5);
    }

    #[test]
    fn bound_covers_a_sum_in_f32() {
        let k = 1000;
        let value = |i: usize| f64::from(((i * 7919) % 1009) as f32 / 1009.0 - 0.5);
        let x = Array::new(DType::F32, &[1, k], (0..k).map(value).collect());
        let w = Array::new(DType::F32, &[1, k], (0..k).map(|i| value(i + 17)).collect());
        let f32_sum = x.data.iter().zip(&w.data).fold(0f32, |s, (a, b)| s + *a as f32 * *b as f32);
        let cell = matmul(&x, &w, None, None, None, 0)[0];
        let error = (f64::from(f32_sum) - cell.want).abs();
        assert!(error > 0.0 && error < cell.bound, "{error} {}", cell.bound);
    }
}
