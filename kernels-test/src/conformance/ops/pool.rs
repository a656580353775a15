//! Pools.

use super::super::builder::{Builder, Mapped, Stop};
use super::axes::widened;
use super::shapes::slice;
use super::windows::window;
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{
    Border, Combine, Pad, Picks, Places, Pool, PoolOp, Rearrange, Reduce, ReduceOp, Scatter, Window, Windows,
};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "AveragePool", average),
    (ONNX, "GlobalAveragePool", |b| global(b, ReduceOp::Mean)),
    (ONNX, "GlobalLpPool", global_norm),
    (ONNX, "GlobalMaxPool", |b| global(b, ReduceOp::Max)),
    (ONNX, "LpPool", norm),
    (ONNX, "MaxPool", max),
    (ONNX, "MaxUnpool", max_unpool),
];

/// Operand 0, and the windows that slide over it.
fn sliding(b: &mut Builder<'_>) -> Result<(ValueId, Windows), Stop> {
    let mut x = b.input(0)?;
    let shape = b.shape(x);
    let mut window = window(b, &shape, &[])?;
    let ceil = b.opt_int("ceil_mode")?.unwrap_or(0) != 0;
    if b.of_runtime() {
        let cuts = padded_by_runtime(b, &shape, &mut window)?;
        if !cuts.is_empty() {
            x = slice(b, x, &cuts)?;
        }
        if !ceil {
            widen(b, &shape, &mut window)?;
        }
    }
    Ok((x, Windows::Sliding { window, ceil }))
}

/// ONNX Runtime pads a pool whose `auto_pad` is SAME as if its window were not dilated. Where the stride is the longer one
/// that padding is below 0: the cells that are left, as [`slice`] takes them.
fn padded_by_runtime(
    b: &Builder<'_>,
    shape: &[usize],
    window: &mut Window,
) -> Result<Vec<(usize, usize, i64, usize)>, Stop> {
    let auto = b.opt_text("auto_pad")?.unwrap_or("NOTSET");
    let mut cuts = Vec::new();
    for axis in 2..shape.len() {
        let (to, extent) = (axis + 3 - shape.len(), shape[axis] as i64);
        if !auto.starts_with("SAME") || extent == 0 {
            continue;
        }
        let (stride, size) = (window.stride[to].max(1) as i64, window.size[to] as i64);
        let pad = (extent - 1) / stride * stride + size - extent;
        // Halves are rounded to zero, as C++ does.
        let before = if auto == "SAME_LOWER" { (pad + 1) / 2 } else { pad / 2 };
        let after = pad - before;
        (window.pad[to], window.pad_end[to]) = (before.max(0) as usize, after.max(0) as usize);
        let reach = (size - 1) * window.dilation[to] as i64 + 1;
        let places = |pad: i64| (extent + pad - reach) / stride;
        // Cells are cut where that is seen: places of maxima count all of them.
        if before < 0 || places(pad) != places(pad - after.min(0)) {
            let left = extent + before.min(0) + after.min(0);
            cuts.push((axis, (-before).max(0) as usize, 1, left.max(0) as usize));
        }
    }
    Ok(cuts)
}

/// ONNX Runtime gives a window that is wider than the padded `x` by less than a stride its place.
fn widen(b: &Builder<'_>, shape: &[usize], window: &mut Window) -> Result<(), Stop> {
    for axis in 2..shape.len() {
        let to = axis + 3 - shape.len();
        let reach = window.size[to].saturating_sub(1) * window.dilation[to] + 1;
        let beyond = reach.saturating_sub(shape[axis] + window.pad[to] + window.pad_end[to]);
        if (1..window.stride[to]).contains(&beyond) {
            if b.opt_int("count_include_pad")?.unwrap_or(0) != 0 {
                return Stop::unsupported(format!("padding counted in a window of {reach} cells over fewer"));
            }
            window.pad_end[to] += beyond;
        }
    }
    Ok(())
}

fn average(b: &mut Builder<'_>) -> Mapped {
    let (x, windows) = sliding(b)?;
    let count_padding = b.opt_int("count_include_pad")?.unwrap_or(0) != 0;
    let kernel = Pool { op: PoolOp::Average { count_padding }, windows, places: Places::None };
    Ok(vec![Some(b.add(kernel, &[x])?)])
}

fn power(b: &Builder<'_>) -> Result<PoolOp, Stop> {
    Ok(PoolOp::Norm { power: u32::try_from(b.opt_int("p")?.unwrap_or(2)).unwrap_or(0) })
}

fn norm(b: &mut Builder<'_>) -> Mapped {
    let (x, windows) = sliding(b)?;
    let kernel = Pool { op: power(b)?, windows, places: Places::None };
    Ok(vec![Some(b.add(kernel, &[x])?)])
}

fn max(b: &mut Builder<'_>) -> Mapped {
    let (x, windows) = sliding(b)?;
    let columns = b.opt_int("storage_order")?.unwrap_or(0) != 0;
    let places = match (b.wanted(1), columns) {
        (false, _) => Places::None,
        (true, false) => Places::Rows,
        (true, true) => Places::Columns,
    };
    let found = b.add_all(Pool { op: PoolOp::Max, windows, places }, &[x])?;
    let ids = found.get(1).map(|ids| widened(b, *ids)).transpose()?;
    Ok(vec![Some(found[0]), ids])
}

/// `[images, channels, 1, ..]`, and the planes of `x` as one axis.
fn whole_planes(shape: &[usize]) -> (Vec<usize>, [usize; 2]) {
    let mut out = shape.to_vec();
    out[2..].fill(1);
    (out, [shape[..2].iter().product(), shape[2..].iter().product()])
}

fn global(b: &mut Builder<'_>, op: ReduceOp) -> Mapped {
    let x = b.input(0)?;
    let (out, planes) = whole_planes(&b.shape(x));
    let x = b.reshape(x, &planes)?;
    let y = b.add(Reduce { op, axis: 1 }, &[x])?;
    Ok(vec![Some(b.reshape(y, &out)?)])
}

fn global_norm(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let (out, [planes, cells]) = whole_planes(&b.shape(x));
    let x = b.reshape(x, &[1, planes, cells])?;
    let window = Window { size: [1, 1, cells], ..Window::default() };
    let windows = Windows::Sliding { window, ceil: false };
    let y = b.add(Pool { op: power(b)?, windows, places: Places::None }, &[x])?;
    Ok(vec![Some(b.reshape(y, &out)?)])
}

/// Maxima put back where they came from, into zeros. Places count the cells of the planes that the windows would have
/// come from; larger ones, where operand 2 asks for them, have these in their first corner.
fn max_unpool(b: &mut Builder<'_>) -> Mapped {
    let (x, ids) = (b.input(0)?, b.input(1)?);
    let shape = b.shape(x);
    let window = window(b, &shape, &[])?;
    let skip = 3 - (shape.len() - 2);
    let extent = |(i, n): (usize, &usize)| {
        let whole = (n - 1) * window.stride[skip + i] + window.size[skip + i];
        whole.saturating_sub(window.pad[skip + i] + window.pad_end[skip + i])
    };
    let planes: Vec<usize> = shape[..2].iter().copied().chain(shape[2..].iter().enumerate().map(extent)).collect();
    let count: usize = shape.iter().product();
    let low = Rearrange::all(&[count, 2]).slice(1, 0, 1, 1)?.shaped(&[count]);
    let ids = b.add(low, &[ids])?;
    let zero = b.graph().constant_f32("zero", &[1], &[0.0]);
    let y = b.add(Rearrange::expand(&[1], &[planes.iter().product()])?, &[zero])?;
    let picks = Picks { batches: 1, picks: count, cols: 1, strides: [0, 1, 0], wide: false };
    let y = b.add(Scatter { picks, combine: Combine::Replace }, &[x, ids, y])?;
    let y = b.reshape(y, &planes)?;
    if !b.has(2) {
        return Ok(vec![Some(y)]);
    }
    let after = b.host(2)?.ints().iter().zip(&planes).map(|(to, from)| to - *from as i64).collect();
    Ok(vec![Some(b.add(Pad { before: vec![0; planes.len()], after, border: Border::word(0) }, &[y])?)])
}
