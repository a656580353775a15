//! Moving elements: concatenation, slices, transposition, padding, tiling, shapes.

use super::super::builder::{Builder, Mapped, Stop};
use super::shapes::{Kind, common, copy, expand, split_axes};
use super::{Entry, ONNX};
use omma::Error;
use omma::graph::ValueId;
use omma::kernels::{Border, Concat, Pad, Rearrange};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Concat", concat),
    (ONNX, "DepthToSpace", depth_to_space),
    (ONNX, "Expand", repeat),
    (ONNX, "Flatten", flatten),
    (ONNX, "Pad", pad),
    (ONNX, "Reshape", reshape),
    (ONNX, "Slice", slice),
    (ONNX, "SpaceToDepth", space_to_depth),
    (ONNX, "Split", split),
    (ONNX, "Squeeze", squeeze),
    (ONNX, "Tile", tile),
    (ONNX, "Transpose", transpose),
    (ONNX, "Unsqueeze", unsqueeze),
];

fn one(value: ValueId) -> Mapped {
    Ok(vec![Some(value)])
}

fn wrong<T>(what: &str, reason: String) -> Result<T, Stop> {
    Err(Error::argument(what, reason).into())
}

/// A list that is operand `i` in newer versions of an operator, and an attribute in older ones.
fn list(b: &Builder<'_>, i: usize, name: &str) -> Result<Option<Vec<i64>>, Stop> {
    if b.has(i) { Ok(Some(b.host(i)?.ints())) } else { b.opt_ints(name) }
}

fn shape_of(b: &Builder<'_>) -> Result<Vec<usize>, Stop> {
    Ok(b.host(0)?.shape.clone())
}

/// Joined by twos, so that n operands are moved log2 n times.
fn concat(b: &mut Builder<'_>) -> Mapped {
    let axis = b.axis(b.int("axis")?, b.host(0)?.shape.len())?;
    let mut parts = Vec::new();
    for i in 0..b.case().inputs.len() {
        parts.push(b.input(i)?);
    }
    if let [only] = parts[..] {
        let shape = b.shape(only);
        return one(copy(b, only, &shape)?);
    }
    while parts.len() > 1 {
        let mut joined = Vec::new();
        for two in parts.chunks(2) {
            joined.push(match two {
                [left, right] => b.add(Concat { axis }, &[*left, *right])?,
                _ => two[0],
            });
        }
        parts = joined;
    }
    one(parts[0])
}

fn transpose(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let rank = b.host(0)?.shape.len();
    let mut perm = Vec::new();
    match b.opt_ints("perm")? {
        Some(list) => {
            for p in list {
                perm.push(b.axis(p, rank)?);
            }
        }
        None => perm.extend((0..rank).rev()),
    }
    if kind.wide() {
        perm.push(rank);
    }
    let x = b.input(0)?;
    let view = Rearrange::transpose(&b.shape(x), &perm)?;
    one(b.add(view, &[x])?)
}

/// Start, step and count of the cells of an axis of `n` that a slice takes: bounds are counted from the end where
/// negative, then clamped; backwards, a start before the first cell is the first cell, an end there includes it.
fn cells(n: usize, start: i64, end: i64, step: i64) -> Result<(usize, i64, usize), Stop> {
    if step == 0 {
        return wrong("steps", "a step is 0".into());
    }
    let n = n as i64;
    let from_end = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
    let last = (n - 1).max(0);
    let (start, end) = match step > 0 {
        true => (from_end(start).clamp(0, n), from_end(end).clamp(0, n)),
        false => (from_end(start).clamp(0, last), from_end(end).clamp(-1, n - 1)),
    };
    let span = if step > 0 { end - start } else { start - end };
    let count = if span > 0 && n > 0 { (span as u64).div_ceil(step.unsigned_abs()) as usize } else { 0 };
    Ok((if count == 0 { 0 } else { start as usize }, step, count))
}

fn slice(b: &mut Builder<'_>) -> Mapped {
    let shape = shape_of(b)?;
    let (Some(starts), Some(ends)) = (list(b, 1, "starts")?, list(b, 2, "ends")?) else {
        return wrong("starts", "are not given".into());
    };
    let axes = list(b, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = if b.has(4) { b.host(4)?.ints() } else { vec![1; starts.len()] };
    if [ends.len(), axes.len(), steps.len()].iter().any(|n| *n != starts.len()) {
        return wrong("starts", format!("{starts:?}, {ends:?}, {axes:?} and {steps:?} differ in length"));
    }
    let mut cuts = Vec::new();
    for (i, axis) in axes.iter().enumerate() {
        let axis = b.axis(*axis, shape.len())?;
        let (start, step, count) = cells(shape[axis], starts[i], ends[i], steps[i])?;
        cuts.push((axis, start, step, count));
    }
    let x = b.input(0)?;
    one(super::shapes::slice(b, x, &cuts)?)
}

/// Extents of the parts: given, or as even as they go, the last one smaller.
fn parts(b: &Builder<'_>, extent: usize) -> Result<Vec<usize>, Stop> {
    if let Some(sizes) = list(b, 1, "split")? {
        return Ok(sizes.into_iter().map(|n| n.max(0) as usize).collect());
    }
    let count = match b.opt_int("num_outputs")? {
        Some(count) => count.max(1) as usize,
        None => b.case().wanted.len().max(1),
    };
    let size = extent.div_ceil(count);
    Ok((0..count).map(|i| size.min(extent.saturating_sub(i * size))).collect())
}

fn split(b: &mut Builder<'_>) -> Mapped {
    let shape = shape_of(b)?;
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(0), shape.len())?;
    let (x, mut first, mut all) = (b.input(0)?, 0, Vec::new());
    for size in parts(b, shape[axis])? {
        all.push(Some(super::shapes::slice(b, x, &[(axis, first, 1, size)])?));
        first += size;
    }
    Ok(all)
}

/// The value that fills a border, as bits of the device.
fn fill(b: &Builder<'_>, kind: Kind) -> Result<Border, Stop> {
    if !b.has(2) {
        let value = b.opt_float("value")?.unwrap_or(0.0);
        return match kind {
            Kind::Float => Ok(Border::f32(value)),
            _ if value == 0.0 => Ok(Border::word(0)),
            _ => Stop::unsupported("Pad of whole numbers with a float"),
        };
    }
    let tensor = b.host(2)?;
    let Some(bits) = tensor.bits.first() else { return wrong("constant_value", "is empty".into()) };
    Ok(match kind {
        Kind::Float => Border::f32(tensor.dtype.value(*bits) as f32),
        Kind::Word { .. } => Border::word(tensor.dtype.integer(*bits) as u32),
        Kind::Pair { .. } => Border::Fill([*bits as u32, (*bits >> 32) as u32]),
    })
}

fn pad(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape) = (Kind::input(b, 0)?, shape_of(b)?);
    let Some(pads) = list(b, 1, "pads")? else { return wrong("pads", "are not given".into()) };
    let axes = if b.has(3) { b.host(3)?.ints() } else { (0..shape.len() as i64).collect() };
    if pads.len() != 2 * axes.len() {
        return wrong("pads", format!("{pads:?} are not two for each of the axes {axes:?}"));
    }
    let border = match b.opt_text("mode")?.unwrap_or("constant") {
        "constant" => fill(b, kind)?,
        "edge" => Border::Edge,
        "reflect" => Border::Reflect,
        "wrap" => Border::Wrap,
        other => return Stop::unsupported(format!("Pad with mode = {other}")),
    };
    let rank = kind.device(&shape).len();
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (i, axis) in axes.iter().enumerate() {
        let axis = b.axis(*axis, shape.len())?;
        (before[axis], after[axis]) = (pads[i], pads[axes.len() + i]);
    }
    let x = b.input(0)?;
    one(b.add(Pad { before, after, border }, &[x])?)
}

fn tile(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape) = (Kind::input(b, 0)?, shape_of(b)?);
    let mut repeats: Vec<usize> = b.host(1)?.ints().into_iter().map(|r| r.max(0) as usize).collect();
    if repeats.len() != shape.len() {
        return wrong("repeats", format!("{repeats:?} is not one for each axis of {shape:?}"));
    }
    if kind.wide() {
        repeats.push(1);
    }
    let x = b.input(0)?;
    one(b.add(Pad::tile(&kind.device(&shape), &repeats), &[x])?)
}

fn repeat(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape) = (Kind::input(b, 0)?, shape_of(b)?);
    let wanted: Vec<usize> = b.host(1)?.ints().into_iter().map(|n| n.max(0) as usize).collect();
    let to = common(&shape, &wanted)?;
    let x = b.input(0)?;
    let y = expand(b, x, kind, &to)?;
    let same = b.shape(y);
    one(if y == x { copy(b, y, &same)? } else { y })
}

/// The same elements in another shape, moved by a kernel.
fn shaped(b: &mut Builder<'_>, shape: &[usize]) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let x = b.input(0)?;
    one(copy(b, x, &kind.device(shape))?)
}

fn reshape(b: &mut Builder<'_>) -> Mapped {
    let shape = shape_of(b)?;
    let Some(wanted) = list(b, 1, "shape")? else { return wrong("shape", "is not given".into()) };
    let keep_zero = b.opt_int("allowzero")?.unwrap_or(0) != 0;
    let mut result = Vec::new();
    for (i, n) in wanted.iter().enumerate() {
        result.push(match *n {
            0 if !keep_zero => shape.get(i).copied().unwrap_or(1),
            n => n.max(0) as usize,
        });
    }
    if let Some(i) = wanted.iter().position(|n| *n < 0) {
        result[i] = 1;
        let rest: usize = result.iter().product();
        result[i] = shape.iter().product::<usize>().checked_div(rest).unwrap_or(0);
    }
    shaped(b, &result)
}

fn flatten(b: &mut Builder<'_>) -> Mapped {
    let shape = shape_of(b)?;
    let axis = b.opt_int("axis")?.unwrap_or(1);
    let counted = if axis < 0 { axis + shape.len() as i64 } else { axis };
    let axis = usize::try_from(counted).ok().filter(|a| *a <= shape.len());
    let Some(axis) = axis else { return wrong("axis", format!("{counted} is not in {shape:?}")) };
    shaped(b, &[shape[..axis].iter().product(), shape[axis..].iter().product()])
}

fn squeeze(b: &mut Builder<'_>) -> Mapped {
    let shape = shape_of(b)?;
    let gone = match list(b, 1, "axes")? {
        Some(axes) => axes.iter().map(|a| b.axis(*a, shape.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..shape.len()).filter(|i| shape[*i] == 1).collect(),
    };
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !gone.contains(i)).map(|i| shape[i]).collect();
    shaped(b, &kept)
}

fn unsqueeze(b: &mut Builder<'_>) -> Mapped {
    let shape = shape_of(b)?;
    let Some(axes) = list(b, 1, "axes")? else { return wrong("axes", "are not given".into()) };
    let rank = shape.len() + axes.len();
    let new = axes.iter().map(|a| b.axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut old = shape.into_iter();
    let result: Vec<usize> = (0..rank).map(|i| if new.contains(&i) { 1 } else { old.next().unwrap_or(1) }).collect();
    shaped(b, &result)
}

/// Batches, channels, rows and columns, and the block's size.
fn blocks(b: &Builder<'_>) -> Result<([usize; 4], usize), Stop> {
    let shape = shape_of(b)?;
    let block = b.int("blocksize")?;
    match (shape[..].try_into(), usize::try_from(block)) {
        (Ok(shape), Ok(block)) if block > 0 => Ok((shape, block)),
        _ => wrong("blocksize", format!("{block} for {shape:?}, which should have four axes")),
    }
}

fn mode<'a>(b: &Builder<'a>) -> Result<&'a str, Stop> {
    match b.opt_text("mode")?.unwrap_or("DCR") {
        known @ ("DCR" | "CRD") => Ok(known),
        other => Stop::unsupported(format!("{} with mode = {other}", b.case().op)),
    }
}

/// A rearrangement of axes into four, the axis of words kept last.
fn regroup(b: &mut Builder<'_>, view: &[usize], perm: &[usize], shape: &[usize]) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let mut perm = perm.to_vec();
    if kind.wide() {
        perm.push(view.len());
    }
    let x = b.input(0)?;
    one(split_axes(b, x, &kind.device(view), &perm, &kind.device(shape))?)
}

fn space_to_depth(b: &mut Builder<'_>) -> Mapped {
    let ([n, c, h, w], block) = blocks(b)?;
    let view = [n, c, h / block, block, w / block, block];
    let perm = if mode(b)? == "DCR" { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    regroup(b, &view, &perm, &[n, c * block * block, h / block, w / block])
}

fn depth_to_space(b: &mut Builder<'_>) -> Mapped {
    let ([n, c, h, w], block) = blocks(b)?;
    let depth = c / (block * block);
    let shape = [n, depth, h * block, w * block];
    match mode(b)? {
        "DCR" => regroup(b, &[n, block, block, depth, h, w], &[0, 3, 4, 1, 5, 2], &shape),
        _ => regroup(b, &[n, depth, block, block, h, w], &[0, 1, 4, 2, 5, 3], &shape),
    }
}
