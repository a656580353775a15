//! The case lists, one file a kernel.

mod advance;
mod argmax;
mod as_gpu;
mod attention;
mod attention_decode;
mod attention_merge;
mod attention_scores;
mod batch_matmul;
mod batch_norm;
mod binary;
mod cache_places;
mod ceilings;
mod concat;
mod conv;
mod conv_grouped;
mod conv_transpose;
mod embed_tokens;
mod gather;
mod glu;
mod group_norm;
mod interpolate_rows;
mod kv_append;
mod l2_norm;
mod layer_norm;
mod linear_attention;
mod matmul;
mod matvec;
mod normalize;
mod pad;
mod patch_embed;
mod pool;
mod read_weight;
mod rearrange;
mod reduce;
mod resize_columns;
mod resize_rows;
mod rms_norm;
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
    ("attention_scores", attention_scores::cases),
    ("batch_matmul", batch_matmul::cases),
    ("batch_norm", batch_norm::cases),
    ("binary", binary::cases),
    ("cache_places", cache_places::cases),
    ("concat", concat::cases),
    ("conv", conv::cases),
    ("conv_grouped", conv_grouped::cases),
    ("conv_transpose", conv_transpose::cases),
    ("copy", ceilings::copy),
    ("embed_tokens", embed_tokens::cases),
    ("fma_chain", ceilings::fma_chain),
    ("gather", gather::cases),
    ("glu", glu::cases),
    ("group_norm", group_norm::cases),
    ("interpolate_rows", interpolate_rows::cases),
    ("kv_append", kv_append::cases),
    ("l2_norm", l2_norm::cases),
    ("layer_norm", layer_norm::cases),
    ("linear_attention", linear_attention::cases),
    ("matmul", matmul::cases),
    ("matvec", matvec::cases),
    ("normalize", normalize::cases),
    ("pad", pad::cases),
    ("patch_embed", patch_embed::cases),
    ("pool", pool::cases),
    ("read_weight", read_weight::cases),
    ("rearrange", rearrange::cases),
    ("reduce", reduce::cases),
    ("resize_columns", resize_columns::cases),
    ("resize_rows", resize_rows::cases),
    ("rms_norm", rms_norm::cases),
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
