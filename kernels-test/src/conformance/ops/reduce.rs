//! Reductions, running sums, orders.

use super::super::builder::{Builder, Mapped, Stop};
use super::axes::{brought_last, widened};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Argmax, Items, Reduce, ReduceOp, Scan, ScanOp, TopK};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "ArgMax", |b| arg(b, false)),
    (ONNX, "ArgMin", |b| arg(b, true)),
    (ONNX, "CumProd", |b| scan(b, ScanOp::Product)),
    (ONNX, "CumSum", |b| scan(b, ScanOp::Sum)),
    (ONNX, "ReduceL1", |b| reduce(b, ReduceOp::L1)),
    (ONNX, "ReduceL2", |b| reduce(b, ReduceOp::L2)),
    (ONNX, "ReduceLogSum", |b| reduce(b, ReduceOp::LogSum)),
    (ONNX, "ReduceLogSumExp", |b| reduce(b, ReduceOp::LogSumExp)),
    (ONNX, "ReduceMax", |b| reduce(b, ReduceOp::Max)),
    (ONNX, "ReduceMean", |b| reduce(b, ReduceOp::Mean)),
    (ONNX, "ReduceMin", |b| reduce(b, ReduceOp::Min)),
    (ONNX, "ReduceProd", |b| reduce(b, ReduceOp::Product)),
    (ONNX, "ReduceSum", |b| reduce(b, ReduceOp::Sum)),
    (ONNX, "ReduceSumSquare", |b| reduce(b, ReduceOp::SumSquares)),
    (ONNX, "TopK", top_k),
];

/// How the items of operand 0 are stored on the device.
fn items(b: &Builder<'_>) -> Result<Items, Stop> {
    let dtype = b.host(0)?.dtype;
    Ok(match (dtype.is_wide(), dtype.is_signed()) {
        (false, _) => Items::Single,
        (true, true) => Items::PairsI64,
        (true, false) => Items::PairsU64,
    })
}

/// 64-bit integers are put in order, but not added.
fn no_wide(b: &Builder<'_>, what: &str) -> Result<(), Stop> {
    match b.host(0)?.dtype.is_wide() {
        true => Stop::unsupported(format!("{what} of 64-bit integers: there is no 64-bit arithmetic on the device")),
        false => Ok(()),
    }
}

/// The axes that are reduced, in order: operand 1, or the attribute of older operator sets; all when there are none.
/// `None`: nothing is reduced.
fn reduced_axes(b: &Builder<'_>, rank: usize) -> Result<Option<Vec<usize>>, Stop> {
    let given = if b.has(1) { Some(b.host(1)?.ints()) } else { b.opt_ints("axes")? };
    let given = given.unwrap_or_default();
    if given.is_empty() {
        let none = b.opt_int("noop_with_empty_axes")?.unwrap_or(0) != 0;
        return Ok(if none { None } else { Some((0..rank).collect()) });
    }
    let mut axes = given.into_iter().map(|axis| b.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(Some(axes))
}

fn reduce(b: &mut Builder<'_>, op: ReduceOp) -> Mapped {
    let shape = b.host(0)?.shape.clone();
    let x = b.input(0)?;
    let Some(axes) = reduced_axes(b, shape.len())? else {
        // Over an axis of one cell: what the function makes of single numbers.
        no_wide(b, "a function")?;
        let mut longer = shape.clone();
        longer.push(1);
        let x = b.reshape(x, &longer)?;
        return Ok(vec![Some(b.add(Reduce { op, axis: shape.len() }, &[x])?)]);
    };
    let keep = b.opt_int("keepdims")?.unwrap_or(1) != 0;
    let kept = |i: usize| if axes.contains(&i) { keep.then_some(1) } else { Some(shape[i]) };
    let mut out: Vec<usize> = (0..shape.len()).filter_map(kept).collect();
    let items = items(b)?;
    let wide = items != Items::Single;
    let in_a_row = axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let x = if in_a_row { x } else { turned(b, x, &axes, wide)? };
    let count: usize = axes.iter().map(|a| shape[*a]).product();
    let rest = |from: usize, to: usize| (from..to).filter(|i| !axes.contains(i)).map(|i| shape[i]).product::<usize>();
    let first = axes.first().copied().unwrap_or(0);
    let (outer, inner) = if in_a_row { (rest(0, first), rest(first, shape.len())) } else { (rest(0, shape.len()), 1) };
    let mut line = vec![outer, count, inner];
    line.extend(wide.then_some(2));
    let x = b.reshape(x, &line)?;
    let y = if wide { wide_extreme(b, x, op, items)? } else { b.add(Reduce { op, axis: 1 }, &[x])? };
    out.extend(wide.then_some(2));
    Ok(vec![Some(b.reshape(y, &out)?)])
}

/// The reduced axes last; the words of 64-bit numbers stay behind them.
fn turned(b: &mut Builder<'_>, x: ValueId, axes: &[usize], wide: bool) -> Result<ValueId, Stop> {
    let mut last = axes.to_vec();
    last.extend(wide.then_some(b.shape(x).len() - 1));
    brought_last(b, x, &last)
}

/// The largest or smallest of 64-bit numbers, as the best one of an order.
fn wide_extreme(b: &mut Builder<'_>, x: ValueId, op: ReduceOp, items: Items) -> Result<ValueId, Stop> {
    let smallest = match op {
        ReduceOp::Max => false,
        ReduceOp::Min => true,
        _ => return no_wide(b, &format!("{op:?}")).map(|()| x),
    };
    Ok(b.add_all(TopK { axis: 1, k: 1, smallest, items }, &[x])?[0])
}

fn arg(b: &mut Builder<'_>, smallest: bool) -> Mapped {
    let mut shape = b.host(0)?.shape.clone();
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(0), shape.len())?;
    let last = b.opt_int("select_last_index")?.unwrap_or(0) != 0;
    let x = b.input(0)?;
    let ids = b.add(Argmax { axis, smallest, last, items: items(b)? }, &[x])?;
    let wide = widened(b, ids)?;
    match b.opt_int("keepdims")?.unwrap_or(1) {
        0 => drop(shape.remove(axis)),
        _ => shape[axis] = 1,
    }
    shape.push(2);
    Ok(vec![Some(b.reshape(wide, &shape)?)])
}

fn top_k(b: &mut Builder<'_>) -> Mapped {
    let rank = b.host(0)?.shape.len();
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(-1), rank)?;
    let k = match b.opt_int("k")? {
        Some(k) => k,
        None => b.host(1)?.ints().first().copied().unwrap_or(0),
    };
    let smallest = b.opt_int("largest")?.unwrap_or(1) == 0;
    let x = b.input(0)?;
    let kernel = TopK { axis, k: usize::try_from(k).unwrap_or(0), smallest, items: items(b)? };
    let found = b.add_all(kernel, &[x])?;
    let ids = widened(b, found[1])?;
    Ok(vec![Some(found[0]), Some(ids)])
}

fn scan(b: &mut Builder<'_>, op: ScanOp) -> Mapped {
    no_wide(b, "a running sum or product")?;
    let rank = b.host(0)?.shape.len();
    let axis = b.axis(b.host(1)?.ints().first().copied().unwrap_or(0), rank)?;
    let exclusive = b.opt_int("exclusive")?.unwrap_or(0) != 0;
    let reverse = b.opt_int("reverse")?.unwrap_or(0) != 0;
    let x = b.input(0)?;
    Ok(vec![Some(b.add(Scan { op, axis, exclusive, reverse }, &[x])?)])
}
