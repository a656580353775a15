//! What LLaVA-UHD as released and MiniCPM-V share: how many slices, in which grid, and sizes in whole patches.
//! The logarithms and the order of operations are those of the sources (`slice_process.py`, `dataset.py`), since
//! ties are decided by the last bit.

use super::python::{divide, int};

/// The ideal number of slices and its neighbours, and the grid among them whose shape is nearest the picture's.
/// `None`: one slice is enough. `tall_ties`: of equally good grids the one with most rows wins, not the first.
pub fn grid((width, height): (u32, u32), max: u32, side: u32, tall_ties: bool) -> Option<(u32, u32)> {
    let log_ratio = divide(width, height).ln();
    let ratio = f64::from(width) * f64::from(height) / (f64::from(side) * f64::from(side));
    let ideal = ratio.ceil().min(f64::from(max)) as u32;
    if ideal <= 1 {
        return None;
    }
    let (mut best, mut least) = ((1, 1), f64::INFINITY);
    for count in [ideal - 1, ideal, ideal + 1].into_iter().filter(|n| *n != 1 && *n <= max) {
        for columns in (1..=count).filter(|columns| count % columns == 0) {
            let rows = count / columns;
            let error = (log_ratio - divide(columns, rows).ln()).abs();
            if error < least || (tall_ties && error == least && rows > best.1) {
                (best, least) = ((columns, rows), error);
            }
        }
    }
    Some(best)
}

/// A size near the picture's shape with the area of one slice, where the picture is larger or `enlarge`; then whole
/// multiples of `step`, as `whole` rounds the quotient, at least one.
pub fn fit(size: (f64, f64), side: u32, step: u32, whole: fn(f64) -> u32, enlarge: bool) -> (u32, u32) {
    let (mut width, mut height) = size;
    if width * height > f64::from(side) * f64::from(side) || enlarge {
        let ratio = width / height;
        height = int(f64::from(side) / ratio.sqrt()).into();
        // From the truncated height, as the source does.
        width = int(height * ratio).into();
    }
    let steps = |length: f64| multiple(length, step, whole);
    (steps(width), steps(height))
}

/// The multiple of `step` that `whole` makes of a length, at least `step`.
fn multiple(length: f64, step: u32, whole: fn(f64) -> u32) -> u32 {
    whole(length / f64::from(step)).saturating_mul(step).max(step)
}

/// Size of one slice: the picture is brought to whole slices first.
pub fn slice((width, height): (u32, u32), grid: (u32, u32), side: u32, step: u32, whole: fn(f64) -> u32) -> (u32, u32) {
    let share = |length: u32, parts: u32| divide(multiple(length.into(), parts, whole), parts);
    fit((share(width, grid.0), share(height, grid.1)), side, step, whole, true)
}
