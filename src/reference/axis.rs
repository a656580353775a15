//! Reductions, running sums and orders along an axis. Each result is computed from its own line, found by index.

use super::{Array, Cell, F32_EPS, computed, moved};
use crate::DType;
use crate::kernels::{Argmax, Items, Reduce, ReduceOp, Scan, ScanOp, TopK};

const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Extents of `shape` before, at and after `axis`.
fn extents(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let before = shape.iter().take(axis).product();
    let after = shape.iter().skip(axis + 1).product();
    (before, shape[axis], after)
}

/// Cells of `x` along the axis, for `line` counted over the other axes.
fn line(x: &Array, axis: usize, line: usize) -> Vec<f64> {
    let (_, count, after) = extents(&x.shape, axis);
    (0..count).map(|j| x.data[(line / after * count + j) * after + line % after]).collect()
}

/// Lines that row `row` of a result has, when the axis is gone.
fn lines_of_row(shape: &[usize], axis: usize, row: usize) -> std::ops::Range<usize> {
    let rest: Vec<usize> = (0..shape.len()).filter(|i| *i != axis).map(|i| shape[i]).collect();
    let cols = rest.last().copied().unwrap_or(1);
    row * cols..(row + 1) * cols
}

/// Error of WGSL's log at `x`: 2^-21 between 0.5 and 2, 3 ulp elsewhere; both where rounding may cross the edge.
fn log_error(x: f64) -> f64 {
    let near = if (0.49..2.01).contains(&x) { f64::powi(2.0, -21) } else { 0.0 };
    near.max(6.0 * F32_EPS * x.ln().abs())
}

/// What [`Reduce`] computes of each line, for one row of results.
///
/// Bounds: a term of a sum over `n` is rounded when it is added to one of the running values of a span of 64 (16
/// times), when these and the spans are added up (2 and `n / 64`), and in the tree over at most 256 lanes (8 times):
/// `steps` times in all, or `n` times if that is less. Squares add a rounding, denormal terms may be flushed. A
/// root halves relative errors and adds 4.5 ulp, a division 2.5 ulp. An exponential at `t` below the largest adds
/// `3 + 2 t` ulp and the rounding of `t`; logarithms turn relative errors into absolute ones.
pub fn reduce(kernel: &Reduce, x: &Array, row: usize) -> Vec<Cell> {
    let lines = lines_of_row(&x.shape, kernel.axis, row);
    if x.dtype.is_float() {
        lines.map(|i| reduced(kernel.op, &line(x, kernel.axis, i), x.dtype)).collect()
    } else {
        lines.map(|i| reduced_integers(kernel.op, &line(x, kernel.axis, i), x.dtype)).collect()
    }
}

fn reduced(op: ReduceOp, v: &[f64], dtype: DType) -> Cell {
    let n = v.len() as f64;
    let steps = (n / 64.0).ceil() + 26.0;
    let steps = steps.min(n) * F32_EPS;
    let sum: f64 = v.iter().sum();
    let size: f64 = v.iter().map(|v| v.abs()).sum();
    let squares: f64 = v.iter().map(|v| v * v).sum();
    let lost = n * TINY;
    let off = steps * size + lost;
    let (want, error) = match op {
        ReduceOp::Sum => (sum, off),
        ReduceOp::Mean => (sum / n, off / n + 5.0 * F32_EPS * (sum / n).abs()),
        ReduceOp::SumSquares => (squares, (steps + F32_EPS) * squares + lost),
        ReduceOp::L1 => (size, off),
        ReduceOp::L2 => {
            let root = squares.sqrt();
            let lost = (squares + lost).sqrt() - (squares - lost).max(0.0).sqrt();
            (root, root * ((steps + F32_EPS) / 2.0 + 9.0 * F32_EPS) + lost)
        }
        ReduceOp::LogSum => (sum.ln(), -(1.0 - off / sum).max(0.0).ln() + log_error(sum)),
        ReduceOp::LogSumExp => {
            let top = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = v.iter().map(|v| (v - top).exp()).sum();
            let each = |v: f64| if top - v > 200.0 { 0.0 } else { (v - top).exp() * (6.0 + 5.0 * (top - v)) * F32_EPS };
            let off = v.iter().map(|v| each(*v)).sum::<f64>() / total + steps + lost;
            let want = top + total.ln();
            (want, 1.01 * off + log_error(total) + F32_EPS * want.abs())
        }
        ReduceOp::Max => return moved(v.iter().copied().fold(f64::NEG_INFINITY, f64::max), dtype, dtype),
        ReduceOp::Min => return moved(v.iter().copied().fold(f64::INFINITY, f64::min), dtype, dtype),
        ReduceOp::Product => {
            let product: f64 = v.iter().product();
            (product, product.abs() * 1.01 * n * F32_EPS)
        }
    };
    computed(want, error + TINY, dtype)
}

/// Integers of 64 bits that are cut to 32 at the end give what wrapping arithmetic of 32 bits does.
fn reduced_integers(op: ReduceOp, v: &[f64], dtype: DType) -> Cell {
    let v: Vec<i64> = v.iter().map(|v| *v as i64).collect();
    let cut = |n: i64| if dtype == DType::I32 { i64::from(n as i32) } else { i64::from(n as u32) };
    let signed = dtype == DType::I32;
    let want = match op {
        ReduceOp::Max => v.iter().copied().max().unwrap_or(if signed { i32::MIN.into() } else { 0 }),
        ReduceOp::Min => v.iter().copied().min().unwrap_or(if signed { i32::MAX.into() } else { u32::MAX.into() }),
        ReduceOp::Product => v.iter().fold(1i64, |p, v| p.wrapping_mul(*v)),
        ReduceOp::SumSquares => v.iter().fold(0i64, |s, v| s.wrapping_add(v.wrapping_mul(*v))),
        ReduceOp::L1 => v.iter().fold(0i64, |s, v| s.wrapping_add(cut(v.abs()))),
        ReduceOp::Mean => cut(v.iter().sum()) / (v.len() as i64).max(1),
        _ => v.iter().sum(),
    };
    Cell { want: cut(want) as f64, bound: 0.0 }
}

/// Running sums or products: each cell from the part of its line before it.
///
/// Bound: a line of more than 4096 cells is cut into at least 8 spans. A term is rounded at most once for each cell of its
/// own span, in the exchange of up to 256 folds (8 times), and once for each cell of the span that the result lies in; in
/// a shorter line at most once for each cell. In a product of `n` terms every multiplication counts once.
pub fn scan(kernel: &Scan, x: &Array, row: usize) -> Vec<Cell> {
    let (_, count, after) = extents(&x.shape, kernel.axis);
    let cols = x.cols();
    let steps = if count > 4096 { 2.0 * (count as f64 / 8.0).ceil() + 8.0 } else { count as f64 };
    let cell = |at: usize| {
        let (j, line_at) = (at / after % count, at / after / count * after + at % after);
        let mut values = line(x, kernel.axis, line_at);
        if kernel.reverse {
            values.reverse();
        }
        let j = if kernel.reverse { count - 1 - j } else { j };
        let part = &values[..if kernel.exclusive { j } else { j + 1 }];
        if !x.dtype.is_float() {
            let op = if kernel.op == ScanOp::Sum { ReduceOp::Sum } else { ReduceOp::Product };
            return reduced_integers(op, part, x.dtype);
        }
        let n = part.len() as f64;
        let (want, error) = match kernel.op {
            ScanOp::Sum => {
                let size = part.iter().map(|v| v.abs()).sum::<f64>();
                (part.iter().sum::<f64>(), steps.min(n) * F32_EPS * size + n * TINY)
            }
            ScanOp::Product => {
                let product = part.iter().product::<f64>();
                (product, product.abs() * 1.01 * n * F32_EPS + TINY)
            }
        };
        computed(want, error, x.dtype)
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

/// Items of a line in a form that compares as they do.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Item {
    Float(f64),
    Wide(i128),
}

/// The items of a line, `x` in the shape `shape` of items.
fn items(kind: Items, x: &Array, shape: &[usize], axis: usize, index: usize) -> Vec<Item> {
    let (_, count, after) = extents(shape, axis);
    let item = |j: usize| {
        let at = (index / after * count + j) * after + index % after;
        let wide = || (x.data[2 * at] as u64) | (x.data[2 * at + 1] as u64) << 32;
        match kind {
            Items::Single => Item::Float(x.data[at]),
            Items::PairsI64 => Item::Wide((wide() as i64).into()),
            Items::PairsU64 => Item::Wide(wide().into()),
        }
    };
    (0..count).map(item).collect()
}

fn items_shape(kind: Items, x: &Array) -> &[usize] {
    if kind == Items::Single { &x.shape } else { &x.shape[..x.shape.len() - 1] }
}

/// Indices of the items, best first, of equal items the lower index first.
fn ranked(items: &[Item], smallest: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| {
        let by_value = items[*a].partial_cmp(&items[*b]).unwrap_or(std::cmp::Ordering::Equal);
        let by_value = if smallest { by_value } else { by_value.reverse() };
        by_value.then(a.cmp(b))
    });
    order
}

/// Index of the largest or smallest item of each line of a row of results. Exact.
pub fn argmax(kernel: &Argmax, x: &Array, row: usize) -> Vec<Cell> {
    let shape = items_shape(kernel.items, x);
    let cell = |index: usize| {
        let items = items(kernel.items, x, shape, kernel.axis, index);
        let better = |a: &Item, b: &Item| if kernel.smallest { a < b } else { a > b };
        let mut best = 0;
        for (j, item) in items.iter().enumerate().skip(1) {
            if better(item, &items[best]) || kernel.last && !better(&items[best], item) {
                best = j;
            }
        }
        Cell { want: best as f64, bound: 0.0 }
    };
    lines_of_row(shape, kernel.axis, row).map(cell).collect()
}

/// Values (output 0) or indices (output 1) of the `k` best items of each line, a row of results. Exact.
pub fn top_k(kernel: &TopK, x: &Array, output: usize, row: usize) -> Vec<Cell> {
    let shape = items_shape(kernel.items, x);
    let (_, count, after) = extents(shape, kernel.axis);
    let words = if output == 0 && kernel.items != Items::Single { 2 } else { 1 };
    let cols = if words == 2 { 1 } else { shape[shape.len() - 1] };
    let cols = if words == 1 && kernel.axis + 1 == shape.len() { kernel.k } else { cols };
    let mut cells = Vec::new();
    for at in row * cols..(row + 1) * cols {
        let (rank, index) = (at / after % kernel.k, at / after / kernel.k * after + at % after);
        let items = items(kernel.items, x, shape, kernel.axis, index);
        let j = ranked(&items, kernel.smallest)[rank];
        let from = (index / after * count + j) * after + index % after;
        for word in 0..words {
            cells.push(match output {
                0 => moved(x.data[from * words + word], x.dtype, x.dtype),
                _ => Cell { want: j as f64, bound: 0.0 },
            });
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(cells: &[Cell]) -> Vec<f64> {
        assert!(cells.iter().all(|c| c.bound < 1e-4), "{cells:?}");
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn reductions_by_hand() {
        let x = Array::new(DType::F32, &[2, 2, 3], vec![1.0, 2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 1.0, 1.0]);
        let of = |op, axis, row| wants(&reduce(&Reduce { op, axis }, &x, row));
        assert_eq!(of(ReduceOp::Sum, 1, 0), [5.0, -3.0, 9.0]);
        assert_eq!(of(ReduceOp::Sum, 2, 1), [24.0, 3.0]);
        assert_eq!(of(ReduceOp::Mean, 0, 0), [4.0, 5.0, 6.0]);
        assert_eq!(of(ReduceOp::Max, 1, 0), [4.0, 2.0, 6.0]);
        assert_eq!(of(ReduceOp::Min, 1, 0), [1.0, -5.0, 3.0]);
        assert_eq!(of(ReduceOp::Product, 2, 0), [6.0, -120.0]);
        assert_eq!(of(ReduceOp::L1, 2, 0), [6.0, 15.0]);
        assert_eq!(of(ReduceOp::SumSquares, 2, 0), [14.0, 77.0]);
        assert_eq!(of(ReduceOp::L2, 2, 1), [194f64.sqrt(), 3f64.sqrt()]);
        assert_eq!(of(ReduceOp::LogSum, 2, 1), [24f64.ln(), 3f64.ln()]);
        assert!((of(ReduceOp::LogSumExp, 2, 1)[1] - (1.0 + 3f64.ln())).abs() < 1e-15);
    }

    #[test]
    fn integers_wrap() {
        let x = Array::new(DType::I32, &[1, 2], vec![2147483647.0, 2.0]);
        assert_eq!(wants(&reduce(&Reduce { op: ReduceOp::Sum, axis: 1 }, &x, 0)), [-2147483647.0]);
        let x = Array::new(DType::U32, &[1, 2], vec![65536.0, 65537.0]);
        assert_eq!(wants(&reduce(&Reduce { op: ReduceOp::Product, axis: 1 }, &x, 0)), [65536.0]);
    }

    #[test]
    fn scans_by_hand() {
        let x = Array::new(DType::F32, &[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let of = |op, axis, exclusive, reverse, row| wants(&scan(&Scan { op, axis, exclusive, reverse }, &x, row));
        assert_eq!(of(ScanOp::Sum, 1, false, false, 0), [1.0, 3.0, 6.0]);
        assert_eq!(of(ScanOp::Sum, 1, true, true, 1), [11.0, 6.0, 0.0]);
        assert_eq!(of(ScanOp::Product, 0, false, false, 1), [4.0, 10.0, 18.0]);
        assert_eq!(of(ScanOp::Product, 1, true, false, 0), [1.0, 1.0, 2.0]);
    }

    #[test]
    fn orders_by_hand() {
        let x = Array::new(DType::F32, &[2, 3], vec![1.0, 3.0, 3.0, -1.0, 0.0, -0.0]);
        let of =
            |smallest, last, row| wants(&argmax(&Argmax { axis: 1, smallest, last, ..Default::default() }, &x, row));
        assert_eq!((of(false, false, 0), of(false, true, 0)), (vec![1.0, 0.0 + 1.0], vec![2.0, 2.0]));
        assert_eq!(of(true, false, 0), [0.0, 0.0]);
        let top = TopK { axis: 1, k: 2, smallest: false, items: Items::Single };
        assert_eq!((wants(&top_k(&top, &x, 0, 0)), wants(&top_k(&top, &x, 1, 1))), (vec![3.0, 3.0], vec![1.0, 2.0]));
        let wide = Array::new(DType::U32, &[3, 2], vec![7.0, 0.0, 1.0, 1.0, 0.0, 4294967295.0]);
        let top = |items| TopK { axis: 0, k: 1, smallest: false, items };
        assert_eq!(wants(&top_k(&top(Items::PairsU64), &wide, 1, 0)), [2.0]);
        assert_eq!(wants(&top_k(&top(Items::PairsI64), &wide, 0, 0)), [1.0, 1.0]);
    }
}
