//! resize_rows: every filter, up and down, padded pictures, pitched BGRA sources, lines that are cut or black.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::image::{Resample, Taps};
use omma::kernels::{ResizePass, ResizeRows, TensorType};

/// Random pixels.
pub(super) fn pixels(rows: usize, cols: usize) -> Input {
    Input::new(TensorType::u32(&[rows, cols]), Fill::Index(u32::MAX))
}

/// The three tables of weights as inputs.
pub(super) fn tables(taps: &Taps) -> Vec<Input> {
    let (n, weights) = (taps.outputs(), taps.weights.iter().map(|w| f64::from(*w)).collect());
    vec![
        Input::u32(&[n], &taps.first),
        Input::u32(&[n], &taps.count),
        Input::new(TensorType::new(DType::I32, &[taps.width, n]), Fill::Values(weights)),
    ]
}

/// Weights for all outputs of `from` samples to `to`.
pub(super) fn whole(filter: Resample, from: u32, to: u32) -> Taps {
    Taps::new(filter, from, to, 0, to).expect("the sizes of a case are valid")
}

/// A pass over `lines` lines of a picture of `size` samples.
pub(super) fn pass(size: u32, lines: u32) -> ResizePass {
    let background = 0xff66_7580;
    ResizePass { size, held: 0, origin: 0, background, lines: (0, lines), inside: (0, lines), bgra: false }
}

fn case(name: &str, pass: ResizePass, x: Input, taps: &Taps) -> Case {
    Case::new(name, ResizeRows(pass), [vec![x], tables(taps)].concat())
}

fn plain(filter: Resample, rows: u32, from: u32, to: u32) -> Case {
    let name = format!("{rows} rows {from}->{to} {filter:?}");
    case(&name, pass(from, rows), pixels(rows as usize, from as usize), &whole(filter, from, to))
}

pub fn cases() -> Vec<Case> {
    use Resample::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
    let mut cases = vec![
        plain(Bicubic, 1, 1, 1),
        plain(Bicubic, 3, 1, 7),
        plain(Nearest, 5, 91, 200),
        plain(Lanczos, 7, 157, 56),
        plain(Bilinear, 7, 157, 65),
        plain(Box, 4, 83, 17),
        plain(Hamming, 4, 83, 129),
        plain(Lanczos, 3, 16, 61),
        plain(Bicubic, 70_000, 3, 2),
        plain(Bicubic, 2, 30_000, 5),
        plain(Bicubic, 768, 1024, 448).bench(),
        plain(Bicubic, 3000, 4000, 448).bench_only(),
    ];
    // A square around a tall picture: 30 of 100 columns are there. The source has a pitch, and is BGRA.
    let padded = ResizePass { origin: -35, lines: (2, 9), bgra: true, ..pass(30, 11) };
    cases.push(case("padded, pitch 64, bgra", padded, pixels(11, 64), &whole(Bicubic, 100, 56)));
    // The second pass of a crop: only columns 40..70 are held, outputs and lines reach beyond the picture.
    let taps = Taps::new(Bicubic, 157, 80, -4, 40).expect("valid");
    let cut = ResizePass { inside: (3, 8), ..pass(157, 12) };
    cases.push(case("crop beyond the picture", cut, pixels(12, 157), &taps));
    let taps = Taps::new(Bicubic, 157, 80, 24, 8).expect("valid");
    let held = ResizePass { held: 40, ..pass(157, 6) };
    cases.push(case("columns held from 40", held, pixels(6, 30), &taps));
    // Beyond a binding of 128 MiB: bound in strips, whose edge (row 4096) lies among these lines.
    let strips = ResizePass { lines: (4090, 12), inside: (0, 12), ..pass(8190, 1) };
    cases.push(case("8190x4108 in strips", strips, pixels(4108, 8190), &whole(Bicubic, 8190, 31)));
    cases
}

pub fn draw(d: &mut Draw) -> Drawn {
    use Resample::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
    let filter = d.pick(&[Bilinear, Bicubic, Nearest, Lanczos, Box, Hamming]);
    let (lines, from, to) = (d.size(150), d.size(300), d.size(300));
    row!(plain(filter, lines as u32, from as u32, to as u32))
}
