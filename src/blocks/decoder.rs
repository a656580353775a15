//! The decoder layer of LLaMA, Mistral and Qwen2: rms norm, rotary positions, grouped queries, gated MLP.

use super::{KvCache, Linear, Norm, RopeSpec, SelfAttention};
use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::{Act, AttentionDecode, AttentionMerge, Glu, KvAppend, Rope};

/// One layer: `h = x + o(attn(rope(qkv(norm1 x)))); y = h + down(act(gate(norm2 h)) * up(norm2 h))`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderLayer {
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
    /// Gate and up, stacked.
    pub gate_up: Linear,
    /// Activation of the gate.
    pub act: Act,
    /// Narrowing layer.
    pub down: Linear,
}

/// What the layers of one program share: where rows stand and which keys they see.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Rotary tables \[max_len, rotary_dim\].
    pub table: ValueId,
    /// Position of every row.
    pub positions: ValueId,
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
}

/// `x` \[rows, width\] -> the same shape; appends the rows' keys and values to the cache of `index`.
pub fn decoder_layer(g: &mut Graph, layer: &DecoderLayer, index: usize, x: ValueId, flow: &Flow) -> Result<ValueId> {
    let h = g.scoped("attn", |g| {
        let normed = layer.norm1.apply(g, x)?;
        let qkv = layer.qkv.apply(g, normed)?;
        let mixed = cached_attention(g, layer, index, qkv, flow)?;
        layer.out.apply_add(g, mixed, x)
    })?;
    g.scoped("mlp", |g| {
        let normed = layer.norm2.apply(g, h)?;
        let gate_up = layer.gate_up.apply(g, normed)?;
        let gated = g.apply(Glu { act: layer.act, packed: true }, &[gate_up])?;
        layer.down.apply_add(g, gated, h)
    })
}

fn cached_attention(g: &mut Graph, layer: &DecoderLayer, index: usize, qkv: ValueId, flow: &Flow) -> Result<ValueId> {
    let heads = &layer.attention;
    let (q_width, kv_width) = (heads.q_width(), heads.kv_width());
    let rope = |count: usize, x_offset: usize| Rope {
        rotary_dim: flow.rope.rotary_dim,
        x_offset,
        interleaved: flow.rope.interleaved,
        ..Rope::whole(count, heads.head_dim)
    };
    let q = g.apply(rope(heads.heads, 0), &[qkv, flow.positions, flow.table])?;
    let k = g.apply(rope(heads.kv_heads, q_width), &[qkv, flow.positions, flow.table])?;
    let [keys, values] = flow.cache.values(g, index, heads);
    g.apply(KvAppend { x_offset: 0, cols: kv_width }, &[k, flow.slots, keys])?;
    g.apply(KvAppend { x_offset: q_width + kv_width, cols: kv_width }, &[qkv, flow.slots, values])?;
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
        (None, None) => Err(crate::Error::graph("attention", "neither spans nor lens say which keys there are")),
    }
}
