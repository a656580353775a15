//! Convolutions.

use super::super::builder::{Builder, Mapped, Stop};
use super::windows::{plane_axes, window};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Binary, BinaryOp, Conv, ConvGrouped, Convolution, GridSample, Rearrange, Window};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Col2Im", col2im),
    (ONNX, "Conv", conv),
    (ONNX, "ConvTranspose", conv_transpose),
    (ONNX, "DeformConv", deformed),
];

/// Groups of fewer output channels than this leave most of a tile empty.
const NARROW: usize = 16;

fn groups(b: &Builder<'_>) -> Result<usize, Stop> {
    Ok(usize::try_from(b.opt_int("group")?.unwrap_or(1)).unwrap_or(0).max(1))
}

fn conv(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let (shape, w_shape) = (b.shape(x), b.host(1)?.shape.clone());
    let groups = groups(b)?;
    let window = window(b, &shape, w_shape.get(2..).unwrap_or_default())?;
    let cols = w_shape.first().copied().unwrap_or(0);
    let kernel = Convolution { window, groups, bias: b.has(2), ..Convolution::default() };
    let w = if narrow(groups, cols) { b.input(1)? } else { b.panels(1, false)? };
    convolved(b, kernel, x, w, cols)
}

fn narrow(groups: usize, cols: usize) -> bool {
    groups > 1 && cols / groups < NARROW
}

/// The convolution of `x` and `w`, and of operand 2 as the bias, by the kernel that suits the groups.
fn convolved(b: &mut Builder<'_>, kernel: Convolution, x: ValueId, w: ValueId, cols: usize) -> Mapped {
    let mut operands = vec![x, w];
    if kernel.bias {
        operands.push(b.input(2)?);
    }
    let y = match narrow(kernel.groups, cols) {
        true => b.add(ConvGrouped(kernel), &operands)?,
        false => b.add(Conv(kernel), &operands)?,
    };
    Ok(vec![Some(y)])
}

fn conv_transpose(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let (shape, w_shape) = (b.shape(x), b.host(1)?.shape.clone());
    let axes = plane_axes(b, shape.len())?;
    let groups = groups(b)?;
    let auto = b.opt_text("auto_pad")?.unwrap_or("NOTSET");
    let mut window =
        if auto.starts_with("SAME") { unpadded(b, &shape, &w_shape)? } else { window(b, &shape, &w_shape[2..])? };
    let mut extra = [0; 3];
    let wanted = b.opt_ints("output_shape")?;
    let given = b.opt_ints("output_padding")?.unwrap_or_default();
    for (i, axis) in (3 - axes..3).enumerate() {
        let extent = shape[2 + i];
        let more = given.get(i).map_or(0, |v| usize::try_from(*v).unwrap_or(0));
        let reach = window.size[axis].saturating_sub(1) * window.dilation[axis] + 1;
        let whole = extent.saturating_sub(1) * window.stride[axis] + reach;
        extra[axis] = more;
        let target = match &wanted {
            // With or without images and channels in front.
            Some(shape) => shape.get(shape.len().saturating_sub(axes) + i).map(|v| usize::try_from(*v).unwrap_or(0)),
            None if auto.starts_with("SAME") => Some(extent * window.stride[axis]),
            None => None,
        };
        if let Some(target) = target {
            let total = (whole + more).saturating_sub(target);
            let less = total / 2;
            let (before, after) = if auto == "SAME_UPPER" { (less, total - less) } else { (total - less, less) };
            (window.pad[axis], window.pad_end[axis]) = (before, after);
            // The padding of ONNX Runtime takes cells away and adds none, unless a shape is asked for.
            let short = wanted.is_none() && b.of_runtime();
            extra[axis] = if short { more } else { (target + total).saturating_sub(whole) };
        }
    }
    // From [channels, cols of a group, window] to [cols, channels of a group, window].
    let (channels, group_cols) = (w_shape[0] / groups, w_shape[1]);
    let cells: usize = w_shape[2..].iter().product();
    let cols = groups * group_cols;
    let order = Rearrange::transpose(&[groups, channels, group_cols, cells], &[0, 2, 1, 3])?;
    let w = b.input(1)?;
    let w = b.add(order.shaped(&[cols, channels * cells]), &[w])?;
    let kernel = Convolution { window, groups, bias: b.has(2), transposed: Some(extra), ..Convolution::default() };
    convolved(b, kernel, x, w, cols)
}

/// The window without the padding of `auto_pad`, which means another thing for a transposed convolution.
fn unpadded(b: &Builder<'_>, shape: &[usize], w_shape: &[usize]) -> Result<Window, Stop> {
    let padded = window(b, shape, w_shape.get(2..).unwrap_or_default())?;
    Ok(Window { pad: [0; 3], pad_end: [0; 3], ..padded })
}

/// Columns summed into the picture they were cut from: the transposed convolution in which each channel's window has
/// one 1 for each of its columns.
fn col2im(b: &mut Builder<'_>) -> Mapped {
    let sizes = |i: usize| -> Result<Vec<usize>, Stop> {
        Ok(b.host(i)?.ints().iter().map(|v| usize::try_from(*v).unwrap_or(0)).collect())
    };
    let (picture, block) = (sizes(1)?, sizes(2)?);
    let x = b.input(0)?;
    let shape = b.shape(x);
    let taps: usize = block.iter().product();
    let channels = shape.get(1).copied().unwrap_or(0) / taps.max(1);
    let mut planes = vec![shape[0], channels];
    planes.extend(&picture);
    let axes = plane_axes(b, planes.len())?;
    let window = window(b, &planes, &block)?;
    let (mut grid, mut extra) = (vec![shape[0], channels * taps], [0; 3]);
    for (i, axis) in (3 - axes..3).enumerate() {
        let reach = window.size[axis].saturating_sub(1) * window.dilation[axis] + 1;
        let room = (picture[i] + window.pad[axis] + window.pad_end[axis]).saturating_sub(reach);
        grid.push(room / window.stride[axis].max(1) + 1);
        extra[axis] = room % window.stride[axis].max(1);
    }
    let cells: Vec<f32> =
        (0..channels * taps * taps).map(|i| f32::from(u8::from(i / taps % taps == i % taps))).collect();
    let w = b.graph().constant_f32("columns", &[channels, taps * taps], &cells);
    let x = b.reshape(x, &grid)?;
    let kernel = Convolution { window, groups: channels, transposed: Some(extra), ..Convolution::default() };
    Ok(vec![Some(b.add(ConvGrouped(kernel), &[x, w])?)])
}

/// A convolution whose taps are moved by operand 2 and weighted by operand 4: every tap of every place is a sample of a
/// grid, and the samples are the channels of a convolution by single cells.
fn deformed(b: &mut Builder<'_>) -> Mapped {
    let (x, offset) = (b.input(0)?, b.input(2)?);
    let (shape, w_shape, places) = (b.shape(x), b.host(1)?.shape.clone(), b.shape(offset));
    let ([images, channels, height, width], [_, _, rows, cols]) = (&shape[..], &places[..]) else {
        return Stop::unsupported(format!("DeformConv of {shape:?}: ONNX Runtime and we have it over two axes"));
    };
    let (images, channels, count) = (*images, *channels, rows * cols);
    let window = window(b, &shape, w_shape.get(2..).unwrap_or_default())?;
    let parts = usize::try_from(b.opt_int("offset_group")?.unwrap_or(1)).unwrap_or(0).max(1);
    let taps = window.cells();

    // Offsets are (y, x) planes of each tap, in cells; a grid has (x, y) of each place, from -1 to 1 over the edges.
    let split = Rearrange::transpose(&[images * parts * taps, 2, count], &[0, 2, 1])?.slice(2, 1, -1, 2)?;
    let offset = b.reshape(offset, &[images * parts * taps, 2, count])?;
    let offset = b.add(split, &[offset])?;
    let scale = [2.0 / *width as f32, 2.0 / *height as f32];
    let scale = b.graph().constant_f32("scale", &[2], &scale);
    let offset = b.reshape(offset, &[images * parts * taps * count, 2])?;
    let moved = b.add(Binary { op: BinaryOp::Mul }, &[offset, scale])?;
    let base = regular_grid(&window, [*rows, *cols], [*height, *width]);
    let base = b.graph().constant_f32("places", &[taps * count * 2], &base);
    let moved = b.reshape(moved, &[images * parts, taps * count * 2])?;
    let grid = b.add(Binary { op: BinaryOp::Add }, &[moved, base])?;

    let grid = b.reshape(grid, &[images * parts, taps, count, 2])?;
    let x = b.reshape(x, &[images * parts, channels / parts, *height, *width])?;
    let mut samples = b.add(GridSample::default(), &[x, grid])?;
    if b.has(4) {
        let mask = b.input(4)?;
        let mask = b.reshape(mask, &[images * parts, 1, taps * count])?;
        let all = [images * parts, channels / parts, taps * count];
        let mask = b.add(Rearrange::expand(&[images * parts, 1, taps * count], &all)?, &[mask])?;
        let flat = b.reshape(samples, &all)?;
        samples = b.add(Binary { op: BinaryOp::Mul }, &[flat, mask])?;
    }
    let columns = b.reshape(samples, &[images, channels * taps, count])?;
    let kernel = Convolution { groups: groups(b)?, bias: b.has(3), ..Convolution::default() };
    let mut operands = vec![columns, b.panels(1, false)?];
    if b.has(3) {
        operands.push(b.input(3)?);
    }
    let y = b.add(Conv(kernel), &operands)?;
    Ok(vec![Some(b.reshape(y, &[images, w_shape[0], *rows, *cols])?)])
}

/// Places of the taps of an undeformed window, (x, y) from -1 to 1 over the edges of `x`: taps, then places of y.
fn regular_grid(window: &Window, [rows, cols]: [usize; 2], [height, width]: [usize; 2]) -> Vec<f32> {
    let at = |axis: usize, place: usize, tap: usize, extent: usize| {
        let cell = (place * window.stride[axis] + tap * window.dilation[axis]) as f64 - window.pad[axis] as f64;
        ((2.0 * cell + 1.0) / extent as f64 - 1.0) as f32
    };
    let mut all = Vec::with_capacity(window.cells() * rows * cols * 2);
    for tap in 0..window.cells() {
        for place in 0..rows * cols {
            all.push(at(2, place % cols, tap % window.size[2], width));
            all.push(at(1, place / cols, tap / window.size[2], height));
        }
    }
    all
}
