//! Resizing, sampling at places, cropping.

use super::super::builder::{Builder, Mapped, Stop};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::image::{AxisTaps, Coordinates, Interpolation, Rounding, Sampling};
use omma::kernels::{
    Border, Gather, GridMode, GridPadding, GridSample, MatMul, Pad, Picks, Rearrange, Resample, RoiAlign,
};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "AffineGrid", affine_grid),
    (ONNX, "CenterCropPad", center_crop_pad),
    (ONNX, "GridSample", grid_sample),
    (ONNX, "Resize", resize),
    (ONNX, "RoiAlign", roi_align),
    (ONNX, "Upsample", resize),
];

/// Extent of the result and the factor of an axis.
struct Target {
    extent: usize,
    /// Given as such, or by the policy that keeps the aspect ratio.
    scale: Option<f64>,
}

fn flag(b: &Builder<'_>, name: &str) -> Result<bool, Stop> {
    Ok(b.opt_int(name)?.unwrap_or(0) != 0)
}

fn resize(b: &mut Builder<'_>) -> Mapped {
    let shape = b.host(0)?.shape.clone();
    let axes: Vec<usize> = match b.opt_ints("axes")? {
        Some(axes) => axes.into_iter().map(|a| b.axis(a, shape.len())).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    let targets = targets(b, &axes, &shape)?;
    let mut y = b.input(0)?;
    for (i, (axis, target)) in axes.iter().zip(&targets).enumerate() {
        let coordinates = coordinates(b, i, axes.len())?;
        if unchanged(b, coordinates, &targets, &axes, &shape, i)? {
            continue;
        }
        let mut sampling = Sampling {
            interpolation: interpolation(b)?,
            coordinates,
            antialias: flag(b, "antialias")?,
            exclude_outside: flag(b, "exclude_outside")?,
        };
        let mut scale = target.scale;
        if coordinates == Coordinates::AlignCorners && !b.of_runtime() && !sampling.antialias {
            (sampling.coordinates, scale) = aligned(shape[*axis], target);
        }
        let taps = sampling.taps(shape[*axis], target.extent, scale)?;
        y = resampled(b, y, *axis, &taps)?;
    }
    Ok(vec![Some(y)])
}

/// Whether the `i`-th axis stays as it is. ONNX Runtime leaves it whatever its region; and an axis that keeps its size by
/// a scale that is not 1, where all do, or under antialias.
fn unchanged(
    b: &Builder<'_>,
    coordinates: Coordinates,
    targets: &[Target],
    axes: &[usize],
    shape: &[usize],
    i: usize,
) -> Result<bool, Stop> {
    let keeps = |(axis, target): (&usize, &Target)| target.extent == shape[*axis];
    if !keeps((&axes[i], &targets[i])) {
        return Ok(false);
    }
    let copied = axes.iter().zip(targets).all(keeps) || flag(b, "antialias")?;
    let crop = matches!(coordinates, Coordinates::Crop { .. });
    let by_one = targets[i].scale.is_none_or(|s| s == 1.0);
    Ok(if b.of_runtime() { by_one || copied } else { by_one && !crop })
}

/// Aligned corners by a given scale, as the reference of ONNX has them: the far corner is that of the size before it is
/// rounded down. ONNX Runtime has that of the result.
fn aligned(extent: usize, target: &Target) -> (Coordinates, Option<f64>) {
    let size = target.scale.map_or(0.0, |scale| scale * extent as f64);
    if size <= 1.0 || extent < 2 || size == target.extent as f64 {
        return (Coordinates::AlignCorners, target.scale);
    }
    (Coordinates::Asymmetric, Some((size - 1.0) / (extent as f64 - 1.0)))
}

/// The size of the result along each of the axes: operand 3, or operand 2 times the size (operand 1 in old sets).
fn targets(b: &Builder<'_>, axes: &[usize], shape: &[usize]) -> Result<Vec<Target>, Stop> {
    let old = b.case().since_version < 11;
    let scales = if old { 1 } else { 2 };
    if !old && b.has(3) && !b.host(3)?.is_empty() {
        let sizes = b.host(3)?.ints();
        let sizes: Vec<f64> = sizes.iter().map(|v| *v as f64).collect();
        let ratios = || sizes.iter().zip(axes).map(|(size, axis)| size / shape[*axis] as f64);
        let scale = match b.opt_text("keep_aspect_ratio_policy")?.unwrap_or("stretch") {
            "stretch" => None,
            "not_larger" => Some(ratios().fold(f64::INFINITY, f64::min)),
            "not_smaller" => Some(ratios().fold(0.0, f64::max)),
            other => return Stop::unsupported(format!("keep_aspect_ratio_policy = {other}")),
        };
        let one = |(size, axis): (&f64, &usize)| Target {
            extent: scale.map_or(*size, |s| (s * shape[*axis] as f64).round()) as usize,
            scale,
        };
        return Ok(sizes.iter().zip(axes).map(one).collect());
    }
    let scales: Vec<f64> = match b.opt_floats("scales")? {
        Some(scales) => scales.into_iter().map(f64::from).collect(),
        None => b.host(scales)?.values(),
    };
    let one = |(scale, axis): (&f64, &usize)| Target {
        extent: (scale * shape[*axis] as f64).floor() as usize,
        scale: Some(*scale),
    };
    Ok(scales.iter().zip(axes).map(one).collect())
}

fn interpolation(b: &Builder<'_>) -> Result<Interpolation, Stop> {
    Ok(match b.opt_text("mode")?.unwrap_or("nearest") {
        "nearest" => Interpolation::Nearest(match b.opt_text("nearest_mode")? {
            Some("round_prefer_floor") => Rounding::PreferFloor,
            Some("round_prefer_ceil") => Rounding::PreferCeil,
            // Before operator set 11 places were rounded down.
            Some("floor") | None => Rounding::Floor,
            Some("ceil") => Rounding::Ceil,
            Some(other) => return Stop::unsupported(format!("nearest_mode = {other}")),
        }),
        "linear" => Interpolation::Linear,
        "cubic" => Interpolation::Cubic(b.opt_float("cubic_coeff_a")?.map_or(-0.75, f64::from)),
        other => return Stop::unsupported(format!("Resize with mode = {other}")),
    })
}

/// The transformation of places along the `i`-th of `axes` axes.
fn coordinates(b: &Builder<'_>, i: usize, axes: usize) -> Result<Coordinates, Stop> {
    Ok(match b.opt_text("coordinate_transformation_mode")? {
        None | Some("asymmetric") => Coordinates::Asymmetric,
        Some("half_pixel") => Coordinates::HalfPixel,
        Some("half_pixel_symmetric") => Coordinates::HalfPixelSymmetric,
        Some("pytorch_half_pixel") => Coordinates::PytorchHalfPixel,
        Some("align_corners") => Coordinates::AlignCorners,
        Some("tf_crop_and_resize") => {
            let roi = b.host(1)?.values();
            match (roi.get(i), roi.get(axes + i)) {
                (Some(start), Some(end)) => Coordinates::Crop { start: *start, end: *end },
                _ => return Stop::unsupported("tf_crop_and_resize without a region for each axis"),
            }
        }
        Some(other) => return Stop::unsupported(format!("coordinate_transformation_mode = {other}")),
    })
}

/// One axis resampled: floats by weights; anything else can only be picked.
fn resampled(b: &mut Builder<'_>, x: ValueId, axis: usize, taps: &AxisTaps) -> Result<ValueId, Stop> {
    let dtype = b.host(0)?.dtype;
    let places = taps.first.len();
    let first = b.graph().constant_u32("first", &[places], &taps.first);
    if dtype.is_float() && !dtype.is_small_float() {
        let count = b.graph().constant_u32("count", &[places], &taps.count);
        let weights = b.graph().constant_f32("weights", &[taps.width, places], &taps.weights);
        let outside = b.opt_float("extrapolation_value")?.unwrap_or(0.0);
        return b.add(Resample { axis, outside }, &[x, first, count, weights]);
    }
    if taps.count.iter().any(|c| *c != 1) {
        return Stop::unsupported(format!("{} interpolated between integers", b.case().op));
    }
    let mut shape = b.shape(x);
    let rank = shape.len();
    let wide = dtype.is_wide();
    let inner = shape[axis + 1..rank - usize::from(wide)].iter().product();
    let picks = Picks { batches: shape[..axis].iter().product(), picks: places, cols: inner, strides: [0, 1, 0], wide };
    shape[axis] = places;
    b.add(Gather { picks, shape }, &[x, first])
}

fn grid_sample(b: &mut Builder<'_>) -> Mapped {
    let mode = match b.opt_text("mode")?.unwrap_or("linear") {
        "nearest" => GridMode::Nearest,
        "linear" | "bilinear" => GridMode::Linear,
        "cubic" | "bicubic" => GridMode::Cubic,
        other => return Stop::unsupported(format!("GridSample with mode = {other}")),
    };
    let padding = match b.opt_text("padding_mode")?.unwrap_or("zeros") {
        "zeros" => GridPadding::Zeros,
        "border" => GridPadding::Border,
        "reflection" => GridPadding::Reflection,
        other => return Stop::unsupported(format!("GridSample with padding_mode = {other}")),
    };
    let operands = [b.input(0)?, b.input(1)?];
    let axes = b.shape(operands[0]).len() - 2;
    if !matches!(axes, 2 | 3) || mode == GridMode::Cubic && axes == 3 {
        return Stop::unsupported(format!("GridSample, {mode:?}, over {axes} axes: there are 2, and 3 but for cubic"));
    }
    let kernel = GridSample { mode, padding, align_corners: flag(b, "align_corners")? };
    Ok(vec![Some(b.add(kernel, &operands)?)])
}

fn roi_align(b: &mut Builder<'_>) -> Mapped {
    let (x, regions, wide) = (b.input(0)?, b.input(1)?, b.input(2)?);
    let count = b.shape(regions)[0];
    let low = Rearrange::all(&[count, 2]).slice(1, 0, 1, 1)?.shaped(&[count]);
    let batch = b.add(low, &[wide])?;
    let size = |name: &str| Ok::<_, Stop>(usize::try_from(b.opt_int(name)?.unwrap_or(1)).unwrap_or(0));
    let kernel = RoiAlign {
        size: [size("output_height")?, size("output_width")?],
        samples: usize::try_from(b.opt_int("sampling_ratio")?.unwrap_or(0)).unwrap_or(usize::MAX),
        scale: b.opt_float("spatial_scale")?.unwrap_or(1.0),
        aligned: b.opt_text("coordinate_transformation_mode")? == Some("half_pixel"),
        max: b.opt_text("mode")? == Some("max"),
    };
    Ok(vec![Some(b.add(kernel, &[x, regions, batch])?)])
}

/// Places of a regular grid times an affine map: the grid is a constant, the map a product.
fn affine_grid(b: &mut Builder<'_>) -> Mapped {
    let theta = b.input(0)?;
    let size: Vec<usize> = b.host(1)?.ints().iter().map(|v| usize::try_from(*v).unwrap_or(0)).collect();
    let images = b.shape(theta)[0];
    let extents = size.get(2..).unwrap_or_default().to_vec();
    let (axes, places) = (extents.len(), extents.iter().product::<usize>());
    let corners = flag(b, "align_corners")?;
    let at = |i: usize, n: usize| match (corners, n) {
        (true, 1) => 0.0,
        (true, _) => 2.0 * i as f64 / (n as f64 - 1.0) - 1.0,
        (false, _) => (2.0 * i as f64 + 1.0) / n as f64 - 1.0,
    };
    let mut grid = Vec::with_capacity(places * (axes + 1));
    for place in 0..places {
        let mut rest = place;
        for n in extents.iter().rev() {
            grid.push(at(rest % n, *n) as f32);
            rest /= n;
        }
        grid.push(1.0);
    }
    let grid = b.graph().constant_f32("grid", &[places, axes + 1], &grid);
    let map = b.reshape(theta, &[images * axes, axes + 1])?;
    let y = b.add(MatMul::default(), &[grid, map])?;
    let y = b.reshape(y, &[places, images, axes])?;
    let mut shape = vec![images];
    shape.extend(extents);
    shape.push(axes);
    let y = b.add(Rearrange::transpose(&[places, images, axes], &[1, 0, 2])?.shaped(&shape), &[y])?;
    Ok(vec![Some(y)])
}

fn center_crop_pad(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let host = b.host(0)?;
    let (shape, wide) = (host.shape.clone(), usize::from(host.dtype.is_wide()));
    let axes: Vec<usize> = match b.opt_ints("axes")? {
        Some(axes) => axes.into_iter().map(|a| b.axis(a, shape.len())).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    let mut before = vec![0; shape.len() + wide];
    let mut after = before.clone();
    for (axis, to) in axes.into_iter().zip(b.host(1)?.ints()) {
        let more = to - shape[axis] as i64;
        // What is left over when both sides get half goes to the end.
        before[axis] = more.signum() * (more.abs() / 2);
        after[axis] = more - before[axis];
    }
    Ok(vec![Some(b.add(Pad { before, after, border: Border::word(0) }, &[x])?)])
}
