//! Pooling: one row for a sequence of rows, by attention (SigLIP's head; Zhai et al. 2022) or as their mean.

use super::{Linear, Mlp, Norm, SelfAttention, gather, splice};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, Reduce, ReduceOp, TensorType};
use crate::{Error, Result};
use std::ops::Range;

/// `a = out(attn(probe, x, x)); y = a + mlp(norm a)`: a row for each sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionPool {
    /// The learned query \[1, width\].
    pub probe: String,
    /// Query, key and value, stacked: of the probe the query is used, of the rows keys and values.
    pub qkv: Linear,
    /// Heads.
    pub attention: SelfAttention,
    /// Output projection.
    pub out: Linear,
    /// Norm before the MLP.
    pub norm: Norm,
    /// The MLP.
    pub mlp: Mlp,
}

impl AttentionPool {
    /// `x` \[rows of all sequences, width\] -> \[sequences, width\].
    pub fn apply(&self, g: &mut Graph, x: ValueId, sequences: &[Range<usize>]) -> Result<ValueId> {
        let ty = TensorType::new(g.ty(x).dtype, &[1, g.ty(x).cols()]);
        let probe = g.weight(&self.probe, ty);
        let asked = self.qkv.apply(g, probe)?;
        let queries = gather(g, asked, &vec![0; sequences.len()])?;
        let rows = self.qkv.apply(g, x)?;
        let span = |(i, r): (usize, &Range<usize>)| [i as u32, 1, r.start as u32, r.len() as u32];
        let spans: Vec<u32> = sequences.iter().enumerate().flat_map(span).collect();
        let spans = g.constant_u32("spans", &[sequences.len(), 4], &spans);
        let heads = &self.attention;
        let kernel = heads.kernel([0, heads.q_width(), heads.q_width() + heads.kv_width()]);
        let mixed = g.apply(kernel, &[queries, rows, rows, spans])?;
        let pooled = self.out.apply(g, mixed)?;
        let normed = self.norm.apply(g, pooled)?;
        let y = self.mlp.apply(g, normed)?;
        g.apply(Binary { op: BinaryOp::Add }, &[y, pooled])
    }
}

/// The mean of the rows of each sequence of `x` \[rows, width\] -> \[sequences, width\].
pub fn mean_rows(g: &mut Graph, x: ValueId, sequences: &[Range<usize>]) -> Result<ValueId> {
    let width = g.ty(x).cols();
    let mut all: Option<ValueId> = None;
    // Neighbours of one length are one reduction.
    for same in sequences.chunk_by(|a, b| a.len() == b.len()) {
        let index: Vec<u32> = same.iter().flat_map(|r| r.start as u32..r.end as u32).collect();
        let rows = gather(g, x, &index)?;
        let rows = g.reshape(rows, &[same.len(), same[0].len(), width])?;
        let mean = g.apply(Reduce { op: ReduceOp::Mean, axis: 1 }, &[rows])?;
        all = Some(match all {
            None => mean,
            Some(before) => {
                let count = (g.ty(before).rows() + same.len()) as u32;
                splice(g, before, mean, &(0..count).collect::<Vec<_>>(), None)?
            }
        });
    }
    all.ok_or_else(|| Error::graph("mean", "of no sequences"))
}
