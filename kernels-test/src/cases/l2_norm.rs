//! l2_norm: CLIP's features, rows of zeros and of denormals, odd widths, many rows.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::L2Norm;

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    typed(DType::F32, rows, cols, fill)
}

fn typed(dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{cols} {fill:?} {dtype}");
    Case::new(name, L2Norm { eps: 1e-12 }, vec![Input::float(dtype, &[rows, cols]).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let mut all = vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 65, Fill::Zeros),
        case(34, 63, uniform()),
        case(2, 130, Fill::Tiny),
        case(5, 1000, Fill::Outlier),
        case(37, 1028, Fill::Huge),
        Case::new("3x9 eps above the length", L2Norm { eps: 100.0 }, vec![Input::f32(&[3, 9])]),
        typed(DType::F16, 35, 512, uniform()),
        case(65_537, 3, uniform()),
        case(1, 768, uniform()),
        case(4, 7, Fill::Outlier),
        case(64, 63, uniform()),
        case(577, 1024, uniform()).bench(),
    ];
    // The last two: rows that begin inside a quad.
    for (rows, cols) in [(3, 7), (5, 1000), (4, 4099), (36, 65)] {
        let inputs = [Input::f32(&[rows, cols])];
        all.extend(as_gpu(&format!("{rows}x{cols}"), &L2Norm { eps: 1e-12 }, &inputs));
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, cols) = (d.float(), d.size(5000));
    let (rows, fill) = (d.size(40_000 / cols), d.fill_of(dtype));
    row!(typed(dtype, rows, cols, fill))
}
