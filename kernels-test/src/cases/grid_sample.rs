//! grid_sample: every mode, padding and alignment, places far outside, planes of one cell, three axes.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::{GridMode, GridPadding, GridSample};

fn case(dtype: DType, x: &[usize], grid: &[usize], kernel: GridSample, reach: f64) -> Case {
    let name = format!("{x:?} at {grid:?} to {reach} {kernel:?} {dtype}");
    let inputs = vec![Input::float(dtype, x), Input::f32(grid).fill(Fill::Uniform(-reach, reach))];
    Case::new(name, kernel, inputs)
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for mode in [GridMode::Nearest, GridMode::Linear, GridMode::Cubic] {
        for padding in [GridPadding::Zeros, GridPadding::Border, GridPadding::Reflection] {
            for align_corners in [false, true] {
                let kernel = GridSample { mode, padding, align_corners };
                all.push(case(F32, &[2, 3, 8, 11], &[2, 5, 7, 2], kernel.clone(), 1.7));
                all.push(case(F32, &[1, 2, 1, 3], &[1, 3, 33, 2], kernel.clone(), 9.0));
                if mode != GridMode::Cubic {
                    all.push(case(F32, &[2, 2, 3, 4, 5], &[2, 3, 2, 5, 3], kernel, 1.5));
                }
            }
        }
    }
    let far = GridSample { padding: GridPadding::Zeros, ..GridSample::default() };
    all.push(case(F32, &[1, 2, 4, 4], &[1, 2, 9, 2], far, 1e20));
    all.push(case(F16, &[1, 2, 9, 7], &[1, 5, 9, 2], GridSample::default(), 1.2));
    all.push(case(F32, &[1, 1, 1, 1], &[1, 1, 1, 2], GridSample::default(), 1.0));
    all.push(case(F32, &[1, 3, 16, 16], &[1, 257, 257, 2], GridSample::default(), 1.0));
    all.push(case(F32, &[1, 64, 56, 56], &[1, 56, 56, 2], GridSample::default(), 1.0).bench());
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let dtype = d.float();
    let cubes = d.below(3) == 2;
    let axes = if cubes { 3 } else { 2 };
    let images = d.size(3);
    let (mut x, mut grid) = (vec![images, d.size(4)], vec![images]);
    x.extend(d.shape(axes, 30, 600));
    grid.extend(d.shape(axes, 30, 600));
    grid.push(axes);
    let modes = [GridMode::Linear, GridMode::Nearest, GridMode::Cubic];
    let mode = d.pick(&modes[..if cubes { 2 } else { 3 }]);
    let padding = d.pick(&[GridPadding::Zeros, GridPadding::Border, GridPadding::Reflection]);
    let kernel = GridSample { mode, padding, align_corners: d.flag() };
    let reach = d.pick(&[1.0, 1.7, 9.0]);
    row!(case(dtype, &x, &grid, kernel, reach))
}
