//! Convolutions and pools: every output cell from the cells of its window, found one by one.

use super::matmul::{Sum, epilogue, smallest_of};
use super::{Array, Cell, F32_EPS, computed, moved};
use crate::kernels::{Convolution, Places, Pool, PoolOp, Window, Windows};

const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Images, channels and extents (z, y, x) of a tensor of planes.
fn extents(shape: &[usize]) -> (usize, usize, [usize; 3]) {
    let axes = &shape[2..];
    let at = |from_end: usize| axes.len().checked_sub(from_end).map_or(1, |i| axes[i]);
    (shape[0], shape[1], [at(3), at(2), at(1)])
}

/// Extents of the output of a window that slides without `ceil`.
fn slid(window: &Window, x: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|a| {
        let whole = x[a] + window.pad[a] + window.pad_end[a] - (window.size[a] - 1) * window.dilation[a] - 1;
        whole / window.stride[a] + 1
    })
}

/// Places (z, y) of row `row` of planes of `extents`, with its plane: (plane, z, y).
fn place(row: usize, extents: [usize; 3]) -> (usize, usize, usize) {
    (row / extents[1] / extents[0], row / extents[1] % extents[0], row % extents[1])
}

/// Row `row` of a convolution; inputs are x, w \[cols, channels of a group, window\] in any shape, and the bias.
///
/// Bound: that of a sum of as many products in any order, as in [`super::matmul`].
pub fn conv(kernel: &Convolution, inputs: &[Array], row: usize) -> Vec<Cell> {
    if let Some(extra) = kernel.transposed {
        return transposed(kernel, extra, inputs, row);
    }
    let (x, w, window) = (&inputs[0], &inputs[1], &kernel.window);
    let (_, x_channels, [depth, height, width]) = extents(&x.shape);
    let cols = w.shape[0];
    let out = slid(window, [depth, height, width]);
    let (plane, oz, oy) = place(row, out);
    let (image, n) = (plane / cols, plane % cols);
    let groups = kernel.groups.max(1);
    let channels = x_channels / groups;
    let first = n / (cols / groups) * channels;
    let inner = channels * window.size.iter().product::<usize>();
    let cell = |ox: usize| {
        let mut sum = Sum { value: 0.0, size: 0.0, terms: inner, slack: 0.0 };
        let mut weight = n * inner;
        for c in first..first + channels {
            for kz in 0..window.size[0] {
                for ky in 0..window.size[1] {
                    for kx in 0..window.size[2] {
                        let at = |o: usize, k: usize, a: usize| {
                            (o * window.stride[a] + k * window.dilation[a]).checked_sub(window.pad[a])
                        };
                        let places = (at(oz, kz, 0), at(oy, ky, 1), at(ox, kx, 2));
                        if let (Some(z), Some(y), Some(col)) = places
                            && z < depth
                            && y < height
                            && col < width
                        {
                            let plane = (image * x_channels + c) * depth + z;
                            let term = x.data[(plane * height + y) * width + col] * w.data[weight];
                            sum.value += term;
                            sum.size += term.abs();
                        }
                        weight += 1;
                    }
                }
            }
        }
        finish(kernel, sum, inputs, n)
    };
    (0..out[2]).map(cell).collect()
}

/// Bias, activation and store of a sum for channel `n`.
fn finish(kernel: &Convolution, sum: Sum, inputs: &[Array], n: usize) -> Cell {
    let (x, bias) = (&inputs[0], if kernel.bias { inputs[2].data[n] } else { 0.0 });
    let sum = Sum { value: sum.value + bias, size: sum.size + bias.abs(), terms: sum.terms, slack: 0.0 };
    epilogue(sum, kernel.act, None, (x.store_ulp(), smallest_of(x.dtype)))
}

/// Row `row` of a transposed convolution, every cell of `x` asked whether it falls on the output cell.
///
/// Bound: as [`conv`], over all taps of all channels.
fn transposed(kernel: &Convolution, extra: [usize; 3], inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, w, window) = (&inputs[0], &inputs[1], &kernel.window);
    let (_, x_channels, size) = extents(&x.shape);
    let groups = kernel.groups.max(1);
    let taps: usize = window.size.iter().product();
    let cols = w.shape[0];
    let out: [usize; 3] = std::array::from_fn(|a| {
        let reach = (window.size[a] - 1) * window.dilation[a] + 1;
        (size[a] - 1) * window.stride[a] + reach + extra[a] - window.pad[a] - window.pad_end[a]
    });
    let (plane, oz, oy) = place(row, out);
    let (image, n) = (plane / cols, plane % cols);
    let channels = x_channels / groups;
    let first = n / (cols / groups) * channels;
    // Tap of the window that carries place q to place o, along axis a.
    let tap = |q: usize, o: usize, a: usize| {
        let step = (o + window.pad[a]).checked_sub(q * window.stride[a])?;
        let k = step / window.dilation[a];
        (step % window.dilation[a] == 0 && k < window.size[a]).then_some(k)
    };
    let cell = |ox: usize| {
        let mut sum = Sum { value: 0.0, size: 0.0, terms: channels * taps, slack: 0.0 };
        for c in first..first + channels {
            for z in 0..size[0] {
                for y in 0..size[1] {
                    for col in 0..size[2] {
                        let taps_here = (tap(z, oz, 0), tap(y, oy, 1), tap(col, ox, 2));
                        if let (Some(kz), Some(ky), Some(kx)) = taps_here {
                            let plane = (image * x_channels + c) * size[0] + z;
                            let k = (kz * window.size[1] + ky) * window.size[2] + kx;
                            let weight = w.data[(n * channels + c - first) * taps + k];
                            let term = x.data[(plane * size[1] + y) * size[2] + col] * weight;
                            sum.value += term;
                            sum.size += term.abs();
                        }
                    }
                }
            }
        }
        finish(kernel, sum, inputs, n)
    };
    (0..out[2]).map(cell).collect()
}

/// Extents of the output of a pool.
fn pooled(windows: &Windows, x: [usize; 3]) -> [usize; 3] {
    match windows {
        Windows::Adaptive(places) => *places,
        Windows::Sliding { window, ceil } => std::array::from_fn(|a| {
            let reach = (window.size[a] - 1) * window.dilation[a] + 1;
            let padded = x[a] + window.pad[a] + window.pad_end[a];
            if padded < reach {
                return 1;
            }
            let mut places = (padded - reach) / window.stride[a] + 1;
            let more = (places - 1) * window.stride[a] + reach < padded;
            if *ceil && more && places * window.stride[a] < x[a] + window.pad[a] {
                places += 1;
            }
            places
        }),
    }
}

/// Cells of window `o` along an axis that lie inside, and how many count with the padding.
fn cells_of(windows: &Windows, a: usize, o: usize, x: usize, y: usize) -> (Vec<usize>, usize) {
    match windows {
        Windows::Adaptive(_) => {
            let cells: Vec<usize> = (o * x / y..((o + 1) * x).div_ceil(y)).collect();
            let count = cells.len();
            (cells, count)
        }
        Windows::Sliding { window, .. } => {
            let padded = (0..window.size[a]).map(|k| o * window.stride[a] + k * window.dilation[a]);
            let padded: Vec<usize> = padded.filter(|p| *p < x + window.pad[a] + window.pad_end[a]).collect();
            let inside = padded.iter().filter_map(|p| p.checked_sub(window.pad[a])).filter(|p| *p < x);
            (inside.collect(), padded.len())
        }
    }
}

/// Row `row` of a pool (output 0), or of the places of the maxima (output 1).
///
/// Bound: a term of a sum is rounded once for each cell along each axis of the window at most; the average adds a
/// division (2.5 ulp), a power as many roundings as it has factors. The root starts from exp2 and log2 (3 ulp and
/// `3 + 2 |x|` ulp) and is corrected once: what is left is the correction's own rounding, that of the power (p), a
/// division, two sums and a product; the second order of the first error is far below.
pub fn pool(kernel: &Pool, x: &Array, output: usize, row: usize) -> Vec<Cell> {
    let (_, _, size) = extents(&x.shape);
    let out = pooled(&kernel.windows, size);
    let (plane, oz, oy) = place(row, out);
    let of = |a: usize, o: usize| cells_of(&kernel.windows, a, o, size[a], out[a]);
    let ((zs, z_count), (ys, y_count)) = (of(0, oz), of(1, oy));
    let cell = |ox: usize| {
        let (cols, x_count) = of(2, ox);
        let mut values = Vec::new();
        for z in &zs {
            for y in &ys {
                for col in &cols {
                    let at = ((plane * size[0] + z) * size[1] + y) * size[2] + col;
                    values.push((x.data[at], [plane, *z, *y, *col]));
                }
            }
        }
        let steps = (zs.len() + ys.len() + cols.len()) as f64;
        let all = (z_count * y_count * x_count) as f64;
        pooled_cell(kernel, &values, steps, all, (x, size, output))
    };
    (0..out[2]).map(cell).collect()
}

fn pooled_cell(
    kernel: &Pool,
    values: &[(f64, [usize; 4])],
    steps: f64,
    all: f64,
    (x, size, output): (&Array, [usize; 3], usize),
) -> Cell {
    let lost = values.len() as f64 * TINY;
    match kernel.op {
        PoolOp::Average { count_padding } => {
            let count = if count_padding { all } else { values.len() as f64 };
            let sum: f64 = values.iter().map(|v| v.0).sum();
            let magnitude: f64 = values.iter().map(|v| v.0.abs()).sum();
            let want = sum / count;
            computed(want, (steps * F32_EPS * magnitude + lost) / count + 5.0 * F32_EPS * want.abs() + TINY, x.dtype)
        }
        PoolOp::Max => {
            let mut best = values[0];
            for v in values {
                if v.0 > best.0 {
                    best = *v;
                }
            }
            let [plane, z, y, col] = best.1;
            let place = match kernel.places {
                Places::Columns => (col * size[1] + y) * size[0] + z,
                _ => (z * size[1] + y) * size[2] + col,
            };
            let want = (plane * size.iter().product::<usize>() + place) as f64;
            if output == 0 { moved(best.0, x.dtype, x.dtype) } else { Cell { want, bound: 0.0 } }
        }
        PoolOp::Norm { power } => {
            let p = f64::from(power);
            let sum: f64 = values.iter().map(|v| v.0.abs().powi(power as i32)).sum();
            let want = sum.powf(1.0 / p);
            let relative = ((steps + p) / p + 8.0 + p) * F32_EPS;
            let lowest = (sum - lost).max(0.0).powf(1.0 / p);
            computed(want, want * relative + (want - lowest) + TINY, x.dtype)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn of(shape: &[usize], data: &[f64]) -> Array {
        Array::new(DType::F32, shape, data.to_vec())
    }
    fn wants(cells: &[Cell]) -> Vec<f64> {
        assert!(cells.iter().all(|c| c.bound < 1e-4), "{cells:?}");
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn convolutions_by_hand() {
        // Two channels, two groups; a filter of 1 x 2, the second with a hole.
        let x = of(&[1, 2, 1, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
        let w = of(&[2, 1, 1, 2], &[1.0, -1.0, 0.5, 2.0]);
        let window = Window { pad: [0, 0, 1], ..Window::planar(1, 2) };
        let kernel = Convolution { window, groups: 2, bias: true, act: None, transposed: None };
        let inputs = [x.clone(), w.clone(), of(&[2], &[100.0, 0.0])];
        assert_eq!(wants(&conv(&kernel, &inputs, 0)), [99.0, 99.0, 99.0]);
        assert_eq!(wants(&conv(&kernel, &inputs, 1)), [20.0, 45.0, 70.0]);
        let window = Window { stride: [1, 1, 2], ..Window::planar(1, 2) };
        let kernel = Convolution { window, transposed: Some([0, 0, 1]), ..kernel };
        assert_eq!(wants(&conv(&kernel, &inputs, 0)), [101.0, 99.0, 102.0, 98.0, 103.0, 97.0, 100.0]);
        assert_eq!(wants(&conv(&kernel, &inputs, 1)), [5.0, 20.0, 10.0, 40.0, 15.0, 60.0, 0.0]);
    }

    #[test]
    fn pools_by_hand() {
        let x = of(&[1, 1, 2, 3], &[1.0, -2.0, 3.0, 4.0, 5.0, -6.0]);
        let sliding = Windows::Sliding { window: Window::planar(2, 2).pad(1).stride(2), ceil: false };
        let of = |op, windows, places, output, row| wants(&pool(&Pool { op, windows, places }, &x, output, row));
        let average = |count_padding| PoolOp::Average { count_padding };
        assert_eq!(of(average(false), sliding, Places::None, 0, 0), [1.0, 0.5]);
        assert_eq!(of(average(true), sliding, Places::None, 0, 1), [1.0, -0.25]);
        assert_eq!(of(PoolOp::Max, sliding, Places::Rows, 1, 0), [0.0, 2.0]);
        assert_eq!(of(PoolOp::Max, sliding, Places::Columns, 1, 0), [0.0, 4.0]);
        assert_eq!(of(PoolOp::Norm { power: 2 }, sliding, Places::None, 0, 1), [4.0, 61f64.sqrt()]);
        assert_eq!(of(average(false), Windows::Adaptive([1, 1, 2]), Places::None, 0, 0), [2.0, 0.0]);
    }
}
