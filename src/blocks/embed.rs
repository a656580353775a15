//! Token embedding: rows of a table in any format.

use crate::graph::{Graph, ValueId};
use crate::kernels::{EmbedTokens, ReadWeight, TensorType, WeightFormat};
use crate::{DType, Result};

/// A token table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenTable<'t> {
    /// Tensor \[vocab, width\].
    pub table: &'t str,
    /// Rows.
    pub vocab: usize,
    /// Columns.
    pub width: usize,
    /// What the table is kept in.
    pub dtype: WeightFormat,
}

impl TokenTable<'_> {
    /// `ids` u32 \[tokens\] -> activations \[tokens, width\] of type `compute`.
    pub fn apply(&self, g: &mut Graph, ids: ValueId, compute: DType) -> Result<ValueId> {
        let table = g.weight(self.table, TensorType::weight(self.dtype, self.vocab, self.width));
        if self.dtype.packing(self.vocab, self.width).is_none() {
            return g.apply(EmbedTokens { dtype: compute }, &[ids, table]);
        }
        g.apply(ReadWeight { picked: true, dtype: compute }, &[ids, table])
    }
}
