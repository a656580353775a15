//! interpolate_rows: 1, 4 and 16 taps, cancelling weights, indices beyond the table.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::{InterpolateRows, TensorType};

fn case(tokens: usize, cols: usize, rows: usize, taps: usize) -> Case {
    let index = Input::new(TensorType::u32(&[tokens, taps]), Fill::Index(rows as u32 + 2));
    let inputs = vec![Input::f32(&[rows, cols]), index, Input::f32(&[tokens, taps])];
    Case::new(format!("{tokens}x{cols} of {rows}, {taps} taps"), InterpolateRows { taps }, inputs)
}

pub fn cases() -> Vec<Case> {
    let far = Input::u32(&[2, 3], &[u32::MAX, 0, 3, 4, 5, 1 << 31]);
    vec![
        case(1, 1, 1, 1),
        case(5, 3, 7, 4),
        case(7, 65, 31, 16),
        case(7, 1028, 31, 16),
        case(65_537, 3, 11, 2),
        case(1, 1, 1, 4).filled(0, Fill::Tiny).seeded(0),
        case(5, 67, 31, 16).filled(0, Fill::Tiny),
        Case::new(
            "indices beyond",
            InterpolateRows { taps: 3 },
            vec![Input::f32(&[4, 5]).fill(Fill::Offset), far, Input::f32(&[2, 3])],
        ),
        case(1024, 1152, 729, 16).bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (tokens, cols, rows, taps) = (d.size(80), d.size(300), d.size(60), d.size(20));
    row!(case(tokens, cols, rows, taps)).filled(0, d.fill())
}
