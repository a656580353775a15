//! Resampling by taps, samples at given places, regions. Everything from its definition, cell by cell.

use super::{Array, Cell, F32_EPS, computed};
use crate::kernels::{GridMode, GridPadding, GridSample, Resample, RoiAlign};

const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Row `row` of [`Resample`]; inputs are x, first, count, weights.
///
/// Bound: taps are multiplied and added one after the other, so each term is rounded at most `taps + 1` times.
pub fn resample(kernel: &Resample, inputs: &[Array], row: usize) -> Vec<Cell> {
    let [x, first, count, weights] = inputs else { return Vec::new() };
    let (places, length) = (weights.cols(), x.shape[kernel.axis]);
    let inner: usize = x.shape[kernel.axis + 1..].iter().product();
    let cols = if inner == 1 { places } else { x.cols() };
    let cell = |at: usize| {
        let (outer, j, i) = (at / inner / places, at / inner % places, at % inner);
        let taps = (count.data[j] as usize).min(weights.rows());
        if taps == 0 {
            return computed(f64::from(kernel.outside), 0.0, x.dtype);
        }
        let (mut want, mut size) = (0.0, 0.0);
        for t in 0..taps {
            let from = (first.data[j] as usize + t).min(length - 1);
            let term = weights.row(t)[j] * x.data[(outer * length + from) * inner + i];
            want += term;
            size += term.abs();
        }
        computed(want, (taps as f64 + 1.0) * (F32_EPS * size + TINY), x.dtype)
    };
    // Where axes of one cell follow the axis, a row is shorter than the axis.
    let cols = if kernel.axis + 1 == x.shape.len() { places } else { cols.min(x.cols()) };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

/// Planes of one image and channel: value of cell (z, y, x), what is outside as the padding says.
struct Plane<'a> {
    cells: &'a [f64],
    extents: [usize; 3],
    kernel: &'a GridSample,
}

impl Plane<'_> {
    /// Borders between which reflections fold.
    fn edges(&self, axis: usize) -> (f64, f64) {
        let last = self.extents[axis] as f64 - 1.0;
        if self.kernel.align_corners { (0.0, last) } else { (-0.5, last + 0.5) }
    }
    fn folded(&self, v: f64, axis: usize) -> f64 {
        let (low, high) = self.edges(axis);
        if high <= low {
            return low;
        }
        let period = 2.0 * (high - low);
        let phase = (v - low).rem_euclid(period);
        low + phase.min(period - phase)
    }
    /// Place along an axis of a coordinate of the grid.
    fn place(&self, coordinate: f64, axis: usize) -> f64 {
        let n = self.extents[axis] as f64;
        let corners = self.kernel.align_corners;
        let v = if corners { (coordinate + 1.0) / 2.0 * (n - 1.0) } else { ((coordinate + 1.0) * n - 1.0) / 2.0 };
        let (low, high) = self.edges(axis);
        match self.kernel.padding {
            GridPadding::Reflection if v < low || v > high => self.folded(v, axis),
            _ => v,
        }
    }
    fn at(&self, place: [f64; 3]) -> f64 {
        let mut index = 0;
        for (axis, v) in place.into_iter().enumerate() {
            let n = self.extents[axis];
            let inside = (0.0..n as f64).contains(&v);
            let v = match self.kernel.padding {
                _ if inside => v,
                GridPadding::Zeros => return 0.0,
                GridPadding::Border => v.clamp(0.0, n as f64 - 1.0),
                GridPadding::Reflection => self.folded(v, axis).trunc().clamp(0.0, n as f64 - 1.0),
            };
            index = index * n + v as usize;
        }
        self.cells[index]
    }
    /// Weights of the neighbours of a place along one axis, from the one at `floor - 1` on.
    fn weights(&self, v: f64) -> Vec<(f64, f64)> {
        let (low, t) = (v.floor(), v - v.floor());
        let keys = |d: f64| {
            let a = -0.75;
            if d < 1.0 {
                (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0
            } else {
                a * d.powi(3) - 5.0 * a * d.powi(2) + 8.0 * a * d - 4.0 * a
            }
        };
        match self.kernel.mode {
            GridMode::Nearest => vec![(round_even(v), 1.0)],
            GridMode::Linear => vec![(low, 1.0 - t), (low + 1.0, t)],
            GridMode::Cubic => (-1..3).map(|i| (low + f64::from(i), keys((f64::from(i) - t).abs()))).collect(),
        }
    }
}

fn round_even(v: f64) -> f64 {
    let down = v.floor();
    let middle = v - down == 0.5;
    if middle { 2.0 * (v / 2.0).round() } else { v.round() }
}

/// Row `row` of [`GridSample`].
///
/// Bound: a place is rounded four times relative to `(|coordinate| + 2) * extent`, and a reflection folds what is off
/// without making it more, but adds three roundings of that size. A value moves with its place by at most 2 times
/// the largest cell for each axis (linear; 4 times for the cubic, whose weights also sum to less than 1.6 in magnitude
/// along an axis). Weights and sums round as often as there are neighbours, and 12 times for the cubic's
/// polynomials. The nearest cell is another one where a place is within its error of the middle between two.
pub fn grid_sample(kernel: &GridSample, x: &Array, grid: &Array, row: usize) -> Vec<Cell> {
    let axes = grid.cols();
    let depth = if axes == 3 { x.shape[2] } else { 1 };
    let extents = [depth, x.shape[axes], x.shape[axes + 1]];
    let plane_cells: usize = extents.iter().product();
    let (images, channels) = (x.shape[0], x.shape[1]);
    let places = grid.rows() / images;
    let cols = grid.shape[grid.shape.len() - 2];
    let cell = |at: usize| {
        let (plane, place) = (at / places, at % places);
        let cells = &x.data[plane * plane_cells..][..plane_cells];
        let plane_of = Plane { cells, extents, kernel };
        let coordinates = grid.row(plane / channels * places + place);
        let mut v = [0.0; 3];
        let mut off = [0.0; 3];
        for axis in 0..axes {
            let coordinate = coordinates[axis];
            v[2 - axis] = plane_of.place(coordinate, 2 - axis);
            off[2 - axis] = 8.0 * F32_EPS * (coordinate.abs() + 2.0) * extents[2 - axis] as f64;
        }
        sampled(&plane_of, v, off, axes, x)
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

fn sampled(plane: &Plane<'_>, v: [f64; 3], off: [f64; 3], axes: usize, x: &Array) -> Cell {
    let (mut want, mut size) = (0.0, 0.0);
    let front = if axes == 3 { plane.weights(v[0]) } else { vec![(0.0, 1.0)] };
    for (z, wz) in &front {
        for (y, wy) in plane.weights(v[1]) {
            for (col, wx) in plane.weights(v[2]) {
                let term = wz * wy * wx * plane.at([*z, y, col]);
                want += term;
                size += term.abs();
            }
        }
    }
    let largest = plane.cells.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let (slope, roundings) = match plane.kernel.mode {
        GridMode::Nearest => {
            // Ties are met when all is exact; a place near one may fall either way.
            let near = |axis: usize| {
                let from_tie = ((v[axis] - v[axis].floor()) - 0.5).abs();
                from_tie > 0.0 && from_tie <= off[axis]
            };
            return if (3 - axes..3).any(near) {
                Cell { want, bound: 2.0 * largest }
            } else {
                computed(want, 0.0, x.dtype)
            };
        }
        GridMode::Linear => (2.0, 8.0),
        GridMode::Cubic => (4.0 * 1.6, 20.0),
    };
    let moved: f64 = off.iter().sum::<f64>() * slope * largest;
    computed(want, moved + roundings * F32_EPS * size.max(largest) + TINY, x.dtype)
}

/// Row `row` of [`RoiAlign`]; inputs are x, regions, batch.
///
/// Bound: places are sums and products of a few numbers, rounded 8 times relative to the largest of them; a sample moves
/// by at most twice the largest cell for each axis; sums are rounded once a sample along each axis, once for each
/// neighbour, and for weights and the division another 10 times. A sample near the line where it counts as outside may
/// be either: then anything up to the largest cell is allowed.
pub fn roi_align(kernel: &RoiAlign, inputs: &[Array], row: usize) -> Vec<Cell> {
    let [x, regions, batch] = inputs else { return Vec::new() };
    let [images, channels, height, width] = [0, 1, 2, 3].map(|i| x.shape[i]);
    let [bins_y, bins_x] = kernel.size;
    let (region, channel, py) = (row / bins_y / channels, row / bins_y % channels, row % bins_y);
    let image = (batch.data[region] as usize).min(images - 1);
    let cells = &x.data[(image * channels + channel) * height * width..][..height * width];
    let largest = cells.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let half = if kernel.aligned { 0.5 } else { 0.0 };
    let corner = |i: usize| regions.row(region)[i] * f64::from(kernel.scale) - half;
    let least = if kernel.aligned { f64::NEG_INFINITY } else { 1.0 };
    let span = |low: usize, bins: usize| (corner(low + 2) - corner(low)).max(least) / bins as f64;
    let (bin_y, bin_x) = (span(1, bins_y), span(0, bins_x));
    let count = |bin: f64| if kernel.samples > 0 { kernel.samples } else { bin.ceil().clamp(0.0, 1024.0) as usize };
    let (count_y, count_x) = (count(bin_y), count(bin_x));
    let off = 8.0 * F32_EPS * (0..4).map(|i| corner(i).abs() + 1.0).fold(0.0, f64::max);
    let cell = |px: usize| {
        let (mut sum, mut size, mut best) = (0.0, 0.0, f64::NEG_INFINITY);
        let mut unsure = false;
        for sy in 0..count_y {
            let y = corner(1) + py as f64 * bin_y + (sy as f64 + 0.5) * bin_y / count_y as f64;
            for sx in 0..count_x {
                let at = corner(0) + px as f64 * bin_x + (sx as f64 + 0.5) * bin_x / count_x as f64;
                let edge = |v: f64, n: usize| (v + 1.0).abs() <= off || (v - n as f64).abs() <= off;
                unsure |= edge(y, height) || edge(at, width);
                for term in neighbours(cells, (height, width), y, at) {
                    sum += term;
                    size += term.abs();
                    best = best.max(term);
                }
            }
        }
        let all = (count_y * count_x) as f64;
        if all == 0.0 {
            return Cell { want: 0.0, bound: 0.0 };
        }
        let want = if kernel.max { best } else { sum / all };
        let size = if kernel.max { largest } else { size / all };
        let moved = if unsure { largest } else { 4.0 * off * largest };
        let roundings = (count_y + count_x) as f64 + 14.0;
        computed(want, moved + roundings * F32_EPS * size + TINY, x.dtype)
    };
    (0..bins_x).map(cell).collect()
}

/// The four neighbours of a place, weighted; zeros more than a cell outside.
fn neighbours(cells: &[f64], (height, width): (usize, usize), y: f64, x: f64) -> [f64; 4] {
    if y < -1.0 || y > height as f64 || x < -1.0 || x > width as f64 {
        return [0.0; 4];
    }
    let along = |v: f64, n: usize| {
        let v = v.max(0.0);
        let low = v as usize;
        if low >= n - 1 { (n - 1, n - 1, 0.0) } else { (low, low + 1, v - low as f64) }
    };
    let ((top, bottom, down), (left, right, across)) = (along(y, height), along(x, width));
    [
        (1.0 - down) * (1.0 - across) * cells[top * width + left],
        (1.0 - down) * across * cells[top * width + right],
        down * (1.0 - across) * cells[bottom * width + left],
        down * across * cells[bottom * width + right],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn of(shape: &[usize], data: &[f64]) -> Array {
        Array::new(DType::F32, shape, data.to_vec())
    }
    fn wants(cells: &[Cell]) -> Vec<f64> {
        assert!(cells.iter().all(|c| c.bound < 1e-3), "{cells:?}");
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn taps_are_summed_along_the_axis() {
        let x = of(&[2, 2], &[1.0, 2.0, 3.0, 5.0]);
        let list = |values: &[f64]| Array::new(DType::U32, &[values.len()], values.to_vec());
        let weights = of(&[2, 3], &[1.0, 0.5, 0.0, 0.0, 0.5, 0.0]);
        let inputs = [x, list(&[1.0, 0.0, 0.0]), list(&[1.0, 2.0, 0.0]), weights];
        let kernel = |axis| Resample { axis, outside: 9.0 };
        assert_eq!(wants(&resample(&kernel(1), &inputs, 1)), [5.0, 4.0, 9.0]);
        assert_eq!(wants(&resample(&kernel(0), &inputs, 1)), [2.0, 3.5]);
    }

    #[test]
    fn places_of_a_grid_by_hand() {
        let x = of(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let grid = of(&[1, 1, 4, 2], &[-1.0, -1.0, 0.0, 0.0, 0.5, -0.5, 3.0, 0.0]);
        let row = |mode, padding, align_corners| {
            wants(&grid_sample(&GridSample { mode, padding, align_corners }, &x, &grid, 0))
        };
        assert_eq!(row(GridMode::Linear, GridPadding::Zeros, true), [1.0, 2.5, 2.25, 0.0]);
        assert_eq!(row(GridMode::Linear, GridPadding::Zeros, false), [0.25, 2.5, 2.0, 0.0]);
        assert_eq!(row(GridMode::Linear, GridPadding::Border, false), [1.0, 2.5, 2.0, 3.0]);
        assert_eq!(row(GridMode::Linear, GridPadding::Reflection, true)[3], 2.0);
        assert_eq!(row(GridMode::Nearest, GridPadding::Border, true), [1.0, 1.0, 2.0, 2.0]);
        assert!((row(GridMode::Cubic, GridPadding::Border, true)[1] - 2.5).abs() < 1e-12);
    }

    #[test]
    fn regions_by_hand() {
        let x = of(&[1, 1, 3, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let inputs = [x, of(&[1, 4], &[0.0, 0.0, 2.0, 2.0]), Array::new(DType::U32, &[1], vec![0.0])];
        let kernel = RoiAlign { size: [1, 2], samples: 1, scale: 1.0, aligned: false, max: false };
        // Centres at y 1 and x 0.5, 1.5.
        assert_eq!(wants(&roi_align(&kernel, &inputs, 0)), [3.5, 4.5]);
        let aligned = RoiAlign { aligned: true, ..kernel.clone() };
        assert_eq!(wants(&roi_align(&aligned, &inputs, 0)), [1.5, 2.5]);
        let max = RoiAlign { max: true, ..kernel };
        assert_eq!(wants(&roi_align(&max, &inputs, 0)), [2.0, 2.5]);
    }
}
