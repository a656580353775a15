//! batch_norm: planes of one cell, odd planes, large means, many channels.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::BatchNorm;

fn case(dtype: DType, shape: &[usize], fill: Fill) -> Case {
    let name = format!("{shape:?} {dtype} {fill:?}");
    let vector = || Input::f32(&[shape[1]]);
    let inputs = vec![
        Input::float(dtype, shape).fill(fill.clone()),
        vector(),
        vector(),
        if fill == Fill::Offset { vector().fill(Fill::Offset) } else { vector() },
        vector().fill(Fill::Uniform(0.01, 2.0)),
    ];
    Case::new(name, BatchNorm { eps: 1e-5 }, inputs)
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    vec![
        case(F32, &[1, 1, 1], uniform()),
        case(F32, &[2, 3, 4, 5], uniform()),
        case(F32, &[3, 7], uniform()),
        case(F32, &[2, 5, 3, 3, 3], Fill::Offset),
        case(F32, &[2, 3, 1028], Fill::Huge),
        case(F16, &[3, 7, 5, 5], uniform()),
        case(F32, &[1, 65_537, 3], uniform()),
        case(F32, &[1, 64, 112, 112], uniform()).bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, axes) = (d.float(), 2 + d.below(4));
    let shape = d.shape(axes, 300, 20_000);
    let fill = d.fill_of(dtype);
    row!(case(dtype, &shape, fill))
}
