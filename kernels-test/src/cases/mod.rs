//! The case lists, one file a kernel.

mod ceilings;
mod rms_norm;

use crate::case::Case;

/// Cases of every registered kernel, by kernel name, in the order of the registry.
pub static CASES: &[(&str, fn() -> Vec<Case>)] =
    &[("copy", ceilings::copy), ("fma_chain", ceilings::fma_chain), ("rms_norm", rms_norm::cases)];
