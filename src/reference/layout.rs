//! Layouts: strided views and borders. Elements are moved, so every cell is exact.

use super::{Array, Cell};
use crate::DType;
use crate::kernels::{Border, Pad, Rearrange};

/// Row `row` of the view, cell by cell in its order.
pub fn rearrange(view: &Rearrange, x: &Array, row: usize) -> Vec<Cell> {
    let cols = view.shape.last().copied().unwrap_or(1);
    let cell = |mut i: usize| {
        let mut place = view.base;
        for axis in view.axes.iter().rev() {
            place += (i % axis.extent) as i64 * axis.stride;
            i /= axis.extent;
        }
        Cell { want: x.data[place as usize], bound: 0.0 }
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

/// Row `row` of `x` with its borders.
pub fn pad(kernel: &Pad, x: &Array, row: usize) -> Vec<Cell> {
    let sides = kernel.before.iter().zip(&kernel.after);
    let shape: Vec<i64> = x.shape.iter().zip(sides).map(|(n, (b, a))| *n as i64 + b + a).collect();
    let cols = shape.last().map_or(1, |n| *n as usize);
    let cell = |at: usize| {
        let (mut rest, mut place, mut stride, mut inside) = (at as i64, 0, 1, true);
        for axis in (0..shape.len()).rev() {
            let n = x.shape[axis] as i64;
            let mut c = rest % shape[axis] - kernel.before[axis];
            rest /= shape[axis];
            if c < 0 || c >= n {
                match kernel.border {
                    Border::Fill(_) => inside = false,
                    Border::Edge => c = if c < 0 { 0 } else { n - 1 },
                    Border::Wrap => c = c.rem_euclid(n),
                    // One reflection after the other, until the cell is inside.
                    Border::Reflect => {
                        while n > 1 && (c < 0 || c >= n) {
                            c = if c < 0 { -c } else { 2 * (n - 1) - c };
                        }
                        c = if n == 1 { 0 } else { c };
                    }
                }
            }
            place += c * stride;
            stride *= n;
        }
        let fill = if let Border::Fill([low, _]) = kernel.border { of_bits(low, x.dtype) } else { 0.0 };
        Cell { want: if inside { x.data[place as usize] } else { fill }, bound: 0.0 }
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

/// Value of an element with these bits.
fn of_bits(bits: u32, dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::from_bits(bits)),
        DType::F16 => half::f16::from_bits(bits as u16).to_f64(),
        DType::I32 => f64::from(bits as i32),
        _ => f64::from(bits),
    }
}

/// Row `row` of `a` and `b` joined along `axis`.
pub fn concat(axis: usize, a: &Array, b: &Array, row: usize) -> Vec<Cell> {
    let inner: usize = a.shape[axis + 1..].iter().product();
    let (n, m) = (a.shape[axis], b.shape[axis]);
    let cols = a.shape.last().copied().unwrap_or(1) + if axis + 1 == a.shape.len() { m } else { 0 };
    let cell = |at: usize| {
        let (outer, place, i) = (at / inner / (n + m), at / inner % (n + m), at % inner);
        let want = if place < n {
            a.data[(outer * n + place) * inner + i]
        } else {
            b.data[(outer * m + place - n) * inner + i]
        };
        Cell { want, bound: 0.0 }
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(cells: Vec<Cell>) -> Vec<f64> {
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn views_pick_the_cells_they_say() {
        let x = Array::new(DType::F32, &[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let turned = Rearrange::transpose(&[2, 3], &[1, 0]).unwrap();
        assert_eq!(wants(rearrange(&turned, &x, 1)), [1.0, 4.0]);
        let back = Rearrange::all(&[2, 3]).slice(1, 2, -2, 2).unwrap();
        assert_eq!(wants(rearrange(&back, &x, 1)), [5.0, 3.0]);
        let twice = Rearrange::expand(&[3], &[2, 3]).unwrap();
        assert_eq!(wants(rearrange(&twice, &x, 1)), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn borders_and_joints() {
        let x = Array::new(DType::F32, &[3], vec![1.0, 2.0, 3.0]);
        let pad = |border| wants(pad(&Pad { before: vec![3], after: vec![1], border }, &x, 0));
        assert_eq!(pad(Border::Fill([1f32.to_bits(), 0])), [1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 1.0]);
        assert_eq!(pad(Border::Edge), [1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(pad(Border::Reflect), [2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
        assert_eq!(pad(Border::Wrap), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
        let (a, b) = (
            Array::new(DType::F32, &[2, 1], vec![1.0, 2.0]),
            Array::new(DType::F32, &[2, 2], vec![3.0, 4.0, 5.0, 6.0]),
        );
        assert_eq!(wants(concat(1, &a, &b, 1)), [2.0, 5.0, 6.0]);
    }
}
