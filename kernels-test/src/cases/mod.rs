//! The case lists, one file a kernel.

mod binary;
mod ceilings;
mod glu;
mod l2_norm;
mod layer_norm;
mod rms_norm;
mod softmax;
mod unary;

use crate::case::Case;

/// Cases of every registered kernel, by kernel name, in the order of the registry.
pub static CASES: &[(&str, fn() -> Vec<Case>)] = &[
    ("binary", binary::cases),
    ("copy", ceilings::copy),
    ("fma_chain", ceilings::fma_chain),
    ("glu", glu::cases),
    ("l2_norm", l2_norm::cases),
    ("layer_norm", layer_norm::cases),
    ("rms_norm", rms_norm::cases),
    ("softmax", softmax::cases),
    ("unary", unary::cases),
];
