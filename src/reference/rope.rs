//! Rotary position embedding.

use super::{Array, Cell, F32_EPS};
use crate::kernels::Rope;

/// Row `row` (a token) of the turned heads. `table` holds, of every position, cosines and then sines.
///
/// Bound: of `a * c - b * s` two products and a sum round once each, fused or not: each error is at most one
/// `F32_EPS` of `|a c| + |b s|`; doubled for room, plus the store. What passes through is exact.
pub fn rope(x: &Array, positions: &Array, table: &Array, rope: &Rope, row: usize) -> Vec<Cell> {
    let half = rope.rotary_dim / 2;
    let position = (positions.data[row] as usize).min(table.rows().saturating_sub(1));
    let mut cells = Vec::with_capacity(rope.heads * rope.head_dim);
    for head in 0..rope.heads {
        let values = &x.row(row)[rope.x_offset + head * rope.head_dim..][..rope.head_dim];
        for (i, value) in values.iter().enumerate() {
            if i >= 2 * half {
                cells.push(super::moved(*value, x.dtype, x.dtype));
                continue;
            }
            let (pair, second) = if rope.interleaved { (i / 2, i % 2 == 1) } else { (i % half, i >= half) };
            let partner = match (rope.interleaved, second) {
                (true, false) => values[i + 1],
                (true, true) => values[i - 1],
                (false, false) => values[i + half],
                (false, true) => values[i - half],
            };
            let (cos, sin) = (table.row(position)[pair], table.row(position)[half + pair]);
            let (kept, turned) = (value * cos, if second { partner * sin } else { -partner * sin });
            let want = kept + turned;
            let arithmetic = 4.0 * F32_EPS * (kept.abs() + turned.abs());
            cells.push(Cell { want, bound: arithmetic + super::store_error(want, x.dtype) });
        }
    }
    cells
}
