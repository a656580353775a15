//! attention: head sizes of ViT, CLIP, SigLIP, Phi, LLaMA and odd ones; every mask; ragged batches, caches, empty
//! sequences, huge logits, many rows.

mod drawn;
mod kept;
mod scores;

pub use drawn::draw;

use super::as_gpu::small_as_gpu;
use crate::case::{Case, Fill, Input};
use omma::DType;
use omma::kernels::{Attention, Mask, TensorType};

/// q, k and v as one fused matrix, in the types and the lengths of `spans`.
fn fused(name: &str, kernel: Attention, spans: &[[u32; 4]]) -> Case {
    fused_as(name, kernel, spans, DType::F32, Fill::Uniform(-1.0, 1.0))
}

fn fused_as(name: &str, kernel: Attention, spans: &[[u32; 4]], dtype: DType, fill: Fill) -> Case {
    let rows = spans.iter().map(|s| (s[0] + s[1]).max(s[2] + s[3])).max().unwrap_or(1) as usize;
    let cols = kernel.v_offset + kernel.kv_heads * kernel.head_dim;
    let qkv = Input::new(TensorType::new(dtype, &[rows, cols]), fill);
    case(name, kernel, [qkv.clone(), qkv.clone(), qkv], spans)
}

fn case(name: &str, kernel: Attention, qkv: [Input; 3], spans: &[[u32; 4]]) -> Case {
    let words: Vec<u32> = spans.iter().flatten().copied().collect();
    let mut inputs = Vec::from(qkv);
    inputs.push(Input::u32(&[spans.len(), 4], &words));
    if kernel.mask == Mask::Keys {
        let rows = inputs[1].ty.rows();
        // Two of three keys are seen; the last 40 are padding.
        let mask: Vec<u32> = (0..rows).map(|j| u32::from(j % 3 != 1 && j + 40 < rows)).collect();
        inputs.push(Input::u32(&[rows], &mask));
    }
    Case::new(name, kernel, inputs)
}

/// Sequences of equal length, each attending to itself.
fn sequences(count: u32, len: u32) -> Vec<[u32; 4]> {
    (0..count).map(|s| [s * len, len, s * len, len]).collect()
}

fn own(len: u32) -> Vec<[u32; 4]> {
    sequences(1, len)
}

/// Grouped heads in a fused matrix.
fn grouped(heads: usize, kv_heads: usize, head_dim: usize) -> Attention {
    let k_offset = heads * head_dim;
    Attention { kv_heads, k_offset, v_offset: k_offset + kv_heads * head_dim, ..Attention::fused(heads, head_dim) }
}

/// k and v as caches of their own, without columns beside the heads.
fn cached(heads: usize, kv_heads: usize, head_dim: usize) -> Attention {
    let causal = true;
    Attention { kv_heads, causal, q_offset: 0, k_offset: 0, v_offset: 0, ..Attention::fused(heads, head_dim) }
}

fn head_sizes() -> Vec<Case> {
    let sizes = [1, 7, 20, 32, 64, 72, 80, 88, 96, 104, 112, 120, 128];
    sizes.iter().map(|d| fused(&format!("2x37x{d}"), Attention::fused(2, *d), &own(37))).collect()
}

fn masks() -> Vec<Case> {
    let causal = |heads, dim| Attention { causal: true, ..Attention::fused(heads, dim) };
    let window = |w, causal| Attention { causal, window: Some(w), ..Attention::fused(2, 32) };
    vec![
        fused("one token", Attention::fused(1, 64), &own(1)),
        fused("causal 3x101x64", causal(3, 64), &own(101)),
        fused("causal 2x64x72", causal(2, 72), &own(64)),
        fused("window 16 causal", window(16, true), &own(97)),
        fused("window 1 causal", window(1, true), &own(40)),
        fused("window 5 one-sided", window(5, false), &own(67)),
        fused("window over all", window(1000, true), &own(67)),
        fused("grouped 8:2 causal", Attention { causal: true, ..grouped(8, 2, 32) }, &own(53)),
        fused("grouped 4:1", grouped(4, 1, 80), &own(33)),
        fused("key mask", Attention { mask: Mask::Keys, ..Attention::fused(2, 64) }, &own(131)),
        // The keys of the second sequence are all masked.
        fused("key mask hides all", Attention { mask: Mask::Keys, ..Attention::fused(2, 32) }, &sequences(2, 39)),
        fused("key mask causal", Attention { mask: Mask::Keys, ..causal(2, 32) }, &own(83)),
    ]
}

fn spans() -> Vec<Case> {
    let ragged = [[0, 5, 0, 5], [5, 0, 5, 0], [5, 1, 5, 1], [6, 33, 6, 33], [39, 31, 39, 31], [70, 64, 70, 64]];
    // Queries 7 .. of their sequences against caches of 96 rows each; the third sequence has no key at all.
    let cache = [[0, 3, 0, 10], [3, 40, 96, 90], [43, 2, 192, 0], [45, 1, 288, 96]];
    let causal = Attention { causal: true, ..Attention::fused(2, 32) };
    let rows = |n: usize, cols: usize| Input::f32(&[n, cols]);
    let hostile = [[0, 30, 20, u32::MAX], [30, u32::MAX, u32::MAX, u32::MAX], [u32::MAX, u32::MAX, 0, 7]];
    let windowed = Attention { window: Some(20), ..cached(4, 2, 64) };
    vec![
        fused("ragged", Attention::fused(2, 32), &ragged),
        fused("ragged causal", causal, &ragged),
        case("cache 4:2x64", cached(4, 2, 64), [rows(46, 256), rows(384, 128), rows(384, 128)], &cache),
        case("cache window", windowed, [rows(46, 256), rows(384, 128), rows(384, 128)], &cache),
        // More queries than keys: the first queries stand before every key.
        case("more queries", cached(2, 1, 48), [rows(50, 96), rows(20, 48), rows(20, 48)], &[[0, 50, 0, 20]]),
        case("hostile spans", cached(2, 2, 32), [rows(47, 64), rows(61, 64), rows(61, 64)], &hostile),
        fused("66000 rows", Attention::fused(1, 8), &sequences(600, 110)),
    ]
}

fn values() -> Vec<Case> {
    let uniform = Fill::Uniform(-1.0, 1.0);
    let large = Attention { scale: 1e4 / 8.0, ..Attention::fused(2, 64) };
    let causal = Attention { causal: true, ..Attention::fused(2, 64) };
    vec![
        fused("logits of 1e4", large, &own(45)),
        fused_as("huge", Attention { scale: 1e-5, ..Attention::fused(1, 16) }, &own(35), DType::F32, Fill::Huge),
        fused_as("zeros", Attention::fused(2, 64), &own(35), DType::F32, Fill::Zeros),
        fused_as("offset", Attention { scale: 1e-4, ..Attention::fused(1, 64) }, &own(35), DType::F32, Fill::Offset),
        fused_as("f16 2x70x64", Attention::fused(2, 64), &own(70), DType::F16, uniform.clone()),
        fused_as("f16 causal", causal, &own(70), DType::F16, uniform),
    ]
}

fn models() -> Vec<Case> {
    let llama = Attention { causal: true, ..grouped(32, 32, 128) };
    let qwen = Attention { causal: true, ..grouped(14, 2, 64) };
    vec![
        fused("16x577x64 bidirectional", Attention::fused(16, 64), &own(577)).bench(),
        fused("12x197x64 bidirectional", Attention::fused(12, 64), &own(197)).bench(),
        fused("16x729x72 bidirectional", Attention::fused(16, 72), &own(729)).bench_only(),
        fused("32x512x128 causal", llama, &own(512)).bench_only(),
        fused("14:2x1024x64 causal", qwen, &own(1024)).bench_only(),
        fused("16x4096x80 windows of 64", Attention::fused(16, 80), &sequences(64, 64)).bench_only(),
    ]
}

pub fn cases() -> Vec<Case> {
    let lists = [head_sizes(), masks(), spans(), values(), models(), kept::cases(), scores::cases()];
    let mut cases: Vec<Case> = lists.into_iter().flatten().collect();
    cases.extend(small_as_gpu(&cases, 50_000));
    cases
}
