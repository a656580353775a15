//! Reductions, scans and selections along axes.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
