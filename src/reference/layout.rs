//! Layouts: strided views and borders. Elements are moved, so every cell is exact.

use super::{Array, Cell};
use crate::kernels::Rearrange;

/// Row `row` of the view, cell by cell in its order.
pub fn rearrange(view: &Rearrange, x: &Array, row: usize) -> Vec<Cell> {
    let cols = view.shape.last().copied().unwrap_or(1);
    let cell = |mut i: usize| {
        let mut place = view.base;
        for axis in view.axes.iter().rev() {
            place += (i % axis.extent) as i64 * axis.stride;
            i /= axis.extent;
        }
        Cell { want: x.data[place as usize], bound: 0.0 }
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn wants(cells: Vec<Cell>) -> Vec<f64> {
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn views_pick_the_cells_they_say() {
        let x = Array::new(DType::F32, &[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let turned = Rearrange::transpose(&[2, 3], &[1, 0]).unwrap();
        assert_eq!(wants(rearrange(&turned, &x, 1)), [1.0, 4.0]);
        let back = Rearrange::all(&[2, 3]).slice(1, 2, -2, 2).unwrap();
        assert_eq!(wants(rearrange(&back, &x, 1)), [5.0, 3.0]);
        let twice = Rearrange::expand(&[3], &[2, 3]).unwrap();
        assert_eq!(wants(rearrange(&twice, &x, 1)), [0.0, 1.0, 2.0]);
    }
}
