//! Attention in the forms of ONNX and ONNX Runtime, and what keeps its state.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
