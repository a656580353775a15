//! What mappings along axes share: bringing axes last and back, 64-bit indices, broadcasts. No operators.

use super::super::builder::{Builder, Stop};
use omma::graph::ValueId;
use omma::kernels::{Border, Pad, Rearrange};

/// The order of `rank` axes that puts `axes` last, in the order in which they are given.
fn last_order(rank: usize, axes: &[usize]) -> Vec<usize> {
    (0..rank).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect()
}

/// `x` with its axes in the order `order`.
pub fn transposed(b: &mut Builder<'_>, x: ValueId, order: &[usize]) -> Result<ValueId, Stop> {
    if order.iter().copied().eq(0..order.len()) {
        return Ok(x);
    }
    let view = Rearrange::transpose(&b.shape(x), order)?;
    b.add(view, &[x])
}

/// `x` with `axes` last.
pub fn brought_last(b: &mut Builder<'_>, x: ValueId, axes: &[usize]) -> Result<ValueId, Stop> {
    let order = last_order(b.shape(x).len(), axes);
    transposed(b, x, &order)
}

/// The inverse of [`brought_last`].
pub fn put_back(b: &mut Builder<'_>, y: ValueId, axes: &[usize]) -> Result<ValueId, Stop> {
    let order = last_order(b.shape(y).len(), axes);
    let mut inverse = vec![0; order.len()];
    for (to, from) in order.into_iter().enumerate() {
        inverse[from] = to;
    }
    transposed(b, y, &inverse)
}

/// `x` as `[rows, cols]` with the axes from `axis` on in a row.
pub fn flattened(b: &mut Builder<'_>, x: ValueId, axis: usize) -> Result<ValueId, Stop> {
    let shape = b.shape(x);
    let (rows, cols) = shape.split_at(axis);
    b.reshape(x, &[rows.iter().product(), cols.iter().product()])
}

/// u32 numbers as 64-bit ones: a high word of 0 follows each.
pub fn widened(b: &mut Builder<'_>, ids: ValueId) -> Result<ValueId, Stop> {
    let shape = b.shape(ids);
    let mut last = shape.clone();
    last.push(1);
    let single = b.reshape(ids, &last)?;
    let mut after = vec![0; shape.len()];
    after.push(1);
    b.add(Pad { before: vec![0; last.len()], after, border: Border::word(0) }, &[single])
}

/// `v`, repeated to `shape` where it is smaller, as a vector of as many cells.
pub fn spread(b: &mut Builder<'_>, v: ValueId, shape: &[usize]) -> Result<ValueId, Stop> {
    let count = shape.iter().product();
    let own = b.shape(v);
    if own.iter().product::<usize>() == count {
        return b.reshape(v, &[count]);
    }
    let y = b.add(Rearrange::expand(&own, shape)?, &[v])?;
    b.reshape(y, &[count])
}
