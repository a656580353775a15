//! patch_embed: patches of 1 to 32 pixels, pictures that are not whole patches, one to five channels, 8-bit pixels
//! with CLIP's normalising; ViT-B/16 at 224 and CLIP ViT-L/14 at 336 as bench rows.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, BF16, F16, F32};
use omma::kernels::{PatchEmbed, Pixels, TensorType};

/// `pixels` is \[images, channels, height, width\].
fn planes(x: DType, w: DType, pixels: [usize; 4], patch: usize, dim: usize, bias: bool) -> Case {
    let mut inputs = vec![Input::float(x, &pixels), Input::panels(w, dim, pixels[1] * patch * patch)];
    inputs.extend(bias.then(|| Input::f32(&[dim])));
    let name = format!("planes {pixels:?} patch {patch} dim {dim} {x} {w}{}", if bias { " bias" } else { "" });
    Case::new(name, PatchEmbed { patch, bias, source: Pixels::Planes }, inputs)
}

/// Pictures of these (height, width), their planes one after the other.
fn places(x: DType, w: DType, sizes: &[(usize, usize)], channels: usize, patch: usize, dim: usize) -> Case {
    let (mut list, mut first) = (Vec::new(), 0);
    for (height, width) in sizes {
        for row in 0..height / patch {
            for col in 0..width / patch {
                let corner = first + row * patch * width + col * patch;
                list.extend([corner, *width, height * width, u32::MAX as usize].map(|n| n as f64));
            }
        }
        first += channels * height * width;
    }
    let mut inputs = vec![Input::float(x, &[first]), Input::panels(w, dim, channels * patch * patch)];
    inputs.push(Input::f32(&[dim]));
    inputs.push(Input::new(TensorType::u32(&[list.len() / 4, 4]), Fill::Values(list)));
    let name = format!("places {sizes:?} of {channels} patch {patch} dim {dim} {x} {w} bias");
    Case::new(name, PatchEmbed { patch, bias: true, source: Pixels::Places }, inputs)
}

/// `pixels` is \[images, height, width\].
fn rgba8(pixels: [usize; 3], patch: usize, dim: usize, dtype: DType, w: DType) -> Case {
    let mean = [0.481_454_66, 0.457_827_5, 0.408_210_73];
    let std = [0.268_629_54, 0.261_302_6, 0.275_777_1];
    let source = Pixels::Rgba8 { rescale: 1.0 / 255.0, mean, std, dtype };
    let words = Input::new(TensorType::u32(&pixels), Fill::Index(u32::MAX));
    let inputs = vec![words, Input::panels(w, dim, 3 * patch * patch), Input::f32(&[dim])];
    let name = format!("rgba8 {pixels:?} patch {patch} dim {dim} {dtype} {w} bias");
    Case::new(name, PatchEmbed { patch, bias: true, source }, inputs)
}

pub fn cases() -> Vec<Case> {
    vec![
        planes(F32, F32, [1, 1, 1, 1], 1, 1, false),
        planes(F32, F32, [1, 3, 8, 8], 2, 5, true),
        planes(F32, F32, [2, 3, 17, 23], 5, 7, true),
        planes(F32, F32, [1, 1, 25, 11], 5, 33, false),
        planes(F32, F32, [3, 5, 14, 30], 7, 36, true),
        planes(F32, F32, [1, 3, 42, 70], 14, 130, true),
        planes(F32, F16, [2, 3, 64, 48], 16, 48, false),
        planes(F32, BF16, [1, 3, 65, 97], 32, 66, true),
        planes(F16, F16, [1, 3, 33, 50], 16, 40, true),
        planes(F32, F32, [1, 1, 257, 513], 1, 3, true),
        rgba8([1, 1, 1], 1, 1, F32, F32),
        rgba8([2, 30, 45], 14, 37, F32, F32),
        rgba8([1, 33, 32], 16, 64, F32, BF16),
        rgba8([1, 31, 29], 3, 44, F16, F16),
        places(F32, F32, &[(1, 1)], 1, 1, 1),
        places(F32, F32, &[(30, 17), (14, 45)], 3, 7, 37),
        places(F32, F16, &[(33, 64), (64, 33), (32, 32)], 3, 16, 64),
        places(F16, BF16, &[(9, 20), (12, 3)], 5, 3, 40),
        places(F32, F32, &[(336, 448), (448, 336), (336, 336)], 3, 14, 130),
        planes(F32, F32, [1, 3, 224, 224], 16, 768, true).bench(),
        planes(F32, F32, [1, 3, 336, 336], 14, 1024, false).bench_only(),
        rgba8([1, 336, 336], 14, 1024, F32, F32).bench_only(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (patch, dim, images) = (d.size(16), d.size(140), d.size(3));
    // At least one patch; pictures are not whole ones.
    let (height, width) = (patch + d.below(40), patch + d.below(60));
    let (x, w) = (d.float(), d.pick(&[F32, F16, BF16]));
    if d.flag() {
        return row!(rgba8([images, height, width], patch, dim, x, w));
    }
    let (channels, bias) = (d.size(5), d.flag());
    if d.flag() {
        let other = (patch + d.below(30), patch + d.below(30));
        return row!(places(x, w, &[(height, width), other], channels, patch, dim));
    }
    row!(planes(x, w, [images, channels, height, width], patch, dim, bias))
}
