//! A branch scaled by column and added to the residual (LayerScale, Touvron et al. 2021), as towers of BEiT, DINOv2,
//! ConvNeXt and InternViT have it after attention and after the MLP.

use super::rows::{activation, arity, by_cell, column_vector};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\], `gain` f32 \[cols\], `residual` like `x` -> `y` like `x`: `residual + gain * x` in f32, rounded once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerScale;

pub(super) const ENTRY: Entry = Entry { name: "layer_scale", about: "residual + gain * x, a gain a column" };

impl Kernel for LayerScale {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "gain", "residual"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let [x, gain, residual] = inputs else { return Ok(Vec::new()) };
        activation(self, x)?;
        column_vector(self, "gain", gain, x)?;
        require(self, residual == x, || format!("residual {residual} is not like x {x}"))?;
        Ok(vec![x.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let residual = if x.cols().is_multiple_of(4) { "parts/residual_quads" } else { "parts/residual_scalars" };
        Ok(vec![by_cell(self, x, (x.rows(), x.cols()), caps, &[residual])?])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::layer_scale(&inputs[0], &inputs[1], &inputs[2], row)
    }
}
