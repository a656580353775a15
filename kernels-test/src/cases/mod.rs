//! The case lists, one file a kernel.

mod advance;
mod argmax;
mod attention;
mod attention_decode;
mod attention_merge;
mod ceilings;
mod embed_tokens;
mod interpolate_rows;
mod kv_append;
mod matmul;
mod rms_norm;
mod rope;
mod sample;
mod splice_rows;

use crate::case::Case;

/// Cases of every registered kernel, by kernel name, in the order of the registry.
pub static CASES: &[(&str, fn() -> Vec<Case>)] = &[
    ("advance", advance::cases),
    ("argmax", argmax::cases),
    ("attention", attention::cases),
    ("attention_decode", attention_decode::cases),
    ("attention_merge", attention_merge::cases),
    ("copy", ceilings::copy),
    ("embed_tokens", embed_tokens::cases),
    ("fma_chain", ceilings::fma_chain),
    ("interpolate_rows", interpolate_rows::cases),
    ("kv_append", kv_append::cases),
    ("matmul", matmul::cases),
    ("rms_norm", rms_norm::cases),
    ("rope", rope::cases),
    ("sample", sample::cases),
    ("splice_rows", splice_rows::cases),
];
