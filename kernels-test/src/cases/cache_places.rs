//! cache_places: one query and many, ragged, before the cache and beyond it, wrapping, lengths that no sequence has.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{CachePlaces, TensorType};

fn case(name: &str, kernel: CachePlaces, lens: &[u32]) -> Case {
    Case::new(name, kernel, vec![Input::u32(&[lens.len()], lens)])
}

pub fn cases() -> Vec<Case> {
    let decode = CachePlaces { queries: 1, heads: 2, rows: 21, q_step: 1, plus: 1, wrap: false };
    let chunk = CachePlaces { queries: 5, heads: 3, rows: 17, q_step: 20, plus: 0, wrap: false };
    let lens = [20, 7, 0, 21, 22, u32::MAX, 1 << 31, 3];
    let signed = Input::new(TensorType::new(DType::I32, &[3]), Fill::Values(vec![4.0, -1.0, 16.0]));
    let many = Input::new(TensorType::u32(&[700]), Fill::Index(400));
    vec![
        case("one sequence", CachePlaces { heads: 1, ..decode.clone() }, &[9]),
        case("decode", decode.clone(), &lens),
        case("chunk", chunk.clone(), &lens),
        case("chunk wraps", CachePlaces { wrap: true, plus: 5, ..chunk.clone() }, &lens),
        case("more new rows than the cache has", CachePlaces { queries: 40, ..chunk.clone() }, &lens),
        case("negative plus", CachePlaces { plus: -6, ..chunk.clone() }, &lens),
        Case::new("signed", chunk.clone(), vec![signed]),
        Case::new("70000 slots", CachePlaces { queries: 20, heads: 5, rows: 300, ..chunk }, vec![many]),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (queries, heads, rows) = (d.size(40), d.size(9), d.size(60));
    let kernel =
        CachePlaces { queries, heads, rows, q_step: queries * d.size(3), plus: d.below(20) as i32 - 9, wrap: d.flag() };
    let lens: Vec<u32> = (0..d.size(20)).map(|_| d.pick(&[0, 1, 7, 20, 59, 60, 61, 1 << 31, u32::MAX])).collect();
    row!(case("drawn", kernel, &lens))
}
