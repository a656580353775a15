//! kv_encode: every format over rows of whole units and of none, columns out of a fused matrix, padding rows, slots beyond
//! the cache, rows of one value and of zeros.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{CacheFormat, KvEncode};

fn case(name: &str, encode: KvEncode, x: Input, slots: &[u32], rows: usize) -> Case {
    // The type beside which each format is packed.
    let compute = if encode.format == CacheFormat::F32 { DType::F16 } else { DType::F32 };
    let cache = Input::cache(encode.format, compute, rows, encode.cols);
    let name = format!("{name} to {}", encode.format);
    Case::new(name, encode, vec![x, Input::u32(&[slots.len()], slots), cache])
}

fn typed(name: &str, encode: KvEncode, dtype: DType, x: &[usize; 2], slots: &[u32], rows: usize) -> Case {
    case(name, encode, Input::float(dtype, x), slots, rows)
}

pub fn cases() -> Vec<Case> {
    let hostile = [3, u32::MAX, 7, 5, 1 << 31, 0, u32::MAX - 1];
    let prompt: Vec<u32> = (16..80).collect();
    let mut all = Vec::new();
    for format in CacheFormat::ALL {
        let encode = |x_offset, cols| KvEncode { format, x_offset, cols };
        let one = |name: &str, fill: Fill| case(name, encode(0, 96), Input::f32(&[2, 96]).fill(fill), &[1, 0], 3);
        all.extend([
            case("1x1", encode(0, 1), Input::f32(&[1, 1]), &[0], 1),
            case("7x64 hostile", encode(2, 64), Input::f32(&[7, 70]), &hostile, 7),
            case("7x33 hostile", encode(1, 33), Input::f32(&[7, 34]), &hostile, 7),
            case("7x160 hostile f16", encode(3, 160), Input::float(DType::F16, &[7, 163]), &hostile, 7),
            case("all padding", encode(0, 65), Input::f32(&[2, 65]), &[u32::MAX; 2], 4),
            one("zeros", Fill::Zeros),
            one("one value", Fill::Const(-0.37)),
            one("one sign", Fill::Uniform(3.0, 4.0)),
            one("small", Fill::Uniform(-3e-3, 3e-3)),
            one("outlier", Fill::Outlier),
            case("64x1024", encode(5120, 1024), Input::f32(&[64, 6144]), &prompt, 96).bench(),
        ]);
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (tokens, cols, rows) = (d.size(40), d.size(300), d.size(60));
    let encode = KvEncode { format: d.pick(&CacheFormat::ALL), x_offset: d.below(9), cols };
    let x = [tokens, encode.x_offset + cols + d.below(5)];
    let mut free: Vec<u32> = (0..rows as u32 + 3).chain([u32::MAX]).collect();
    let slots: Vec<u32> = (0..tokens)
        .map(|_| if free.len() > 1 { free.swap_remove(d.below(free.len() - 1)) } else { u32::MAX })
        .collect();
    let dtype = d.float();
    row!(typed("drawn", encode, dtype, &x, &slots, rows))
}
