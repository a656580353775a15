//! group_norm: one group to one a channel, planes of one cell, offsets far above the spread, many groups.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::GroupNorm;

fn case(dtype: DType, shape: &[usize], groups: usize, fill: Fill) -> Case {
    let name = format!("{shape:?} in {groups} {dtype} {fill:?}");
    let inputs = vec![Input::float(dtype, shape).fill(fill), Input::f32(&[shape[1]]), Input::f32(&[shape[1]])];
    Case::new(name, GroupNorm { groups, eps: 1e-5 }, inputs)
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = vec![
        case(F32, &[1, 1, 1], 1, uniform()),
        case(F32, &[2, 12, 7, 5], 3, uniform()),
        case(F32, &[2, 6, 3], 6, Fill::Offset),
        case(F32, &[3, 8], 2, uniform()),
        case(F32, &[1, 16, 8, 8], 4, Fill::Offset),
        case(F32, &[5, 9, 4, 4], 9, Fill::Offset),
        case(F32, &[1, 6, 17, 19], 2, Fill::Outlier),
        case(F32, &[2, 4, 33], 1, Fill::Zeros),
        case(F32, &[2, 4, 5, 3, 2], 2, Fill::Huge),
        case(F16, &[40, 8, 6, 6], 4, uniform()),
        case(F32, &[1, 65_537, 2], 65_537, uniform()),
        case(F32, &[1, 320, 32, 32], 32, uniform()).bench(),
    ];
    for shape in [[2, 6, 35], [1, 6, 1024]] {
        let inputs = [Input::f32(&shape).fill(Fill::Offset), Input::f32(&[6]), Input::f32(&[6])];
        all.extend(as_gpu(&format!("{shape:?}"), &GroupNorm { groups: 3, eps: 1e-5 }, &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, groups) = (d.float(), d.size(40));
    let (images, channels, axes) = (d.size(5), groups * d.size(6), d.below(4));
    let mut shape = vec![images, channels];
    shape.extend(d.shape(axes, 200, 2000));
    let fill = d.fill_of(dtype);
    row!(case(dtype, &shape, groups, fill))
}
