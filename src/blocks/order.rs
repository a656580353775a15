//! In which order the patches of a picture run through a tower. A connector that merges squares of patches wants the
//! patches of a square next to each other; a tower with windows wants the squares of a window next to each other.

/// The order of the patches of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchOrder {
    /// Side, in patches, of the squares whose patches run together, row by row inside; squares run row by row. 1: all
    /// patches row by row.
    pub merge: usize,
    /// Side, in squares, of the windows that windowed layers see; windows run row by row, and their squares inside.
    /// Windows at the right and lower edges are what the grid leaves of them.
    pub window: Option<usize>,
}

impl PatchOrder {
    /// All patches row by row.
    pub const ROWS: Self = Self { merge: 1, window: None };

    /// (row, column) of every patch of a grid of (rows, columns), squares row by row. Rows and columns that fill no
    /// square are left out.
    pub fn patches(&self, grid: (usize, usize)) -> Vec<(usize, usize)> {
        let side = self.merge.max(1);
        let mut list = Vec::with_capacity(grid.0 * grid.1);
        for row in 0..grid.0 / side {
            for col in 0..grid.1 / side {
                list.extend((0..side * side).map(|i| (row * side + i / side, col * side + i % side)));
            }
        }
        list
    }
    /// The squares of a grid of patches window by window, each as its place row by row, and the squares of each window.
    /// `None` without windows.
    pub fn windows(&self, grid: (usize, usize)) -> Option<(Vec<usize>, Vec<usize>)> {
        let side = self.window?.max(1);
        let (rows, cols) = (grid.0 / self.merge.max(1), grid.1 / self.merge.max(1));
        let (mut squares, mut sizes) = (Vec::with_capacity(rows * cols), Vec::new());
        for top in (0..rows).step_by(side) {
            for left in (0..cols).step_by(side) {
                let before = squares.len();
                for row in top..rows.min(top + side) {
                    squares.extend((left..cols.min(left + side)).map(|col| row * cols + col));
                }
                sizes.push(squares.len() - before);
            }
        }
        Some((squares, sizes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_run_row_by_row_and_leave_the_edge_out() {
        assert_eq!(PatchOrder::ROWS.patches((2, 2)), [(0, 0), (0, 1), (1, 0), (1, 1)]);
        let two = PatchOrder { merge: 2, window: None };
        assert_eq!(two.patches((3, 4)), [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]);
        assert_eq!(two.windows((3, 4)), None);
    }

    #[test]
    fn windows_at_the_edges_are_smaller() {
        let order = PatchOrder { merge: 1, window: Some(2) };
        let (squares, sizes) = order.windows((3, 3)).unwrap();
        assert_eq!(squares, [0, 1, 3, 4, 2, 5, 6, 7, 8]);
        assert_eq!(sizes, [4, 2, 2, 1]);
    }
}
