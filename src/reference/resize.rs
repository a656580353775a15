//! Pictures: Pillow's resize as its own code defines it, the two passes of it that the kernels compute, and
//! normalising. Integers are exact, so their bound is 0. Nothing here makes tables of weights as
//! `image::Taps` and `image::Walk` do; those of a walk are read as its description says.

use super::matmul::smallest_of;
use super::{Array, Cell, F32_EPS};
use crate::image::Resample;
use crate::kernels::{Lines, Normalize, Resize};

const ONE: f64 = 4_194_304.0;

/// `Image.resize` of RGB pixels `0xAABBGGRR` from (width, height) `from` to `to`, over the whole picture, in the order
/// of passes of Pillow 13.
pub fn pillow_resize(pixels: &[u32], from: (u32, u32), to: (u32, u32), filter: Resample) -> Vec<u32> {
    let along_x = |pixels: &[u32]| {
        let columns = axis(from.0, to.0, filter);
        let rows = pixels.chunks_exact(from.0 as usize);
        rows.flat_map(|row| columns.iter().map(|column| mix(column, |x| row[x]))).collect::<Vec<u32>>()
    };
    let along_y = |pixels: &[u32], width: usize| {
        let mut out = Vec::new();
        for row in axis(from.1, to.1, filter) {
            out.extend((0..width).map(|x| mix(&row, |y| pixels[y * width + x])));
        }
        out
    };
    let (w, h) = (i64::from(from.0), i64::from(from.1));
    let (new_w, new_h) = (i64::from(to.0), i64::from(to.1));
    if new_h < h && h - new_h > 2 * (w - new_w) {
        along_x(&along_y(pixels, from.0 as usize))
    } else {
        along_y(&along_x(pixels), to.0 as usize)
    }
}

/// Inputs of every output along an axis, with their integer weights.
fn axis(input: u32, output: u32, filter: Resample) -> Vec<Vec<(usize, i64)>> {
    let scale = f64::from(input) / f64::from(output);
    if filter == Resample::Nearest {
        let mut position = scale / 2.0;
        return (0..output)
            .map(|_| {
                let at = position.floor() as usize;
                position += scale;
                vec![(at, ONE as i64)]
            })
            .collect();
    }
    let stretch = if scale < 1.0 { 1.0 } else { scale };
    let support = stretch * [0.0, 3.0, 1.0, 2.0, 0.5, 1.0][filter as usize];
    let mut all = Vec::new();
    for i in 0..output {
        let centre = (f64::from(i) + 0.5) * scale;
        let low = if centre - support + 0.5 < 0.0 { 0 } else { (centre - support + 0.5) as usize };
        let high = ((centre + support + 0.5) as usize).min(input as usize);
        let raw: Vec<f64> = (low..high).map(|x| curve(filter, (x as f64 - centre + 0.5) * (1.0 / stretch))).collect();
        let mut total = 0.0;
        for w in &raw {
            total += w;
        }
        let fixed = |w: f64| if w < 0.0 { (w / total * ONE - 0.5).ceil() } else { (w / total * ONE + 0.5).floor() };
        all.push((low..high).zip(raw.into_iter().map(|w| fixed(w) as i64)).collect());
    }
    all
}

/// Pillow's filters at distance `x`.
fn curve(filter: Resample, x: f64) -> f64 {
    use std::f64::consts::PI;
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    let d = x.abs();
    match filter {
        Resample::Nearest => 1.0,
        Resample::Box => {
            if x > -0.5 && x <= 0.5 {
                1.0
            } else {
                0.0
            }
        }
        Resample::Bilinear => {
            if d < 1.0 {
                1.0 - d
            } else {
                0.0
            }
        }
        Resample::Hamming => {
            if d < 1.0 {
                sinc(d) * (0.54 + 0.46 * (d * PI).cos())
            } else {
                0.0
            }
        }
        Resample::Bicubic => {
            let a = -0.5;
            if d < 1.0 {
                ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
            } else if d < 2.0 {
                (((d - 5.0) * d + 8.0) * d - 4.0) * a
            } else {
                0.0
            }
        }
        Resample::Lanczos => {
            if (-3.0..3.0).contains(&x) {
                sinc(x) * sinc(x / 3.0)
            } else {
                0.0
            }
        }
    }
}

/// One pixel out of weighted samples.
fn mix(samples: &[(usize, i64)], pixel: impl Fn(usize) -> u32) -> u32 {
    let mut word = 255 << 24;
    for shift in [0, 8, 16] {
        let mut sum = 1i64 << 21;
        for (at, weight) in samples {
            sum += weight * i64::from(pixel(*at) >> shift & 255);
        }
        word |= ((sum >> 22).clamp(0, 255) as u32) << shift;
    }
    word
}

/// Row `row` of a pass of Pillow's resize; inputs are those of the kernel.
pub fn resize(pass: &Resize, inputs: &[Array], row: usize) -> Vec<Cell> {
    let [x, runs, steps] = inputs else { return Vec::new() };
    if pass.along == Lines::Rows {
        return (0..pass.outputs as usize).map(|out| resized(pass, x, &taps(runs, steps, out), row)).collect();
    }
    let samples = taps(runs, steps, row);
    (0..pass.laid as usize).map(|line| resized(pass, x, &samples, line)).collect()
}

/// One output of line `line` of `y`. Samples are places along a line of `x`; below 0, colours.
fn resized(pass: &Resize, x: &Array, samples: &[(i64, i64)], line: usize) -> Cell {
    let line = line.min(pass.lines.1 as usize - 1);
    if line < pass.inside.0 as usize || line >= pass.inside.1 as usize {
        return Cell { want: f64::from(pass.beyond | 255 << 24), bound: 0.0 };
    }
    let place = pass.lines.0 as usize + line;
    let mut sums = [1i64 << 21; 3];
    for (at, weight) in samples {
        let word = match *at {
            -1 => pass.background,
            -2 => pass.beyond,
            at => {
                let (row, column) =
                    if pass.along == Lines::Columns { (at as usize, place) } else { (place, at as usize) };
                let word = x.row(row)[column] as u32;
                if pass.bgra { word & 0xff00 | word >> 16 & 255 | (word & 255) << 16 } else { word }
            }
        };
        for (c, sum) in sums.iter_mut().enumerate() {
            *sum += weight * i64::from(word >> (8 * c) & 255);
        }
    }
    let bytes = sums.map(|sum| (sum >> 22).clamp(0, 255) as u8);
    Cell { want: f64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 255])), bound: 0.0 }
}

/// What output `out` is made of by the tables of a walk: places of samples with their weights. A row of `steps` has the
/// weights of four samples for every slot, the outputs that it finishes, and its first sample.
fn taps(runs: &Array, steps: &Array, out: usize) -> Vec<(i64, i64)> {
    let slots =
        [(24, 5), (28, 6), (32, 7), (36, 8)].iter().find(|(words, _)| *words == steps.cols()).map_or(0, |s| s.1);
    let mut found = Vec::new();
    let Some(run) = (0..runs.rows()).map(|r| runs.row(r)).rfind(|run| run[0] as usize <= out) else {
        return found;
    };
    let mut next = run[0] as usize;
    for step in (run[1] as usize..).take(run[2] as usize).map(|s| steps.row(s)) {
        if next > out {
            break;
        }
        let (slot, at) = (out - next, step[4 * slots + 1] as i64);
        for q in (0..4).filter(|_| slot < slots) {
            let weight = step[q * slots + slot] as i64;
            if weight != 0 {
                found.push((if at < 0 { at } else { at + q as i64 }, weight));
            }
        }
        next += step[4 * slots] as usize;
    }
    found
}

/// Row `row` of the planes: image `row / (3 * height)`, channel, then the row of the picture.
///
/// Bound: product and difference are rounded once each (or fused), each by half an ulp of its own size; the division
/// adds 2.5 ulp of the result, storing half an ulp of the type of the planes. `F32_EPS` is half an ulp.
pub fn normalize(kernel: &Normalize, x: &Array, row: usize) -> Vec<Cell> {
    let height = x.shape[x.shape.len() - 2];
    let (image, channel, line) = (row / (3 * height), row / height % 3, row % height);
    let rescale = f64::from(kernel.rescale);
    let (mean, std) = (f64::from(kernel.mean[channel]), f64::from(kernel.std[channel]));
    let cell = |word: &f64| {
        let byte = f64::from(*word as u32 >> (8 * channel) & 255);
        let difference = byte * rescale - mean;
        let want = difference / std;
        let before = (byte * rescale).abs() * F32_EPS + difference.abs() * 2.0 * F32_EPS;
        let stored = want.abs() * kernel.dtype.store_ulp() + smallest_of(kernel.dtype);
        Cell { want, bound: before / std.abs() + want.abs() * 5.0 * F32_EPS + stored }
    };
    x.row(image * height + line).iter().map(cell).collect()
}
