//! Low-rank adapters (LoRA, Hu et al. 2021) at run time: each row of a batch takes one of several, or none. Merging them
//! would need a copy of the weights for each; Monkey's tower has as many adapters as it has windows.

use super::encoder::{attend, branch};
use super::{EncoderFlow, EncoderLayer};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, ExpertCombine, ExpertMatMul, SpliceRows, TensorType};
use crate::{DType, Error, Result};

/// Adapters of one layer: set i adds `scale_i * up_i(down_i(x))` to the rows that take it.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    /// `(down, up, scale)` of every set: tensors \[rank, k\], \[n, rank\] and \[1\].
    pub sets: Vec<(String, String, String)>,
    /// Rank.
    pub rank: usize,
    /// Output width.
    pub n: usize,
    /// Input width.
    pub k: usize,
    /// Element type that the matrices are kept in.
    pub dtype: DType,
}

/// Which rows of a batch take which set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdapterRows {
    order: ValueId,
    spans: ValueId,
    place: ValueId,
    set: ValueId,
}

impl AdapterRows {
    /// Runs of rows that follow each other, each with its set; `None` where no run takes one.
    pub fn new(g: &mut Graph, sets: usize, runs: &[(usize, Option<usize>)]) -> Option<Self> {
        let total: usize = runs.iter().map(|(rows, _)| rows).sum();
        // Rows without a set read any place, with a scale of 0.
        let (mut place, mut of) = (vec![0u32; total], vec![sets as u32; total]);
        let (mut order, mut spans) = (Vec::new(), Vec::new());
        for set in 0..sets {
            let (first, mut start) = (order.len(), 0);
            for (rows, taken) in runs {
                for row in (start..start + rows).filter(|_| *taken == Some(set)) {
                    (place[row], of[row]) = (order.len() as u32, set as u32);
                    order.push(row as u32);
                }
                start += rows;
            }
            spans.push([first, order.len() - first].map(|n| n as u32));
        }
        if order.is_empty() {
            return None;
        }
        Some(Self {
            order: g.constant_u32("adapter.order", &[order.len()], &order),
            spans: g.constant_u32("adapter.spans", &[sets, 2], spans.as_flattened()),
            place: g.constant_u32("adapter.place", &[total, 1], &place),
            set: g.constant_u32("adapter.set", &[total], &of),
        })
    }
}

impl LowRank {
    /// `base` \[rows, n\] plus what each row's adapter makes of `x` \[rows, k\].
    ///
    /// # Errors
    /// [`Error::Graph`] where widths and rows do not match.
    pub fn apply_add(&self, g: &mut Graph, x: ValueId, base: ValueId, rows: &AdapterRows) -> Result<ValueId> {
        let count = self.sets.len();
        if g.ty(rows.spans).rows() != count {
            return Err(Error::graph("adapter", format!("{count} sets for {} of the rows", g.ty(rows.spans).rows())));
        }
        let stacked = |part: fn(&(String, String, String)) -> &String| {
            self.sets.iter().map(|set| part(set).as_str()).collect::<Vec<_>>().join("+")
        };
        let down = g.weight(&stacked(|s| &s.0), TensorType::panels(self.dtype, count * self.rank, self.k));
        let up = g.weight(&stacked(|s| &s.1), TensorType::panels(self.dtype, count * self.n, self.rank));
        let scales = g.weight(&(stacked(|s| &s.2) + "+zeros(1)"), TensorType::f32(&[count + 1, 1]));
        let scale = g.apply(SpliceRows { two: false, add: false }, &[scales, rows.set])?;
        let product = |per| ExpertMatMul { per, capacity: None, bias: false };
        let low = g.apply(product(Some(1)), &[x, down, rows.order, rows.spans])?;
        let high = g.apply(product(None), &[low, up, rows.order, rows.spans])?;
        let scaled = g.apply(ExpertCombine, &[high, rows.place, scale])?;
        g.apply(Binary { op: BinaryOp::Add }, &[base, scaled])
    }
}

/// Adapters of an encoder layer (Monkey): beside the fused projection, the output projection and the whole MLP.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerAdapters {
    /// Of query, key and value.
    pub qkv: LowRank,
    /// Of the output projection.
    pub out: LowRank,
    /// From the rows before the second norm to the layer's result.
    pub mlp: LowRank,
}

/// [`super::encoder_layer`] with adapters: `(what the attention adds, what leaves the layer)`.
pub fn adapted_layer(
    g: &mut Graph,
    layer: &EncoderLayer,
    x: ValueId,
    flow: &EncoderFlow,
    adapters: Option<(&LayerAdapters, &AdapterRows)>,
) -> Result<(ValueId, ValueId)> {
    let scale = |i: usize| layer.scales.as_ref().map(|scales| scales[i].as_str());
    let (attended, h) = g.scoped("attn", |g| {
        let normed = layer.norm1.apply(g, x)?;
        let mut qkv = layer.qkv.apply(g, normed)?;
        if let Some((adapters, rows)) = adapters {
            qkv = adapters.qkv.apply_add(g, normed, qkv, rows)?;
        }
        let mixed = attend(g, layer, qkv, flow)?;
        let mut out = layer.out.apply(g, mixed)?;
        if let Some((adapters, rows)) = adapters {
            out = adapters.out.apply_add(g, mixed, out, rows)?;
        }
        Ok((out, branch(g, out, scale(0), x)?))
    })?;
    let y = g.scoped("mlp", |g| {
        let normed = layer.norm2.apply(g, h)?;
        let y = layer.mlp.apply(g, normed)?;
        let y = branch(g, y, scale(1), h)?;
        match adapters {
            Some((adapters, rows)) => adapters.mlp.apply_add(g, h, y, rows),
            None => Ok(y),
        }
    })?;
    Ok((attended, y))
}
