//! The case lists, one file a kernel.

mod binary;
mod ceilings;
mod glu;
mod l2_norm;
mod layer_norm;
mod rms_norm;
mod softmax;
mod unary;
mod advance;
mod argmax;
mod ceilings;
mod embed_tokens;
mod interpolate_rows;
mod kv_append;
mod matmul;
mod matvec;
mod patch_embed;
mod rms_norm;
mod rope;
mod sample;
mod splice_rows;

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
    ("advance", advance::cases),
    ("argmax", argmax::cases),
    ("copy", ceilings::copy),
    ("embed_tokens", embed_tokens::cases),
    ("fma_chain", ceilings::fma_chain),
    ("interpolate_rows", interpolate_rows::cases),
    ("kv_append", kv_append::cases),
    ("matmul", matmul::cases),
    ("matvec", matvec::cases),
    ("patch_embed", patch_embed::cases),
    ("rms_norm", rms_norm::cases),
    ("rope", rope::cases),
    ("sample", sample::cases),
    ("splice_rows", splice_rows::cases),
];
