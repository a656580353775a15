//! Gathering and scattering by indices.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
