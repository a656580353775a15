//! scan: sums and products in both directions, every axis, integers that wrap, long lines.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32, I32, U32};
use omma::kernels::{Scan, ScanOp};

fn case(op: ScanOp, dtype: DType, shape: &[usize], axis: usize, fill: Fill) -> Vec<Case> {
    let one = |(exclusive, reverse): (bool, bool)| {
        let name = format!("{op:?} {shape:?} axis {axis} {dtype} exclusive {exclusive} reverse {reverse} {fill:?}");
        let inputs = vec![Input::float(dtype, shape).fill(fill.clone())];
        Case::new(name, Scan { op, axis, exclusive, reverse }, inputs)
    };
    [(false, false), (true, false), (false, true), (true, true)].into_iter().map(one).collect()
}

pub fn cases() -> Vec<Case> {
    use ScanOp::{Product, Sum};
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = Vec::new();
    all.extend(case(Sum, F32, &[1], 0, uniform()));
    all.extend(case(Sum, F32, &[3, 31], 1, uniform()));
    all.extend(case(Sum, F32, &[2, 37, 5], 1, Fill::Offset));
    all.extend(case(Sum, F16, &[3, 65], 1, uniform()));
    all.extend(case(Sum, I32, &[3, 129], 0, Fill::Uniform(-2e9, 2e9)));
    all.extend(case(Sum, U32, &[2, 100, 3], 1, Fill::Index(u32::MAX)));
    all.extend(case(Product, F32, &[3, 33], 1, Fill::Uniform(0.9, 1.1)));
    all.extend(case(Product, I32, &[3, 40], 1, Fill::Uniform(-9.0, 9.0)));
    all.extend(case(Sum, F32, &[65_537, 2], 1, uniform()).into_iter().take(1));
    all.extend(case(Sum, F32, &[2, 8191], 1, Fill::Offset));
    all.extend(case(Sum, F32, &[3, 513, 7], 1, Fill::Offset));
    all.extend(case(Sum, F32, &[577, 577], 1, uniform()).into_iter().take(1).map(Case::bench));
    for shape in [[3, 7, 1], [3, 1000, 1], [131, 9, 1], [2, 70, 19]] {
        let kernel = Scan { op: Sum, axis: 1, exclusive: true, reverse: false };
        all.extend(as_gpu(&format!("{shape:?}"), &kernel, &[Input::f32(&shape)]));
    }
    all
}

/// One of the four.
fn drawn(op: ScanOp, dtype: DType, shape: &[usize], axis: usize, fill: Fill, which: usize) -> Case {
    case(op, dtype, shape, axis, fill).swap_remove(which)
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (rank, which) = (d.size(4), d.below(4));
    let (shape, axis) = (d.shape(rank, 3000, 20_000), d.below(rank));
    let dtype = d.pick(&[F32, I32, U32, F16]);
    let op = if dtype == F32 || dtype == F16 { ScanOp::Sum } else { d.pick(&[ScanOp::Sum, ScanOp::Product]) };
    let fill = match dtype {
        I32 => Fill::Uniform(-2e9, 2e9),
        U32 => Fill::Index(u32::MAX),
        _ => d.fill_of(dtype),
    };
    row!(drawn(op, dtype, &shape, axis, fill, which))
}
