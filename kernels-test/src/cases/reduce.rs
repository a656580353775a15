//! reduce: every function over every axis, integers that wrap, long lines, offsets, empty lines.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32, I32, U32};
use omma::kernels::{Reduce, ReduceOp};

fn case(op: ReduceOp, dtype: DType, shape: &[usize], axis: usize, fill: Fill) -> Case {
    let name = format!("{op:?} {shape:?} axis {axis} {dtype} {fill:?}");
    Case::new(name, Reduce { op, axis }, vec![Input::float(dtype, shape).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    use ReduceOp::{L1, L2, LogSum, LogSumExp, Max, Mean, Min, Product, Sum, SumSquares};
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let positive = || Fill::Uniform(0.5, 1.5);
    let mut all = Vec::new();
    for op in [Sum, Mean, SumSquares, L1, L2, LogSum, LogSumExp, Max, Min, Product] {
        let fill = || if matches!(op, LogSum | Product) { positive() } else { uniform() };
        for (shape, axis) in [([1, 1, 1], 1), ([3, 5, 7], 0), ([3, 5, 7], 1), ([3, 5, 7], 2), ([2, 67, 33], 1)] {
            all.push(case(op, F32, &shape, axis, fill()));
        }
        all.push(case(op, F16, &[9, 31], 1, fill()));
        all.push(case(op, F32, &[3, 257], 1, fill()));
    }
    for op in [Sum, Mean, SumSquares, L1, Max, Min, Product] {
        all.push(case(op, I32, &[3, 37, 5], 1, Fill::Uniform(-1e5, 1e5)));
        all.push(case(op, U32, &[3, 37, 5], 2, Fill::Index(u32::MAX)));
    }
    all.extend([
        case(Sum, F32, &[0, 3], 1, uniform()),
        case(Sum, F32, &[2, 0, 3], 1, uniform()),
        case(Product, I32, &[2, 0, 3], 1, uniform()),
        case(Min, U32, &[5, 0], 1, uniform()),
        case(Sum, F32, &[7], 0, uniform()),
        case(Mean, F32, &[2, 100_003], 1, Fill::Offset),
        case(Sum, F32, &[100_003, 2], 0, uniform()),
        case(L2, F32, &[3, 4099], 1, Fill::Outlier),
        case(L2, F32, &[3, 65], 1, Fill::Tiny),
        case(Sum, F32, &[3, 65], 1, Fill::Tiny),
        case(Max, F32, &[3, 65], 1, Fill::Const(-3e38)),
        case(Min, F32, &[3, 65], 1, Fill::Const(3e38)),
        case(LogSumExp, F32, &[3, 1000], 1, Fill::Huge),
        case(LogSumExp, F32, &[3, 130], 1, Fill::Const(-3e38)),
        case(Mean, F32, &[65_537, 3], 1, uniform()),
        case(Max, F32, &[70_001, 2, 1], 1, uniform()),
        case(Mean, F32, &[577, 1024], 1, uniform()).bench(),
        case(Mean, F32, &[577, 1024], 0, uniform()).bench(),
        case(Max, F32, &[64, 576], 1, uniform()).bench(),
    ]);
    for (op, shape, axis) in [(Sum, [5, 1000, 3], 1), (LogSumExp, [5, 1000, 1], 1), (Max, [2, 129, 65], 1)] {
        let inputs = [Input::f32(&shape).fill(Fill::Huge)];
        all.extend(as_gpu(&format!("{op:?} {shape:?} axis {axis}"), &Reduce { op, axis }, &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    use ReduceOp::{L1, L2, LogSum, LogSumExp, Max, Mean, Min, Product, Sum, SumSquares};
    let rank = d.size(4);
    let (shape, axis) = (d.shape(rank, 3000, 20_000), d.below(rank));
    if d.below(3) == 2 {
        let (dtype, fill) = d.pick(&[(I32, Fill::Uniform(-1e5, 1e5)), (U32, Fill::Index(u32::MAX))]);
        let op = d.pick(&[Sum, Mean, SumSquares, L1, Max, Min, Product]);
        return row!(case(op, dtype, &shape, axis, fill));
    }
    let op = d.pick(&[Sum, Mean, SumSquares, L1, L2, LogSumExp, Max, Min, LogSum, Product]);
    let dtype = d.float();
    let positive = matches!(op, LogSum | Product);
    let fill = if positive { Fill::Uniform(0.5, 1.5) } else { d.fill_of(dtype) };
    row!(case(op, dtype, &shape, axis, fill))
}
