//! kv_append: scattered slots, padding rows, slots beyond the cache, columns out of a fused matrix.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{KvAppend, TensorType};

fn case(name: &str, append: KvAppend, x: &[usize; 2], slots: &[u32], rows: usize, dtype: DType) -> Case {
    let cache = Input::float(dtype, &[rows, append.cols]);
    Case::new(name, append, vec![Input::float(dtype, x), Input::u32(&[x[0]], slots), cache])
}

pub fn cases() -> Vec<Case> {
    let f32 = DType::F32;
    let append = |x_offset, cols| KvAppend { x_offset, cols };
    // The last row of the cache is named by none: clamping instead of skipping would overwrite it.
    let hostile = [3, u32::MAX, 7, 5, 1 << 31, 0, u32::MAX - 1];
    // 65 537 is prime, so that multiples of 7 hit every slot once.
    let scattered: Vec<u32> = (0..65_537u64).map(|t| (t * 7 % 65_537) as u32).collect();
    let prompt: Vec<u32> = (16..528).collect();
    vec![
        case("1x1", append(0, 1), &[1, 1], &[0], 1, f32),
        case("7x5 hostile", append(2, 5), &[7, 11], &hostile, 7, f32),
        case("7x13 hostile f16", append(1, 13), &[7, 14], &hostile, 7, DType::F16),
        case("7x260 hostile f16", append(4, 260), &[7, 268], &hostile, 7, DType::F16),
        case("all padding", append(0, 3), &[2, 3], &[u32::MAX; 2], 4, f32),
        case("3x1024 offset 5120", append(5120, 1024), &[3, 6144], &[9, 4, 5], 10, f32),
        case("65537x3", append(0, 3), &[65_537, 3], &scattered, 65_537, f32),
        Case::new(
            "512x1024 into 4096",
            append(4096, 1024),
            vec![
                Input::f32(&[512, 6144]),
                Input::u32(&[512], &prompt),
                Input::new(TensorType::f32(&[4096, 1024]), Fill::Zeros),
            ],
        )
        .bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (tokens, cols, rows) = (d.size(60), d.size(300), d.size(90));
    let append = KvAppend { x_offset: d.below(9), cols };
    let x = [tokens, append.x_offset + cols + d.below(5)];
    // Every slot once at most; what is beyond the cache is padding.
    let mut free: Vec<u32> = (0..rows as u32 + 3).chain([u32::MAX]).collect();
    let slots: Vec<u32> = (0..tokens)
        .map(|_| if free.len() > 1 { free.swap_remove(d.below(free.len() - 1)) } else { u32::MAX })
        .collect();
    let dtype = d.float();
    row!(case("drawn", append, &x, &slots, rows, dtype))
}
