//! gather: rows, lists by batch, numbers by cell, 64-bit cells, numbers beyond the rows.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Gather, Picks, TensorType};

/// Rows of `[batches, rows, cols]`; the numbers depend on what `by` names: batch, pick, cell.
fn case(dtype: DType, [batches, rows, picks, cols]: [usize; 4], by: [bool; 3], wide: bool) -> Case {
    let extents = [batches, picks, cols];
    let mut strides = [0; 3];
    let mut numbers = 1;
    for axis in (0..3).rev().filter(|a| by[*a]) {
        strides[axis] = numbers;
        numbers *= extents[axis];
    }
    let shape = |rows: usize| if wide { vec![batches, rows, cols, 2] } else { vec![batches, rows, cols] };
    let fill = if dtype == DType::U32 { Fill::Index(u32::MAX) } else { Fill::Uniform(-1.0, 1.0) };
    let x = Input::new(TensorType::new(dtype, &shape(rows)), fill);
    // A few numbers lie beyond the rows.
    let index = Input::new(TensorType::u32(&[numbers]), Fill::Index(rows as u32 + 2));
    let kernel = Gather { picks: Picks { batches, picks, cols, strides, wide }, shape: shape(picks) };
    let name = format!("{batches}x{rows}x{cols} take {picks} by {by:?} {dtype}{}", if wide { " wide" } else { "" });
    Case::new(name, kernel, vec![x, index])
}

pub fn cases() -> Vec<Case> {
    use DType::{F16, F32, U32};
    let rows = [false, true, false];
    let lists = [true, true, false];
    let cells = [true, true, true];
    let mut all = vec![
        case(F32, [1, 1, 1, 1], rows, false),
        case(F32, [1, 5, 7, 3], rows, false),
        case(F32, [3, 5, 7, 4], rows, false),
        case(F32, [3, 5, 7, 6], lists, false),
        case(F32, [3, 5, 7, 13], cells, false),
        case(F32, [3, 5, 7, 16], cells, false),
        case(F16, [3, 5, 7, 6], lists, false),
        case(F16, [3, 5, 7, 6], cells, false),
        case(U32, [3, 5, 7, 3], lists, true),
        case(U32, [3, 5, 7, 3], cells, true),
        case(U32, [1, 50, 70_001, 1], rows, true),
        case(F32, [2, 5, 0, 3], rows, false),
        case(F32, [1, 70_001, 70_001, 1], rows, false),
        case(F32, [1, 32_000, 512, 1024], rows, false).bench(),
        case(F32, [64, 577, 576, 64], cells, false).bench(),
    ];
    let far = Input::u32(&[5], &[u32::MAX, 0, 3, 4, 1 << 31]);
    let picks = Picks { batches: 1, picks: 5, cols: 3, strides: [0, 1, 0], wide: false };
    let kernel = Gather { picks, shape: vec![5, 3] };
    all.push(Case::new("far out", kernel.clone(), vec![Input::f32(&[4, 3]), far.clone()]));
    all.extend(as_gpu("5 of 4x3", &kernel, &[Input::f32(&[4, 3]), far]));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let sizes = [d.size(4), d.size(60), d.size(60), d.size(80)];
    let by = [d.flag(), true, d.flag()];
    let (wide, dtype) = (d.flag(), d.pick(&[DType::F32, DType::U32, DType::F16]));
    let dtype = if wide { DType::U32 } else { dtype };
    row!(case(dtype, sizes, by, wide))
}
