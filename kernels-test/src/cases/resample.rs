//! resample: plans of every interpolation, up and down, every axis, places outside; pictures and position tables.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::image::{Coordinates, Interpolation, Rounding, Sampling};
use omma::kernels::Resample;

fn case(dtype: DType, shape: &[usize], axis: usize, to: usize, sampling: Sampling, fill: Fill) -> Case {
    let taps = sampling.taps(shape[axis], to, None).expect("the sizes of a case are valid");
    let weights: Vec<f64> = taps.weights.iter().map(|w| f64::from(*w)).collect();
    let inputs = vec![
        Input::float(dtype, shape).fill(fill.clone()),
        Input::u32(&[to], &taps.first),
        Input::u32(&[to], &taps.count),
        Input::f32(&[taps.width, to]).fill(Fill::Values(weights)),
    ];
    let Sampling { interpolation, coordinates, antialias, exclude_outside } = sampling;
    let name = format!(
        "{shape:?} axis {axis} to {to} {interpolation:?} {coordinates:?} {antialias} {exclude_outside} {dtype} {fill:?}"
    );
    Case::new(name, Resample { axis, outside: 7.5 }, inputs)
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let plain =
        |interpolation, coordinates| Sampling { interpolation, coordinates, antialias: false, exclude_outside: false };
    let (cubic, linear) = (Interpolation::Cubic(-0.75), Interpolation::Linear);
    let half = Coordinates::HalfPixel;
    let pillow = |interpolation| Sampling { antialias: true, exclude_outside: true, ..plain(interpolation, half) };
    let nearest = plain(Interpolation::Nearest(Rounding::Floor), Coordinates::Asymmetric);
    let crop = plain(linear, Coordinates::Crop { start: -0.25, end: 1.5 });
    vec![
        case(F32, &[1, 1], 1, 1, plain(linear, half), uniform()),
        case(F32, &[2, 5, 7], 1, 9, plain(cubic, half), uniform()),
        case(F32, &[3, 4, 13], 2, 29, plain(linear, Coordinates::AlignCorners), uniform()),
        case(F32, &[7, 3], 0, 3, pillow(linear), Fill::Offset),
        case(F32, &[2, 200, 3], 1, 7, pillow(Interpolation::Cubic(-0.5)), uniform()),
        case(F32, &[2, 9, 3], 1, 23, nearest, Fill::Huge),
        case(F32, &[3, 11, 2], 1, 8, crop, uniform()),
        case(F32, &[3, 9, 8], 1, 14, plain(cubic, half), uniform()),
        case(F32, &[5, 9, 4], 1, 4, pillow(linear), uniform()),
        case(F32, &[6, 1, 12], 1, 3, crop, uniform()),
        case(F16, &[5, 9, 8], 1, 14, plain(cubic, half), uniform()),
        case(F16, &[3, 8, 9], 2, 14, plain(cubic, half), uniform()),
        case(F32, &[70_001, 3], 1, 2, plain(linear, half), uniform()),
        case(F32, &[2, 30_011], 1, 5, pillow(linear), uniform()),
        case(F32, &[24 * 24, 16, 1], 1, 24, plain(cubic, half), uniform()),
        case(F32, &[3, 672, 504], 2, 336, pillow(Interpolation::Cubic(-0.5)), uniform()).bench(),
        case(F32, &[3, 672, 336], 1, 336, pillow(Interpolation::Cubic(-0.5)), uniform()).bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, rank) = (d.float(), d.size(4));
    let shape = d.shape(rank, 300, 6000);
    let (axis, to) = (d.below(rank), d.size(300));
    let interpolations = [
        Interpolation::Linear,
        Interpolation::Cubic(-0.75),
        Interpolation::Cubic(-0.5),
        Interpolation::Nearest(Rounding::Floor),
    ];
    let crop = Coordinates::Crop { start: -0.25, end: 1.5 };
    let coordinates = [Coordinates::HalfPixel, Coordinates::AlignCorners, Coordinates::Asymmetric, crop];
    let sampling = Sampling {
        interpolation: d.pick(&interpolations),
        coordinates: d.pick(&coordinates),
        antialias: d.flag(),
        exclude_outside: d.flag(),
    };
    let fill = d.fill_of(dtype);
    row!(case(dtype, &shape, axis, to, sampling, fill))
}
