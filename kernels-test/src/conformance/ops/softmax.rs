//! Softmax and its relatives.

use super::super::builder::{Builder, Mapped, Stop};
use super::axes::{brought_last, flattened, put_back};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Argmax, Combine, Picks, Rearrange, Scatter, Softmax};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Hardmax", |b| along(b, hard)),
    (ONNX, "LogSoftmax", |b| along(b, |b, rows| b.add(Softmax { log: true }, &[rows]))),
    (ONNX, "Softmax", |b| along(b, |b, rows| b.add(Softmax::default(), &[rows]))),
];

/// A function of rows along the attribute `axis`; before operator set 13 a row was everything from that axis on.
fn along(b: &mut Builder<'_>, rows: fn(&mut Builder<'_>, ValueId) -> Result<ValueId, Stop>) -> Mapped {
    let x = b.input(0)?;
    let shape = b.shape(x);
    let old = b.case().since_version < 13;
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(if old { 1 } else { -1 }), shape.len())?;
    let (turned, split) = match (shape.is_empty(), old) {
        (true, _) => (x, 0),
        (_, true) => (x, axis),
        (_, false) => (brought_last(b, x, &[axis])?, shape.len() - 1),
    };
    let turned_shape = b.shape(turned);
    let matrix = flattened(b, turned, split)?;
    let y = rows(b, matrix)?;
    let y = b.reshape(y, &turned_shape)?;
    let y = if old || shape.is_empty() { y } else { put_back(b, y, &[axis])? };
    Ok(vec![Some(y)])
}

/// 1 at the first largest cell of each row, 0 elsewhere.
fn hard(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId, Stop> {
    let shape = b.shape(x);
    let rows = shape[0];
    let ids = b.add(Argmax { axis: 1, ..Argmax::default() }, &[x])?;
    let zero = b.graph().constant_f32("zero", &[1], &[0.0]);
    let one = b.graph().constant_f32("one", &[1], &[1.0]);
    let y = b.add(Rearrange::expand(&[1], &shape)?, &[zero])?;
    let ones = b.add(Rearrange::expand(&[1], &[rows])?, &[one])?;
    let picks = Picks { batches: rows, picks: 1, cols: 1, strides: [1, 0, 0], wide: false };
    b.add(Scatter { picks, combine: Combine::Replace }, &[ones, ids, y])
}
