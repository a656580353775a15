//! Arithmetic, comparisons and logic, element by element with broadcasting.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
