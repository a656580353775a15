//! The registry of operators: one file a group, each with its table.

mod activation;
mod attention;
mod attention_ms;
mod axes;
mod conv;
mod einsum;
mod elementwise;
mod gather;
mod gguf;
mod integer;
mod layout;
mod matmul;
mod moe;
mod norm;
mod pool;
mod quant;
mod quant_matmul;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod rotary;
mod sequences;
mod softmax;
mod windows;

use super::builder::Mapping;

/// Domain, operator, mapping.
pub type Entry = (&'static str, &'static str, Mapping);

/// The operators of ONNX.
pub const ONNX: &str = "ai.onnx";
/// The operators that ONNX Runtime adds.
pub const MICROSOFT: &str = "com.microsoft";

/// Every table; each is sorted by domain, then by operator.
pub static GROUPS: &[&[Entry]] = &[
    activation::OPS,
    attention::OPS,
    conv::OPS,
    elementwise::OPS,
    gather::OPS,
    gguf::OPS,
    integer::OPS,
    layout::OPS,
    matmul::OPS,
    moe::OPS,
    norm::OPS,
    pool::OPS,
    quant::OPS,
    quant_matmul::OPS,
    quantize::OPS,
    reduce::OPS,
    resize::OPS,
    rotary::OPS,
    softmax::OPS,
];

/// The mapping of an operator.
pub fn lookup(domain: &str, op: &str) -> Option<Mapping> {
    let domain = if domain.is_empty() { ONNX } else { domain };
    let mut all = GROUPS.iter().flat_map(|group| group.iter());
    all.find(|(d, o, _)| *d == domain && *o == op).map(|(.., mapping)| *mapping)
}
