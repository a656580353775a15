//! Self-attention over ragged batches, from a stacked query-key-value matrix.

use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::Attention;

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
