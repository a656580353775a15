//! Patch embedding: every patch times every filter, as the convolution is defined.

use super::matmul::{Sum, epilogue, smallest_of};
use super::{Array, Cell, F32_EPS};
use crate::kernels::{PatchEmbed, Pixels};

/// Patch `row` of `kernel`; `pixels` as `kernel.source` says, `w` \[dim, channels * patch * patch\] row-major.
///
/// Bound: that of a matrix product over `channels * patch^2` terms. Normalising 8-bit pixels in f32 adds an
/// error to each factor: rescaling, subtracting and dividing (2.5 ulp) round relative to `|v * rescale| + |mean|`
/// over `std`, at most 8 half ulps together.
pub fn patch_embed(
    kernel: &PatchEmbed,
    [pixels, w]: [&Array; 2],
    bias: Option<&Array>,
    places: Option<&Array>,
    row: usize,
) -> Vec<Cell> {
    let patch = kernel.patch;
    let (channels, dtype) = match kernel.source {
        Pixels::Planes => (pixels.shape[1], pixels.dtype),
        Pixels::Places => (w.shape[1] / (patch * patch), pixels.dtype),
        Pixels::Rgba8 { dtype, .. } => (3, dtype),
    };
    // (first pixel, pixels from line to line, pixels from plane to plane)
    let [first, line, plane] = match places {
        Some(places) => [0, 1, 2].map(|i| places.row(row)[i] as usize),
        None => {
            let (height, width) = (pixels.shape[pixels.shape.len() - 2], pixels.shape[pixels.shape.len() - 1]);
            let (grid_rows, grid_cols) = (height / patch, width / patch);
            let (image, gy, gx) = (row / (grid_rows * grid_cols), row / grid_cols % grid_rows, row % grid_cols);
            // The channels of a word share one plane.
            let (planes, step) = if kernel.source == Pixels::Planes { (channels, height * width) } else { (1, 0) };
            [(image * planes * height + gy * patch) * width + gx * patch, width, step]
        }
    };
    // (value, error) of each pixel of the patch, channels slowest.
    let mut values = Vec::with_capacity(channels * patch * patch);
    for c in 0..channels {
        for py in 0..patch {
            for px in 0..patch {
                let at = first + c * plane + py * line + px;
                values.push(normalised(&kernel.source, pixels.data[at.min(pixels.data.len() - 1)], c));
            }
        }
    }
    let cell = |d: usize| {
        let (mut sum, mut size, mut error) = (0.0, 0.0, 0.0);
        for ((value, off), weight) in values.iter().zip(w.row(d)) {
            sum += value * weight;
            size += (value * weight).abs();
            error += (off * weight).abs();
        }
        let bias = bias.map_or(0.0, |b| b.data[d]);
        let sum = Sum { value: sum + bias, size: size + bias.abs(), terms: values.len(), slack: 0.0 };
        let cell = epilogue(sum, None, None, (dtype.store_ulp(), smallest_of(dtype)));
        Cell { bound: cell.bound + 1.001 * error, ..cell }
    };
    (0..w.rows()).map(cell).collect()
}

fn normalised(source: &Pixels, held: f64, c: usize) -> (f64, f64) {
    match source {
        Pixels::Planes | Pixels::Places => (held, 0.0),
        Pixels::Rgba8 { rescale, mean, std, .. } => {
            let byte = f64::from(held as u32 >> (8 * c) & 255);
            let (scaled, mean, std) = (byte * f64::from(*rescale), f64::from(mean[c]), f64::from(std[c]));
            ((scaled - mean) / std, 8.0 * F32_EPS * (scaled.abs() + mean.abs()) / std.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn patches_and_channels_are_in_order() {
        // Two channels of 3 x 5, patches of 2: one grid row of two patches; a filter picks one pixel each.
        let pixels = Array::new(DType::F32, &[1, 2, 3, 5], (0..30).map(f64::from).collect());
        let mut w = Array::new(DType::F32, &[2, 8], vec![0.0; 16]);
        w.data[1] = 1.0; // c 0, py 0, px 1
        w.data[8 + 6] = 1.0; // c 1, py 1, px 0
        let kernel = PatchEmbed { patch: 2, bias: false, source: Pixels::Planes };
        let row: Vec<f64> = patch_embed(&kernel, [&pixels, &w], None, None, 1).iter().map(|c| c.want).collect();
        assert_eq!(row, [3.0, 15.0 + 5.0 + 2.0]);
    }

    #[test]
    fn bytes_are_normalised_by_channel() {
        let pixels = Array::new(DType::U32, &[1, 1, 1], vec![f64::from(0xff03_0201_u32)]);
        let w = Array::new(DType::F32, &[1, 3], vec![1.0, 10.0, 100.0]);
        let source = Pixels::Rgba8 { rescale: 0.5, mean: [0.5, 0.0, 0.5], std: [1.0, 2.0, 4.0], dtype: DType::F32 };
        let cells = patch_embed(&PatchEmbed { patch: 1, bias: false, source }, [&pixels, &w], None, None, 0);
        assert_eq!(cells[0].want, 0.0 + 10.0 * 0.5 + 100.0 * 0.25);
    }
}
