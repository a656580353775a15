//! softmax and its logarithm: attention scores and vocabularies, large logits, masks, rows that are nothing but mask.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::Softmax;

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    typed(DType::F32, rows, cols, fill)
}

fn typed(dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{cols} {fill:?} {dtype}");
    Case::new(name, Softmax::default(), vec![Input::float(dtype, &[rows, cols]).fill(fill)])
}

/// Causal scores: `mask` above the diagonal, growing logits below it (each a new maximum); a first row of masks.
fn masked(rows: usize, cols: usize, mask: f64) -> Case {
    let cell = |r: usize, c: usize| if c >= r { mask } else { c as f64 * 0.25 };
    let values = (0..rows * cols).map(|i| cell(i / cols, i % cols)).collect();
    let input = Input::f32(&[rows, cols]).fill(Fill::Values(values));
    Case::new(format!("{rows}x{cols} masked by {mask:e}"), Softmax::default(), vec![input])
}

fn log(dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("log {rows}x{cols} {fill:?} {dtype}");
    Case::new(name, Softmax { log: true }, vec![Input::float(dtype, &[rows, cols]).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 63, Fill::Huge),
        case(34, 65, Fill::Huge),
        case(33, 1024, Fill::Uniform(-20.0, 20.0)),
        case(2, 130, Fill::Zeros),
        case(2, 130, Fill::Tiny),
        case(5, 1000, Fill::Offset),
        masked(9, 10, -3e38),
        masked(50, 49, f64::from(f32::MIN)),
        masked(40, 64, f64::from(f32::MIN)),
        masked(40, 66, f64::from(f32::MIN)),
        case(4, 7, Fill::Huge),
        case(64, 5, Fill::Huge),
        typed(DType::F16, 36, 77, uniform()),
        typed(DType::F16, 35, 576, Fill::Uniform(-4.0, 4.0)),
        typed(DType::F16, 3, 77, uniform()),
        case(65_537, 3, uniform()),
        case(2, 151_936, Fill::Uniform(-20.0, 20.0)),
        case(577, 577, Fill::Uniform(-8.0, 8.0)).bench(),
        log(DType::F32, 1, 1, uniform()),
        log(DType::F32, 3, 7, Fill::Huge),
        log(DType::F32, 34, 65, Fill::Huge),
        log(DType::F32, 5, 1000, Fill::Offset),
        log(DType::F32, 2, 130, Fill::Zeros),
        log(DType::F16, 36, 77, uniform()),
        log(DType::F32, 65_537, 3, uniform()),
        log(DType::F32, 2, 151_936, Fill::Uniform(-20.0, 20.0)),
        log(DType::F32, 577, 577, Fill::Uniform(-8.0, 8.0)).bench(),
        case(16 * 577, 577, Fill::Uniform(-8.0, 8.0)).bench_only(),
        case(4096, 1024, Fill::Uniform(-8.0, 8.0)).bench_only(),
    ];
    // The last two: rows that begin inside a quad.
    for (rows, cols) in [(3, 7), (5, 1000), (4, 4099), (36, 65)] {
        let inputs = [Input::f32(&[rows, cols]).fill(Fill::Huge)];
        all.extend(as_gpu(&format!("{rows}x{cols}"), &Softmax::default(), &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, cols) = (d.float(), d.size(5000));
    let (rows, fill) = (d.size(40_000 / cols), d.fill_of(dtype));
    match d.below(3) {
        2 if dtype == DType::F32 => row!(masked(rows, cols, f64::from(f32::MIN))),
        1 => row!(log(dtype, rows, cols, fill)),
        _ => row!(typed(dtype, rows, cols, fill)),
    }
}
