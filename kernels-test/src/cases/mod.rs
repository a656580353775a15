//! The case lists, one file a kernel.

mod advance;
mod argmax;
mod as_gpu;
mod attention;
mod attention_decode;
mod attention_merge;
mod batch_norm;
mod binary;
mod cast;
mod ceilings;
mod concat;
mod conv;
mod conv_grouped;
mod embed_tokens;
mod gather;
mod glu;
mod grid_sample;
mod group_norm;
mod interpolate_rows;
mod kv_append;
mod l2_norm;
mod layer_norm;
mod matmul;
mod matvec;
mod normalize;
mod pad;
mod patch_embed;
mod pool;
mod quantize;
mod read_weight;
mod rearrange;
mod reduce;
mod resample;
mod resize_columns;
mod resize_rows;
mod rms_norm;
mod roi_align;
mod rope;
mod row_index;
mod sample;
mod scan;
mod scatter;
mod softmax;
mod splice_rows;
mod top_k;
mod unary;

use crate::case::Case;

/// A kernel's name and its cases.
pub type CaseList = (&'static str, fn() -> Vec<Case>);

/// Cases of every registered kernel, by kernel name, in the order of the registry.
pub static CASES: &[CaseList] = &[
    ("advance", advance::cases),
    ("argmax", argmax::cases),
    ("attention", attention::cases),
    ("attention_decode", attention_decode::cases),
    ("attention_merge", attention_merge::cases),
    ("batch_norm", batch_norm::cases),
    ("binary", binary::cases),
    ("cast", cast::cases),
    ("conv", conv::cases),
    ("conv_grouped", conv_grouped::cases),
    ("concat", concat::cases),
    ("copy", ceilings::copy),
    ("dequantize", quantize::dequantize),
    ("embed_tokens", embed_tokens::cases),
    ("fma_chain", ceilings::fma_chain),
    ("gather", gather::cases),
    ("glu", glu::cases),
    ("grid_sample", grid_sample::cases),
    ("group_norm", group_norm::cases),
    ("interpolate_rows", interpolate_rows::cases),
    ("kv_append", kv_append::cases),
    ("l2_norm", l2_norm::cases),
    ("layer_norm", layer_norm::cases),
    ("matmul", matmul::cases),
    ("matvec", matvec::cases),
    ("normalize", normalize::cases),
    ("pad", pad::cases),
    ("patch_embed", patch_embed::cases),
    ("quantize", quantize::quantize),
    ("read_weight", read_weight::cases),
    ("pool", pool::cases),
    ("reduce", reduce::cases),
    ("rearrange", rearrange::cases),
    ("resample", resample::cases),
    ("resize_columns", resize_columns::cases),
    ("resize_rows", resize_rows::cases),
    ("rms_norm", rms_norm::cases),
    ("roi_align", roi_align::cases),
    ("rope", rope::cases),
    ("row_index", row_index::cases),
    ("sample", sample::cases),
    ("scan", scan::cases),
    ("scatter", scatter::cases),
    ("softmax", softmax::cases),
    ("splice_rows", splice_rows::cases),
    ("top_k", top_k::cases),
    ("unary", unary::cases),
];
