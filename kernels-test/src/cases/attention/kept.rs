//! Against caches in every format: what a prompt does in a decoder, and features of pictures with tiles hidden by run.

use super::{cached, case};
use crate::case::{Case, Input};
use omma::DType;
use omma::kernels::{Attention, CacheFormat, Mask};

/// q, and k and v in a format, of `rows`.
fn kept(format: CacheFormat, name: &str, kernel: Attention, rows: [usize; 2], spans: &[[u32; 4]]) -> Case {
    // The type beside which each format is packed.
    let compute = if format == CacheFormat::F32 { DType::F16 } else { DType::F32 };
    let q = Input::float(compute, &[rows[0], kernel.heads * kernel.head_dim]);
    let kv = |dim| Input::cache(format, compute, rows[1], kernel.kv_heads * dim);
    let (k, v) = (kv(kernel.head_dim), kv(kernel.value_dim));
    case(&format!("{name} of {format}"), kernel, [q, k, v], spans)
}

pub fn cases() -> Vec<Case> {
    // Queries 7 .. of their sequences against caches of 96 rows each; the third sequence has no key at all.
    let cache = [[0, 3, 0, 10], [3, 40, 96, 90], [43, 2, 192, 0], [45, 1, 288, 96]];
    let hostile = [[0, 30, 20, u32::MAX], [30, u32::MAX, u32::MAX, u32::MAX], [u32::MAX, u32::MAX, 0, 7]];
    let mut all = Vec::new();
    for format in CacheFormat::ALL {
        let windowed = Attention { window: Some(20), ..cached(4, 2, 64) };
        let masked = Attention { mask: Mask::Keys, ..cached(2, 2, 32) };
        let wide = Attention { value_dim: 130, ..cached(2, 1, 136) };
        let tiles = Attention { causal: false, mask: Mask::Runs { keys: 5 }, ..cached(2, 1, 64) };
        for dim in [1, 20, 33, 64, 80, 128] {
            all.push(kept(format, &format!("cache 4:2x{dim}"), cached(4, 2, dim), [46, 384], &cache));
        }
        all.extend([
            kept(format, "cache window", windowed, [46, 384], &cache),
            kept(format, "cache key mask", masked, [46, 384], &cache),
            kept(format, "cache wide", wide, [46, 384], &cache),
            kept(format, "more queries", cached(2, 1, 48), [50, 20], &[[0, 50, 0, 20]]),
            kept(format, "hostile spans", cached(2, 2, 32), [47, 61], &hostile),
        ]);
        let mut hidden = kept(format, "tiles hidden", tiles, [7, 20], &[[0, 7, 0, 20]]);
        let flags: Vec<u32> = (0..28).map(|i| u32::from(i % 3 != 1)).collect();
        hidden.inputs.push(Input::u32(&[1, 1, 7, 4], &flags));
        all.push(hidden);
    }
    all
}
