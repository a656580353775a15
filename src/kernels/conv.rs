//! Convolutions over one to three axes, also transposed: as a matrix product, and for narrow groups (depthwise).

use super::act::ACT_PART;
use super::matmul::{Tile, weight_part};
use super::window::{Planes, Window, by_axis};
use super::{Act, Cost, Entry, Io, Kernel, Launch, Layout, TensorType, chunks, elem_part, grid_2d, require};
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
    /// The transposed convolution (also called deconvolution): the window slides over `y`, which has
    /// `(extent - 1) * stride + reach - pad - pad_end` cells along an axis, `reach` being what the window spans, and
    /// this many more by axis (z, y, x). Its weight is \[cols, channels / groups * window\] all the same.
    pub transposed: Option<[usize; 3]>,
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

pub(super) const ENTRY: Entry =
    Entry { name: "conv", about: "convolution over one to three axes, also transposed, implicit im2col" };
pub(super) const GROUPED: Entry =
    Entry { name: "conv_grouped", about: "convolution of narrow groups, depthwise above all" };

/// Lanes of `conv_grouped`, each with cells of its own.
const LANES: u32 = 64;

impl Convolution {
    fn ports(&self) -> Vec<&'static str> {
        if self.bias { vec!["x", "w", "bias"] } else { vec!["x", "w"] }
    }
    fn groups(&self) -> usize {
        self.groups.max(1)
    }
    /// Weights of an output channel.
    fn inner(&self, kernel: &dyn Kernel, x: &TensorType) -> Result<usize> {
        let channels = Planes::of(kernel, x)?.channels / self.groups();
        let inner = channels.checked_mul(self.window.cells()).filter(|n| *n < 1 << 31);
        inner.ok_or_else(|| Error::graph(kernel.name(), format!("{:?} has too many weights a channel", self.window)))
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
    /// Extents of `y`.
    fn extents(&self, x: [usize; 3]) -> Option<[usize; 3]> {
        let Some(extra) = self.transposed else { return self.window.places(x, false) };
        let mut extents = [0; 3];
        for (axis, extent) in extents.iter_mut().enumerate() {
            let whole = (x[axis] - 1) * self.window.stride[axis] + self.window.reach(axis);
            let padding = self.window.pad[axis] + self.window.pad_end[axis];
            *extent = whole.checked_add(extra[axis])?.checked_sub(padding).filter(|e| *e > 0)?;
        }
        Some(extents)
    }
    /// Multiply-adds: each cell of `y` with the weights of its channel; transposed, each cell of `x`.
    fn cost(&self, io: &Io<'_>) -> Cost {
        let (x, w, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let per_row = w.elements() / w.shape[0].max(1);
        let madds = match self.transposed {
            None => y.elements() * per_row,
            Some(_) => x.elements() * (w.elements() / x.shape[1].max(1)),
        };
        Cost::product(io, madds as u64)
    }
    /// The part of role window, and its overrides.
    fn window_part(&self) -> (&'static str, Vec<(&'static str, f64)>) {
        if self.transposed.is_none() {
            return ("parts/window_forward", Vec::new());
        }
        let strides = self.window.stride.map(|v| v as f64);
        ("parts/window_transposed", ["STRIDE_Z", "STRIDE_Y", "STRIDE_X"].into_iter().zip(strides).collect())
    }
    /// The type of `y`.
    fn output(&self, kernel: &dyn Kernel, inputs: &[TensorType], cols: usize) -> Result<TensorType> {
        let x = self.check(kernel, inputs, cols)?;
        let extents = self.extents(x.extents);
        let extents = extents.ok_or_else(|| {
            Error::graph(kernel.name(), format!("x {} leaves nothing of y by {:?}", inputs[0], self.window))
        })?;
        x.with(kernel, &inputs[0], cols, extents)
    }
    fn show(&self) -> String {
        let mut text = self.window.show();
        if self.groups() > 1 {
            text += &format!(" groups={}", self.groups());
        }
        let transposed = self.transposed.map(|_| "transposed");
        for word in [transposed, self.bias.then_some("bias"), self.act.map(Act::name)].into_iter().flatten() {
            text = format!("{text} {word}");
        }
        text
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
        let inner = self.0.inner(self, &inputs[0])?;
        require(self, w.shape.len() == 2 && w.cols() == inner, || format!("w {w} must be [cols, {inner}]"))?;
        weight_part(w, &Caps::floor())?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (w, Convolution { window, .. }) = (&io.inputs[1], &self.0);
        let (x, y) = (Planes::of(self, &io.inputs[0])?, Planes::of(self, &io.outputs[0])?);
        let rows = y.images * y.extents.iter().product::<usize>();
        let (groups, group_cols) = (self.0.groups(), y.channels / self.0.groups());
        if chunks(w, caps).len() > 1 {
            return Err(Error::MissingCapability {
                what: format!("conv, weight {w}"),
                needs: format!("a binding of {} bytes", w.bytes()),
                has: format!("{} bytes; use a weight of 16 bits", caps.max_binding.min(caps.max_buffer)),
            });
        }
        let tile = Tile::pick_staged(rows, caps);
        let (window_part, mut overrides) = self.0.window_part();
        overrides.extend(tile.overrides());
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
            files: vec![
                ENTRY.name,
                elem_part(io.inputs[0].dtype, caps)?,
                window_part,
                weight_part(w, caps)?,
                bias,
                ACT_PART,
                tile.part,
            ],
            overrides,
            params,
            grid: grid_2d(groups_x as usize * groups_y as usize * groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        self.0.cost(io)
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
        let inner = self.0.inner(self, &inputs[0])?;
        let fits = cols.checked_mul(inner) == Some(w.elements());
        require(self, fits, || format!("w {w} must hold {inner} cells a channel"))?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (Planes::of(self, &io.inputs[0])?, Planes::of(self, &io.outputs[0])?);
        let (window_part, mut overrides) = self.0.window_part();
        overrides.extend([("LANES", LANES.into()), ("ACT", Act::code(self.0.act))]);
        let items = io.outputs[0].rows() * io.outputs[0].cols().div_ceil(8);
        let mut params = vec![
            ("items", items as u32),
            ("cols", y.channels as u32),
            ("group_cols", (y.channels / self.0.groups()) as u32),
            ("groups", self.0.groups() as u32),
            ("channels", (x.channels / self.0.groups()) as u32),
        ];
        let window = &self.0.window;
        params.extend(x.params(&y));
        params.extend(by_axis(["window_z", "window_y", "window_x"], window.size));
        params.extend(window.params());
        let dense = self.0.transposed.is_none() && window.stride[2] == 1 && window.dilation[2] == 1;
        let line = if dense { "parts/line_dense" } else { "parts/line_any" };
        let bias = if self.0.bias { "parts/bias_cols" } else { "parts/bias_none" };
        Ok(vec![Launch {
            files: vec![GROUPED.name, elem_part(io.inputs[0].dtype, caps)?, window_part, line, bias, ACT_PART],
            overrides,
            params,
            grid: grid_2d(items.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        self.0.cost(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::conv(&self.0, inputs, row)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}
