//! rms_norm: widths of LLaMA, Qwen2 and odd ones; more rows than one grid dimension holds.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::RmsNorm;

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    typed(DType::F32, rows, cols, fill)
}

fn typed(dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name =
        if dtype == DType::F32 { format!("{rows}x{cols} {fill:?}") } else { format!("{rows}x{cols} {fill:?} {dtype}") };
    let inputs = vec![Input::float(dtype, &[rows, cols]).fill(fill), Input::f32(&[cols])];
    Case::new(name, RmsNorm { eps: 1e-6 }, inputs)
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 63, uniform()),
        case(2, 65, Fill::Zeros),
        case(33, 64, uniform()),
        case(5, 896, Fill::Offset),
        case(5, 1000, Fill::Outlier),
        case(2, 130, Fill::Tiny),
        case(37, 1028, Fill::Huge),
        case(65_537, 3, uniform()),
        typed(DType::F16, 35, 576, uniform()),
        typed(DType::F16, 3, 77, Fill::Zeros),
        case(1, 4096, uniform()).bench(),
        case(577, 4096, uniform()).bench(),
    ];
    for (rows, cols) in [(3, 7), (5, 1000), (2, 4099), (34, 65)] {
        let inputs = [Input::f32(&[rows, cols]).fill(Fill::Outlier), Input::f32(&[cols])];
        all.extend(as_gpu(&format!("{rows}x{cols}"), &RmsNorm { eps: 1e-6 }, &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, cols) = (d.float(), d.size(5000));
    let (rows, fill) = (d.size(40_000 / cols), d.fill_of(dtype));
    row!(typed(dtype, rows, cols, fill))
}
