//! Gathering and scattering by indices.

use super::super::builder::{Builder, Mapped, Stop};
use super::cast::converted;
use super::shapes::{Kind, compare, copy, counting, expand, integer, number, orders, select, slice};
use super::{Entry, ONNX};
use omma::Error;
use omma::graph::ValueId;
use omma::kernels::{Border, Combine, Gather, IntegerOp, Pad, Picks, RowIndex, Scatter};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Compress", by_data),
    (ONNX, "Gather", gather),
    (ONNX, "GatherElements", gather_elements),
    (ONNX, "GatherND", gather_nd),
    (ONNX, "NonMaxSuppression", by_data),
    (ONNX, "NonZero", by_data),
    (ONNX, "OneHot", one_hot),
    (ONNX, "Scatter", scatter_elements),
    (ONNX, "ScatterElements", scatter_elements),
    (ONNX, "ScatterND", scatter_nd),
    (ONNX, "Unique", by_data),
];

fn one(value: ValueId) -> Mapped {
    Ok(vec![Some(value)])
}

fn by_data(b: &mut Builder<'_>) -> Mapped {
    Stop::unsupported(format!(
        "{}: the shape of its output depends on values, and a graph has fixed shapes",
        b.case().op
    ))
}

fn wrong<T>(reason: String) -> Result<T, Stop> {
    Err(Error::argument("operands", reason).into())
}

/// Numbers of rows from operand `i`, tuples over axes of these extents.
fn numbers(b: &mut Builder<'_>, i: usize, extents: &[usize]) -> Result<ValueId, Stop> {
    let wide = Kind::input(b, i)?.wide();
    let index = b.input(i)?;
    b.add(RowIndex { extents: extents.to_vec(), wide }, &[index])
}

fn gather(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape, index) = (Kind::input(b, 0)?, &b.host(0)?.shape, &b.host(1)?.shape);
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(0), shape.len())?;
    let (x, rows) = (b.input(0)?, numbers(b, 1, &shape[axis..axis + 1])?);
    let picks = Picks {
        batches: shape[..axis].iter().product(),
        picks: index.iter().product(),
        cols: shape[axis + 1..].iter().product(),
        strides: [0, 1, 0],
        wide: kind.wide(),
    };
    let result = [&shape[..axis], index, &shape[axis + 1..]].concat();
    one(b.add(Gather { picks, shape: kind.device(&result) }, &[x, rows])?)
}

/// The source is cut to the index's extents along the other axes.
fn gather_elements(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape, index) = (Kind::input(b, 0)?, &b.host(0)?.shape, &b.host(1)?.shape);
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(0), shape.len())?;
    if shape.len() != index.len() {
        return wrong(format!("{} of {shape:?} by {index:?}", b.case().op));
    }
    let rows = numbers(b, 1, &shape[axis..axis + 1])?;
    let mut x = b.input(0)?;
    let cuts: Vec<_> =
        (0..shape.len()).filter(|i| *i != axis && shape[*i] != index[*i]).map(|i| (i, 0, 1, index[i])).collect();
    if !cuts.is_empty() {
        x = slice(b, x, &cuts)?;
    }
    let picks = by_cell(index, axis, kind);
    one(b.add(Gather { picks, shape: kind.device(index) }, &[x, rows])?)
}

/// A number for each cell of a tensor of this shape, along an axis.
fn by_cell(shape: &[usize], axis: usize, kind: Kind) -> Picks {
    let (batches, picks) = (shape[..axis].iter().product(), shape[axis]);
    let cols: usize = shape[axis + 1..].iter().product();
    Picks { batches, picks, cols, strides: [picks * cols, cols, 1], wide: kind.wide() }
}

fn gather_nd(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape, index) = (Kind::input(b, 0)?, &b.host(0)?.shape, &b.host(1)?.shape);
    let first = b.opt_int("batch_dims")?.unwrap_or(0) as usize;
    let depth = index.last().copied().unwrap_or(0);
    if depth == 0 || first + depth > shape.len() || first >= index.len() {
        return wrong(format!("GatherND of {shape:?} by {index:?} with {first} batch axes"));
    }
    let rows = numbers(b, 1, &shape[first..first + depth])?;
    let x = b.input(0)?;
    let picks = Picks {
        batches: shape[..first].iter().product(),
        picks: index[first..index.len() - 1].iter().product(),
        cols: shape[first + depth..].iter().product(),
        strides: [index[first..index.len() - 1].iter().product(), 1, 0],
        wide: kind.wide(),
    };
    let result = [&index[..index.len() - 1], &shape[first + depth..]].concat();
    one(b.add(Gather { picks, shape: kind.device(&result) }, &[x, rows])?)
}

fn combine(b: &Builder<'_>, kind: Kind) -> Result<Combine, Stop> {
    let combine = match b.opt_text("reduction")?.unwrap_or("none") {
        "none" => return Ok(Combine::Replace),
        "add" => Combine::Add,
        "mul" => Combine::Mul,
        "max" => Combine::Max,
        "min" => Combine::Min,
        other => return Stop::unsupported(format!("{} with reduction = {other}", b.case().op)),
    };
    match kind {
        Kind::Pair { .. } => Stop::unsupported(format!("{} that combines 64-bit numbers", b.case().op)),
        Kind::Word { bits, .. } if bits < 32 && matches!(combine, Combine::Add | Combine::Mul) => {
            Stop::unsupported(format!("{} that adds or multiplies numbers of {bits} bits", b.case().op))
        }
        _ => Ok(combine),
    }
}

/// Where the index is smaller than the data along another axis, it is widened by numbers that are skipped.
fn scatter_elements(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape, index) = (Kind::input(b, 0)?, &b.host(0)?.shape, &b.host(1)?.shape);
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(0), shape.len())?;
    let combine = combine(b, kind)?;
    let mut wide = index.clone();
    for i in (0..shape.len()).filter(|i| *i != axis) {
        if shape.len() != index.len() || index[i] > shape[i] {
            return wrong(format!("{} of {shape:?} by {index:?}", b.case().op));
        }
        wide[i] = shape[i];
    }
    let (data, mut x) = (b.input(0)?, b.input(2)?);
    let y = copy(b, data, &kind.device(shape))?;
    let mut rows = numbers(b, 1, &shape[axis..axis + 1])?;
    if wide != *index {
        let after: Vec<i64> = wide.iter().zip(index).map(|(w, i)| (w - i) as i64).collect();
        let pad = |after: Vec<i64>, border| Pad { before: vec![0; after.len()], after, border };
        rows = b.reshape(rows, index)?;
        rows = b.add(pad(after.clone(), Border::word(u32::MAX)), &[rows])?;
        let after = [after, vec![0; usize::from(kind.wide())]].concat();
        x = b.add(pad(after, Border::word(0)), &[x])?;
    }
    let picks = by_cell(&wide, axis, kind);
    one(b.add(Scatter { picks, combine }, &[x, rows, y])?)
}

fn scatter_nd(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape, index) = (Kind::input(b, 0)?, &b.host(0)?.shape, &b.host(1)?.shape);
    let depth = index.last().copied().unwrap_or(0);
    if depth == 0 || depth > shape.len() {
        return wrong(format!("ScatterND of {shape:?} by {index:?}"));
    }
    let combine = combine(b, kind)?;
    let (data, x) = (b.input(0)?, b.input(2)?);
    let y = copy(b, data, &kind.device(shape))?;
    let rows = numbers(b, 1, &shape[..depth])?;
    let picks = Picks {
        batches: 1,
        picks: index[..index.len() - 1].iter().product(),
        cols: shape[depth..].iter().product(),
        strides: [0, 1, 0],
        wide: kind.wide(),
    };
    one(b.add(Scatter { picks, combine }, &[x, rows, y])?)
}

/// Where the position along the new axis is the index, the second value, else the first. Negative indices count from
/// the end; beyond the axis they name nothing.
fn one_hot(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape) = (Kind::input(b, 0)?, &b.host(0)?.shape);
    let value = Kind::input(b, 2)?;
    let depth = b.host(1)?.ints().first().copied().unwrap_or(0).max(0) as usize;
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(-1), shape.len() + 1)?;
    let long = Kind::Pair { signed: true };
    let index = b.input(0)?;
    let index = converted(b, index, kind, long)?;
    let (zero, count) = (number(b, long, 0), number(b, long, depth as i64));
    let counted = integer(b, IntegerOp::Add, long, index, count)?;
    let below = compare(b, orders("<"), long, index, zero)?;
    let index = select(b, below, long, counted, index)?;
    let mut split = shape.clone();
    split.insert(axis, 1);
    let index = b.reshape(index, &long.device(&split))?;
    let mut places = vec![1; split.len()];
    places[axis] = depth;
    let place = counting(b, long, depth);
    let place = b.reshape(place, &long.device(&places))?;
    let hit = compare(b, orders("="), long, index, place)?;
    let values = b.input(2)?;
    let [off, on] = [0, 1].map(|i| slice(b, values, &[(0, i, 1, 1)]));
    let (off, on) = (off?, on?);
    split[axis] = depth;
    let on = expand(b, on, value, &split)?;
    one(select(b, hit, value, on, off)?)
}
