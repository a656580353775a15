//! Rotary position embedding.

use super::{Array, Cell, F32_EPS};
use crate::kernels::Rope;

/// Row `row` of the turned heads: a token, or one head of it. `table` holds, of every position, cosines and then sines.
///
/// Bound: of `a * c - b * s` two products and a sum round once each, fused or not: each error is at most one
/// `F32_EPS` of `|a c| + |b s|`; doubled for room, plus the store. What passes through is exact.
pub fn rope(rope: &Rope, inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, positions, table) = (&inputs[0], &inputs[1], &inputs[2]);
    let half = rope.rotary_dim / 2;
    // The token, and how many heads this row holds.
    let (token, heads) = match rope.block {
        Some(block) => (row / (block * rope.heads) * block + row % block, 1),
        None => (row, rope.heads),
    };
    let position = |pair: usize| {
        let at = match rope.axes {
            Some(axes) => {
                let tokens = positions.data.len() / axes;
                (inputs[3].data[pair] as usize * tokens + token).min(positions.data.len() - 1)
            }
            None => token,
        };
        (positions.data[at] as usize).min(table.rows().saturating_sub(1))
    };
    let mut cells = Vec::with_capacity(heads * rope.head_dim);
    for head in 0..heads {
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
            let turns = table.row(position(pair));
            let (cos, sin) = (turns[pair], turns[half + pair]);
            let (kept, turned) = (value * cos, if second { partner * sin } else { -partner * sin });
            let want = kept + turned;
            let arithmetic = 4.0 * F32_EPS * (kept.abs() + turned.abs());
            cells.push(Cell { want, bound: arithmetic + super::store_error(want, x.dtype) });
        }
    }
    cells
}
