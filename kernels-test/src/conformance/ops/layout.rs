//! Moving elements: concatenation, slices, transposition, padding, shapes.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
