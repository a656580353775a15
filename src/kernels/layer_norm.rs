//! Layer normalisation (Ba, Kiros & Hinton 2016): `y = (x - mean) / sqrt(variance + eps) * gain + bias`, row by row.

use super::rows::{activation, arity, by_row, column_vector};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\], `gain` f32 \[cols\], `bias` f32 \[cols\] where there is one -> `y` like `x`. Mean and variance
/// (divided by `cols`) in f32, without subtracting large sums.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Whether there is an input `bias`.
    pub bias: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "layer_norm", about: "(x - mean) / sqrt(variance + eps) * gain + bias, by row" };

impl Kernel for LayerNorm {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        if self.bias { vec!["x", "gain", "bias"] } else { vec!["x", "gain"] }
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        for (name, ty) in self.inputs().iter().zip(inputs).skip(1) {
            column_vector(self, name, ty, &inputs[0])?;
        }
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let bias = if self.bias { "parts/bias_cols" } else { "parts/bias_none" };
        by_row(self, &io.inputs[0], caps, &[bias], &[("eps", self.eps.to_bits())])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::layer_norm(&inputs[0], &inputs[1], inputs.get(2), f64::from(self.eps), row)
    }
    fn show(&self) -> String {
        format!("eps={:e}{}", self.eps, if self.bias { "" } else { " no bias" })
    }
}
