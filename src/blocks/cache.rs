//! The key-value cache: two buffers of fixed size a layer.

use super::SelfAttention;
use crate::DType;
use crate::graph::{Graph, ValueId};
use crate::kernels::TensorType;

/// Size of a session's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvCache {
    /// Sequences.
    pub batch: usize,
    /// Tokens of a sequence at most.
    pub max_len: usize,
    /// Element type.
    pub dtype: DType,
}

/// Store names of a layer's keys and values.
pub fn cache_names(layer: usize) -> [String; 2] {
    [format!("kv.{layer}.k"), format!("kv.{layer}.v")]
}

impl KvCache {
    /// Type of a layer's keys, and of its values: `[batch * max_len, kv_heads * head_dim]`.
    pub fn ty(&self, attention: &SelfAttention) -> TensorType {
        TensorType::new(self.dtype, &[self.batch * self.max_len, attention.kv_width()])
    }
    /// Keys and values of a layer as values of the graph.
    pub fn values(&self, g: &mut Graph, layer: usize, attention: &SelfAttention) -> [ValueId; 2] {
        cache_names(layer).map(|name| g.state(&name, self.ty(attention)))
    }
}
