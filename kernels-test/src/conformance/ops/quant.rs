//! Quantized checkpoints: AWQ, GPTQ, compressed-tensors, bitsandbytes, fp8 blocks.

use super::Entry;

/// Mappings of this group.
pub static OPS: &[Entry] = &[];
