//! advance: rows with and without room, retired slots, full histories, ids beyond the vocabulary.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::{Advance, TensorType};

fn case(rows: usize, seen_cols: usize, max_new: usize) -> Case {
    let index = |shape: &[usize], below: u32| Input::new(TensorType::u32(shape), Fill::Index(below));
    let list = |below: u32| index(&[rows], below);
    let inputs = vec![
        list(32 * seen_cols as u32 + 9),
        list(u32::MAX),
        list(1000),
        list(12),
        list(1000),
        list(max_new as u32 + 2),
        index(&[rows, seen_cols], u32::MAX),
        index(&[rows, max_new], 1000),
    ];
    Case::new(format!("{rows} rows, {seen_cols} words, {max_new} new"), Advance { max_len: 10 }, inputs)
}

pub fn cases() -> Vec<Case> {
    const LAST: u32 = u32::MAX;
    let hostile = vec![
        Input::u32(&[3], &[LAST, 31, 0]),
        Input::u32(&[3], &[7, 8, 9]),
        Input::u32(&[3], &[5, 6, LAST]),
        Input::u32(&[3], &[4, 3, LAST]),
        Input::u32(&[3], &[40, LAST, 6]),
        Input::u32(&[3], &[LAST, 0, 1]),
        Input::u32(&[3, 1], &[0, 1, LAST]),
        Input::u32(&[3, 2], &[1, 2, 3, 4, 5, 6]),
    ];
    vec![
        case(1, 1, 1),
        case(7, 3, 5),
        case(67, 2, 1),
        case(65_537, 1, 2),
        Case::new("hostile", Advance { max_len: 4 }, hostile),
        case(1, 4748, 512).bench(),
        case(16, 4748, 512),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (rows, seen_cols, max_new) = (d.size(200), d.size(40), d.size(20));
    row!(case(rows, seen_cols, max_new))
}
