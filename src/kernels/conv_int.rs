//! Convolutions of 8-bit integers.

use super::rows::arity;
use super::window::{Planes, Window, by_axis};
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `x` i32 or u32 \[images, channels, ..\], `w` i32 or u32 \[cols, channels / groups, ..\], a cell a word; `x_zero` \[1\]
/// and `w_zero` \[1 or cols\] likewise; `bias` i32 \[cols\] where asked for -> `y` i32 \[images, cols, ..\]: the sums of
/// `(x - x_zero) * (w - w_zero)`, outside `x` of nothing, plus the bias. One to three axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvInt {
    /// The window.
    pub window: Window,
    /// Groups of channels.
    pub groups: usize,
    /// A last input, added to every sum.
    pub bias: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "conv_int", about: "convolution of 8-bit integers with zero points, summed in 32 bits" };

const LANES: u32 = 64;

impl Kernel for ConvInt {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut ports = vec!["x", "w", "x_zero", "w_zero"];
        ports.extend(self.bias.then_some("bias"));
        ports
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let word = |t: &TensorType| matches!(t.dtype, DType::I32 | DType::U32) && t.layout == Layout::Rows;
        require(self, inputs.iter().all(word), || "operands are rows of i32 or u32".into())?;
        self.window.check(self)?;
        let (x, w) = (Planes::of(self, &inputs[0])?, &inputs[1]);
        let cols = w.shape.first().copied().unwrap_or(0);
        let even = self.groups > 0 && x.channels.is_multiple_of(self.groups) && cols.is_multiple_of(self.groups);
        require(self, even && cols > 0, || format!("{} groups of {} channels and {cols}", self.groups, x.channels))?;
        let cells = x.channels / self.groups * self.window.cells();
        require(self, w.elements() == cols * cells, || format!("w {w} must hold {cells} cells a channel"))?;
        let (x_zero, w_zero) = (inputs[2].elements(), inputs[3].elements());
        require(self, x_zero == 1 && (w_zero == 1 || w_zero == cols), || {
            format!("zero points {} and {} should be [1], and [1] or [{cols}]", inputs[2], inputs[3])
        })?;
        let bias = !self.bias || inputs[4].elements() == cols;
        require(self, bias, || format!("bias {} should have {cols} cells", inputs[4]))?;
        let places = self.window.places(x.extents, false);
        let places = places.ok_or_else(|| Error::graph(ENTRY.name, format!("x {} is under the window", inputs[0])))?;
        let y = x.with(self, &inputs[0], cols, places)?;
        Ok(vec![TensorType::new(DType::I32, &y.shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (Planes::of(self, &io.inputs[0])?, Planes::of(self, &io.outputs[0])?);
        let items = io.outputs[0].elements();
        let mut params = vec![
            ("items", items as u32),
            ("cols", y.channels as u32),
            ("group_cols", (y.channels / self.groups) as u32),
            ("groups", self.groups as u32),
            ("channels", (x.channels / self.groups) as u32),
            ("w_zero_step", u32::from(io.inputs[3].elements() > 1)),
        ];
        params.extend(x.params(&y));
        params.extend(by_axis(["window_z", "window_y", "window_x"], self.window.size));
        params.extend(self.window.params());
        Ok(vec![Launch {
            files: vec![ENTRY.name, if self.bias { "parts/start_cols" } else { "parts/start_none" }],
            overrides: vec![("LANES", LANES.into())],
            params,
            grid: grid_2d(items.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        let w = &io.inputs[1];
        Cost::product(io, io.outputs[0].elements() as u64 * (w.elements() / w.shape[0].max(1)) as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::conv_int(self, inputs, row)
    }
    fn show(&self) -> String {
        let bias = if self.bias { " bias" } else { "" };
        format!("{} groups={}{bias}", self.window.show(), self.groups)
    }
}
