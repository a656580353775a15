//! Layer normalisation (Ba, Kiros & Hinton 2016): `y = (x - mean) / sqrt(variance + eps) * gain + bias`, row by row.

use super::rows::{activation, arity, by_row, column_parts, column_vector};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\], `gain` f32 \[cols\], `bias` f32 \[cols\] where there is one -> `y` like `x`. Mean and variance
/// (divided by `cols`) in f32, without subtracting large sums. Where asked for, `mean` and `inv_std` f32 \[rows\]
/// follow: the statistics by which a row was scaled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Whether there is an input `bias`.
    pub bias: bool,
    /// Whether the statistics of the rows are outputs.
    pub stats: bool,
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
        if self.stats { vec!["y", "mean", "inv_std"] } else { vec!["y"] }
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        for (name, ty) in self.inputs().iter().zip(inputs).skip(1) {
            column_vector(self, name, ty, &inputs[0])?;
        }
        let mut outputs = vec![inputs[0].clone()];
        if self.stats {
            outputs.extend([(); 2].map(|()| TensorType::f32(&[inputs[0].rows()])));
        }
        Ok(outputs)
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let [gain, bias] = column_parts(&io.inputs[0], caps);
        let bias = if self.bias { bias } else { "parts/bias_none" };
        let stats = if self.stats { "parts/stats_rows" } else { "parts/stats_none" };
        let parts = ["parts/moments_welford", gain, bias, stats];
        by_row(self, &io.inputs[0], caps, &parts, &[("eps", self.eps.to_bits())])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        if output > 0 {
            return reference::layer_norm_stats(&inputs[0], f64::from(self.eps), output == 2);
        }
        reference::layer_norm(&inputs[0], &inputs[1], inputs.get(2), f64::from(self.eps), row)
    }
    fn show(&self) -> String {
        let bias = if self.bias { "" } else { " no bias" };
        format!("eps={:e}{bias}{}", self.eps, if self.stats { " stats" } else { "" })
    }
}
