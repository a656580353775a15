//! Windows of convolutions and pools from their attributes. No operators.

use super::super::builder::{Builder, Stop};
use omma::kernels::Window;

/// A list attribute of one number for each of the last axes, right-aligned to (z, y, x).
fn by_axis(b: &Builder<'_>, name: &str, axes: usize, default: usize) -> Result<[usize; 3], Stop> {
    let mut all = [default; 3];
    if let Some(given) = b.opt_ints(name)? {
        for (to, v) in all[3 - axes..].iter_mut().zip(given) {
            *to = usize::try_from(v).unwrap_or(usize::MAX);
        }
    }
    Ok(all)
}

/// Number of axes of the planes of a tensor of `rank`.
pub fn plane_axes(b: &Builder<'_>, rank: usize) -> Result<usize, Stop> {
    match rank {
        3..=5 => Ok(rank - 2),
        _ => Stop::unsupported(format!("{} over {} axes: there are kernels for 1 to 3", b.case().op, rank as i64 - 2)),
    }
}

/// The window of the attributes, over planes of `shape`; `size` where the attribute `kernel_shape` does not say.
pub fn window(b: &Builder<'_>, shape: &[usize], size: &[usize]) -> Result<Window, Stop> {
    let axes = plane_axes(b, shape.len())?;
    let mut window = Window {
        size: by_axis(b, "kernel_shape", axes, 1)?,
        stride: by_axis(b, "strides", axes, 1)?,
        dilation: by_axis(b, "dilations", axes, 1)?,
        ..Window::default()
    };
    if b.opt_ints("kernel_shape")?.is_none() {
        window.size[3 - axes..].iter_mut().zip(size).for_each(|(to, v)| *to = *v);
    }
    match b.opt_text("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" => {
            let pads = b.opt_ints("pads")?.unwrap_or_default();
            for (i, pad) in pads.iter().enumerate() {
                let pad = usize::try_from(*pad).unwrap_or(usize::MAX);
                let (side, axis) = (i / axes, 3 - axes + i % axes);
                if side == 0 { window.pad[axis] = pad } else { window.pad_end[axis] = pad }
            }
        }
        "VALID" => {}
        same @ ("SAME_UPPER" | "SAME_LOWER") => {
            for axis in 3 - axes..3 {
                let x = shape[shape.len() - 3 + axis];
                let reach = window.size[axis].saturating_sub(1) * window.dilation[axis] + 1;
                let stride = window.stride[axis].max(1);
                let whole = ((x.div_ceil(stride)).saturating_sub(1) * stride + reach).saturating_sub(x);
                let less = whole / 2;
                let (before, after) = if same == "SAME_UPPER" { (less, whole - less) } else { (whole - less, less) };
                (window.pad[axis], window.pad_end[axis]) = (before, after);
            }
        }
        other => return Stop::unsupported(format!("auto_pad = {other}, which ONNX does not define")),
    }
    Ok(window)
}
