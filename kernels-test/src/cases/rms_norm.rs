//! rms_norm: widths of LLaMA, Qwen2 and odd ones; more rows than one grid dimension holds.

use crate::case::{Case, Fill, Input};
use omma::kernels::RmsNorm;

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{cols} {fill:?}");
    Case::new(name, RmsNorm { eps: 1e-6 }, vec![Input::f32(&[rows, cols]).fill(fill), Input::f32(&[cols])])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 63, uniform()),
        case(2, 65, Fill::Zeros),
        case(5, 896, Fill::Offset),
        case(5, 1000, Fill::Outlier),
        case(2, 130, Fill::Tiny),
        case(65_537, 3, uniform()),
        case(577, 4096, uniform()).bench(),
    ]
}
