//! resize: every filter, up and down, along rows and columns, padded pictures, pitched BGRA sources, lines that are cut or
//! beyond the picture, and the sizes of real pictures.

use super::as_gpu::small_as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::image::Resample::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
use omma::image::{Resample, Samples, Taps, Walk};
use omma::kernels::Lines::{Columns, Rows, Turned};
use omma::kernels::{Lines, Resize, TensorType, longest_run};

/// Random pixels.
pub(super) fn pixels(rows: usize, cols: usize) -> Input {
    Input::new(TensorType::u32(&[rows, cols]), Fill::Index(u32::MAX))
}

/// Weights for all outputs of `from` samples to `to`.
fn whole(filter: Resample, from: u32, to: u32) -> Taps {
    Taps::new(filter, from, to, 0, to).expect("the sizes of a case are valid")
}

/// A pass over lines of a picture: the case is named, the picture has `x` (rows, columns), `longest` is of the runs.
struct Pass {
    along: Lines,
    lines: (u32, u32),
    laid: u32,
    inside: (u32, u32),
    beyond: u32,
    bgra: bool,
    samples: Samples,
    longest: usize,
}

fn pass(along: Lines, lines: u32, size: u32) -> Pass {
    let (inside, beyond) = ((0, lines), 0xff00_0000);
    let samples = Samples { size, held: 0, origin: 0 };
    Pass { along, lines: (0, lines), laid: lines, inside, beyond, bgra: false, samples, longest: 64 }
}

fn case(name: &str, p: Pass, x: (usize, usize), taps: &Taps) -> Case {
    let walk = Walk::new(taps, p.samples, p.longest).expect("the sizes of a case are valid");
    let Pass { along, lines, laid, inside, beyond, bgra, .. } = p;
    let background = 0xff66_7580;
    let kernel = Resize { laid, inside, background, beyond, bgra, ..Resize::new(along, lines, &walk) };
    let steps = walk.steps.iter().map(|w| f64::from(*w)).collect();
    let steps = Input::new(TensorType::new(DType::I32, &[walk.count(), Walk::row(walk.slots)]), Fill::Values(steps));
    Case::new(name, kernel, vec![pixels(x.0, x.1), Input::u32(&[walk.runs.len() / 4, 4], &walk.runs), steps])
}

fn plain(filter: Resample, along: Lines, lines: u32, from: u32, to: u32) -> Case {
    runs(filter, along, lines, (from, to), 64)
}

fn runs(filter: Resample, along: Lines, lines: u32, (from, to): (u32, u32), longest: usize) -> Case {
    let name = format!("{along:?} {lines} of {from}->{to} {filter:?}");
    let name = if longest == 64 { name } else { format!("{name}, runs of {longest}") };
    let x = if along == Columns { (from, lines) } else { (lines, from) };
    case(&name, Pass { longest, ..pass(along, lines, from) }, (x.0 as usize, x.1 as usize), &whole(filter, from, to))
}

/// What models do with a photo: 48 megapixels to a canvas of 4 x 6 tiles of 336, first along rows and then, of what
/// that gave, along columns; a picture of 1344 x 896 to 672 x 448; a small one enlarged. In runs as they are on a CPU, and
/// two of them as on a GPU.
fn real() -> Vec<Case> {
    let cut = |software| {
        move |filter, along, lines, from, to: u32| {
            runs(filter, along, lines, (from, to), longest_run(lines, to as usize, software)).bench_only()
        }
    };
    let (cpu, gpu) = (cut(true), cut(false));
    vec![
        cpu(Bicubic, Turned, 6000, 8000, 1344),
        cpu(Bicubic, Turned, 1344, 6000, 2016),
        cpu(Bicubic, Columns, 1344, 6000, 2016),
        cpu(Bicubic, Turned, 896, 1344, 672),
        cpu(Bicubic, Turned, 672, 896, 448),
        cpu(Bicubic, Turned, 200, 300, 672),
        cpu(Bicubic, Turned, 3000, 4000, 448),
        cpu(Bilinear, Turned, 3000, 4000, 448),
        cpu(Lanczos, Turned, 3000, 4000, 448),
        gpu(Bicubic, Turned, 6000, 8000, 1344),
        gpu(Bicubic, Turned, 1344, 6000, 2016),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        plain(Bicubic, Turned, 1, 1, 1),
        plain(Bicubic, Rows, 3, 1, 7),
        plain(Nearest, Turned, 5, 91, 200),
        plain(Nearest, Turned, 6, 200, 9),
        plain(Lanczos, Turned, 7, 157, 56),
        plain(Bilinear, Rows, 7, 157, 65),
        plain(Box, Turned, 4, 83, 17),
        plain(Hamming, Turned, 4, 83, 129),
        plain(Lanczos, Rows, 3, 16, 61),
        plain(Bicubic, Turned, 70_000, 3, 2),
        plain(Bicubic, Turned, 2, 30_000, 5),
        plain(Bicubic, Columns, 1, 2, 70_000),
        plain(Bicubic, Columns, 65, 1, 7),
        plain(Lanczos, Columns, 64, 157, 56),
        plain(Bilinear, Columns, 127, 157, 65),
        plain(Hamming, Columns, 129, 83, 129),
        // Five, six, seven and eight slots, and pitches of whole quads.
        plain(Bicubic, Turned, 150, 640, 71),
        plain(Bicubic, Turned, 33, 640, 320),
        plain(Bicubic, Turned, 18, 128, 100),
        plain(Lanczos, Turned, 18, 128, 31),
        plain(Bicubic, Columns, 448, 768, 448),
    ];
    // A square around a tall picture: 30 of 100 columns are there. The source has a pitch, and is BGRA.
    let samples = Samples { size: 30, held: 0, origin: -35 };
    let padded = Pass { lines: (2, 9), inside: (0, 9), laid: 12, samples, bgra: true, ..pass(Turned, 11, 30) };
    cases.push(case("padded, pitch 64, bgra", padded, (11, 64), &whole(Bicubic, 100, 56)));
    let padded = Pass { samples, ..pass(Columns, 56, 30) };
    cases.push(case("padded columns", padded, (30, 56), &whole(Bicubic, 100, 56)));
    let repeated = Pass { laid: 60, lines: (2, 55), inside: (0, 60), ..pass(Columns, 55, 90) };
    cases.push(case("columns 2..57, laid to 60", repeated, (90, 58), &whole(Bicubic, 90, 56)));
    // The second pass of a crop: only samples 40..70 are held, outputs and lines reach beyond the picture.
    let taps = Taps::new(Bicubic, 157, 80, -4, 40).expect("valid");
    for along in [Turned, Rows] {
        let cut = || Pass { inside: (3, 8), laid: 16, ..pass(along, 12, 157) };
        cases.push(case(&format!("{along:?}, crop beyond the picture"), cut(), (12, 157), &taps));
        let white = Pass { beyond: 0xfffe_ff01, bgra: true, ..cut() };
        cases.push(case(&format!("{along:?}, crop beyond the picture, coloured"), white, (12, 160), &taps));
    }
    let taps = Taps::new(Bicubic, 157, 80, 24, 8).expect("valid");
    let held = Pass { samples: Samples { size: 157, held: 40, origin: 0 }, ..pass(Turned, 6, 157) };
    cases.push(case("samples held from 40", held, (6, 30), &taps));
    let first = Pass { lines: (5, 80), inside: (0, 80), bgra: true, ..pass(Columns, 80, 300) };
    cases.push(case("columns 5..85 of a pitched bgra source", first, (300, 128), &whole(Bicubic, 300, 56)));
    cases.push(runs(Bicubic, Turned, 20, (300, 400), 400));
    let short = Pass { longest: 3, ..pass(Turned, 7, 200) };
    cases.push(case("short runs", short, (7, 200), &whole(Bicubic, 200, 31)));
    cases.extend(small_as_gpu(&cases, 20_000));
    // Beyond a binding of 128 MiB: bound in strips, whose edge (row 4096) lies among these lines.
    for first in [4090, 4091] {
        let strips = Pass { lines: (first, 12), inside: (0, 12), ..pass(Turned, 12, 8190) };
        let name = format!("8190x4108 in strips from {first}");
        cases.push(case(&name, strips, (4108, 8190), &whole(Bicubic, 8190, 31)));
    }
    cases.extend(real());
    cases
}

pub fn draw(d: &mut Draw) -> Drawn {
    let filter = d.pick(&[Bilinear, Bicubic, Nearest, Lanczos, Box, Hamming]);
    let along = d.pick(&[Turned, Rows, Columns]);
    let (lines, from, to) = (d.size(150), d.size(300), d.size(300));
    row!(plain(filter, along, lines as u32, from as u32, to as u32))
}
