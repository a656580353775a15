//! argmax: ties, signs, zeros of both signs, one column, vocabularies of real models.

use crate::case::{Case, Fill, Input};
use omma::DType;
use omma::kernels::{Argmax, TensorType};

fn case(rows: usize, cols: usize, fill: Fill) -> Case {
    Case::new(format!("{rows}x{cols} {fill:?}"), Argmax, vec![Input::f32(&[rows, cols]).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let listed = |name: &str, values: &[f64]| {
        let ty = TensorType::f32(&[1, values.len()]);
        Case::new(name, Argmax, vec![Input::new(ty, Fill::Values(values.to_vec()))])
    };
    let f16 = Input::float(DType::F16, &[3, 1009]);
    vec![
        case(1, 1, uniform()),
        case(3, 7, uniform()),
        case(2, 255, Fill::Zeros),
        case(2, 257, Fill::Uniform(-2.0, -1.0)),
        case(3, 1009, Fill::Huge),
        // Few distinct values: many ties of the largest.
        case(5, 1000, Fill::Index(4)),
        case(65_537, 3, uniform()),
        listed("zeros of both signs", &[-1.0, -0.0, 0.0, -0.0]),
        listed("masked", &[-3e38, -3e38, -2.9e38, -3e38]),
        listed("largest last", &[1.0, 2.0, 3.0, f64::from(f32::MAX)]),
        Case::new("3x1009 f16", Argmax, vec![f16]),
        case(1, 151_936, uniform()).bench(),
    ]
}
