//! Resampling of grids.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
