//! normalize: sizes around a workgroup, several images, the means of CLIP, and no normalisation at all.

use super::resize::pixels;
use crate::case::{Case, Fill, Input};
use omma::DType::{F16, F32};
use omma::kernels::{Normalize, TensorType};

fn clip() -> Normalize {
    Normalize {
        rescale: 1.0 / 255.0,
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        dtype: F32,
    }
}

pub fn cases() -> Vec<Case> {
    let one = |h: usize, w: usize| Case::new(format!("{h}x{w}"), clip(), vec![pixels(h, w)]);
    let images = Input::new(TensorType::u32(&[3, 7, 11]), Fill::Index(u32::MAX));
    let bytes = Normalize { rescale: 1.0, mean: [0.0; 3], std: [1.0; 3], dtype: F32 };
    vec![
        one(1, 1),
        one(7, 9),
        one(8, 8),
        one(5, 13),
        one(2100, 2001),
        one(336, 336).bench(),
        one(672, 672).bench_only(),
        one(2016, 1344).bench_only(),
        Case::new("3 images of 7x11", clip(), vec![images]),
        Case::new("3 images of 8x12", clip(), vec![Input::new(TensorType::u32(&[3, 8, 12]), Fill::Index(u32::MAX))]),
        Case::new("32x20 to f16", Normalize { dtype: F16, ..clip() }, vec![pixels(32, 20)]),
        Case::new("31x17 to f16", Normalize { dtype: F16, ..clip() }, vec![pixels(31, 17)]),
        Case::new("bytes as they are", bytes, vec![pixels(16, 16)]),
    ]
}
