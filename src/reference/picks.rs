//! Rows by number: tuples of coordinates to numbers, picking, combining.

use super::whole::{apply, pairs, words, wrapped};
use super::{Array, Cell, F32_EPS, moved, store_error};
use crate::DType;
use crate::kernels::{Combine, IntegerOp, Picks, Scatter, Whole};

/// The numbers of all tuples. With `wide`, a coordinate is two words, low first, two's complement.
pub fn row_index(extents: &[usize], wide: bool, index: &Array) -> Vec<Cell> {
    let signed = |words: &[f64]| {
        let value = words[0] + words[1] * f64::powi(2.0, 32);
        // Beyond 2^53 the value is rounded, but far outside any axis.
        if words[1] >= f64::powi(2.0, 31) { value - f64::powi(2.0, 64) } else { value }
    };
    let numbers: Vec<f64> = match wide {
        true => index
            .data
            .chunks_exact(2)
            .map(|w| if w[1] == f64::from(u32::MAX) { w[0] - f64::powi(2.0, 32) } else { signed(w) })
            .collect(),
        false => index.data.clone(),
    };
    let number = |tuple: &[f64]| {
        let mut row = 0.0;
        for (c, extent) in tuple.iter().zip(extents) {
            let n = *extent as f64;
            let place = if *c < 0.0 { c + n } else { *c };
            row = row * n + place.clamp(0.0, n - 1.0);
        }
        Cell { want: row, bound: 0.0 }
    };
    numbers.chunks_exact(extents.len()).map(number).collect()
}

/// Batch, pick, column (in elements) and number of element `at` of `[batches, picks, cols]`.
fn pick(picks: &Picks, index: &Array, b: usize, k: usize, element: usize) -> f64 {
    let c = if picks.wide { element / 2 } else { element };
    let [ib, ik, ic] = picks.strides;
    index.data[b * ib + k * ik + c * ic]
}

/// Row `row` of the picked rows, seen as rows of `cols` elements.
pub fn gather(picks: &Picks, x: &Array, index: &Array, cols: usize, row: usize) -> Vec<Cell> {
    let width = picks.cols * if picks.wide { 2 } else { 1 };
    let rows = x.data.len() / picks.batches / width;
    let cell = |at: usize| {
        let (line, c) = (at / width, at % width);
        let (b, k) = (line / picks.picks, line % picks.picks);
        let i = (pick(picks, index, b, k, c) as usize).min(rows - 1);
        moved(x.data[(b * rows + i) * width + c], x.dtype, x.dtype)
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

/// Row `row` of `y` after all rows of `x` that name its cells.
///
/// Bound: a sum or a product of `n` new cells rounds `n` times, each time by half an ulp of what it has become: for
/// sums at most of the sum of magnitudes. Products and sums that pass through denormal numbers may lose them, times
/// what is multiplied in later.
pub fn scatter(kernel: &Scatter, x: &Array, index: &Array, y: &Array, row: usize) -> Vec<Cell> {
    let picks = &kernel.picks;
    if let Combine::Integer(op, whole) = kernel.combine {
        return scatter_whole(picks, op, whole, [x, index, y], row);
    }
    let width = picks.cols * if picks.wide { 2 } else { 1 };
    let rows = y.data.len() / picks.batches / width;
    let whole = !y.dtype.is_float();
    // Products of whole numbers need more bits than f64 has before they wrap.
    let wrap = |value: i128| wrapped(value, 32, y.dtype == DType::I32) as f64;
    let cell = |at: usize| {
        let (line, c) = (at / width, at % width);
        let (b, i) = (line / rows, line % rows);
        let (mut want, mut count, mut magnitude, mut largest) = (y.data[at], 0.0, y.data[at].abs(), 1.0f64);
        for k in 0..picks.picks {
            if pick(picks, index, b, k, c) != i as f64 {
                continue;
            }
            let new = x.data[(b * picks.picks + k) * width + c];
            count += 1.0;
            magnitude += new.abs();
            largest *= new.abs().max(1.0);
            want = match kernel.combine {
                Combine::Replace | Combine::Integer(..) => new,
                Combine::Add if whole => wrap(want as i128 + new as i128),
                Combine::Mul if whole => wrap(want as i128 * new as i128),
                Combine::Add => want + new,
                Combine::Mul => want * new,
                Combine::Max => want.max(new),
                Combine::Min => want.min(new),
            };
        }
        let store = y.store_ulp().max(F32_EPS);
        let bound = match kernel.combine {
            _ if whole || count == 0.0 => 0.0,
            Combine::Add => count * (store * magnitude + store_error(0.0, y.dtype)),
            Combine::Mul => count * (store * want.abs() + largest * store_error(0.0, y.dtype)),
            _ => moved(want, y.dtype, y.dtype).bound,
        };
        Cell { want, bound }
    };
    (row * y.cols()..(row + 1) * y.cols()).map(cell).collect()
}

/// The same of whole numbers: exact.
fn scatter_whole(picks: &Picks, op: IntegerOp, whole: Whole, operands: [&Array; 3], row: usize) -> Vec<Cell> {
    let [x, index, y] = operands;
    let size = if picks.wide { 2 } else { 1 };
    let rows = y.data.len() / size / picks.batches / picks.cols;
    let number = |a: &Array, at: usize| match whole {
        Whole::Word { .. } => a.data[at] as i128,
        Whole::Pair { signed } => pairs(&a.data[2 * at..2 * at + 2], signed)[0],
    };
    let cell = |at: usize| {
        let (line, c) = (at / size / picks.cols, at / size % picks.cols);
        let (b, i) = (line / rows, line % rows);
        let mut want = number(y, at / size);
        for k in (0..picks.picks).filter(|k| pick(picks, index, b, *k, c * size) == i as f64) {
            let new = number(x, (b * picks.picks + k) * picks.cols + c);
            want = match whole {
                Whole::Word { bits } => wrapped(apply(op, want, new, bits), bits, y.dtype == DType::I32),
                Whole::Pair { signed } => pairs(&words(apply(op, want, new, 64)), signed)[0],
            };
        }
        let want = if size == 2 { words(want)[at % 2] } else { want as f64 };
        Cell { want, bound: 0.0 }
    };
    (row * y.cols()..(row + 1) * y.cols()).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(cells: Vec<Cell>) -> Vec<f64> {
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn coordinates_count_from_both_ends() {
        let narrow = Array::new(DType::I32, &[3, 2], vec![0.0, 1.0, -1.0, -3.0, 5.0, -9.0]);
        assert_eq!(wants(row_index(&[2, 3], false, &narrow)), [1.0, 3.0, 3.0]);
        let max = f64::from(u32::MAX);
        let wide = Array::new(DType::U32, &[3, 1, 2], vec![max, max, 7.0, 1.0, 2.0, 0.0]);
        assert_eq!(wants(row_index(&[4], true, &wide)), [3.0, 3.0, 2.0]);
    }

    #[test]
    fn rows_are_picked_and_combined_in_order() {
        let picks = Picks { batches: 1, picks: 3, cols: 2, strides: [0, 1, 0], wide: false };
        let index = Array::new(DType::U32, &[3], vec![1.0, 0.0, 1.0]);
        let x = Array::new(DType::F32, &[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!(wants(gather(&picks, &x, &index, 2, 2)), [3.0, 4.0]);
        let new = Array::new(DType::F32, &[3, 2], vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
        let at = |combine| wants(scatter(&Scatter { picks: picks.clone(), combine }, &new, &index, &x, 1));
        assert_eq!(at(Combine::Add), [7.0, 8.0]);
        assert_eq!(at(Combine::Mul), [9.0, 12.0]);
        assert_eq!(at(Combine::Replace), [3.0, 3.0]);
    }
}
