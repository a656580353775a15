//! Root-mean-square normalisation (Zhang & Sennrich 2019): `y = x / sqrt(mean(x^2) + eps) * gain`, row by row.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\], `gain` f32 \[cols\] -> `y` like `x`. Sums in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f32,
}

pub(super) const ENTRY: Entry = Entry { name: "rms_norm", about: "x / sqrt(mean(x^2) + eps) * gain, by row" };

const LANES: u32 = 64;

impl Kernel for RmsNorm {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "gain"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs[1].elements() == inputs[0].cols(), || {
            format!("gain {} does not match x {}", inputs[1], inputs[0])
        })?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (rows, cols) = (io.inputs[0].rows(), io.inputs[0].cols());
        Ok(vec![Launch {
            files: vec!["rms_norm", elem_part(io.inputs[0].dtype, caps)?, "parts/reduce_shared"],
            overrides: vec![("LANES", LANES.into())],
            params: vec![("rows", rows as u32), ("cols", cols as u32), ("eps", self.eps.to_bits())],
            grid: grid_2d(rows, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::rms_norm(&inputs[0], &inputs[1], f64::from(self.eps), row)
    }
    fn show(&self) -> String {
        format!("eps={:e}", self.eps)
    }
}
