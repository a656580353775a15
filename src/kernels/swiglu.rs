//! The gated unit with a slope, an offset and a limit.

use super::rows::{activation, arity};
use super::unit::runs;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` f32 \[.., 2 cols\] -> `y` f32 \[.., cols\]: `g sigmoid(alpha g) (u + beta)` of gate g and up u.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Swiglu {
    /// Gate and up are neighbours; else the halves of a row.
    pub interleaved: bool,
    /// Slope of the sigmoid.
    pub alpha: f32,
    /// Added to up.
    pub beta: f32,
    /// The gate is at most this, up at most this far from 0. None: no limit.
    pub limit: Option<f32>,
}

pub(super) const ENTRY: Entry =
    Entry { name: "swiglu", about: "gated unit with slope, offset and limit, halves or interleaved" };

impl Kernel for Swiglu {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        let x = &inputs[0];
        let fits = x.dtype == DType::F32 && !x.shape.is_empty() && x.cols().is_multiple_of(2);
        require(self, fits, || format!("x {x} is not f32 with gate and up"))?;
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last /= 2;
        }
        Ok(vec![TensorType::f32(&shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let y = &io.outputs[0];
        if y.elements() == 0 {
            return Ok(Vec::new());
        }
        let (lanes, steps, groups) = runs(y.elements(), caps);
        Ok(vec![Launch {
            files: vec![ENTRY.name],
            overrides: vec![
                ("LANES", lanes.into()),
                ("STEPS", steps.into()),
                ("INTERLEAVED", f64::from(u8::from(self.interleaved))),
            ],
            params: vec![
                ("cells", y.elements() as u32),
                ("cols", y.cols() as u32),
                ("alpha", self.alpha.to_bits()),
                ("beta", self.beta.to_bits()),
                ("limit", self.limit.unwrap_or(f32::MAX).to_bits()),
            ],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::swiglu(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let limit = self.limit.map_or(String::new(), |l| format!(" limit={l}"));
        let way = if self.interleaved { "interleaved" } else { "halves" };
        format!("{way} alpha={} beta={}{limit}", self.alpha, self.beta)
    }
}
