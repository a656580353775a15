//! Pure geometry: which part of a picture is resized to what, and which window of the result the model sees.
//!
//! The same picture size always gives the same plan. The integer arithmetic is that of transformers
//! (`get_resize_output_image_size`, `get_size_with_aspect_ratio`, `center_crop`) and of LLaVA's `expand2square`.

use super::{Policy, Preprocess, Resample, Size, Taps};
use crate::{Error, Result};

/// Longest side of a resized picture before cropping; keeps every coordinate exact and within an `i32`.
const MAX_RESIZED: u32 = 1 << 26;
/// Most pixels of an output or of the picture between the two passes: 128 MiB, the smallest binding of a device.
const MAX_PIXELS: u64 = 1 << 25;

/// Colour beyond a resized picture that transformers' processors crop.
const BLACK: u32 = 0xff00_0000;

/// A rectangle that may reach beyond the picture it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The way of one picture to one model input. Sizes are (width, height) in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Size of the picture.
    pub source: (u32, u32),
    /// What is resized: the whole picture, or for `pad` a square around it. In pixels of the picture.
    pub canvas: Window,
    /// Colour of the canvas beyond the picture, `0xAABBGGRR`.
    pub background: u32,
    /// Size that the canvas is resized to.
    pub resized: (u32, u32),
    /// What the model sees, in pixels of the resized picture.
    pub crop: Window,
    /// Colour of the crop beyond the resized picture, `0xAABBGGRR`.
    pub beyond: u32,
    /// Filter of the resize.
    pub resample: Resample,
    /// Factor on the bytes.
    pub rescale: f32,
    /// Subtracted after rescaling, by channel.
    pub mean: [f32; 3],
    /// Divides the difference, by channel.
    pub std: [f32; 3],
}

/// The integer weights of a plan's resize, and what it reads of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resampling {
    /// Weights along x, for the columns of the crop. Inputs count from the left edge of the canvas.
    pub columns: Taps,
    /// Weights along y, for the rows of the crop. Inputs count from the upper edge of the canvas.
    pub rows: Taps,
    /// The pass along y comes first. Each pass rounds to bytes, so the order is part of the result.
    pub vertical_first: bool,
    /// Columns of the picture that are read: the first, and how many (at least 1).
    pub reads_x: (u32, u32),
    /// Rows of the picture that are read: the first, and how many (at least 1).
    pub reads_y: (u32, u32),
    /// Columns of the crop that lie inside the resized picture, as a range; the others are beyond it.
    pub inside_x: (u32, u32),
    /// Rows of the crop that lie inside the resized picture, as a range; the others are beyond it.
    pub inside_y: (u32, u32),
}

impl Preprocess {
    /// The plan for a picture of `width` x `height` pixels. `resized_hw` (height, width) replaces the configured
    /// size and crop: the picture is resized to exactly that.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a policy without geometry here, [`Error::InvalidArgument`] for an empty picture
    /// and for a result beyond 2^25 pixels.
    pub fn plan(&self, width: u32, height: u32, policy: Policy, resized_hw: Option<(u32, u32)>) -> Result<Plan> {
        if width == 0 || height == 0 || width > MAX_RESIZED || height > MAX_RESIZED {
            let reason = format!("{width}x{height} pixels; each side must be 1 to {MAX_RESIZED}");
            return Err(Error::argument("picture size", reason));
        }
        let canvas = match if policy == Policy::Auto { self.policy } else { policy } {
            Policy::None => Window { x: 0, y: 0, width, height },
            Policy::Pad => padded(width, height),
            other => {
                let reason =
                    "a model takes one input a picture so far: none, pad or auto; `omma tiles` shows the others";
                return Err(Error::unsupported(format!("tiling policy `{other}`"), reason));
            }
        };
        let size = resized_hw.map(|(height, width)| Size::Exact { height, width }).or(self.size);
        let resized = match size {
            Some(size) => resized(canvas.width, canvas.height, size)?,
            None => (canvas.width, canvas.height),
        };
        let crop = self.crop.filter(|_| resized_hw.is_none()).map(|crop| centred(resized, crop));
        let crop = crop.unwrap_or(Window { x: 0, y: 0, width: resized.0, height: resized.1 });
        let outputs = u64::from(crop.width) * u64::from(crop.height);
        if outputs == 0 || outputs > MAX_PIXELS {
            let reason = format!("{width}x{height} becomes {}x{}: beyond {MAX_PIXELS} pixels", crop.width, crop.height);
            return Err(Error::argument("picture size", reason));
        }
        let [r, g, b] = self.background;
        Ok(Plan {
            source: (width, height),
            canvas,
            background: u32::from_le_bytes([r, g, b, 255]),
            resized,
            crop,
            beyond: BLACK,
            resample: self.resample,
            rescale: self.rescale as f32,
            mean: self.mean.map(|v| v as f32),
            std: self.std.map(|v| v as f32),
        })
    }
}

impl Plan {
    /// Size of what the model sees: (width, height).
    pub fn output(&self) -> (u32, u32) {
        (self.crop.width, self.crop.height)
    }
    /// The weights of the resize, for the columns and rows of the crop only.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the weights or the picture between the passes would exceed 128 MiB.
    pub fn resampling(&self) -> Result<Resampling> {
        let (canvas, crop, (width, height)) = (&self.canvas, &self.crop, self.resized);
        // Any filter is the identity at the same size; nearest has the shortest weights.
        let same = self.resized == (canvas.width, canvas.height);
        let filter = if same { Resample::Nearest } else { self.resample };
        let columns = Taps::new(filter, canvas.width, width, crop.x.into(), crop.width)?;
        let rows = Taps::new(filter, canvas.height, height, crop.y.into(), crop.height)?;
        let vertical_first = vertical_first((canvas.width, canvas.height), self.resized);
        let reads_x = reads(&columns, canvas.x, self.source.0);
        let reads_y = reads(&rows, canvas.y, self.source.1);
        let between = if vertical_first { (reads_x.1, crop.height) } else { (reads_y.1, crop.width) };
        // Its rows are padded to whole quads.
        if u64::from(between.0.next_multiple_of(4)) * u64::from(between.1) > MAX_PIXELS {
            let reason = format!("{}x{} pixels between the passes exceed {MAX_PIXELS}", between.0, between.1);
            return Err(Error::argument("picture size", reason));
        }
        let inside_x = inside(crop.x, crop.width, width);
        let inside_y = inside(crop.y, crop.height, height);
        Ok(Resampling { columns, rows, vertical_first, reads_x, reads_y, inside_x, inside_y })
    }
}

/// Pillow 13 resizes along y first where the height shrinks by more than twice as many pixels as the width
/// (pull request 9549); up to Pillow 12 the pass along x always came first, which differs by a level here and there.
fn vertical_first(from: (u32, u32), to: (u32, u32)) -> bool {
    let shrinks = |from: u32, to: u32| i64::from(from) - i64::from(to);
    to.1 < from.1 && shrinks(from.1, to.1) > 2 * shrinks(from.0, to.0)
}

/// Samples of the picture that the weights of an axis read: the first, and how many. Inputs of the canvas that are
/// background only are not among them.
fn reads(taps: &Taps, canvas_start: i32, size: u32) -> (u32, u32) {
    let (low, high) = taps.reach().unwrap_or((0, 0));
    let in_picture = |at: u32| (i64::from(at) + i64::from(canvas_start)).clamp(0, size.into()) as u32;
    let first = in_picture(low).min(size - 1);
    (first, in_picture(high).saturating_sub(first).max(1))
}

/// The part of a crop along one axis that lies inside the resized picture.
fn inside(start: i32, outputs: u32, resized: u32) -> (u32, u32) {
    let edge = |at: i64| (at - i64::from(start)).clamp(0, outputs.into()) as u32;
    (edge(0), edge(resized.into()))
}

/// The square around the picture; odd differences leave the larger part right of it and below.
fn padded(width: u32, height: u32) -> Window {
    let side = width.max(height);
    Window { x: -(((side - width) / 2) as i32), y: -(((side - height) / 2) as i32), width: side, height: side }
}

/// The crop in the middle; where it is larger than the picture it starts at a negative coordinate.
fn centred(resized: (u32, u32), (height, width): (u32, u32)) -> Window {
    let start = |have: u32, want: u32| (i64::from(have) - i64::from(want)).div_euclid(2) as i32;
    Window { x: start(resized.0, width), y: start(resized.1, height), width, height }
}

/// (width, height) after a resize.
fn resized(width: u32, height: u32, size: Size) -> Result<(u32, u32)> {
    let (w, h) = (f64::from(width), f64::from(height));
    // Products stay below 2^53, so each quotient is rounded once, as Python divides integers.
    let scaled = |side: u32, long: f64, short: f64| (f64::from(side) * long / short) as u64;
    let (new_width, new_height) = match size {
        Size::Exact { height, width } => (width.into(), height.into()),
        Size::ShortestEdge(side) if width <= height => (u64::from(side), scaled(side, h, w)),
        Size::ShortestEdge(side) => (scaled(side, w, h), u64::from(side)),
        Size::Bounded { shortest, longest } => bounded(width, height, shortest, longest),
    };
    let fits = |side: u64| (1..=u64::from(MAX_RESIZED)).contains(&side);
    if fits(new_width) && fits(new_height) {
        return Ok((new_width as u32, new_height as u32));
    }
    let reason = format!("{width}x{height} would be resized to {new_width}x{new_height}: it is too narrow");
    Err(Error::argument("picture size", reason))
}

/// The shorter side, reduced where the longer one would exceed its bound. The reduced side is rounded half to
/// even, and a side that already fits is left alone, as transformers does.
fn bounded(width: u32, height: u32, shortest: u32, longest: u32) -> (u64, u64) {
    let (w, h) = (f64::from(width), f64::from(height));
    let (short, long) = (w.min(h), w.max(h));
    let too_long = long / short * f64::from(shortest) > f64::from(longest);
    let raw = if too_long { f64::from(longest) * short / long } else { f64::from(shortest) };
    let side = if too_long { raw.round_ties_even() as u64 } else { u64::from(shortest) };
    if u64::from(width.min(height)) == side {
        (width.into(), height.into())
    } else if width < height {
        (side, (raw * h / w) as u64)
    } else {
        ((raw * w / h) as u64, side)
    }
}
