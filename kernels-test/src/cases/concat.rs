//! concat: every axis, empty sides, units of every size.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Concat, TensorType};

fn inputs(dtype: DType, a: &[usize], b: &[usize]) -> Vec<Input> {
    let fill = if dtype == DType::U32 { Fill::Index(u32::MAX) } else { Fill::Uniform(-1.0, 1.0) };
    [a, b].map(|shape| Input::new(TensorType::new(dtype, shape), fill.clone())).to_vec()
}

fn case(dtype: DType, axis: usize, a: &[usize], b: &[usize]) -> Case {
    Case::new(format!("{axis} {a:?} {b:?} {dtype}"), Concat { axis }, inputs(dtype, a, b))
}

pub fn cases() -> Vec<Case> {
    use DType::{F16, F32, U32};
    let mut all = vec![
        case(F32, 0, &[1], &[1]),
        case(F32, 0, &[0], &[3]),
        case(F32, 1, &[3, 4], &[3, 0]),
        case(F32, 1, &[0, 4], &[0, 4]),
        case(F32, 1, &[7, 13], &[7, 5]),
        case(F32, 1, &[7, 12], &[7, 8]),
        case(F32, 1, &[7, 6], &[7, 8]),
        case(F32, 0, &[3, 5], &[2, 5]),
        case(F32, 1, &[2, 3, 5], &[2, 4, 5]),
        case(F16, 1, &[7, 6], &[7, 8]),
        case(F16, 1, &[7, 5], &[7, 8]),
        case(U32, 1, &[3, 5, 2], &[3, 1, 2]),
        case(F32, 1, &[70_000, 1], &[70_000, 2]),
        case(F32, 0, &[1, 1024], &[576, 1024]).bench(),
        case(F32, 2, &[32, 577, 32], &[32, 577, 32]).bench(),
    ];
    all.extend(as_gpu("1 [65, 7] [65, 9]", &Concat { axis: 1 }, &inputs(F32, &[65, 7], &[65, 9])));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, rank) = (d.pick(&[DType::F32, DType::U32, DType::F16]), d.size(4));
    let mut a = d.shape(rank, 90, 5000);
    let mut b = a.clone();
    let axis = d.below(rank);
    (a[axis], b[axis]) = (d.size_or_none(60), d.size_or_none(60));
    row!(case(dtype, axis, &a, &b))
}
