//! linear_attention: each rule, decay by head and by dimension, groups of query heads, one token and many, f16.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::{LinearAttention, TensorType};

/// Batch, tokens, heads, key and value heads, their sizes.
type Sizes = [usize; 6];

fn case(name: &str, [b, t, heads, kv_heads, dk, dv]: Sizes, gates: [Option<usize>; 2], dtype: DType) -> Case {
    let rows = |cols: usize| Input::float(dtype, &[b, t, cols]);
    let mut inputs = vec![rows(heads * dk), rows(kv_heads * dk), rows(kv_heads * dv)];
    inputs.push(Input::f32(&[b, kv_heads, dk, dv]));
    let ty = |cols| TensorType::new(dtype, &[b, t, cols]);
    inputs.extend(gates[0].map(|cols| Input::new(ty(cols), Fill::Uniform(-2.0, 0.0))));
    inputs.extend(gates[1].map(|cols| Input::new(ty(cols), Fill::Uniform(0.0, 0.4))));
    let (decay, delta) = (gates[0].is_some(), gates[1].is_some());
    let scale = 1.0 / (dk as f32).sqrt();
    Case::new(name, LinearAttention { heads, kv_heads, scale, decay, delta }, inputs)
}

pub fn cases() -> Vec<Case> {
    let mut grown = case("no decay, huge", [1, 9, 2, 2, 5, 7], [None, None], F32);
    grown.inputs[2].fill = Fill::Huge;
    vec![
        case("plain", [2, 5, 3, 3, 7, 9], [None, None], F32),
        case("one token", [2, 1, 4, 4, 8, 8], [Some(32), Some(4)], F32),
        case("gated by head", [2, 6, 4, 4, 8, 8], [Some(4), None], F32),
        case("gated by dimension", [1, 6, 4, 4, 8, 11], [Some(32), None], F32),
        case("delta", [2, 6, 4, 4, 8, 8], [None, Some(4)], F32),
        case("gated delta, one rate", [1, 17, 4, 4, 8, 8], [Some(32), Some(1)], F32),
        case("gated delta, groups", [2, 6, 6, 2, 8, 5], [Some(2), Some(2)], F32),
        case("one of each", [1, 1, 1, 1, 1, 1], [Some(1), Some(1)], F32),
        case("f16", [2, 6, 4, 2, 8, 8], [Some(16), Some(2)], F16),
        grown,
        case("70000 columns", [1, 2, 2, 2, 2, 35_000], [Some(2), None], F32),
        case("16x128x128, 64 tokens", [1, 64, 16, 16, 128, 128], [Some(16), Some(16)], F32).bench_only(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (kv_heads, dtype) = (d.size(4), d.float());
    let sizes = [d.size(3), d.size(20), kv_heads * d.size(3), kv_heads, d.size(40), d.size(40)];
    let decay = d.maybe(&[kv_heads, kv_heads * sizes[4]]);
    let delta = d.maybe(&[kv_heads, 1]);
    row!(case("drawn", sizes, [decay, delta], dtype))
}
