//! Tables of positions: interpolated ones as planned gathers (sixteen rows and weights for every new position), and
//! sines and cosines of the places of a grid.

use crate::image::Sampling;
use crate::{Error, Result};

/// Taps of torch's bicubic interpolation (a = -0.75, `align_corners=False`, no antialias) of a grid of
/// `from` (rows, columns) table rows to `to`; the first `prefix` table rows are taken as they are.
///
/// Returns `(index, weight)`, each `[prefix + to.0 * to.1, 16]`.
pub fn bicubic_rows(prefix: usize, from: (usize, usize), to: (usize, usize)) -> (Vec<u32>, Vec<f32>) {
    let (vertical, horizontal) = (taps(from.0, to.0), taps(from.1, to.1));
    let (mut index, mut weight) = same_rows(prefix);
    for down in &vertical {
        for across in &horizontal {
            for (y, wy) in down {
                for (x, wx) in across {
                    index.push((prefix + y * from.1 + x) as u32);
                    weight.push(wy * wx);
                }
            }
        }
    }
    (index, weight)
}

/// New rows as sums of table rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Table rows of every new row.
    pub taps: usize,
    /// \[new rows, taps\]
    pub index: Vec<u32>,
    /// Likewise.
    pub weight: Vec<f32>,
}

/// Rows of grids of table rows resampled from `from` (rows, columns) to each of `grids`, one after the other, by torch's
/// bicubic filter with antialias (a = -0.5, as timm resamples positions). The first `prefix` table rows are taken as they
/// are, before each grid, and so is a grid of the table's own size.
///
/// # Errors
/// [`Error::InvalidArgument`] for empty grids.
pub fn resampled_rows(prefix: usize, from: (usize, usize), grids: &[(usize, usize)]) -> Result<Rows> {
    let axis = |from: usize, to: usize| {
        let taps = Sampling::torch(from, to, true, false, true)?;
        let of = |j: usize| {
            let first = taps.first[j] as usize;
            (0..taps.count[j] as usize).map(|t| (first + t, taps.weights[t * to + j])).collect()
        };
        Ok((0..to).map(of).collect::<Vec<Vec<(usize, f32)>>>())
    };
    let mut rows: Vec<Vec<(usize, f32)>> = Vec::new();
    for grid in grids {
        let own = if *grid == from { from.0 * from.1 } else { 0 };
        rows.extend((0..prefix + own).map(|row| vec![(row, 1.0)]));
        if own > 0 {
            continue;
        }
        let across = axis(from.1, grid.1)?;
        for down in axis(from.0, grid.0)? {
            let product = |across: &Vec<(usize, f32)>| {
                let of = |(y, wy): &(usize, f32)| {
                    let (y, wy) = (*y, *wy);
                    across.iter().map(move |(x, wx)| (prefix + y * from.1 + x, wy * wx)).collect::<Vec<_>>()
                };
                down.iter().flat_map(of).collect::<Vec<_>>()
            };
            rows.extend(across.iter().map(product));
        }
    }
    let taps = rows.iter().map(Vec::len).max().unwrap_or(1);
    let filled = rows.iter().flat_map(|row| (0..taps).map(|t| row.get(t).copied().unwrap_or((row[0].0, 0.0))));
    let (index, weight) = filled.map(|(row, weight)| (row as u32, weight)).unzip();
    Ok(Rows { taps, index, weight })
}

/// Taps that take `rows` table rows as they are.
pub fn same_rows(rows: usize) -> (Vec<u32>, Vec<f32>) {
    let weight = [1.0f32].into_iter().chain([0.0; 15]);
    ((0..rows as u32).flat_map(|row| [row; 16]).collect(), (0..rows).flat_map(|_| weight.clone()).collect())
}

/// Sines and cosines of the places of a grid (MAE, He et al. 2021), `[rows * columns, width]`: the first half of a row
/// tells the column, the second the row; each half is sines, then cosines, of `place / 10000^(4 i / width)`.
///
/// In f32 as NumPy computes it, so that angles agree to the last bit.
///
/// # Errors
/// [`Error::Graph`] for a width that is no multiple of 4.
pub fn sincos_rows(width: usize, (rows, columns): (usize, usize)) -> Result<Vec<f32>> {
    if width == 0 || !width.is_multiple_of(4) {
        return Err(Error::graph("positions", format!("a width of {width} is not made of four equal parts")));
    }
    let quarter = width / 4;
    let frequency = |i: usize| 1.0 / 10_000f32.powf(i as f32 / quarter as f32);
    let frequencies: Vec<f32> = (0..quarter).map(frequency).collect();
    let half = |place: usize| {
        let angles = frequencies.iter().map(move |f| place as f32 * f);
        angles.clone().map(f32::sin).chain(angles.map(f32::cos)).collect::<Vec<f32>>()
    };
    let across: Vec<Vec<f32>> = (0..columns).map(half).collect();
    let mut table = Vec::with_capacity(rows * columns * width);
    for row in 0..rows {
        let down = half(row);
        for column in &across {
            table.extend(column);
            table.extend(&down);
        }
    }
    Ok(table)
}

/// Codes of the places of queries on a whole picture, which is cut into a grid (rows, columns) of slices of `side` x `side`
/// queries: \[rows * columns * side * side, width\] slice by slice, sines and cosines of the row, then of the column, of
/// `width / 4` frequencies each, which fall from 2 to 0.02 a query as a geometric series.
pub fn place_codes(width: usize, side: usize, (rows, columns): (usize, usize)) -> Result<Vec<f32>> {
    if width < 8 || !width.is_multiple_of(4) {
        return Err(Error::graph(
            "place codes",
            format!("a width of {width} is not made of four equal parts of two and more"),
        ));
    }
    let quarter = width / 4;
    let frequencies: Vec<f64> = (0..quarter).map(|i| 2.0 * 0.01f64.powf(i as f64 / (quarter - 1) as f64)).collect();
    let half = |place: usize| {
        let angles = frequencies.iter().map(move |f| place as f64 * f);
        angles.clone().map(f64::sin).chain(angles.map(f64::cos)).map(|v| v as f32).collect::<Vec<f32>>()
    };
    let halves: Vec<Vec<f32>> = (0..rows.max(columns) * side).map(half).collect();
    let mut table = Vec::with_capacity(rows * columns * side * side * width);
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        for (down, across) in (0..side).flat_map(|down| (0..side).map(move |across| (down, across))) {
            table.extend(&halves[row * side + down]);
            table.extend(&halves[column * side + across]);
        }
    }
    Ok(table)
}

/// Four clamped source positions with weights for every target position of one axis.
fn taps(from: usize, to: usize) -> Vec<[(usize, f32); 4]> {
    let scale = from as f32 / to as f32;
    let one = |i: usize| {
        let source = (i as f32 + 0.5) * scale - 0.5;
        let base = source.floor();
        let weights = cubic(source - base);
        let clamp = |k: i64| (base as i64 - 1 + k).clamp(0, from as i64 - 1) as usize;
        [0, 1, 2, 3].map(|k| (clamp(k), weights[k as usize]))
    };
    (0..to).map(one).collect()
}

/// Weights of the four neighbours at distance `t` behind the second (Keys 1981, a = -0.75).
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_sines_then_cosines_of_column_then_row() {
        let table = sincos_rows(8, (2, 3)).unwrap();
        assert_eq!(table.len(), 6 * 8);
        assert_eq!(table[..8], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        let last = &table[5 * 8..];
        let want = [2f32.sin(), 0.02f32.sin(), 2f32.cos(), 0.02f32.cos(), 1f32.sin(), 0.01f32.sin()];
        for (got, want) in last.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{last:?}");
        }
        assert!(sincos_rows(6, (2, 2)).is_err() && sincos_rows(0, (2, 2)).is_err());
    }

    #[test]
    fn places_go_on_from_slice_to_slice() {
        let (width, side) = (8, 2);
        let table = place_codes(width, side, (1, 2)).unwrap();
        assert_eq!(table.len(), 2 * side * side * width);
        // The last query of the second slice: row 1, column 3 of the picture.
        let want = [
            2f64.sin(),
            0.02f64.sin(),
            2f64.cos(),
            0.02f64.cos(),
            6f64.sin(),
            0.06f64.sin(),
            6f64.cos(),
            0.06f64.cos(),
        ];
        for (got, want) in table[7 * width..].iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{table:?}");
        }
        assert!(place_codes(4, 2, (1, 1)).is_err() && place_codes(10, 2, (1, 1)).is_err());
    }

    #[test]
    fn resampled_grids_keep_the_mean_and_the_own_size_is_taken_as_it_is() {
        let rows = resampled_rows(2, (5, 5), &[(5, 5), (3, 8)]).unwrap();
        assert_eq!((rows.index.len(), rows.weight.len()), (53 * rows.taps, 53 * rows.taps));
        for row in rows.weight.chunks(rows.taps) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        for (at, row) in rows.index.chunks(rows.taps).take(27).enumerate() {
            assert!(row.iter().all(|i| *i == at as u32));
        }
        assert!(rows.index[29 * rows.taps..].iter().all(|row| (2..27).contains(row)));
        assert!(resampled_rows(0, (5, 5), &[(0, 2)]).is_err());
    }

    #[test]
    fn weights_sum_to_one_and_the_same_size_is_the_identity() {
        let (index, weight) = bicubic_rows(1, (5, 4), (7, 3));
        assert_eq!(index.len(), 16 * (1 + 21));
        for row in weight.chunks(16) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert!(index.iter().all(|i| *i < 21));
        let (index, weight) = bicubic_rows(2, (3, 3), (3, 3));
        for (row, (index, weight)) in index.chunks(16).zip(weight.chunks(16)).enumerate() {
            let at: f32 = index.iter().zip(weight).filter(|(i, _)| **i == row as u32).map(|(_, w)| w).sum();
            assert!((at - 1.0).abs() < 1e-6, "row {row}");
        }
    }
}
