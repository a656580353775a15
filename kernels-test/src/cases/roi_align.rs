//! roi_align: both alignments, averages and maxima, regions outside, thin and reversed, batch indices out of range.

use crate::case::{Case, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::RoiAlign;

/// Corners of a few regions: inside, over the edge, outside, thin, one cell, reversed; not at multiples of bins.
const REGIONS: [[f64; 4]; 6] = [
    [0.3, 1.1, 7.9, 8.2],
    [-3.3, 4.2, 3.1, 14.7],
    [20.4, 21.3, 30.2, 33.8],
    [2.1, 0.4, 2.3, 9.6],
    [4.0, 4.0, 4.0, 4.0],
    [7.7, 6.1, 3.2, 2.4],
];

fn case(dtype: DType, x: &[usize], kernel: RoiAlign) -> Case {
    let corners = REGIONS.concat();
    let regions = Input::f32(&[REGIONS.len(), 4]).fill(crate::case::Fill::Values(corners));
    // The last one is beyond the images.
    let batch = Input::u32(&[REGIONS.len()], &[0, 1, 0, 1, 0, 9]);
    let name = format!("{x:?} {kernel:?} {dtype}");
    Case::new(name, kernel, vec![Input::float(dtype, x), regions, batch])
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for aligned in [false, true] {
        for max in [false, true] {
            for (size, samples, scale) in [([5, 5], 2, 1.0), ([1, 3], 3, 0.5), ([3, 2], 0, 1.0)] {
                let kernel = RoiAlign { size, samples, scale, aligned, max };
                all.push(case(F32, &[2, 3, 10, 11], kernel.clone()));
                all.push(case(F32, &[2, 1, 1, 4], kernel));
            }
        }
    }
    let seven = RoiAlign { size: [7, 7], samples: 2, scale: 1.0, aligned: true, max: false };
    all.push(case(F16, &[2, 3, 10, 11], seven.clone()));
    all.push(case(F32, &[2, 256, 50, 68], seven).bench());
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let dtype = d.float();
    let x = [2, d.size(9), d.size(30), d.size(30)];
    let size = [d.size(8), d.size(8)];
    let (samples, scale) = (d.below(4), d.pick(&[1.0, 0.5, 0.25]));
    let kernel = RoiAlign { size, samples, scale, aligned: d.flag(), max: d.flag() };
    row!(case(dtype, &x[..], kernel))
}
