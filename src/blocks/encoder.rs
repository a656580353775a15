//! The pre-norm transformer encoder layer of ViT, CLIP and their kin.

use super::{Linear, Norm, SelfAttention, gather};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Act, Attention, Binary, BinaryOp, Glu, LayerScale, Mask, Rope, TensorType};
use crate::{Error, Result};

/// The second half of a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Mlp {
    /// `fc2(act(fc1 x))`.
    Plain {
        /// Widening layer.
        fc1: Linear,
        /// Activation between.
        act: Act,
        /// Narrowing layer.
        fc2: Linear,
    },
    /// `down(act(gate x) * up x)`.
    Gated {
        /// Gate and up, stacked.
        gate_up: Linear,
        /// Activation of the gate.
        act: Act,
        /// Narrowing layer.
        down: Linear,
    },
}

impl Mlp {
    /// `x` \[rows, width\] -> the same shape.
    pub fn apply(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        match self {
            Self::Plain { fc1, act, fc2 } => super::two_layer(g, x, fc1, *act, fc2),
            Self::Gated { gate_up, act, down } => {
                let both = gate_up.apply(g, x)?;
                let gated = g.apply(Glu { act: *act, packed: true }, &[both])?;
                down.apply(g, gated)
            }
        }
    }
    /// `residual + apply(x)`.
    pub fn apply_add(&self, g: &mut Graph, x: ValueId, residual: ValueId) -> Result<ValueId> {
        let y = self.apply(g, x)?;
        g.apply(Binary { op: BinaryOp::Add }, &[y, residual])
    }
    /// The stacked matrix, where there is one.
    pub fn stacked(&mut self) -> Option<&mut Linear> {
        match self {
            Self::Gated { gate_up, .. } => Some(gate_up),
            Self::Plain { .. } => None,
        }
    }
    /// Width between the two matrices, as the first one writes it.
    pub fn inner(&self) -> usize {
        match self {
            Self::Plain { fc1, .. } => fc1.n,
            Self::Gated { gate_up, .. } => gate_up.n,
        }
    }
}

/// One layer: `h = x + s1 * out(attn(norm1 x)); y = h + s2 * mlp(norm2 h)`.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderLayer {
    /// Norm before the attention.
    pub norm1: Norm,
    /// Query, key and value, stacked.
    pub qkv: Linear,
    /// Norms of whole rows of queries and of keys, before heads are looked at (InternViT).
    pub qk_norm: Option<[Norm; 2]>,
    /// Heads.
    pub attention: SelfAttention,
    /// Output projection.
    pub out: Linear,
    /// Norm before the MLP.
    pub norm2: Norm,
    /// The MLP.
    pub mlp: Mlp,
    /// Tensors \[width\] that scale the two branches (layer scale; Touvron et al. 2021).
    pub scales: Option<[String; 2]>,
    /// Whether a row sees its window only, where the tower has windows.
    pub windowed: bool,
}

/// What the layers of one program share: which rows see which, and where they stand.
#[derive(Debug, Clone, Copy)]
pub struct EncoderFlow {
    /// Sequences \[sequences, 4\]: `(q_start, q_len, k_start, k_len)` each.
    pub spans: ValueId,
    /// The same for windowed layers.
    pub windows: Option<ValueId>,
    /// Rotary positions of every row.
    pub rope: Option<EncoderRope>,
    /// u32 \[rows\]: 0 for rows that no row sees, such as padding.
    pub seen: Option<ValueId>,
}

/// Rotary positions of a tower: a table row for each row of the program, as its geometry has them.
#[derive(Debug, Clone, Copy)]
pub struct EncoderRope {
    /// f32 \[rows, rotary_dim\]: cosines, then sines.
    pub table: ValueId,
    /// u32 \[rows\]: the table row of every row.
    pub positions: ValueId,
    /// Pairs are neighbours instead of half a head apart.
    pub interleaved: bool,
}

impl EncoderFlow {
    /// Rows see their sequence, and have no rotary positions.
    pub fn new(spans: ValueId) -> Self {
        Self { spans, windows: None, rope: None, seen: None }
    }
}

/// `x` \[rows, width\] -> the same shape.
pub fn encoder_layer(g: &mut Graph, layer: &EncoderLayer, x: ValueId, flow: &EncoderFlow) -> Result<ValueId> {
    let h = g.scoped("attn", |g| {
        let normed = layer.norm1.apply(g, x)?;
        let qkv = layer.qkv.apply(g, normed)?;
        let mixed = attend(g, layer, qkv, flow)?;
        let y = layer.out.apply(g, mixed)?;
        branch(g, y, layer.scales.as_ref().map(|s| s[0].as_str()), x)
    })?;
    g.scoped("mlp", |g| {
        let normed = layer.norm2.apply(g, h)?;
        let y = layer.mlp.apply(g, normed)?;
        branch(g, y, layer.scales.as_ref().map(|s| s[1].as_str()), h)
    })
}

/// `x + scale * y`.
pub(super) fn branch(g: &mut Graph, y: ValueId, scale: Option<&str>, x: ValueId) -> Result<ValueId> {
    let Some(name) = scale else { return g.apply(Binary { op: BinaryOp::Add }, &[y, x]) };
    let gain = g.weight(name, TensorType::f32(&[g.ty(y).cols()]));
    g.apply(LayerScale, &[y, gain, x])
}

/// Attention by `qkv` as the layer sees it.
pub(super) fn attend(g: &mut Graph, layer: &EncoderLayer, qkv: ValueId, flow: &EncoderFlow) -> Result<ValueId> {
    let heads = &layer.attention;
    let spans = match flow.windows.filter(|_| layer.windowed) {
        Some(windows) => windows,
        None if layer.windowed => return Err(Error::graph("attention", "a windowed layer in a tower without windows")),
        None => flow.spans,
    };
    if let Some(norms) = &layer.qk_norm {
        return attend_normed(g, layer, norms, qkv, spans, flow);
    }
    let Some(rope) = &flow.rope else {
        let Some(seen) = flow.seen else { return heads.fused(g, qkv, spans) };
        let kernel = heads.kernel([0, heads.q_width(), heads.q_width() + heads.kv_width()]);
        return g.apply(Attention { mask: Mask::Keys, ..kernel }, &[qkv, qkv, qkv, spans, seen]);
    };
    if flow.seen.is_some() {
        return Err(Error::graph("attention", "rotary positions among rows that are not seen"));
    }
    let turn = |count: usize, x_offset: usize, rotary_dim: usize| Rope {
        rotary_dim,
        x_offset,
        interleaved: rope.interleaved,
        ..Rope::whole(count, heads.head_dim)
    };
    let dim = g.ty(rope.table).cols();
    let q = g.apply(turn(heads.heads, 0, dim), &[qkv, rope.positions, rope.table])?;
    let k = g.apply(turn(heads.kv_heads, heads.q_width(), dim), &[qkv, rope.positions, rope.table])?;
    g.apply(heads.kernel([0, 0, heads.q_width() + heads.kv_width()]), &[q, k, qkv, spans])
}

/// Attention of a layer whose queries and keys are normed.
fn attend_normed(
    g: &mut Graph,
    layer: &EncoderLayer,
    norms: &[Norm; 2],
    qkv: ValueId,
    spans: ValueId,
    flow: &EncoderFlow,
) -> Result<ValueId> {
    let (heads, rows) = (&layer.attention, g.ty(qkv).rows());
    if heads.heads != heads.kv_heads || flow.rope.is_some() || flow.seen.is_some() {
        let reason = "norms of queries and keys with grouped heads, rotary positions or rows that are not seen";
        return Err(Error::graph("attention", reason));
    }
    // A row of q, k and v is three rows of one width.
    let parts = g.reshape(qkv, &[3 * rows, heads.q_width()])?;
    let mut part = |i: usize| {
        let index: Vec<u32> = (0..rows).map(|row| (3 * row + i) as u32).collect();
        let picked = gather(g, parts, &index)?;
        norms[i].apply(g, picked)
    };
    let (q, k) = (part(0)?, part(1)?);
    g.apply(heads.kernel([0, 0, 2 * heads.q_width()]), &[q, k, qkv, spans])
}
