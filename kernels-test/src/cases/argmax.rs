//! argmax: ties, signs, zeros of both signs, one column, every axis, integers, vocabularies of real models.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, I32, U32};
use omma::kernels::{Argmax, Items, TensorType};

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    let kernel = Argmax { axis: 1, ..Argmax::default() };
    Case::new(format!("{rows}x{cols} {fill:?}"), kernel, vec![Input::f32(&[rows, cols]).fill(fill)])
}

/// Every choice of largest and smallest, first and last.
fn all_four(dtype: DType, shape: &[usize], axis: usize, items: Items, fill: Fill) -> Vec<Case> {
    let one = |(smallest, last): (bool, bool)| {
        let kernel = Argmax { axis, smallest, last, items };
        let name = format!("{shape:?} axis {axis} {dtype} {items:?} smallest {smallest} last {last} {fill:?}");
        Case::new(name, kernel, vec![Input::float(dtype, shape).fill(fill.clone())])
    };
    [(false, false), (false, true), (true, false), (true, true)].into_iter().map(one).collect()
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let listed = |name: &str, values: &[f64]| {
        let ty = TensorType::f32(&[1, values.len()]);
        Case::new(name, Argmax { axis: 1, ..Argmax::default() }, vec![Input::new(ty, Fill::Values(values.to_vec()))])
    };
    let f16 = Input::float(F16, &[3, 1009]);
    let mut all = vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 255, Fill::Zeros),
        case(2, 257, Fill::Uniform(-2.0, -1.0)),
        case(3, 1009, Fill::Huge),
        // Few distinct values: many ties of the largest.
        case(5, 1000, Fill::Index(4)),
        case(65_537, 3, uniform()),
        listed("zeros of both signs", &[-1.0, -0.0, 0.0, -0.0]),
        listed("masked", &[-3e38, -3e38, -2.9e38, -3e38]),
        listed("largest last", &[1.0, 2.0, 3.0, f64::from(f32::MAX)]),
        Case::new("3x1009 f16", Argmax { axis: 1, ..Argmax::default() }, vec![f16]),
        case(1, 151_936, uniform()).bench(),
    ];
    for axis in 0..3 {
        all.extend(all_four(DType::F32, &[3, 37, 5], axis, Items::Single, Fill::Index(3)));
    }
    all.extend(all_four(I32, &[7, 67], 1, Items::Single, Fill::Uniform(-5.0, 5.0)));
    all.extend(all_four(U32, &[7, 67], 0, Items::Single, Fill::Index(5)));
    // Words of 3 values each: keys that differ in one of the words only.
    all.extend(all_four(U32, &[3, 41, 2, 2], 1, Items::PairsU64, Fill::Index(3)));
    all.extend(all_four(U32, &[3, 41, 2], 1, Items::PairsI64, Fill::Index(u32::MAX)));
    all.extend(all_four(DType::F32, &[1], 0, Items::Single, uniform()));
    for shape in [[2, 7, 19], [3, 1000, 1], [131, 9, 1]] {
        let kernel = Argmax { axis: 1, last: true, ..Argmax::default() };
        all.extend(as_gpu(&format!("{shape:?}"), &kernel, &[Input::f32(&shape).fill(Fill::Index(7))]));
    }
    all
}

/// One of the four.
fn drawn(dtype: DType, shape: &[usize], axis: usize, items: Items, fill: Fill, which: usize) -> Case {
    all_four(dtype, shape, axis, items, fill).swap_remove(which)
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (rank, which) = (d.size(3), d.below(4));
    let (mut shape, axis) = (d.shape(rank, 3000, 20_000), d.below(rank));
    let kinds = [(DType::F32, Items::Single), (F16, Items::Single), (I32, Items::Single), (U32, Items::Single)];
    let pairs = [(U32, Items::PairsU64), (U32, Items::PairsI64)];
    let (dtype, items) = d.pick(&[&kinds[..], &pairs[..]].concat());
    if items != Items::Single {
        shape.push(2);
    }
    let fill = match dtype {
        U32 => Fill::Index(d.pick(&[3, 50, u32::MAX])),
        I32 => Fill::Uniform(-9.0, 9.0),
        _ => d.pick(&[Fill::Uniform(-1.0, 1.0), Fill::Index(6), Fill::Zeros]),
    };
    row!(drawn(dtype, &shape, axis, items, fill, which))
}
