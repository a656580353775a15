//! Picking rows by index lists that are known when the graph is built.

use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::SpliceRows;

/// Rows of `a` then `b` by `index`; with `add`, rows of a table are added.
pub fn splice(g: &mut Graph, a: ValueId, b: ValueId, index: &[u32], add: Option<(ValueId, &[u32])>) -> Result<ValueId> {
    let rows = index.len();
    let index = g.constant_u32("rows", &[rows], index);
    match add {
        None => g.apply(SpliceRows { two: true, add: false }, &[a, b, index]),
        Some((table, place)) => {
            let place = g.constant_u32("places", &[rows], place);
            g.apply(SpliceRows { two: true, add: true }, &[a, b, index, table, place])
        }
    }
}

/// Rows of `a` by `index`.
pub fn gather(g: &mut Graph, a: ValueId, index: &[u32]) -> Result<ValueId> {
    let index = g.constant_u32("rows", &[index.len()], index);
    g.apply(SpliceRows { two: false, add: false }, &[a, index])
}
