//! attention_decode: decoder heads of LLaMA, Qwen2 and Phi; lengths around a block, empty, full and hostile.

use super::as_gpu::small_as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{AttentionDecode, CacheFormat, TensorType};

fn kernel(heads: usize, kv_heads: usize, head_dim: usize, max_len: usize, splits: usize) -> AttentionDecode {
    let scale = (1.0 / (head_dim as f64).sqrt()) as f32;
    AttentionDecode { heads, kv_heads, head_dim, scale, window: None, max_len, splits, q_offset: 0 }
}

fn case(name: &str, kernel: AttentionDecode, lens: &[u32]) -> Case {
    case_as(name, kernel, lens, DType::F32, Fill::Uniform(-1.0, 1.0))
}

fn case_as(name: &str, kernel: AttentionDecode, lens: &[u32], dtype: DType, fill: Fill) -> Case {
    // Some columns beside the heads, as in a fused matrix.
    let q_cols = kernel.q_offset + kernel.heads * kernel.head_dim + 2;
    let rows = lens.len() * kernel.max_len;
    let q = Input::new(TensorType::new(dtype, &[lens.len(), q_cols]), fill.clone());
    let cache = Input::new(TensorType::new(dtype, &[rows, kernel.kv_heads * kernel.head_dim]), fill);
    let lens = Input::u32(&[lens.len()], lens);
    Case::new(name, kernel, vec![q, cache.clone(), cache, lens])
}

/// Against a cache in a format.
fn kept(format: CacheFormat, name: &str, kernel: AttentionDecode, lens: &[u32]) -> Case {
    kept_as(format, name, kernel, lens, if format == CacheFormat::F32 { DType::F16 } else { DType::F32 })
}

fn kept_as(format: CacheFormat, name: &str, kernel: AttentionDecode, lens: &[u32], compute: DType) -> Case {
    let q = Input::float(compute, &[lens.len(), kernel.q_offset + kernel.heads * kernel.head_dim]);
    let rows = lens.len() * kernel.max_len;
    let cache = Input::cache(format, compute, rows, kernel.kv_heads * kernel.head_dim);
    let name = format!("{name} of {format}");
    Case::new(name, kernel, vec![q, cache.clone(), cache, Input::u32(&[lens.len()], lens)])
}

fn formats() -> Vec<Case> {
    let mut all = Vec::new();
    for format in CacheFormat::ALL {
        let window = AttentionDecode { window: Some(100), ..kernel(4, 2, 64, 300, 2) };
        all.extend(
            [1, 7, 20, 64, 80, 96, 128].map(|d| kept(format, &format!("4:2x{d}"), kernel(4, 2, d, 300, 2), &[277])),
        );
        all.push(kept(format, "lengths", kernel(2, 1, 32, 530, 3), &[0, 1, 256, 257, 530, u32::MAX]));
        all.push(kept(format, "window 100", window, &[300, 50, 100]));
        all.push(kept(format, "14:2x64 in 2048", kernel(14, 2, 64, 2048, 8), &[1500]).bench());
    }
    all
}

pub fn cases() -> Vec<Case> {
    let mut list: Vec<Case> = [1, 7, 32, 64, 72, 80, 96, 104, 128]
        .iter()
        .map(|d| case(&format!("4:2x{d} in 300"), kernel(4, 2, *d, 300, 2), &[277]))
        .collect();
    let window = |w| AttentionDecode { window: Some(w), ..kernel(4, 4, 32, 600, 3) };
    let large = AttentionDecode { scale: 1e4 / 8.0, ..kernel(2, 2, 64, 300, 1) };
    list.extend([
        case("lengths", kernel(2, 1, 32, 1030, 3), &[0, 1, 255, 256, 257, 769, 1030, u32::MAX]),
        case("window 100", window(100), &[600, 50, 100, 101]),
        case("window 1", window(1), &[600, 1, 0]),
        case("offset 5", AttentionDecode { q_offset: 5, ..kernel(3, 1, 20, 40, 1) }, &[33, 40]),
        case("one of each", kernel(1, 1, 64, 1, 1), &[1]),
        case("66000 splits", kernel(100, 100, 2, 4, 220), &[3, 4, 1]),
        case("logits of 1e4", large, &[299]),
        case_as("zeros", kernel(2, 2, 64, 300, 2), &[280], DType::F32, Fill::Zeros),
        case_as("f16", kernel(4, 2, 64, 600, 2), &[599, 3], DType::F16, Fill::Uniform(-1.0, 1.0)),
        case("14:2x64 in 2048", kernel(14, 2, 64, 2048, 8), &[1500]).bench(),
        case("32x128 in 4096", kernel(32, 32, 128, 4096, 16), &[4096]).bench_only(),
    ]);
    list.extend(formats());
    list.extend(small_as_gpu(&list, 200_000));
    list
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (kv_heads, group, dim) = (d.size(3), d.size(4), d.size(128));
    let max_len = d.size(700);
    let mut kernel = kernel(kv_heads * group, kv_heads, dim, max_len, d.size(4));
    kernel.window = d.flag().then(|| d.size(max_len + 9) as u32);
    kernel.q_offset = d.below(6);
    kernel.scale *= d.pick(&[1.0, 30.0]);
    let lens: Vec<u32> = (0..d.size(4)).map(|_| d.below(max_len + 2) as u32).collect();
    let (dtype, fill) = (d.float(), Fill::Uniform(-1.0, 1.0));
    if d.flag() {
        let format = d.pick(&CacheFormat::ALL);
        return row!(kept_as(format, "drawn", kernel, &lens, dtype));
    }
    row!(case_as("drawn", kernel, &lens, dtype, fill))
}
