//! The pre-norm transformer encoder layer of ViT, CLIP and their kin.

use super::{Linear, Norm, SelfAttention};
use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::Act;

/// One layer: `h = x + out(attn(norm1 x)); y = h + fc2(act(fc1(norm2 h)))`.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderLayer {
    /// Norm before the attention.
    pub norm1: Norm,
    /// Query, key and value, stacked.
    pub qkv: Linear,
    /// Heads.
    pub attention: SelfAttention,
    /// Output projection.
    pub out: Linear,
    /// Norm before the MLP.
    pub norm2: Norm,
    /// Widening layer.
    pub fc1: Linear,
    /// Activation between.
    pub act: Act,
    /// Narrowing layer.
    pub fc2: Linear,
}

/// `x` \[rows, width\] with sequences `spans` -> the same shape.
pub fn encoder_layer(g: &mut Graph, layer: &EncoderLayer, x: ValueId, spans: ValueId) -> Result<ValueId> {
    let h = g.scoped("attn", |g| {
        let normed = layer.norm1.apply(g, x)?;
        let qkv = layer.qkv.apply(g, normed)?;
        let mixed = layer.attention.fused(g, qkv, spans)?;
        layer.out.apply_add(g, mixed, x)
    })?;
    g.scoped("mlp", |g| {
        let normed = layer.norm2.apply(g, h)?;
        super::mlp(g, normed, (&layer.fc1, layer.act, &layer.fc2), h)
    })
}
