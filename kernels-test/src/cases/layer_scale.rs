//! layer_scale: widths of ViT-B, InternViT-6B and odd ones; gains that nearly cancel the branch, and a residual that the
//! branch nearly cancels.

use super::as_gpu::small_as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::LayerScale;

fn case(dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name =
        if dtype == DType::F32 { format!("{rows}x{cols} {fill:?}") } else { format!("{rows}x{cols} {fill:?} {dtype}") };
    let branch = Input::float(dtype, &[rows, cols]).fill(fill);
    let gain = Input::f32(&[cols]).fill(Fill::Uniform(-1.2, 1.2));
    Case::new(name, LayerScale, vec![branch, gain, Input::float(dtype, &[rows, cols])])
}

/// Residual and branch cancel but for the rounding of the product.
fn cancelling(rows: usize, cols: usize) -> Case {
    let around = |value: f64| Input::f32(&[rows, cols]).fill(Fill::Const(value));
    let gain = Input::f32(&[cols]).fill(Fill::Const(0.1));
    Case::new(format!("{rows}x{cols} cancelling"), LayerScale, vec![around(-30.0), gain, around(3.0)])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = vec![
        case(DType::F32, 1, 1, uniform()),
        case(DType::F32, 3, 7, uniform()),
        case(DType::F32, 2, 63, Fill::Huge),
        case(DType::F32, 2, 65, Fill::Zeros),
        case(DType::F32, 33, 64, Fill::Offset),
        case(DType::F32, 5, 1000, Fill::Outlier),
        case(DType::F32, 2, 130, Fill::Tiny),
        case(DType::F32, 37, 1028, uniform()),
        case(DType::F32, 65_537, 3, uniform()),
        cancelling(3, 10),
        case(DType::F16, 35, 576, uniform()),
        case(DType::F16, 3, 77, Fill::Outlier),
        case(DType::F32, 197, 768, uniform()).bench(),
        case(DType::F32, 1025, 3200, uniform()).bench(),
    ];
    all.extend(small_as_gpu(&all, 20_000));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, cols) = (d.float(), d.size(5000));
    let (rows, fill) = (d.size(40_000 / cols), d.fill_of(dtype));
    row!(case(dtype, rows, cols, fill))
}
