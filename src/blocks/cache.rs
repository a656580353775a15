//! The key-value cache: two buffers of fixed size a layer, in the type of the activations or in another format.

use super::SelfAttention;
use crate::graph::{Graph, ValueId};
use crate::kernels::{KvAppend, KvEncode, Layout, Packing, TensorType};
use crate::quant::CacheFormat;
use crate::{DType, Result};

/// What keys and values are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheType {
    /// Type of the activations.
    pub compute: DType,
    /// Format of the rows.
    pub format: CacheFormat,
}

impl CacheType {
    /// Activations as they are.
    pub fn of(compute: DType) -> Self {
        Self { compute, format: CacheFormat::of(compute) }
    }
    /// Type of so many rows.
    pub fn rows(&self, rows: usize, cols: usize) -> TensorType {
        TensorType::cache(self.format, self.compute, rows, cols)
    }
}

/// Size of a session's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvCache {
    /// Sequences.
    pub batch: usize,
    /// Tokens of a sequence at most.
    pub max_len: usize,
    /// What keys and values are kept in.
    pub ty: CacheType,
}

/// Store names of a layer's keys and values.
pub fn cache_names(layer: usize) -> [String; 2] {
    [format!("kv.{layer}.k"), format!("kv.{layer}.v")]
}

impl KvCache {
    /// Keys and values of a layer as values of the graph: `[batch * max_len, kv_heads * head_dim]`.
    pub fn values(&self, g: &mut Graph, layer: usize, attention: &SelfAttention) -> [ValueId; 2] {
        let ty = self.ty.rows(self.batch * self.max_len, attention.kv_width());
        cache_names(layer).map(|name| g.state(&name, ty.clone()))
    }
}

/// Columns of `x` from one on into the rows `slots` of a cache, in its format.
pub(super) fn append(
    g: &mut Graph,
    (x, x_offset): (ValueId, usize),
    slots: ValueId,
    cache: ValueId,
) -> Result<ValueId> {
    let cols = g.ty(cache).cols();
    match g.ty(cache).layout {
        Layout::Packed(Packing::Cache(format)) => g.apply(KvEncode { format, x_offset, cols }, &[x, slots, cache]),
        _ => g.apply(KvAppend { x_offset, cols }, &[x, slots, cache]),
    }
}
