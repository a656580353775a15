//! Choosing the next token.

use super::{Array, Cell};

/// An integer that the kernel must hit.
fn exact(value: f64) -> Cell {
    Cell { want: value, bound: 0.0 }
}

/// Index of the largest value of every row, the lowest of equal ones.
pub fn argmax(x: &Array) -> Vec<Cell> {
    let first_largest = |row: usize| {
        let values = x.row(row);
        let mut best = 0;
        for (i, v) in values.iter().enumerate() {
            if *v > values[best] {
                best = i;
            }
        }
        exact(best as f64)
    };
    (0..x.rows()).map(first_largest).collect()
}
