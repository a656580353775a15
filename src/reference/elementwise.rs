//! Functions of two cells: binary with broadcasting, gated linear units.

use super::{Array, Cell, F32_EPS, act, computed, overflow};
use crate::DType;
use crate::kernels::{Act, BinaryOp};

/// Row `row` of `x op b`, `b` broadcast as its shape says.
///
/// Bound: one rounding; division 2.5 ulp. Denormals of an operand may be flushed, before a division as well. The rest
/// of a division is exact, the floored one adds `b` once. A power: the logarithm is off by `3e-10 |b|` and half an
/// ulp of the part of the exponent that is not exact, below `2^-10` of it; the series of `2^r` by 3 roundings, the
/// fraction `r log 2` by one: 4 ulp while the exponent is below 2^8.
pub fn binary(op: BinaryOp, x: &Array, b: &Array, row: usize) -> Vec<Cell> {
    let (rows, cols) = (x.rows(), x.cols());
    let other = |col: usize| match b.data.len() {
        1 => b.data[0],
        count if count == rows * cols => b.data[row * cols + col],
        _ if b.cols() == cols => b.data[col],
        _ => b.data[row],
    };
    let tiny = f64::from(f32::MIN_POSITIVE);
    let cell = |(col, v): (usize, &f64)| {
        let o = other(col);
        let (want, error) = match op {
            // By integers, also where it is denormal.
            BinaryOp::Rem if x.dtype == DType::F32 => return Cell { want: v % o, bound: 0.0 },
            BinaryOp::Add => (v + o, (v + o).abs() * F32_EPS + 2.0 * tiny),
            BinaryOp::Sub => (v - o, (v - o).abs() * F32_EPS + 2.0 * tiny),
            BinaryOp::Mul => (v * o, (v * o).abs() * F32_EPS + tiny * (1.0 + v.abs() + o.abs())),
            BinaryOp::Div => (v / o, (v / o).abs() * 6.0 * F32_EPS + tiny * (1.0 + 1.0 / o.abs())),
            BinaryOp::Max | BinaryOp::Min if v.is_nan() || o.is_nan() => (f64::NAN, 0.0),
            BinaryOp::Max => (v.max(o), tiny),
            BinaryOp::Min => (v.min(o), tiny),
            BinaryOp::Prelu if *v >= 0.0 => (*v, tiny),
            BinaryOp::Prelu => (v * o, (v * o).abs() * F32_EPS + tiny * (1.0 + v.abs() + o.abs())),
            BinaryOp::Rem => (v % o, 0.0),
            BinaryOp::Mod => floored(*v, o),
            BinaryOp::Pow => {
                let want = v.powf(o);
                (want, want.abs() * (8.0 * F32_EPS + o.abs() * 3e-10))
            }
        };
        computed(overflow(want), error, x.dtype)
    };
    x.row(row).iter().enumerate().map(cell).collect()
}

/// What the floored division leaves, with the sign of `b`.
fn floored(v: f64, b: f64) -> (f64, f64) {
    let rest = v % b;
    let other = rest != 0.0 && (rest < 0.0) != (b < 0.0);
    let want = if other { rest + b } else { rest };
    (want, if other { want.abs() * F32_EPS } else { 0.0 })
}

/// Row `row` of `residual + gain * x`.
///
/// Bound: half an ulp for the product, which a fused multiply-add saves, and half an ulp for the sum. An operand that is
/// denormal may be flushed, and so may the product.
pub fn layer_scale(x: &Array, gain: &Array, residual: &Array, row: usize) -> Vec<Cell> {
    let tiny = f64::from(f32::MIN_POSITIVE);
    let around = residual.row(row);
    let cell = |(col, v): (usize, &f64)| {
        let g = gain.data[col];
        let want = around[col] + g * v;
        let flushed = tiny * (2.0 + v.abs() + g.abs());
        computed(overflow(want), ((g * v).abs() + want.abs()) * F32_EPS + flushed, x.dtype)
    };
    x.row(row).iter().enumerate().map(cell).collect()
}

/// Row `row` of `act(gate) * up`: `x` holds gate and up side by side, or `up` is a matrix of its own.
///
/// Bound: that of the activation times `up`, and the product's rounding.
pub fn glu(kind: Act, x: &Array, up: Option<&Array>, row: usize) -> Vec<Cell> {
    let (gate, up) = match up {
        Some(up) => (x.row(row), up.row(row)),
        None => x.row(row).split_at(x.cols() / 2),
    };
    let cell = |(g, u): (&f64, &f64)| {
        let gate = act(kind, *g, 0.0);
        let want = gate.want * u;
        computed(want, gate.bound * u.abs() + want.abs() * F32_EPS + f64::from(f32::MIN_POSITIVE), x.dtype)
    };
    gate.iter().zip(up).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shape: &[usize], data: &[f64]) -> Array {
        Array::new(DType::F32, shape, data.to_vec())
    }
    fn wants(cells: &[Cell]) -> Vec<f64> {
        assert!(cells.iter().all(|c| c.bound.is_finite() && c.bound < 1e-3 * (1.0 + c.want.abs())), "{cells:?}");
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn binary_broadcasts_by_shape() {
        let x = of(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let second = |b: &Array| wants(&binary(BinaryOp::Sub, &x, b, 1));
        assert_eq!(second(&x), [0.0, 0.0, 0.0]);
        assert_eq!(second(&of(&[3], &[1.0, 2.0, 3.0])), [3.0, 3.0, 3.0]);
        assert_eq!(second(&of(&[2, 1], &[1.0, 2.0])), [2.0, 3.0, 4.0]);
        assert_eq!(second(&of(&[1], &[10.0])), [-6.0, -5.0, -4.0]);
        assert_eq!(wants(&binary(BinaryOp::Div, &x, &x, 0)), [1.0, 1.0, 1.0]);
        assert_eq!(wants(&binary(BinaryOp::Mod, &x, &of(&[1], &[-2.5]), 0)), [-1.5, -0.5, -2.0]);
        assert_eq!(wants(&binary(BinaryOp::Pow, &x, &of(&[1], &[2.0]), 0)), [1.0, 4.0, 9.0]);
        assert_eq!(wants(&binary(BinaryOp::Max, &x, &of(&[1], &[2.0]), 0)), [2.0, 2.0, 3.0]);
    }

    #[test]
    fn glu_takes_the_gate_first() {
        let joined = of(&[1, 4], &[1.0, -1.0, 3.0, 5.0]);
        assert_eq!(wants(&glu(Act::Relu, &joined, None, 0)), [3.0, 0.0]);
        let (gate, up) = (of(&[1, 2], &[1.0, -1.0]), of(&[1, 2], &[3.0, 5.0]));
        assert_eq!(wants(&glu(Act::Relu, &gate, Some(&up), 0)), [3.0, 0.0]);
    }
}
