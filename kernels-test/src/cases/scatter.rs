//! scatter: every way to combine, the same row many times, rows that are skipped, 64-bit cells.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Combine, IntegerOp, Picks, Scatter, TensorType, Whole};

/// `picks` rows into `rows` of `cols`; the numbers depend on what `by` names: batch, pick, cell.
fn case(dtype: DType, [batches, rows, picks, cols]: [usize; 4], by: [bool; 3], combine: Combine) -> Case {
    let extents = [batches, picks, cols];
    let mut strides = [0; 3];
    let mut numbers = 1;
    for axis in (0..3).rev().filter(|a| by[*a]) {
        strides[axis] = numbers;
        numbers *= extents[axis];
    }
    let fill = match dtype {
        DType::U32 => Fill::Index(9),
        DType::I32 => Fill::Uniform(-9.0, 9.0),
        _ => Fill::Uniform(-1.5, 1.5),
    };
    let tensor = |rows: usize| Input::new(TensorType::new(dtype, &[batches, rows, cols]), fill.clone());
    // Some numbers lie beyond the rows, and are skipped.
    let index = Input::new(TensorType::u32(&[numbers]), Fill::Index(rows as u32 + 2));
    let kernel = Scatter { picks: Picks { batches, picks, cols, strides, wide: false }, combine };
    let name = format!("{combine:?} {picks} into {batches}x{rows}x{cols} by {by:?} {dtype}");
    Case::new(name, kernel, vec![tensor(picks), index, tensor(rows)])
}

fn wide() -> Case {
    let picks = Picks { batches: 2, picks: 5, cols: 3, strides: [15, 3, 1], wide: true };
    let words = |rows: usize| Input::new(TensorType::u32(&[2, rows, 3, 2]), Fill::Index(u32::MAX));
    let index = Input::new(TensorType::u32(&[30]), Fill::Index(8));
    let kernel = Scatter { picks, combine: Combine::Replace };
    Case::new("wide", kernel, vec![words(5), index, words(7)])
}

/// Whole numbers of every width, the same rows several times.
fn integers(op: IntegerOp, dtype: DType, whole: Whole) -> Case {
    let wide = matches!(whole, Whole::Pair { .. });
    let picks = Picks { batches: 2, picks: 9, cols: 3, strides: [27, 3, 1], wide };
    let shape = |rows: usize| if wide { vec![2, rows, 3, 2] } else { vec![2, rows, 3] };
    let fill = match whole {
        Whole::Pair { .. } => Fill::Index(u32::MAX),
        Whole::Word { .. } => Fill::Uniform(if dtype == DType::I32 { -128.0 } else { 0.0 }, 128.0),
    };
    let tensor = |rows: usize| Input::new(TensorType::new(dtype, &shape(rows)), fill.clone());
    let index = Input::new(TensorType::u32(&[54]), Fill::Index(5));
    let kernel = Scatter { picks, combine: Combine::Integer(op, whole) };
    Case::new(format!("{op:?} {whole:?} {dtype}"), kernel, vec![tensor(9), index, tensor(4)])
}

pub fn cases() -> Vec<Case> {
    use Combine::{Add, Max, Min, Mul, Replace};
    use DType::{F16, F32, I32, U32};
    let rows = [false, true, false];
    let cells = [true, true, true];
    let mut all = vec![wide()];
    for combine in [Replace, Add, Mul, Max, Min] {
        all.push(case(F32, [1, 1, 1, 1], rows, combine));
        all.push(case(F32, [2, 3, 17, 5], [true, true, false], combine));
        all.push(case(F32, [2, 3, 17, 68], rows, combine));
        all.push(case(F32, [2, 3, 17, 68], cells, combine));
        all.push(case(I32, [2, 3, 9, 4], cells, combine));
        all.push(case(U32, [2, 3, 9, 4], rows, combine));
        all.push(case(F32, [1, 65_537, 1000, 1], rows, combine));
    }
    for op in [IntegerOp::Add, IntegerOp::Mul, IntegerOp::Max, IntegerOp::Min] {
        all.push(integers(op, I32, Whole::Word { bits: 8 }));
        all.push(integers(op, U32, Whole::Word { bits: 8 }));
        all.push(integers(op, U32, Whole::Pair { signed: true }));
        all.push(integers(op, U32, Whole::Pair { signed: false }));
    }
    all.push(case(F16, [2, 9, 7, 68], rows, Replace));
    all.push(case(F16, [2, 9, 7, 5], rows, Add));
    all.push(case(F32, [65_537, 3, 2, 1], cells, Add));
    // A product of 30 numbers, which wraps.
    all.push(case(U32, [1, 1, 30, 13], [false, true, true], Mul).seeded(472));
    all.push(case(F32, [1, 5, 0, 3], rows, Add));
    all.push(case(F32, [1, 577, 1154, 1024], rows, Add).bench());
    all.push(case(F32, [1, 4096, 64, 1024], rows, Replace).bench());
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    if d.below(4) == 3 {
        let op = d.pick(&[IntegerOp::Add, IntegerOp::Mul, IntegerOp::Max, IntegerOp::Min]);
        let word = Whole::Word { bits: 8 };
        let wholes = [(DType::I32, word), (DType::U32, word), (DType::U32, Whole::Pair { signed: true })];
        let (dtype, whole) = d.pick(&wholes);
        return row!(integers(op, dtype, whole));
    }
    let sizes = [d.size(4), d.size(60), d.size(60), d.size(80)];
    let by = [d.flag(), true, d.flag()];
    let combine = d.pick(&[Combine::Replace, Combine::Add, Combine::Mul, Combine::Max, Combine::Min]);
    let dtype = d.pick(&[DType::F32, DType::I32, DType::U32, DType::F16]);
    row!(case(dtype, sizes, by, combine))
}
