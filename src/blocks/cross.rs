//! Attention of some rows to others: queries, keys and values each from an input of its own.

use super::{Linear, Part, SelfAttention, Spans};
use crate::graph::{Graph, ValueId};
use crate::{DType, Result};

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
    pub fn torch(name: &str, width: usize, heads: usize, dtype: DType) -> Self {
        let project = |part: usize| {
            let rows = |tensor: &str| Part::Rows { name: tensor, first: part * width, count: width }.to_string();
            let (weight, bias) = (format!("{name}.in_proj_weight"), format!("{name}.in_proj_bias"));
            Linear { weight: rows(&weight), bias: Some(rows(&bias)), n: width, k: width, dtype }
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
