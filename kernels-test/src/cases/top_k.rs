//! top_k: one of one, all of many, ties, every axis, integers and pairs of words; routers and vocabularies.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32, I32, U32};
use omma::kernels::{Items, TopK};

fn case(dtype: DType, shape: &[usize], axis: usize, k: usize, fill: Fill) -> Case {
    typed(dtype, shape, Items::Single, TopK { axis, k, smallest: false, items: Items::Single }, fill)
}

fn typed(dtype: DType, shape: &[usize], items: Items, kernel: TopK, fill: Fill) -> Case {
    let kernel = TopK { items, ..kernel };
    let order = if kernel.smallest { "smallest" } else { "largest" };
    let name = format!("{} {order} of {shape:?} axis {} {dtype} {items:?} {fill:?}", kernel.k, kernel.axis);
    Case::new(name, kernel, vec![Input::float(dtype, shape).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let smallest = |axis: usize, k: usize| TopK { axis, k, smallest: true, items: Items::Single };
    let mut all = vec![
        case(F32, &[1, 1], 1, 1, uniform()),
        case(F32, &[5], 0, 2, uniform()),
        case(F32, &[3, 7], 1, 7, uniform()),
        case(F32, &[2, 257], 1, 257, Fill::Huge),
        case(F32, &[4, 100], 1, 33, Fill::Index(4)),
        case(F32, &[2, 64], 1, 10, Fill::Zeros),
        case(F32, &[3, 19, 5], 1, 4, Fill::Index(6)),
        case(F32, &[19, 5], 0, 19, uniform()),
        case(F16, &[5, 77], 1, 8, uniform()),
        case(I32, &[5, 77], 1, 8, Fill::Uniform(-9.0, 9.0)),
        case(U32, &[5, 77], 1, 77, Fill::Index(3)),
        case(F32, &[65_537, 3], 1, 2, uniform()),
        typed(F32, &[3, 19, 5], Items::Single, smallest(1, 19), Fill::Index(6)),
        typed(I32, &[4, 33], Items::Single, smallest(1, 5), Fill::Uniform(-9.0, 9.0)),
        typed(U32, &[4, 33, 2], Items::PairsU64, smallest(1, 6), Fill::Index(3)),
        typed(U32, &[2, 33, 3, 2], Items::PairsI64, smallest(1, 6), Fill::Index(u32::MAX)),
        typed(U32, &[2, 9, 2], Items::PairsU64, TopK { smallest: false, ..smallest(0, 2) }, Fill::Index(2)),
        case(F32, &[577, 64], 1, 8, uniform()).bench(),
        case(F32, &[1, 151_936], 1, 50, uniform()).bench(),
    ];
    for (shape, k) in [([3, 7, 1], 7), ([5, 1000, 1], 40), ([131, 9, 1], 3), ([3, 70, 33], 5)] {
        let inputs = [Input::f32(&shape).fill(Fill::Index(50))];
        all.extend(as_gpu(&format!("{k} of {shape:?}"), &TopK { smallest: false, ..smallest(1, k) }, &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let rank = d.size(3);
    let (mut shape, axis) = (d.shape(rank, 2000, 8000), d.below(rank));
    let k = d.size(shape[axis]);
    let kinds = [(F32, Items::Single), (F16, Items::Single), (I32, Items::Single), (U32, Items::Single)];
    let pairs = [(U32, Items::PairsU64), (U32, Items::PairsI64)];
    let (dtype, items) = d.pick(&[&kinds[..], &pairs[..]].concat());
    if items != Items::Single {
        shape.push(2);
    }
    let kernel = TopK { axis, k, smallest: d.flag(), items };
    let fill = match dtype {
        U32 => Fill::Index(d.pick(&[3, 50, u32::MAX])),
        I32 => Fill::Uniform(-9.0, 9.0),
        _ => d.pick(&[Fill::Uniform(-1.0, 1.0), Fill::Index(6), Fill::Zeros]),
    };
    row!(typed(dtype, &shape, items, kernel, fill))
}
