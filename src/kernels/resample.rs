//! Resampling of an axis by a plan of taps: every separable resize, as [`crate::image::Sampling`] plans them.

use super::axis::Around;
use super::cell::cell;
use super::rows::{activation, arity};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x`, `first` and `count` u32 \[places\], `weights` f32 \[taps, places\] -> `y` like `x` with `places` cells along
/// `axis`: `y[j] = sum over t < count[j] of weights[t, j] * x[first[j] + t]`. Indices are clamped.
#[derive(Debug, Clone, PartialEq)]
pub struct Resample {
    /// The axis, 0 the slowest.
    pub axis: usize,
    /// What a cell without taps is.
    pub outside: f32,
}

pub(super) const ENTRY: Entry =
    Entry { name: "resample", about: "an axis resampled by a plan of taps: separable resize" };

const LANES: u32 = 64;

impl Kernel for Resample {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "first", "count", "weights"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let [x, first, count, weights] = inputs else { return Ok(Vec::new()) };
        activation(self, x)?;
        let around = Around::checked(self, x, self.axis)?;
        let places = first.elements();
        let lists = first.dtype == DType::U32 && count.dtype == DType::U32 && count.elements() == places;
        let matrix = weights.dtype == DType::F32 && weights.shape.len() == 2 && weights.cols() == places;
        require(self, lists && matrix && around.count > 0 && weights.elements() > 0, || {
            format!("first {first}, count {count} and weights {weights} are no plan for x {x}")
        })?;
        flat_limit(self, weights.elements())?;
        let mut y = x.clone();
        y.shape[self.axis] = places;
        flat_limit(self, y.elements())?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, weights) = (&io.inputs[0], &io.inputs[3]);
        let around = Around::checked(self, x, self.axis)?;
        let (size, cell) = cell(&[around.inner]);
        let (places, inner) = (weights.cols(), around.inner / size);
        let lines = if around.outer < 4 { 1 } else { 4 };
        let items = around.outer.div_ceil(lines) * places * inner;
        Ok(vec![Launch {
            files: vec![ENTRY.name, elem_part(x.dtype, caps)?, cell],
            overrides: vec![("LANES", LANES.into()), ("LINES", lines as f64)],
            params: vec![
                ("items", items as u32),
                ("outer", around.outer as u32),
                ("count", around.count as u32),
                ("places", places as u32),
                ("inner", inner as u32),
                ("taps", weights.rows() as u32),
                ("outside", self.outside.to_bits()),
            ],
            grid: grid_2d(items.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::resample(self, inputs, row)
    }
    fn show(&self) -> String {
        let outside = if self.outside == 0.0 { String::new() } else { format!(" outside={}", self.outside) };
        format!("axis={}{outside}", self.axis)
    }
}
