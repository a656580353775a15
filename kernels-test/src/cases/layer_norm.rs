//! layer_norm: widths of ViT and CLIP, an offset far above the spread, odd widths, many rows.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::LayerNorm;

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    with(DType::F32, true, rows, cols, fill)
}

fn with(dtype: DType, bias: bool, rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{cols} {fill:?} {dtype}{}", if bias { "" } else { " no bias" });
    let mut inputs = vec![Input::float(dtype, &[rows, cols]).fill(fill), Input::f32(&[cols]), Input::f32(&[cols])];
    inputs.truncate(if bias { 3 } else { 2 });
    Case::new(name, LayerNorm { eps: 1e-5, bias, stats: false }, inputs)
}

fn stats(dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{cols} {fill:?} {dtype} stats");
    let inputs = vec![Input::float(dtype, &[rows, cols]).fill(fill), Input::f32(&[cols]), Input::f32(&[cols])];
    Case::new(name, LayerNorm { eps: 1e-5, bias: true, stats: true }, inputs)
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 63, uniform()),
        case(2, 64, Fill::Offset),
        case(33, 65, Fill::Offset),
        case(35, 1152, Fill::Offset),
        case(5, 1000, Fill::Outlier),
        case(34, 1024, Fill::Outlier),
        case(2, 65, Fill::Zeros),
        case(2, 130, Fill::Tiny),
        case(37, 1028, Fill::Huge),
        case(4, 100, Fill::Const(1000.0)),
        with(DType::F32, false, 31, 768, uniform()),
        with(DType::F32, false, 32, 769, uniform()),
        with(DType::F32, false, 2, 3, Fill::Tiny).as_gpu(true).seeded(0),
        with(DType::F16, true, 35, 768, uniform()),
        with(DType::F16, false, 3, 77, uniform()),
        case(65_537, 3, uniform()),
        stats(DType::F32, 1, 1, uniform()),
        stats(DType::F32, 3, 7, Fill::Offset),
        stats(DType::F32, 35, 68, Fill::Offset),
        stats(DType::F32, 34, 65, Fill::Zeros),
        stats(DType::F16, 37, 64, uniform()),
        case(2, 151_936, Fill::Offset),
        case(197, 768, uniform()).bench(),
        case(577, 1024, uniform()).bench(),
        case(4096, 1024, uniform()).bench_only(),
    ];
    for (rows, cols) in [(3, 7), (5, 1000), (2, 4099), (34, 65)] {
        let inputs = [Input::f32(&[rows, cols]).fill(Fill::Offset), Input::f32(&[cols]), Input::f32(&[cols])];
        all.extend(as_gpu(&format!("{rows}x{cols}"), &LayerNorm { eps: 1e-5, bias: true, stats: false }, &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, cols) = (d.float(), d.size(5000));
    let (rows, fill) = (d.size(40_000 / cols), d.fill_of(dtype));
    if d.flag() {
        return row!(stats(dtype, rows, cols, fill));
    }
    let bias = d.flag();
    row!(with(dtype, bias, rows, cols, fill))
}
