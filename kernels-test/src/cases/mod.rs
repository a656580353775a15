//! The case lists, one file a kernel.

mod advance;
mod argmax;
mod ceilings;
mod matmul;
mod embed_tokens;
mod interpolate_rows;
mod kv_append;
mod rms_norm;
mod rope;
mod sample;
mod splice_rows;

use crate::case::Case;

/// Cases of every registered kernel, by kernel name, in the order of the registry.
pub static CASES: &[(&str, fn() -> Vec<Case>)] = &[
    ("copy", ceilings::copy),
    ("fma_chain", ceilings::fma_chain),
    ("matmul", matmul::cases),
    ("rms_norm", rms_norm::cases),
    ("advance", advance::cases),
    ("argmax", argmax::cases),
    ("copy", ceilings::copy),
    ("embed_tokens", embed_tokens::cases),
    ("fma_chain", ceilings::fma_chain),
    ("interpolate_rows", interpolate_rows::cases),
    ("kv_append", kv_append::cases),
    ("rms_norm", rms_norm::cases),
    ("rope", rope::cases),
    ("sample", sample::cases),
    ("splice_rows", splice_rows::cases),
];
