//! The two passes of Pillow's resize, as integer kernels: along the rows of a picture and along its columns, in
//! either order. Both take the weights that `image::Taps` computes on the host, so every adapter gives Pillow's bytes.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, chunks, grid_2d, require};
use crate::image::{Plan, Taps};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// Attributes of a pass along one axis. The lines of a pass are what it treats alike: rows of the horizontal pass,
/// columns of the vertical one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizePass {
    /// Samples of the picture along the axis.
    pub size: u32,
    /// Sample of the picture that is sample 0 of `x`: what an earlier pass has left out.
    pub held: u32,
    /// Sample of the picture from which `first` counts: 0, or minus the padding before it.
    pub origin: i32,
    /// Colour of the samples before and after the picture, `0xAABBGGRR`.
    pub background: u32,
    /// Colour of what lies beyond the resized picture, `0xAABBGGRR`.
    pub beyond: u32,
    /// Lines of `x` that become lines of `y`: the first, and how many.
    pub lines: (u32, u32),
    /// Lines of `y` that lie in the resized picture, as a range; the others are `beyond`.
    pub inside: (u32, u32),
    /// Words of `x` are `0xAARRGGBB`, as a BGRA texture has them.
    pub bgra: bool,
}

/// `x` u32 \[height, pitch\] (pixels `0xAABBGGRR`), `first` and `count` u32 \[cols\], `weights` i32 \[taps, cols\] -> u32
/// \[lines, cols\]. An `x` beyond a binding comes in chunks of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizeRows(pub ResizePass);

/// `x` u32 \[height, pitch\] (pixels `0xAABBGGRR`), `first` and `count` u32 \[rows\], `weights` i32 \[taps, rows\] -> u32
/// \[rows, lines\].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizeColumns(pub ResizePass);

pub(super) const RESIZE_ROWS: Entry =
    Entry { name: "resize_rows", about: "horizontal pass of a PIL-exact resize, integers only" };
pub(super) const RESIZE_COLUMNS: Entry =
    Entry { name: "resize_columns", about: "vertical pass of a PIL-exact resize, integers only" };

const LANES: u32 = 64;

/// The passes of a plan in their order, each with the weights that are its inputs after `x`. The first reads the
/// picture as u32 \[height, pitch\], where `pitch` may exceed its width; the second gives u32 \[crop height, crop
/// width\].
///
/// # Errors
/// As [`Plan::resampling`].
pub fn resize_passes(plan: &Plan, bgra: bool) -> Result<[(Box<dyn Kernel>, Taps); 2]> {
    let taps = plan.resampling()?;
    let (background, beyond) = (plan.background, plan.beyond);
    let x = ResizePass {
        size: plan.source.0,
        held: 0,
        origin: plan.canvas.x,
        background,
        beyond,
        lines: taps.reads_y,
        inside: (0, taps.reads_y.1),
        bgra,
    };
    let y = ResizePass {
        size: plan.source.1,
        origin: plan.canvas.y,
        lines: taps.reads_x,
        inside: (0, taps.reads_x.1),
        ..x.clone()
    };
    Ok(if taps.vertical_first {
        let lines = (0, plan.crop.height);
        let x = ResizePass { held: taps.reads_x.0, lines, inside: taps.inside_y, bgra: false, ..x };
        [(Box::new(ResizeColumns(y)), taps.rows), (Box::new(ResizeRows(x)), taps.columns)]
    } else {
        let lines = (0, plan.crop.width);
        let y = ResizePass { held: taps.reads_y.0, lines, inside: taps.inside_x, bgra: false, ..y };
        [(Box::new(ResizeRows(x)), taps.columns), (Box::new(ResizeColumns(y)), taps.rows)]
    })
}

impl ResizePass {
    /// Checks `x` and the tables of weights; number of outputs along the axis.
    fn check(&self, kernel: &dyn Kernel, inputs: &[TensorType], lines: impl Fn(&TensorType) -> usize) -> Result<usize> {
        let (x, first, count, weights) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        let n = first.elements();
        let shapes = first.shape == [n] && count.shape == [n] && weights.shape.len() == 2 && weights.cols() == n;
        let types = first.dtype == DType::U32 && count.dtype == DType::U32 && weights.dtype == DType::I32;
        require(kernel, n > 0 && weights.rows() > 0 && shapes && types, || {
            format!("first {first}, count {count} and weights {weights} do not match")
        })?;
        let end = u64::from(self.lines.0) + u64::from(self.lines.1);
        let picture = x.dtype == DType::U32 && x.shape.len() == 2 && x.elements() > 0;
        require(kernel, picture && self.size > 0 && self.lines.1 > 0 && end <= lines(x) as u64, || {
            format!("x {x} has no lines {}..{end}, or the picture is empty", self.lines.0)
        })?;
        Ok(n)
    }
    /// Params that both kernels have.
    fn params(&self) -> Vec<(&'static str, u32)> {
        vec![
            ("size", self.size),
            ("held", self.held),
            ("origin", self.origin as u32),
            ("background", self.background),
            ("beyond", self.beyond),
            ("red", if self.bgra { 16 } else { 0 }),
            ("inside_first", self.inside.0),
            ("inside_end", self.inside.1),
        ]
    }
    fn show(&self) -> String {
        let order = if self.bgra { " bgra" } else { "" };
        let (first, count) = self.lines;
        format!("size={} origin={} lines={first}+{count}{order}", self.size, self.origin)
    }
}

/// The operand must be bound whole.
fn fits(kernel: &dyn Kernel, what: &str, ty: &TensorType, caps: &Caps) -> Result<()> {
    let limit = caps.max_binding.min(caps.max_buffer);
    if ty.bytes() <= limit {
        return Ok(());
    }
    Err(Error::MissingCapability {
        what: format!("{what} {ty} of {}", kernel.name()),
        needs: format!("a binding of {} bytes", ty.bytes()),
        has: format!("{limit}"),
    })
}

impl Kernel for ResizeRows {
    fn name(&self) -> &'static str {
        RESIZE_ROWS.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "first", "count", "weights"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let cols = self.0.check(self, inputs, TensorType::rows)?;
        Ok(vec![TensorType::u32(&[self.0.lines.1 as usize, cols])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, weights, y) = (&io.inputs[0], &io.inputs[3], &io.outputs[0]);
        fits(self, "output", y, caps)?;
        fits(self, "weights", weights, caps)?;
        let strips = chunks(x, caps);
        let tiles = y.cols().div_ceil(LANES as usize);
        let (first, rows) = (self.0.lines.0 as usize, y.rows());
        let mut launches = Vec::new();
        for (i, strip) in strips.iter().enumerate() {
            let (from, to) = (first.max(strip.first), (first + rows).min(strip.first + strip.rows));
            if from >= to {
                continue;
            }
            fits(self, "a strip of x", &TensorType::u32(&[strip.rows, x.cols()]), caps)?;
            let mut params =
                vec![("cols", y.cols() as u32), ("taps", weights.rows() as u32), ("pitch", x.cols() as u32)];
            params.extend(self.0.params());
            params.extend([
                ("line", (from - strip.first) as u32),
                ("y_row", (from - first) as u32),
                ("rows", (to - from) as u32),
            ]);
            launches.push(Launch {
                files: vec!["resize_rows", "parts/pixel_rgb8"],
                overrides: vec![("LANES", LANES.into())],
                params,
                grid: grid_2d(tiles * (to - from), caps)?,
                chunk: (strips.len() > 1).then_some((0, i)),
            });
        }
        Ok(launches)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // Only the rows that are asked for are read.
        let read = 4 * u64::from(self.0.lines.1) * io.inputs[0].cols() as u64;
        let rest: u64 = io.inputs[1..].iter().chain(io.outputs).map(TensorType::bytes).sum();
        Cost { flops: 0, bytes: read + rest }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::resize_rows(&self.0, inputs, row)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

impl Kernel for ResizeColumns {
    fn name(&self) -> &'static str {
        RESIZE_COLUMNS.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "first", "count", "weights"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let rows = self.0.check(self, inputs, TensorType::cols)?;
        Ok(vec![TensorType::u32(&[rows, self.0.lines.1 as usize])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, weights, y) = (&io.inputs[0], &io.inputs[3], &io.outputs[0]);
        // An output row reads rows of x that may lie in two strips, so x cannot be cut.
        for (what, ty) in [("input", x), ("weights", weights), ("output", y)] {
            fits(self, what, ty, caps)?;
        }
        let mut params = vec![
            ("rows", y.rows() as u32),
            ("cols", y.cols() as u32),
            ("taps", weights.rows() as u32),
            ("x_rows", x.rows() as u32),
            ("pitch", x.cols() as u32),
        ];
        params.extend(self.0.params());
        params.push(("line", self.0.lines.0));
        Ok(vec![Launch {
            files: vec!["resize_columns", "parts/pixel_rgb8"],
            overrides: vec![("LANES", LANES.into())],
            params,
            grid: grid_2d(y.cols().div_ceil(LANES as usize) * y.rows(), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::resize_columns(&self.0, inputs, row)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Resample;
    use crate::wgsl;

    fn pass(lines: (u32, u32)) -> ResizePass {
        ResizePass { size: 50, held: 0, origin: 0, background: 0, beyond: 0, lines, inside: (0, lines.1), bgra: false }
    }

    /// Inputs for `x` of this shape and weights from 50 samples to 20.
    fn inputs(x: [usize; 2]) -> Vec<TensorType> {
        let taps = Taps::new(Resample::Bicubic, 50, 20, 0, 20).unwrap();
        let weights = TensorType::new(DType::I32, &[taps.width, 20]);
        vec![TensorType::u32(&x), TensorType::u32(&[20]), TensorType::u32(&[20]), weights]
    }

    fn launches(kernel: &dyn Kernel, inputs: &[TensorType], caps: &Caps) -> Result<Vec<Launch>> {
        let outputs = kernel.infer(inputs)?;
        kernel.launch(&Io { inputs, outputs: &outputs }, caps)
    }

    #[test]
    fn shaders_declare_what_is_launched() {
        let caps = Caps::floor();
        let kernels: [(&dyn Kernel, [usize; 2]); 2] =
            [(&ResizeRows(pass((0, 9))), [9, 50]), (&ResizeColumns(pass((0, 9))), [50, 9])];
        for (kernel, x) in kernels {
            let launch = launches(kernel, &inputs(x), &caps).unwrap().remove(0);
            let linked = wgsl::link(&launch.files).unwrap();
            let reflection = wgsl::reflect(&linked, &launch.overrides).unwrap();
            reflection.check(kernel.name(), &caps).unwrap();
        }
    }

    #[test]
    fn strips_cover_every_line_once() {
        let caps = Caps { max_binding: 4096, ..Caps::floor() };
        // Rows of 200 bytes: 20 fit a strip.
        let found = launches(&ResizeRows(pass((7, 13))), &inputs([100, 50]), &caps).unwrap();
        let param = |l: &Launch, name: &str| l.params.iter().find(|(n, _)| *n == name).unwrap().1;
        let of = |l: &Launch| (l.chunk, param(l, "line"), param(l, "y_row"), param(l, "rows"));
        let got: Vec<_> = found.iter().map(of).collect();
        assert_eq!(got, [(Some((0, 0)), 7, 0, 13)]);
        let found = launches(&ResizeRows(pass((15, 30))), &inputs([100, 50]), &caps).unwrap();
        let got: Vec<_> = found.iter().map(of).collect();
        assert_eq!(got, [(Some((0, 0)), 15, 0, 5), (Some((0, 1)), 0, 5, 20), (Some((0, 2)), 0, 25, 5)]);
        let whole = launches(&ResizeRows(pass((15, 30))), &inputs([100, 50]), &Caps::floor()).unwrap();
        assert_eq!(whole.iter().map(of).collect::<Vec<_>>(), [(None, 15, 0, 30)]);
    }

    #[test]
    fn what_cannot_be_bound_or_read_is_an_error() {
        let caps = Caps { max_binding: 4096, ..Caps::floor() };
        let error = launches(&ResizeColumns(pass((0, 50))), &inputs([100, 50]), &caps).unwrap_err();
        assert!(matches!(error, Error::MissingCapability { .. }), "{error}");
        let wide = launches(&ResizeRows(pass((0, 1))), &inputs([2, 2000]), &caps).unwrap_err();
        assert!(matches!(wide, Error::MissingCapability { .. }), "{wide}");
        assert!(ResizeRows(pass((90, 11))).infer(&inputs([100, 50])).is_err());
        assert!(ResizeColumns(pass((u32::MAX, 11))).infer(&inputs([100, 50])).is_err());
        let mut floats = inputs([100, 50]);
        floats[3].dtype = DType::F32;
        assert!(ResizeRows(pass((0, 1))).infer(&floats).is_err());
    }
}
