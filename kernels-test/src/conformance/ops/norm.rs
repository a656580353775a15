//! Normalisations.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
