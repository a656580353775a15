//! Block formats of ggml: weights dequantised, and products with them.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
