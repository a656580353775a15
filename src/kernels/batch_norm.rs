//! Batch normalisation with given statistics (Ioffe & Szegedy 2015).

use super::group_norm::{channel_vector, planes};
use super::rows::{activation, arity, by_cell};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[images, channels, ..\], `gain`, `bias`, `mean` and `variance` f32 \[channels\] -> `y` like `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
}

pub(super) const ENTRY: Entry = Entry {
    name: "batch_norm",
    about: "(x - mean) / sqrt(variance + eps) * gain + bias, by channel, statistics given",
};

impl Kernel for BatchNorm {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "gain", "bias", "mean", "variance"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        let (channels, _) = planes(self, &inputs[0])?;
        for (name, ty) in self.inputs().iter().zip(inputs).skip(1) {
            channel_vector(self, name, ty, channels)?;
        }
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let (channels, plane) = planes(self, x)?;
        let mut launch = by_cell(self, x, (x.shape[0] * channels, plane), caps, &[])?;
        launch.params.extend([("channels", channels as u32), ("eps", self.eps.to_bits())]);
        Ok(vec![launch])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::batch_norm(inputs, f64::from(self.eps), row)
    }
    fn show(&self) -> String {
        format!("eps={:e}", self.eps)
    }
}
