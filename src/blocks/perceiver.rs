//! A perceiver resampler (Jaegle et al. 2021, Flamingo): learned latents that in every layer attend to the rows of a
//! sequence and to themselves.

use super::{Linear, Mlp, Norm, SelfAttention, gather, splice};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, TensorType};
use crate::{Error, Result};
use std::ops::Range;

/// One layer: `h = l + out(attn(norm_l l, [norm_c c; norm_l l])); y = h + mlp(norm h)`.
#[derive(Debug, Clone, PartialEq)]
pub struct PerceiverLayer {
    /// Norm of the latents.
    pub latents_norm: Norm,
    /// Norm of the context.
    pub context_norm: Norm,
    /// Query projection.
    pub q: Linear,
    /// Key and value projections, stacked.
    pub kv: Linear,
    /// Heads; queries may be grouped.
    pub attention: SelfAttention,
    /// Output projection.
    pub out: Linear,
    /// Norm before the MLP.
    pub norm: Norm,
    /// The MLP.
    pub mlp: Mlp,
}

/// Latents, layers and a last norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Perceiver {
    /// Learned latents \[count, width\].
    pub latents: String,
    /// How many.
    pub count: usize,
    /// Layers.
    pub layers: Vec<PerceiverLayer>,
    /// Norm after the last layer.
    pub norm: Norm,
}

/// Which rows the latents of each sequence see.
struct Sight {
    /// Of context, then of the latents of all sequences: the context of a sequence, then its latents.
    index: Vec<u32>,
    spans: ValueId,
}

impl Perceiver {
    /// `context` \[rows of all sequences, width\] -> \[sequences * count, width\]. Taps `resampler.layer.<i>`.
    ///
    /// # Errors
    /// [`Error::Graph`] without sequences.
    pub fn apply(&self, g: &mut Graph, context: ValueId, sequences: &[Range<usize>]) -> Result<ValueId> {
        if sequences.is_empty() {
            return Err(Error::graph("perceiver", "no sequences"));
        }
        let ty = TensorType::new(g.ty(context).dtype, &[self.count, g.ty(context).cols()]);
        let latents = g.weight(&self.latents, ty);
        let repeated: Vec<u32> = sequences.iter().flat_map(|_| 0..self.count as u32).collect();
        let mut x = gather(g, latents, &repeated)?;
        let sight = self.sight(g, context, sequences);
        for (i, layer) in self.layers.iter().enumerate() {
            x = g.scoped(&format!("perceiver.{i}"), |g| layer.apply(g, x, context, &sight))?;
            g.tap(&format!("resampler.layer.{i}"), x);
        }
        self.norm.apply(g, x)
    }

    fn sight(&self, g: &mut Graph, context: ValueId, sequences: &[Range<usize>]) -> Sight {
        let (rows, count) = (g.ty(context).rows(), self.count);
        let (mut index, mut spans) = (Vec::new(), Vec::new());
        for (i, own) in sequences.iter().enumerate() {
            spans.extend([i * count, count, index.len(), own.len() + count].map(|word| word as u32));
            index.extend(own.clone().chain(rows + i * count..rows + (i + 1) * count).map(|row| row as u32));
        }
        Sight { index, spans: g.constant_u32("spans", &[sequences.len(), 4], &spans) }
    }
}

impl PerceiverLayer {
    fn apply(&self, g: &mut Graph, latents: ValueId, context: ValueId, sight: &Sight) -> Result<ValueId> {
        let (own, around) = (self.latents_norm.apply(g, latents)?, self.context_norm.apply(g, context)?);
        let queries = self.q.apply(g, own)?;
        let seen = splice(g, around, own, &sight.index, None)?;
        let kv = self.kv.apply(g, seen)?;
        let kernel = self.attention.kernel([0, 0, self.attention.kv_width()]);
        let mixed = g.apply(kernel, &[queries, kv, kv, sight.spans])?;
        let h = self.out.apply_add(g, mixed, latents)?;
        let normed = self.norm.apply(g, h)?;
        let y = self.mlp.apply(g, normed)?;
        g.apply(Binary { op: BinaryOp::Add }, &[y, h])
    }
}
