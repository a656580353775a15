//! resize_columns: every filter, up and down, padded pictures, crops beyond the picture, a first pass over a pitched
//! BGRA source.

use super::resize_rows::{pass, pixels, tables, whole};
use crate::case::{Case, Input};
use crate::draw::{Draw, Drawn, row};
use omma::image::{Resample, Taps};
use omma::kernels::{ResizeColumns, ResizePass};

fn case(name: &str, pass: ResizePass, x: Input, taps: &Taps) -> Case {
    Case::new(name, ResizeColumns(pass), [vec![x], tables(taps)].concat())
}

fn plain(filter: Resample, cols: u32, from: u32, to: u32) -> Case {
    let name = format!("{cols} columns {from}->{to} {filter:?}");
    case(&name, pass(from, cols), pixels(from as usize, cols as usize), &whole(filter, from, to))
}

pub fn cases() -> Vec<Case> {
    use Resample::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
    let mut cases = vec![
        plain(Bicubic, 1, 1, 1),
        plain(Bicubic, 65, 1, 7),
        plain(Nearest, 63, 91, 200),
        plain(Lanczos, 64, 157, 56),
        plain(Bilinear, 127, 157, 65),
        plain(Box, 3, 83, 17),
        plain(Hamming, 129, 83, 129),
        plain(Lanczos, 5, 16, 61),
        plain(Bicubic, 1, 2, 70_000),
        plain(Bicubic, 2, 30_000, 5),
        plain(Bicubic, 448, 768, 448).bench(),
        plain(Bicubic, 448, 3000, 448).bench_only(),
    ];
    // A square around a wide picture: 30 of 100 rows are there.
    let padded = ResizePass { origin: -35, ..pass(30, 56) };
    cases.push(case("padded", padded, pixels(30, 56), &whole(Bicubic, 100, 56)));
    // A crop beyond the resized picture on all sides; rows 10..147 are held.
    let taps = Taps::new(Bicubic, 157, 40, -8, 56).expect("valid");
    let cut = ResizePass { inside: (8, 48), ..pass(157, 56) };
    cases.push(case("crop beyond the picture", cut, pixels(157, 56), &taps));
    let taps = Taps::new(Bicubic, 157, 80, 24, 8).expect("valid");
    let held = ResizePass { held: 40, ..pass(157, 20) };
    cases.push(case("rows held from 40", held, pixels(30, 20), &taps));
    // The pass along y comes first for tall pictures, and then reads the picture itself.
    let first = ResizePass { lines: (5, 80), inside: (0, 80), bgra: true, ..pass(300, 80) };
    cases.push(case("columns 5..85 of a pitched bgra source", first, pixels(300, 128), &whole(Bicubic, 300, 56)));
    cases
}

pub fn draw(d: &mut Draw) -> Drawn {
    use Resample::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
    let filter = d.pick(&[Bilinear, Bicubic, Nearest, Lanczos, Box, Hamming]);
    let (lines, from, to) = (d.size(150), d.size(300), d.size(300));
    row!(plain(filter, lines as u32, from as u32, to as u32))
}
