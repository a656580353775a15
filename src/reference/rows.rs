//! Moving rows: caches, embedding tables, splices, planned interpolation. Indices are clamped as the kernels do.

use super::{Array, Cell, F32_EPS, moved, quantize_blocks, store_error};
use crate::DType;
use crate::quant::Encoding;

/// `list[at]` as an index below `rows`.
fn clamped(list: &Array, at: usize, rows: usize) -> usize {
    (list.data[at] as usize).min(rows - 1)
}

/// Row `row` of the cache after `cache[slots[t]] = x[t, x_offset ..]`; the old row where no slot names it.
pub fn kv_append(x: &Array, slots: &Array, cache: &Array, x_offset: usize, row: usize) -> Vec<Cell> {
    let token = slots.data.iter().position(|slot| *slot == row as f64);
    let values = match token {
        Some(token) => &x.row(token)[x_offset..][..cache.cols()],
        None => cache.row(row),
    };
    values.iter().map(|v| moved(*v, cache.dtype, cache.dtype)).collect()
}

/// Row `row` of the cache after `cache[slots[t]]` became `x[t, x_offset ..]` as `to` has it; the old row where no slot names it.
///
/// Bound: a float is rounded as it is, what is below its normal range may be flushed; a block is rounded as in [`quantize_blocks`].
pub fn kv_encode(to: Encoding, [x, slots, cache]: [&Array; 3], x_offset: usize, row: usize) -> Vec<Cell> {
    let exact = |value: f64| Cell { want: value, bound: 0.0 };
    let Some(token) = slots.data.iter().position(|slot| *slot == row as f64) else {
        return cache.row(row).iter().map(|v| exact(*v)).collect();
    };
    let values = &x.row(token)[x_offset..][..cache.cols()];
    match to {
        Encoding::Float(to) => values.iter().map(|v| moved(half_or(*v, to), x.dtype, to)).collect(),
        to => quantize_blocks(to, values),
    }
}

/// The value as `to` holds it.
fn half_or(value: f64, to: DType) -> f64 {
    if to == DType::F16 { half::f16::from_f32(value as f32).to_f64() } else { value }
}

/// Row `ids[row]` of `table`, stored as `dtype`.
pub fn embed_tokens(ids: &Array, table: &Array, dtype: DType, row: usize) -> Vec<Cell> {
    let id = clamped(ids, row, table.rows());
    table.row(id).iter().map(|v| moved(*v, table.dtype, dtype)).collect()
}

/// Row `index[row]` of `a` followed by `b`, plus row `extra_index[row]` of `extra`.
///
/// Bound: exact without `extra`, else one sum in f32 and the store.
pub fn splice_rows(
    a: &Array,
    b: Option<&Array>,
    index: &Array,
    extra: Option<(&Array, &Array)>,
    row: usize,
) -> Vec<Cell> {
    let rows = a.rows() + b.map_or(0, Array::rows);
    let i = clamped(index, row, rows);
    let picked = match b {
        Some(b) if i >= a.rows() => b.row(i - a.rows()),
        _ => a.row(i),
    };
    let Some((table, chosen)) = extra else {
        return picked.iter().map(|v| moved(*v, a.dtype, a.dtype)).collect();
    };
    let added = table.row(clamped(chosen, row, table.rows()));
    let sum = |(v, e): (&f64, &f64)| {
        let want = v + e;
        Cell { want, bound: F32_EPS * want.abs() + store_error(want, a.dtype) }
    };
    picked.iter().zip(added).map(sum).collect()
}

/// `sum_j weight[row, j] * table[index[row, j]]`.
///
/// Bound: every product and every sum rounds once, each at most `F32_EPS` of the sum of magnitudes; terms are
/// added one after the other, so `taps + 1` of them at most. Of each tap the two factors, the product and the sum may be
/// denormal and become zero.
pub fn interpolate_rows(table: &Array, index: &Array, weight: &Array, row: usize) -> Vec<Cell> {
    let taps = index.cols();
    let cell = |col: usize| {
        let tiny = f64::from(f32::MIN_POSITIVE);
        let (mut want, mut magnitude, mut lost) = (0.0, 0.0, tiny);
        for j in row * taps..(row + 1) * taps {
            let value = table.row(clamped(index, j, table.rows()))[col];
            let term = weight.data[j] * value;
            want += term;
            magnitude += term.abs();
            lost += tiny * (weight.data[j].abs() + value.abs() + 2.0);
        }
        Cell { want, bound: (taps as f64 + 1.0) * F32_EPS * magnitude + lost }
    };
    (0..table.cols()).map(cell).collect()
}
