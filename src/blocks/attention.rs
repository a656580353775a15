//! Attention over ragged batches: of rows to each other, from a stacked query-key-value matrix, and of rows to others.

use super::{Linear, Part};
use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::Attention;
use crate::quant::WeightFormat;

/// Heads of a self-attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelfAttention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; a divisor of `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// A row sees itself and earlier rows only.
    pub causal: bool,
    /// A row sees this many rows at most, itself included.
    pub window: Option<u32>,
}

/// Sequences of a ragged batch: `(q_start, q_len, k_start, k_len)` each.
pub type Spans = Vec<[u32; 4]>;

impl SelfAttention {
    /// Width of the queries.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }
    /// Width of the keys, and of the values.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
    /// The kernel; q, k and v start at these columns of their operands.
    pub fn kernel(&self, offsets: [usize; 3]) -> Attention {
        Attention {
            causal: self.causal,
            window: self.window,
            q_offset: offsets[0],
            k_offset: offsets[1],
            v_offset: offsets[2],
            ..Attention::apart(self.heads, self.kv_heads, self.head_dim)
        }
    }
    /// `qkv` \[rows, q | k | v\] and `spans` \[sequences, 4\] -> \[rows, heads * head_dim\].
    pub fn fused(&self, g: &mut Graph, qkv: ValueId, spans: ValueId) -> Result<ValueId> {
        let kernel = self.kernel([0, self.q_width(), self.q_width() + self.kv_width()]);
        g.apply(kernel, &[qkv, qkv, qkv, spans])
    }
}

/// Attention whose queries and keys are different rows, with its projections.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossAttention {
    /// Heads.
    pub heads: SelfAttention,
    /// Projection of the queries.
    pub q: Linear,
    /// Projection of the keys.
    pub k: Linear,
    /// Projection of the values.
    pub v: Linear,
    /// Output projection.
    pub out: Linear,
}

impl CrossAttention {
    /// `nn.MultiheadAttention` of `width` columns under `name`: `in_proj_weight` \[3 width, width\] with its bias holds the
    /// projections of q, k and v, `out_proj` is a layer.
    pub fn torch(name: &str, width: usize, heads: usize, dtype: impl Into<WeightFormat>) -> Self {
        let dtype = dtype.into();
        let project = |part: usize| {
            let rows = |tensor: &str| Part::Rows { name: tensor, first: part * width, count: width }.to_string();
            let (weight, bias) = (format!("{name}.in_proj_weight"), format!("{name}.in_proj_bias"));
            Linear { weight: rows(&weight), bias: Some(rows(&bias)), n: width, k: width, dtype, stack: Vec::new() }
        };
        let head_dim = width / heads.max(1);
        Self {
            heads: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            q: project(0),
            k: project(1),
            v: project(2),
            out: Linear::new(&format!("{name}.out_proj"), width, width, true, dtype),
        }
    }
    /// Projected queries, keys and values with their sequences -> \[query rows, width\], projected.
    pub fn attend(&self, g: &mut Graph, [q, k, v]: [ValueId; 3], spans: &Spans) -> Result<ValueId> {
        let flat: Vec<u32> = spans.iter().flatten().copied().collect();
        let spans = g.constant_u32("spans", &[spans.len(), 4], &flat);
        let mixed = g.apply(self.heads.kernel([0, 0, 0]), &[q, k, v, spans])?;
        self.out.apply(g, mixed)
    }
}
