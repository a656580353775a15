//! Normalisations with their tensors.

use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::{LayerNorm, RmsNorm, TensorType};

/// A normalisation over the last axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Norm {
    /// Layer norm with `name.weight` and `name.bias`.
    Layer {
        /// Tensor name without `.weight`.
        name: String,
        /// Added to the variance.
        eps: f32,
    },
    /// Root-mean-square norm with `name.weight`.
    Rms {
        /// Tensor name without `.weight`.
        name: String,
        /// Added to the mean square.
        eps: f32,
    },
}

impl Norm {
    /// `x` \[rows, cols\] -> the same shape.
    pub fn apply(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let cols = g.ty(x).cols();
        match self {
            Self::Layer { name, eps } => {
                let gain = g.weight(&format!("{name}.weight"), TensorType::f32(&[cols]));
                let bias = g.weight(&format!("{name}.bias"), TensorType::f32(&[cols]));
                g.apply(LayerNorm { eps: *eps, bias: true, stats: false }, &[x, gain, bias])
            }
            Self::Rms { name, eps } => {
                let gain = g.weight(&format!("{name}.weight"), TensorType::f32(&[cols]));
                g.apply(RmsNorm { eps: *eps }, &[x, gain])
            }
        }
    }
    /// Every head of `x` \[rows, heads * head_dim\] by itself, all with the same gains.
    pub fn apply_to_heads(&self, g: &mut Graph, x: ValueId, heads: usize) -> Result<ValueId> {
        let (rows, cols) = (g.ty(x).rows(), g.ty(x).cols());
        let by_head = g.reshape(x, &[rows * heads, cols / heads.max(1)])?;
        let normed = self.apply(g, by_head)?;
        g.reshape(normed, &[rows, cols])
    }
}
