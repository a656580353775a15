//! Convolutions over one to three axes: as a matrix product, for narrow groups (depthwise), and transposed.

use super::act::ACT_PART;
use super::matmul::{Tile, weight_part};
use super::window::{Planes, Window, by_axis};
use super::{Act, Cost, Entry, Io, Kernel, Launch, Layout, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// What convolutions have in common.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Convolution {
    /// The window.
    pub window: Window,
    /// Groups of channels, at least 1; 0 counts as 1.
    pub groups: usize,
    /// A third input, added before the activation.
    pub bias: bool,
    /// Applied to the sum.
    pub act: Option<Act>,
}

/// `x` \[images, channels, ..\], `w` \[cols, channels / groups * window\] (panels or f32 rows: a convolution's weight,
/// flattened), `bias` f32 \[cols\] where asked for -> `y` \[images, cols, ..\]. One to three axes; sums in f32. For
/// groups of few channels see [`ConvGrouped`].
#[derive(Debug, Clone, PartialEq)]
pub struct Conv(pub Convolution);

/// [`Conv`] for groups too narrow for its tiles, depthwise convolutions above all: `w` is f32 \[cols, channels / groups,
/// ..\] in rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvGrouped(pub Convolution);

/// `x` \[images, channels, ..\], `w` f32 \[channels, cols / groups, ..\] in rows, `bias` f32 \[cols\] where asked for ->
/// `y` \[images, cols, ..\] with `(extent - 1) * stride + reach - pad - pad_end + extra` cells along an axis, `reach`
/// being what the window spans: the transposed convolution, also called deconvolution.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvTranspose {
    /// Window, groups, bias and activation.
    pub conv: Convolution,
    /// Cells that `y` has beyond the last window, by axis (z, y, x).
    pub extra: [usize; 3],
}

pub(super) const ENTRY: Entry =
    Entry { name: "conv", about: "convolution over one to three axes, implicit im2col, act(x * w + bias)" };
pub(super) const GROUPED: Entry =
    Entry { name: "conv_grouped", about: "convolution of narrow groups, depthwise above all" };
pub(super) const TRANSPOSE: Entry = Entry { name: "conv_transpose", about: "transposed convolution" };

/// Lanes of the kernels in which a lane computes a few cells of its own.
const LANES: u32 = 64;

impl Convolution {
    fn ports(&self) -> Vec<&'static str> {
        if self.bias { vec!["x", "w", "bias"] } else { vec!["x", "w"] }
    }
    fn groups(&self) -> usize {
        self.groups.max(1)
    }
    /// Checks everything but the shape of `w`; `cols` are the channels of `y`.
    fn check(&self, kernel: &dyn Kernel, inputs: &[TensorType], cols: usize) -> Result<Planes> {
        require(kernel, inputs.len() == self.ports().len(), || format!("{} inputs", inputs.len()))?;
        let x = Planes::of(kernel, &inputs[0])?;
        self.window.check(kernel)?;
        let groups = self.groups();
        require(kernel, x.channels.is_multiple_of(groups) && cols > 0 && cols.is_multiple_of(groups), || {
            format!("{groups} groups of the {} channels of x and {cols} of y", x.channels)
        })?;
        if self.bias {
            require(kernel, inputs[2].dtype == DType::F32 && inputs[2].elements() == cols, || {
                format!("bias {} must be f32[{cols}]", inputs[2])
            })?;
        }
        Ok(x)
    }
    /// The type of `y` for a convolution that is not transposed.
    fn output(&self, kernel: &dyn Kernel, inputs: &[TensorType], cols: usize) -> Result<TensorType> {
        let x = self.check(kernel, inputs, cols)?;
        let places = self.window.places(x.extents, false);
        let places = places.ok_or_else(|| {
            Error::graph(kernel.name(), format!("x {} is smaller than the window {:?}", inputs[0], self.window))
        })?;
        x.with(kernel, &inputs[0], cols, places)
    }
    fn show(&self) -> String {
        let mut text = self.window.show();
        if self.groups() > 1 {
            text += &format!(" groups={}", self.groups());
        }
        for word in [self.bias.then_some("bias"), self.act.map(Act::name)].into_iter().flatten() {
            text = format!("{text} {word}");
        }
        text
    }
    /// Launch of a kernel in which a lane computes cells of its own.
    fn by_lane(&self, kernel: &dyn Kernel, io: &Io<'_>, items: usize, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (Planes::of(kernel, &io.inputs[0])?, Planes::of(kernel, &io.outputs[0])?);
        let bias = if self.bias { "parts/bias_cols" } else { "parts/bias_none" };
        let mut params = vec![
            ("items", items as u32),
            ("cols", y.channels as u32),
            ("group_cols", (y.channels / self.groups()) as u32),
            ("groups", self.groups() as u32),
            ("channels", (x.channels / self.groups()) as u32),
        ];
        params.extend(x.params(&y));
        params.extend(by_axis(["window_z", "window_y", "window_x"], self.window.size));
        params.extend(self.window.params());
        Ok(vec![Launch {
            files: vec![kernel.name(), elem_part(io.inputs[0].dtype, caps)?, bias, ACT_PART],
            overrides: vec![("LANES", LANES.into()), ("ACT", Act::code(self.act))],
            params,
            grid: grid_2d(items.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
}

impl Kernel for Conv {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        self.0.ports()
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs.len() > 1, || format!("{} inputs", inputs.len()))?;
        let w = &inputs[1];
        let y = self.0.output(self, inputs, w.rows())?;
        let inner = Planes::of(self, &inputs[0])?.channels / self.0.groups() * self.0.window.cells();
        require(self, w.shape.len() == 2 && w.cols() == inner, || format!("w {w} must be [cols, {inner}]"))?;
        weight_part(w)?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (w, Convolution { window, .. }) = (&io.inputs[1], &self.0);
        let (x, y) = (Planes::of(self, &io.inputs[0])?, Planes::of(self, &io.outputs[0])?);
        let rows = y.images * y.extents.iter().product::<usize>();
        let (groups, group_cols) = (self.0.groups(), y.channels / self.0.groups());
        let tile = Tile::pick(rows, caps);
        let mut overrides = tile.overrides();
        overrides.push(("ACT", Act::code(self.0.act)));
        overrides.extend(["WINDOW_Z", "WINDOW_Y", "WINDOW_X"].into_iter().zip(window.size.map(|v| v as f64)));
        let mut params = vec![
            ("rows", rows as u32),
            ("cols", y.channels as u32),
            ("inner", w.cols() as u32),
            ("first_col", 0),
            ("chunk_cols", y.channels as u32),
            ("group_cols", group_cols as u32),
            ("groups", groups as u32),
        ];
        params.extend(x.params(&y));
        params.extend(window.params());
        let bias = if self.0.bias { "parts/bias_cols" } else { "parts/bias_none" };
        let [groups_x, groups_y, _] = tile.grid(rows, group_cols, caps)?;
        Ok(vec![Launch {
            files: vec![ENTRY.name, elem_part(io.inputs[0].dtype, caps)?, weight_part(w)?, bias, ACT_PART, tile.part],
            overrides,
            params,
            grid: grid_2d(groups_x as usize * groups_y as usize * groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, io.outputs[0].elements() as u64 * io.inputs[1].cols() as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::conv(&self.0, inputs, row)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

/// `w` f32 in rows.
fn rows_f32(kernel: &dyn Kernel, w: &TensorType) -> Result<()> {
    let fits = w.dtype == DType::F32 && w.layout == Layout::Rows && !w.shape.is_empty();
    require(kernel, fits, || format!("w {w} is not f32 in rows"))
}

impl Kernel for ConvGrouped {
    fn name(&self) -> &'static str {
        GROUPED.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        self.0.ports()
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs.len() > 1, || format!("{} inputs", inputs.len()))?;
        let w = &inputs[1];
        rows_f32(self, w)?;
        let cols = w.shape[0];
        let y = self.0.output(self, inputs, cols)?;
        let inner = Planes::of(self, &inputs[0])?.channels / self.0.groups() * self.0.window.cells();
        require(self, w.elements() == cols * inner, || format!("w {w} must hold {inner} cells a channel"))?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let y = &io.outputs[0];
        self.0.by_lane(self, io, y.rows() * y.cols().div_ceil(4), caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        let w = &io.inputs[1];
        Cost::product(io, io.outputs[0].elements() as u64 * (w.elements() / w.shape[0]) as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::conv(&self.0, inputs, row)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

impl ConvTranspose {
    fn extents(&self, x: [usize; 3]) -> Option<[usize; 3]> {
        let (window, mut extents) = (&self.conv.window, [0; 3]);
        for (axis, extent) in extents.iter_mut().enumerate() {
            let whole = (x[axis] - 1) * window.stride[axis] + window.reach(axis) + self.extra[axis];
            *extent = whole.checked_sub(window.pad[axis] + window.pad_end[axis]).filter(|e| *e > 0)?;
        }
        Some(extents)
    }
}

impl Kernel for ConvTranspose {
    fn name(&self) -> &'static str {
        TRANSPOSE.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        self.conv.ports()
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs.len() > 1, || format!("{} inputs", inputs.len()))?;
        let w = &inputs[1];
        rows_f32(self, w)?;
        let (channels, cells) = (w.shape[0], self.conv.window.cells());
        let cols = w.elements() / (channels * cells).max(1) * self.conv.groups();
        let x = self.conv.check(self, inputs, cols)?;
        let fits = channels == x.channels && w.elements() == channels * cells * (cols / self.conv.groups());
        require(self, fits, || format!("w {w} does not match x {} and {:?}", inputs[0], self.conv))?;
        let extents = self.extents(x.extents);
        let extents =
            extents.ok_or_else(|| Error::graph(TRANSPOSE.name, format!("nothing is left of y by {self:?}")))?;
        Ok(vec![x.with(self, &inputs[0], cols, extents)?])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        self.conv.by_lane(self, io, io.outputs[0].elements(), caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // Each cell of x meets each weight of its channel once.
        let w = &io.inputs[1];
        Cost::product(io, io.inputs[0].elements() as u64 * (w.elements() / w.shape[0]) as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::conv_transpose(self, inputs, row)
    }
    fn show(&self) -> String {
        self.conv.show()
    }
}
