//! Regions of a map of features brought to a few rows each (RoIAlign, He et al. 2017), as planned gathers: the rows of a
//! map and the weights that make every new row. All rounding is decided here, on the host, as torchvision decides it
//! (f32, `aligned=False`, as many samples as a bin has cells): a ceiling of a quotient would depend on the device.

use crate::{Error, Result};

/// Rows and columns of a map of features.
pub type Grid = (usize, usize);

/// A region (x1, y1, x2, y2) in cells.
pub type Region = [f32; 4];

/// The map cut into `side` x `side` equal regions, row by row, as LLaVA-UHD cuts it (`slice_process.py`).
///
/// # Errors
/// [`Error::Graph`] for an empty map.
pub fn equal_regions(grid: Grid, side: usize) -> Result<Vec<Region>> {
    let ratio = shape_of(grid)?;
    let height = (grid.0 as f64 * grid.1 as f64 / (side * side) as f64 / ratio).sqrt();
    let width = height * ratio;
    let count = |cells: usize, part: f64| (cells as f64 / part).round_ties_even() as usize;
    let (rows, columns) = (count(grid.0, height), count(grid.1, width));
    if rows.checked_mul(columns) != Some(side * side) {
        let reason = format!("{}x{} features make {rows}x{columns} regions, not {side}x{side}", grid.0, grid.1);
        return Err(Error::graph("regions", reason));
    }
    let region = |row: usize, column: usize| {
        let (x, y) = (column as f64 * width, row as f64 * height);
        [x as f32, y as f32, (x + width) as f32, (y + height) as f32]
    };
    Ok((0..rows).flat_map(|row| (0..columns).map(move |column| region(row, column))).collect())
}

/// Rows and columns that a region of the map becomes: of seven shapes the nearest to the map's own.
///
/// # Errors
/// [`Error::Graph`] for an empty map.
pub fn region_shape(grid: Grid) -> Result<Grid> {
    const SHAPES: [Grid; 7] = [(2, 4), (2, 3), (3, 4), (3, 3), (4, 2), (3, 2), (4, 3)];
    let wanted = shape_of(grid)?.ln();
    let mut best = (f64::INFINITY, (3, 3));
    for (rows, columns) in SHAPES {
        let error = (wanted - (columns as f64 / rows as f64).ln()).abs();
        if error < best.0 {
            best = (error, (rows, columns));
        }
    }
    Ok(best.1)
}

/// Columns over rows.
fn shape_of((rows, columns): Grid) -> Result<f64> {
    if rows.min(columns) == 0 || rows.max(columns) > 1 << 16 {
        return Err(Error::graph("regions", format!("a map of {rows}x{columns} features has no regions")));
    }
    Ok(columns as f64 / rows as f64)
}

/// A gather: `taps` rows and weights for every new row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gathered {
    /// Rows and weights of one new row.
    pub taps: usize,
    /// `[new rows, taps]`.
    pub index: Vec<u32>,
    /// `[new rows, taps]`.
    pub weight: Vec<f32>,
}

impl Gathered {
    /// A plan of new rows that are each a sum of rows with weights.
    fn of(rows: &[Vec<(u32, f32)>]) -> Self {
        let taps = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let mut plan = Self { taps, ..Self::default() };
        for row in rows {
            let padding = std::iter::repeat((row.first().map_or(0, |(i, _)| *i), 0.0));
            for (index, weight) in row.iter().copied().chain(padding).take(taps) {
                plan.index.push(index);
                plan.weight.push(weight);
            }
        }
        plan
    }
}

/// The regions of maps that follow each other, each map's brought to a shape of its own: for every map its grid, regions
/// and shape. New rows are in order of map, region, row and column of the shape.
pub fn region_rows(maps: &[(Grid, Vec<Region>, Grid)]) -> Gathered {
    let (mut rows, mut start) = (Vec::new(), 0);
    for (grid, regions, shape) in maps {
        for [x1, y1, x2, y2] in regions {
            let (down, across) = (bins(*y1, *y2, shape.0, grid.0), bins(*x1, *x2, shape.1, grid.1));
            for (y_taps, x_taps) in down.iter().flat_map(|y| across.iter().map(move |x| (y, x))) {
                let at = |y: usize, x: usize| (start + y * grid.1 + x) as u32;
                let taps = y_taps.iter().flat_map(|(y, wy)| x_taps.iter().map(move |(x, wx)| (at(*y, *x), wy * wx)));
                rows.push(taps.collect());
            }
        }
        start += grid.0 * grid.1;
    }
    Gathered::of(&rows)
}

/// Cells and weights of the bins of one axis of a region.
fn bins(low: f32, high: f32, count: usize, extent: usize) -> Vec<Vec<(usize, f32)>> {
    let bin = (high - low).max(1.0) / count as f32;
    let samples = bin.ceil().max(1.0);
    let one = |place: usize| {
        let mut taps: Vec<(usize, f32)> = Vec::new();
        let mut add = |cell: usize, weight: f32| match taps.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, sum)) => *sum += weight,
            None => taps.push((cell, weight)),
        };
        for sample in 0..samples as usize {
            let at = low + place as f32 * bin + (sample as f32 + 0.5) * bin / samples;
            if !(-1.0..=extent as f32).contains(&at) {
                continue;
            }
            let at = at.max(0.0);
            let cell = (at as usize).min(extent - 1);
            let share = if cell + 1 == extent { 0.0 } else { at - cell as f32 };
            add(cell, (1.0 - share) / samples);
            if share > 0.0 {
                add(cell + 1, share / samples);
            }
        }
        taps
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_map_is_cut_into_squares() {
        let regions = equal_regions((24, 24), 12).unwrap();
        assert_eq!(regions.len(), 144);
        assert_eq!((regions[0], regions[13]), ([0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 4.0, 4.0]));
        assert_eq!(region_shape((24, 24)).unwrap(), (3, 3));
        assert_eq!((region_shape((10, 20)).unwrap(), region_shape((20, 10)).unwrap()), ((2, 4), (4, 2)));
        assert!(equal_regions((0, 4), 2).is_err() && region_shape((4, 0)).is_err());
    }

    #[test]
    fn weights_of_regions_inside_sum_to_one() {
        // Maps with a cell a region at least: a region below one cell reaches out of a smaller map.
        let grids = [(17, 33), (5, 5), (36, 16), (5, 40)];
        let maps = grids.map(|g| (g, equal_regions(g, 5).unwrap(), region_shape(g).unwrap()));
        let plan = region_rows(&maps);
        let rows: usize = maps.iter().map(|(_, r, s)| r.len() * s.0 * s.1).sum();
        assert_eq!((plan.index.len(), plan.weight.len()), (rows * plan.taps, rows * plan.taps));
        for weights in plan.weight.chunks(plan.taps) {
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{weights:?}");
        }
        let cells: usize = grids.iter().map(|(r, c)| r * c).sum();
        assert!(plan.index.iter().all(|i| (*i as usize) < cells));
    }

    #[test]
    fn bins_are_means_of_bilinear_samples() {
        // A region of 2 cells in one bin: samples at 0.5 and 1.5.
        assert_eq!(bins(0.0, 2.0, 1, 4), [vec![(0, 0.25), (1, 0.5), (2, 0.25)]]);
        // A region below one cell is one cell; the last cell has no right neighbour.
        assert_eq!(bins(3.5, 3.7, 1, 4), [vec![(3, 1.0)]]);
        // Further than a cell outside there is nothing.
        assert_eq!(bins(5.0, 6.0, 1, 4), [vec![]]);
    }
}
