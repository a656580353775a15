//! Quantizing with given scales and zero points, and back.

use super::number::{Number, PowerRounding};
use super::rows::arity;
use super::unit::runs;
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// Which cells share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// All.
    Tensor,
    /// Those of one place along an axis: scales \[extent\].
    Axis(usize),
    /// `size` neighbours along an axis: scales of the shape of the tensor, with that axis divided and rounded up.
    Blocks {
        /// The axis.
        axis: usize,
        /// Cells.
        size: usize,
    },
}

/// `x` f32 of any shape, `scale` f32 and with `zero` the zero points in the device type of `to` -> `y` in that type:
/// `x / scale` rounded, ties to even, plus the zero point, saturated. Small floats have no zero points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantize {
    /// Format of the codes.
    pub to: Number,
    /// Which cells share a scale.
    pub by: Granularity,
    /// There are zero points.
    pub zero: bool,
    /// What is beyond a small float becomes its largest number. Integers always saturate.
    pub saturate: bool,
}

/// `x` codes in the device type of `from`, `scale` f32 and with `zero` the zero points like the codes -> `y` f32:
/// `(x - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dequantize {
    /// Format of the codes.
    pub from: Number,
    /// Which cells share a scale.
    pub by: Granularity,
    /// There are zero points.
    pub zero: bool,
}

pub(super) const QUANTIZE: Entry =
    Entry { name: "quantize", about: "codes of numbers with given scales and zero points" };
pub(super) const DEQUANTIZE: Entry = Entry { name: "dequantize", about: "(code - zero point) * scale" };

impl Granularity {
    /// Shape of the scales of a tensor; `None` where there is no such axis or no cell in a block.
    fn scales(self, shape: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::Tensor => Some(Vec::new()),
            Self::Axis(axis) => shape.get(axis).map(|extent| vec![*extent]),
            Self::Blocks { axis, size } => {
                let mut scales = shape.to_vec();
                *scales.get_mut(axis).filter(|_| size > 0)? = shape.get(axis)?.div_ceil(size);
                Some(scales)
            }
        }
    }
    /// The words of `Params` after `cells`.
    fn params(self, shape: &[usize]) -> Vec<(&'static str, u32)> {
        let axis = match self {
            Self::Tensor => return strides(shape.iter().product(), 1, 1, [0, 0, 0]),
            Self::Axis(axis) | Self::Blocks { axis, .. } => axis,
        };
        let (extent, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        match self {
            Self::Blocks { size, .. } => strides(extent, inner, size, [extent.div_ceil(size) * inner, inner, 1]),
            _ => strides(extent, inner, 1, [0, 1, 0]),
        }
    }
    fn show(self) -> String {
        match self {
            Self::Tensor => String::new(),
            Self::Axis(axis) => format!(" axis {axis}"),
            Self::Blocks { axis, size } => format!(" blocks of {size} along {axis}"),
        }
    }
}

fn strides(extent: usize, inner: usize, block: usize, [outer, axis, within]: [usize; 3]) -> Vec<(&'static str, u32)> {
    vec![
        ("extent", extent.max(1) as u32),
        ("inner", inner.max(1) as u32),
        ("block", block as u32),
        ("outer_stride", outer as u32),
        ("axis_stride", axis as u32),
        ("inner_stride", within as u32),
    ]
}

/// Checks the operands of both kernels: x, scale, zero.
fn check(kernel: &dyn Kernel, inputs: &[TensorType], x: DType, codes: Number, by: Granularity) -> Result<()> {
    arity(kernel, inputs)?;
    codes.check(kernel)?;
    require(kernel, inputs.iter().all(|i| i.layout == Layout::Rows), || "operands are row-major".into())?;
    require(kernel, inputs[0].dtype == x, || format!("x {} should be {x}", inputs[0]))?;
    flat_limit(kernel, inputs[0].elements())?;
    let scales = by.scales(&inputs[0].shape);
    let count = scales.as_ref().map(|s| s.iter().product::<usize>());
    require(kernel, count == Some(inputs[1].elements()) && inputs[1].dtype == DType::F32, || {
        format!("scale {} should be f32{:?} for x {}{}", inputs[1], scales, inputs[0], by.show())
    })?;
    let zero = inputs.get(2).is_none_or(|z| z.elements() == inputs[1].elements() && z.dtype == codes.dtype());
    require(kernel, zero, || format!("zero {} should hold {} and be like the scales", inputs[2], codes.name()))
}

/// The launch of both kernels.
fn launch(
    name: &'static str,
    shape: &[usize],
    (by, zero): (Granularity, bool),
    (parts, mut overrides): (Vec<&'static str>, Vec<(&'static str, f64)>),
    caps: &Caps,
) -> Result<Vec<Launch>> {
    let cells: usize = shape.iter().product();
    if cells == 0 {
        return Ok(Vec::new());
    }
    let mut files = vec![name, if zero { "parts/zero_groups" } else { "parts/zero_none" }];
    files.extend(parts);
    let (lanes, steps, groups) = runs(cells, caps);
    overrides.extend([("LANES", lanes.into()), ("STEPS", steps.into())]);
    let mut params = vec![("cells", cells as u32)];
    params.extend(by.params(shape));
    Ok(vec![Launch { files, overrides, params, grid: grid_2d(groups, caps)?, chunk: None }])
}

impl Kernel for Quantize {
    fn name(&self) -> &'static str {
        QUANTIZE.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        if self.zero { vec!["x", "scale", "zero"] } else { vec!["x", "scale"] }
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        check(self, inputs, DType::F32, self.to, self.by)?;
        let codes = match self.to {
            Number::Int { bits, .. } => bits <= 16,
            Number::Small(_) => !self.zero,
            _ => false,
        };
        require(self, codes, || {
            format!("{} is not an integer of at most 16 bits, or a small float without zero points", self.to.name())
        })?;
        Ok(vec![TensorType::new(self.to.dtype(), &inputs[0].shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (parts, overrides) = match self.to {
            Number::Int { bits, signed } => {
                let low = if signed { -f64::powi(2.0, bits as i32 - 1) } else { 0.0 };
                let high = low + f64::powi(2.0, bits as i32) - 1.0;
                (vec!["parts/level_int"], vec![("LOW", low), ("HIGH", high)])
            }
            to => {
                let (mut parts, overrides) = to.encode(self.saturate, PowerRounding::default());
                parts.push("parts/level_small");
                (parts, overrides)
            }
        };
        launch(QUANTIZE.name, &io.inputs[0].shape, (self.by, self.zero), (parts, overrides), caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::quantize(self, inputs, row)
    }
    fn show(&self) -> String {
        format!("to {}{}{}", self.to.name(), self.by.show(), if self.zero { " zero" } else { "" })
    }
}

impl Kernel for Dequantize {
    fn name(&self) -> &'static str {
        DEQUANTIZE.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        if self.zero { vec!["x", "scale", "zero"] } else { vec!["x", "scale"] }
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        check(self, inputs, self.from.dtype(), self.from, self.by)?;
        let codes = matches!(self.from, Number::Int { .. } | Number::Small(_));
        require(self, codes, || format!("{} is neither an integer nor a small float", self.from.name()))?;
        Ok(vec![TensorType::f32(&inputs[0].shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let parts = match self.from {
            Number::Small(_) => {
                let (decode, overrides) = self.from.decode();
                (vec!["parts/minus_small", decode], overrides)
            }
            _ => (vec!["parts/minus_int"], Vec::new()),
        };
        launch(DEQUANTIZE.name, &io.inputs[0].shape, (self.by, self.zero), parts, caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::dequantize(self, inputs, row)
    }
    fn show(&self) -> String {
        format!("from {}{}{}", self.from.name(), self.by.show(), if self.zero { " zero" } else { "" })
    }
}
