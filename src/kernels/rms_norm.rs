//! Root-mean-square normalisation (Zhang & Sennrich 2019): `y = x / sqrt(mean(x^2) + eps) * gain`, row by row.

use super::rows::{activation, arity, by_row, column_parts, column_vector};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\], `gain` f32 \[cols\] -> `y` like `x`. Sums in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f32,
}

pub(super) const ENTRY: Entry = Entry { name: "rms_norm", about: "x / sqrt(mean(x^2) + eps) * gain, by row" };

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
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        column_vector(self, "gain", &inputs[1], &inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        by_row(self, &io.inputs[0], caps, &column_parts(&io.inputs[0], caps)[..1], &[("eps", self.eps.to_bits())])
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
