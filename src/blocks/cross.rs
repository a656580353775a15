//! Layers of a decoder that attend to features of pictures: gated cross-attention (Flamingo, Alayrac et al. 2022) as
//! Llama 3.2 Vision has it. Keys and values of the features are made once, by [`cross_keys`], into buffers of fixed
//! size that every later program reads.

use super::cache::append;
use super::{CacheType, Linear, Mlp, Norm, Part, SelfAttention};
use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::{Attention, LayerScale, Mask, SpliceRows, TensorType};

/// One layer: `h = x + tanh(a) * o(attn(norm q(norm1 x), norm k(f), v(f))); y = h + tanh(b) * mlp(norm2 h)`, where a row
/// that sees no feature keeps `h`.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossLayer {
    /// Norm before the attention.
    pub norm1: Norm,
    /// Queries, of the rows.
    pub q: Linear,
    /// Keys, of the features.
    pub k: Linear,
    /// Values, of the features.
    pub v: Linear,
    /// Norm of a head of the queries.
    pub q_norm: Norm,
    /// Norm of a head of the keys.
    pub k_norm: Norm,
    /// Heads.
    pub attention: SelfAttention,
    /// Output projection.
    pub out: Linear,
    /// Norm before the MLP.
    pub norm2: Norm,
    /// The MLP.
    pub mlp: Mlp,
    /// Tensors \[1\] of the two gates, before their tanh.
    pub gates: [String; 2],
}

/// Size of a session's keys and values of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CrossCache {
    /// Sequences.
    pub batch: usize,
    /// Feature rows of a sequence at most; whole tiles.
    pub rows: usize,
    /// Feature rows of a tile: what a row of the decoder sees, it sees by tile.
    pub tile: usize,
    /// What keys and values are kept in.
    pub ty: CacheType,
}

/// Store names of a layer's keys and values of features.
pub fn cross_names(layer: usize) -> [String; 2] {
    [format!("cross.{layer}.k"), format!("cross.{layer}.v")]
}

impl CrossCache {
    /// Tiles of a sequence at most.
    pub fn tiles(&self) -> usize {
        self.rows / self.tile.max(1)
    }
    fn values(&self, g: &mut Graph, layer: usize, attention: &SelfAttention) -> [ValueId; 2] {
        let ty = self.ty.rows(self.batch * self.rows, attention.kv_width());
        cross_names(layer).map(|name| g.state(&name, ty.clone()))
    }
}

/// What cross-attention layers of one program share.
#[derive(Debug, Clone)]
pub struct CrossFlow {
    /// Cache.
    pub cache: CrossCache,
    /// Rows of a sequence and its feature rows \[sequences, 4\].
    pub spans: ValueId,
    /// u32 \[sequences, 1, rows of a sequence, tiles\]: 0 hides a tile from a row.
    pub sight: ValueId,
    /// u32 \[rows\]: a row's own index where it sees a feature, that plus all rows where it sees none.
    pub seen: ValueId,
}

/// Keys and values of `features` \[feature rows, width\] into the caches of the layer; `slots` says where.
pub fn cross_keys(
    g: &mut Graph,
    layer: &CrossLayer,
    index: usize,
    features: ValueId,
    slots: ValueId,
    cache: &CrossCache,
) -> Result<()> {
    let [keys, values] = cache.values(g, index, &layer.attention);
    let k = layer.k.apply(g, features)?;
    let k = layer.k_norm.apply_to_heads(g, k, layer.attention.kv_heads)?;
    let v = layer.v.apply(g, features)?;
    append(g, (k, 0), slots, keys)?;
    append(g, (v, 0), slots, values)?;
    Ok(())
}

/// `x` \[rows, width\] -> the same shape.
pub fn cross_layer(g: &mut Graph, layer: &CrossLayer, index: usize, x: ValueId, flow: &CrossFlow) -> Result<ValueId> {
    let h = g.scoped("cross", |g| {
        let normed = layer.norm1.apply(g, x)?;
        let q = layer.q.apply(g, normed)?;
        let q = layer.q_norm.apply_to_heads(g, q, layer.attention.heads)?;
        let [keys, values] = flow.cache.values(g, index, &layer.attention);
        let kernel = Attention { mask: Mask::Runs { keys: flow.cache.tile }, ..layer.attention.kernel([0, 0, 0]) };
        let mixed = g.apply(kernel, &[q, keys, values, flow.spans, flow.sight])?;
        let y = layer.out.apply(g, mixed)?;
        gated(g, y, &layer.gates[0], x)
    })?;
    g.scoped("mlp", |g| {
        let normed = layer.norm2.apply(g, h)?;
        let y = layer.mlp.apply(g, normed)?;
        let y = gated(g, y, &layer.gates[1], h)?;
        g.apply(SpliceRows { two: true, add: false }, &[y, h, flow.seen])
    })
}

/// `x + tanh(gate) * y`.
fn gated(g: &mut Graph, y: ValueId, gate: &str, x: ValueId) -> Result<ValueId> {
    let count = g.ty(y).cols();
    let gains = g.weight(&Part::Gate { name: gate, count }.to_string(), TensorType::f32(&[count]));
    g.apply(LayerScale, &[y, gains, x])
}
