//! Decoder layers over a key-value cache: those of LLaMA, Mistral and Qwen2 (rms norm, gated MLP) and of Persimmon
//! (layer norm, heads of queries and keys normalised, plain MLP). Layers that look at pictures are in `cross`.

use super::cache::append;
use super::{CrossFlow, CrossLayer, KvCache, Linear, Mlp, Norm, RopeSpec, SelfAttention, cross_layer};
use crate::graph::{Graph, ValueId};
use crate::kernels::{AttentionDecode, AttentionMerge, Binary, BinaryOp, Rope, Unary, UnaryOp};
use crate::{Error, Result};

/// A layer of a decoder.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a model has a hundred of them at most, and they are read in place")]
pub enum Layer {
    /// Attends to the sequence itself.
    Own(DecoderLayer),
    /// Attends to features of pictures; left out of programs without pictures.
    Cross(Box<CrossLayer>),
}

impl Layer {
    /// Query heads.
    pub fn heads(&self) -> usize {
        match self {
            Self::Own(layer) => layer.attention.heads,
            Self::Cross(layer) => layer.attention.heads,
        }
    }
    /// Columns of the widest activation between two matrices.
    pub fn widest(&self) -> usize {
        match self {
            Self::Own(layer) => layer.qkv.widest().max(layer.mlp.inner()),
            Self::Cross(layer) => layer.q.n.max(layer.mlp.inner()),
        }
    }
}

/// One layer: `h = x + s * o(attn(rope(qkv(norm1 x)))); y = h + s * mlp(norm2 h)`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderLayer {
    /// Norm before the attention.
    pub norm1: Norm,
    /// Queries, keys and values.
    pub qkv: Qkv,
    /// Heads.
    pub attention: SelfAttention,
    /// Output projection.
    pub out: Linear,
    /// Norm before the MLP.
    pub norm2: Norm,
    /// The MLP.
    pub mlp: Mlp,
    /// Factor s on what both branches add (MiniCPM's `scale_depth`).
    pub branch_scale: Option<f32>,
}

/// How queries, keys and values are made.
#[derive(Debug, Clone, PartialEq)]
pub enum Qkv {
    /// One matrix, query above key above value.
    Stacked(Linear),
    /// Three matrices; each head of the queries and of the keys is normalised.
    Normed(Box<NormedQkv>),
}

/// Queries, keys and values of which the first two are normalised, all heads of one kind with the same gains.
#[derive(Debug, Clone, PartialEq)]
pub struct NormedQkv {
    /// Queries.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// Norm of a head of the queries.
    pub q_norm: Norm,
    /// Norm of a head of the keys.
    pub k_norm: Norm,
}

impl Qkv {
    /// Columns of the widest result.
    pub fn widest(&self) -> usize {
        match self {
            Self::Stacked(linear) => linear.n,
            Self::Normed(qkv) => qkv.q.n.max(qkv.k.n).max(qkv.v.n),
        }
    }
    /// `x` \[rows, width\] -> q, k and v, each with the column at which it begins.
    fn apply(&self, g: &mut Graph, x: ValueId, heads: &SelfAttention) -> Result<[(ValueId, usize); 3]> {
        match self {
            Self::Stacked(linear) => {
                let all = linear.apply(g, x)?;
                Ok([(all, 0), (all, heads.q_width()), (all, heads.q_width() + heads.kv_width())])
            }
            Self::Normed(qkv) => {
                let q = qkv.q.apply(g, x)?;
                let k = qkv.k.apply(g, x)?;
                let q = qkv.q_norm.apply_to_heads(g, q, heads.heads)?;
                let k = qkv.k_norm.apply_to_heads(g, k, heads.kv_heads)?;
                Ok([(q, 0), (k, 0), (qkv.v.apply(g, x)?, 0)])
            }
        }
    }
}

/// What the layers of one program share: where rows stand and which keys they see.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Rotary tables \[max_len, rotary_dim\].
    pub table: ValueId,
    /// Those of queries, where they are others than those of keys.
    pub query_table: Option<ValueId>,
    /// Position of every row: \[rows\], or \[3, rows\] where `pair_axis` says which of the three turns a pair.
    pub positions: ValueId,
    /// The axis of every pair u32 \[rotary_dim / 2\].
    pub pair_axis: Option<ValueId>,
    /// Cache row of every row.
    pub slots: ValueId,
    /// Rotary settings.
    pub rope: RopeSpec,
    /// Cache.
    pub cache: KvCache,
    /// Sequences over the cache for prefill; `None` in decode.
    pub spans: Option<ValueId>,
    /// Valid keys of every sequence, for decode.
    pub lens: Option<ValueId>,
    /// Key splits of a decode step.
    pub splits: usize,
    /// Features of pictures, where there are any.
    pub cross: Option<CrossFlow>,
}

impl Flow {
    /// Turns `heads` of x that begin at a column, by the angles of `table`.
    fn turn(
        &self,
        g: &mut Graph,
        (x, x_offset): (ValueId, usize),
        (heads, head_dim): (usize, usize),
        table: ValueId,
    ) -> Result<ValueId> {
        let rope = Rope {
            rotary_dim: self.rope.rotary_dim,
            x_offset,
            interleaved: self.rope.interleaved,
            axes: self.pair_axis.map(|_| 3),
            ..Rope::whole(heads, head_dim)
        };
        let mut operands = vec![x, self.positions, table];
        operands.extend(self.pair_axis);
        g.apply(rope, &operands)
    }
}

/// `x` \[rows, width\] -> the same shape. `index` counts the layers of the decoder, and names their caches.
pub fn apply_layer(g: &mut Graph, layer: &Layer, index: usize, x: ValueId, flow: &Flow) -> Result<ValueId> {
    match (layer, &flow.cross) {
        (Layer::Own(layer), _) => decoder_layer(g, layer, index, x, flow),
        (Layer::Cross(layer), Some(cross)) => cross_layer(g, layer, index, x, cross),
        (Layer::Cross(_), None) => Ok(x),
    }
}

/// `x` \[rows, width\] -> the same shape; appends the rows' keys and values to the cache of `index`.
pub fn decoder_layer(g: &mut Graph, layer: &DecoderLayer, index: usize, x: ValueId, flow: &Flow) -> Result<ValueId> {
    let h = g.scoped("attn", |g| {
        let normed = layer.norm1.apply(g, x)?;
        let qkv = layer.qkv.apply(g, normed, &layer.attention)?;
        let mixed = cached_attention(g, layer, index, qkv, flow)?;
        match layer.branch_scale {
            None => layer.out.apply_add(g, mixed, x),
            Some(scale) => {
                let y = layer.out.apply(g, mixed)?;
                add_scaled(g, y, scale, x)
            }
        }
    })?;
    g.scoped("mlp", |g| {
        let normed = layer.norm2.apply(g, h)?;
        match layer.branch_scale {
            None => layer.mlp.apply_add(g, normed, h),
            Some(scale) => {
                let y = layer.mlp.apply(g, normed)?;
                add_scaled(g, y, scale, h)
            }
        }
    })
}

/// `scale * y + x`.
fn add_scaled(g: &mut Graph, y: ValueId, scale: f32, x: ValueId) -> Result<ValueId> {
    let scaled = g.apply(Unary { op: UnaryOp::Affine { scale, shift: 0.0 } }, &[y])?;
    g.apply(Binary { op: BinaryOp::Add }, &[scaled, x])
}

fn cached_attention(
    g: &mut Graph,
    layer: &DecoderLayer,
    index: usize,
    [q, k, (v, v_offset)]: [(ValueId, usize); 3],
    flow: &Flow,
) -> Result<ValueId> {
    let heads = &layer.attention;
    let q = flow.turn(g, q, (heads.heads, heads.head_dim), flow.query_table.unwrap_or(flow.table))?;
    let k = flow.turn(g, k, (heads.kv_heads, heads.head_dim), flow.table)?;
    let [keys, values] = flow.cache.values(g, index, heads);
    append(g, (k, 0), flow.slots, keys)?;
    append(g, (v, v_offset), flow.slots, values)?;
    match (flow.spans, flow.lens) {
        (Some(spans), _) => g.apply(heads.kernel([0, 0, 0]), &[q, keys, values, spans]),
        (None, Some(lens)) => {
            let kernel = AttentionDecode {
                heads: heads.heads,
                kv_heads: heads.kv_heads,
                head_dim: heads.head_dim,
                scale: 1.0 / (heads.head_dim as f32).sqrt(),
                window: heads.window,
                max_len: flow.cache.max_len,
                splits: flow.splits,
                q_offset: 0,
            };
            let partials = g.apply(kernel, &[q, keys, values, lens])?;
            let dtype = g.ty(q).dtype;
            let merge = AttentionMerge { heads: heads.heads, head_dim: heads.head_dim, splits: flow.splits, dtype };
            g.apply(merge, &[partials])
        }
        (None, None) => Err(Error::graph("attention", "neither spans nor lens say which keys there are")),
    }
}
