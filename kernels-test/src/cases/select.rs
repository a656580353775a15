//! select: words and pairs of words, NaN and denormals on either side, many cells.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::{Select, TensorType};

fn case(shape: &[usize], pair: bool) -> Case {
    let cells = if pair { &shape[..shape.len() - 1] } else { shape };
    let condition = Input::new(TensorType::u32(cells), Fill::Index(3));
    let side = || match pair {
        true => Input::new(TensorType::u32(shape), Fill::Index(u32::MAX)),
        false => Input::f32(shape),
    };
    Case::new(format!("{shape:?} pair {pair}"), Select { pair }, vec![condition, side(), side()])
}

pub fn cases() -> Vec<Case> {
    let condition = Input::u32(&[4], &[1, 0, u32::MAX, 0]);
    let ends = |v: [f64; 4]| Input::f32(&[4]).fill(Fill::Values(v.to_vec()));
    let x = ends([f64::NAN, 1.0, f64::INFINITY, f64::NAN]);
    let b = ends([1.0, f64::NAN, f64::NAN, f64::NEG_INFINITY]);
    vec![
        case(&[1], false),
        case(&[0], false),
        case(&[5, 13], false),
        case(&[5, 13, 2], true),
        case(&[70_001, 7], false),
        Case::new("ends", Select { pair: false }, vec![condition, x, b]),
        case(&[577, 1024], false).bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (pair, rank) = (d.flag(), d.size(4));
    let mut shape = d.shape(rank, 3000, 20_000);
    shape.extend(pair.then_some(2));
    row!(case(&shape, pair))
}
