//! Integer products and convolutions, and the ranges that activations are quantized by.

use super::{Array, Cell, F32_EPS, computed};
use crate::DType;
use crate::kernels::{ConvInt, Each, MatMulInt, QuantizeRange};

/// Byte `i` of words, as a number.
fn byte(words: &[f64], i: usize, signed: bool) -> i64 {
    let byte = words[i / 4] as i64 >> (8 * (i % 4)) & 255;
    if signed && byte > 127 { byte - 256 } else { byte }
}

/// Row `row` of four-to-a-word.
pub fn pack_bytes(x: &Array, row: usize) -> Vec<Cell> {
    let low = |v: &f64| v.rem_euclid(256.0);
    let word = |four: &[f64]| four.iter().rev().fold(0.0, |w, v| w * 256.0 + low(v));
    x.row(row).chunks(4).map(|four| Cell { want: word(four), bound: 0.0 }).collect()
}

/// A sum as 32 bits hold it.
fn wrapped(sum: i64) -> f64 {
    f64::from(sum as i32)
}

/// Row `row` of y, counting the rows of all matrices.
///
/// Sums are exact. Scaled, the sum, the product of the scales and the product with it round once each.
pub fn matmul_int(kernel: &MatMulInt, inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, w) = (&inputs[0], &inputs[1]);
    let rows = x.shape[x.shape.len() - 2];
    let cols = w.shape[w.shape.len() - 2];
    let (b, m) = (row / rows, row % rows);
    let zero = |zeros: &Array, each: Each, line: usize, lines: usize| match each {
        Each::One => zeros.data[0] as i64,
        Each::Line => zeros.data[line] as i64,
        Each::BatchLine => zeros.data[b * lines + line] as i64,
    };
    let x_zero = zero(&inputs[2], kernel.x_zero, m, rows);
    let scale = |scales: &Array, i: usize| scales.data[if scales.data.len() == 1 { 0 } else { i }];
    let cell = |n: usize| {
        let w_zero = zero(&inputs[3], kernel.w_zero, n, cols);
        let line = if w.shape.len() == 2 { n } else { b * cols + n };
        let term = |k: usize| {
            let left = byte(x.row(row), k, kernel.x_signed) - x_zero;
            left * (byte(w.row(line), k, kernel.w_signed) - w_zero)
        };
        let sum = wrapped((0..kernel.inner).map(term).sum());
        if !kernel.scaled {
            return Cell { want: sum, bound: 0.0 };
        }
        let want = sum * scale(&inputs[4], row) * scale(&inputs[5], n);
        computed(want, 3.0 * F32_EPS * want.abs() + f64::from(f32::MIN_POSITIVE), DType::F32)
    };
    (0..cols).map(cell).collect()
}

/// Row `row` of y, a row running along the last axis. Exact.
pub fn conv_int(kernel: &ConvInt, inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, w, window) = (&inputs[0], &inputs[1], &kernel.window);
    let axes = x.shape.len() - 2;
    let mut size = [1usize; 3];
    size[3 - axes..].copy_from_slice(&x.shape[2..]);
    let places: Vec<usize> = (0..3)
        .map(|a| {
            let reach = (window.size[a] - 1) * window.dilation[a] + 1;
            (size[a] + window.pad[a] + window.pad_end[a] - reach) / window.stride[a] + 1
        })
        .collect();
    let (plane, z, y) = (row / places[1] / places[0], row / places[1] % places[0], row % places[1]);
    let cols = w.shape[0];
    let (image, n) = (plane / cols, plane % cols);
    let channels = x.shape[1] / kernel.groups;
    let first = n / (cols / kernel.groups) * channels;
    let taps: usize = window.size.iter().product();
    let w_zero = inputs[3].data[if inputs[3].data.len() == 1 { 0 } else { n }];
    let cell = |col: usize| {
        let mut sum = if kernel.bias { inputs[4].data[n] as i64 } else { 0 };
        for c in 0..channels {
            for tap in 0..taps {
                let k = [
                    tap / window.size[2] / window.size[1],
                    tap / window.size[2] % window.size[1],
                    tap % window.size[2],
                ];
                let mut at = image * x.shape[1] + first + c;
                let mut inside = true;
                for (a, place) in [z, y, col].into_iter().enumerate() {
                    let p = (place * window.stride[a] + k[a] * window.dilation[a]) as i64 - window.pad[a] as i64;
                    inside &= p >= 0 && p < size[a] as i64;
                    at = at * size[a] + p.clamp(0, size[a] as i64 - 1) as usize;
                }
                if inside {
                    let weight = w.data[(n * channels + c) * taps + tap] - w_zero;
                    sum += (x.data[at] - inputs[2].data[0]) as i64 * weight as i64;
                }
            }
        }
        Cell { want: wrapped(sum), bound: 0.0 }
    };
    (0..places[2]).map(cell).collect()
}

/// All scales (output 0) or zero points (output 1).
///
/// Bounds: a corrected quotient is off by 2 half ulps, a range rounds once. Where the zero point is that near to a tie,
/// either neighbour is right. A denormal number may be read as 0, of the largest and of the smallest; where the scale
/// itself is none that is normal, 0 is right as well.
pub fn quantize_range(kernel: &QuantizeRange, x: &Array, output: usize) -> Vec<Cell> {
    let row = |row: usize| {
        let values = x.row(row);
        let high = values.iter().fold(0.0f64, |a, v| a.max(*v));
        let low = values.iter().fold(0.0f64, |a, v| a.max(-*v));
        let range = if kernel.symmetric { high.max(low) } else { high + low };
        let scale = if range == 0.0 { 1.0 } else { range / f64::from(kernel.levels) };
        let tiny = f64::from(f32::MIN_POSITIVE);
        let flushed = if range == 0.0 { 0.0 } else { 2.0 * tiny / f64::from(kernel.levels) };
        if output == 0 {
            // All of a range of denormals may be gone, and with it the scale, which then is 1.
            let gone = if range > 0.0 && high.max(low) < tiny { 1.0 } else { 0.0 };
            return computed(scale, 3.0 * F32_EPS * scale + flushed + gone, DType::F32);
        }
        if kernel.symmetric {
            return Cell { want: 0.0, bound: 0.0 };
        }
        let exact = low / scale;
        let error = 6.0 * F32_EPS * exact + (tiny + exact * flushed) / scale;
        let want = exact.round_ties_even();
        if scale < tiny * (1.0 + 6.0 * F32_EPS) + flushed {
            return Cell { want, bound: want };
        }
        let near = [(exact - error).round_ties_even(), (exact + error).round_ties_even()];
        Cell { want, bound: near.iter().map(|n| (n - want).abs()).fold(0.0, f64::max) }
    };
    (0..x.rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_by_hand() {
        let x = Array::new(DType::I32, &[1, 5], vec![-1.0, 2.0, 3.0, 4.0, 5.0]);
        let words: Vec<f64> = pack_bytes(&x, 0).iter().map(|c| c.want).collect();
        assert_eq!(words, [f64::from(0x0403_02ffu32), 5.0]);
        assert_eq!([byte(&words, 0, true), byte(&words, 0, false), byte(&words, 4, true)], [-1, 255, 5]);
    }

    #[test]
    fn a_product_by_hand() {
        let (x, w) = (vec![f64::from(0x0201u32)], vec![f64::from(0xff03u32)]);
        let kernel = MatMulInt {
            inner: 2,
            x_signed: false,
            w_signed: true,
            x_zero: Each::One,
            w_zero: Each::One,
            scaled: false,
        };
        let one = |data: Vec<f64>| Array::new(DType::U32, &[1, 1], data);
        let cells = matmul_int(&kernel, &[one(x), one(w), one(vec![1.0]), one(vec![2.0])], 0);
        // (1 - 1) (3 - 2) + (2 - 1) (-1 - 2)
        assert_eq!(cells[0].want, -3.0);
    }
}
