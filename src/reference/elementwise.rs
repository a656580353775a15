//! Functions of single cells: unary, binary with broadcasting, gated linear units.

use super::{Array, Cell, F32_EPS, act, computed};
use crate::kernels::{Act, BinaryOp, UnaryOp, VALUE_CAP};

/// Row `row` of `op(x)`.
///
/// Bounds, in half ulps: exp(s) as WGSL allows, `3 + 2 |s|` ulp; the logistic function adds a sum and a division
/// and rounds `s` once. tanh: up to 0.6 a fraction of positive terms (10 roundings, cut at 6e-10), beyond it
/// `1 - r` with `r = 2 / (exp(2 |x|) + 1)` at most 0.86 of the result and off by `14 + 5 * 2 |x|`, which falls as
/// `r` does: 24 in all. A soft cap adds a division, a product, and no more, since tanh does not magnify
/// relative errors; a denormal flushed before it comes back times the cap.
pub fn unary(op: UnaryOp, x: &Array, row: usize) -> Vec<Cell> {
    let cell = |v: &f64| {
        let (want, error) = match op {
            UnaryOp::Act(kind) => {
                let cell = act(kind, *v, 0.0);
                (cell.want, cell.bound)
            }
            UnaryOp::Exp => {
                let s = v.min(f64::from(VALUE_CAP));
                (s.exp(), s.exp() * (6.0 + 4.0 * s.abs().min(110.0)) * F32_EPS)
            }
            UnaryOp::Tanh => (v.tanh(), v.tanh().abs() * 24.0 * F32_EPS),
            UnaryOp::Sigmoid => {
                let want = 1.0 / (1.0 + (-v).exp());
                (want, want * (12.0 + 5.0 * v.abs().min(110.0)) * F32_EPS)
            }
            UnaryOp::Affine { scale, shift } => {
                let product = v * f64::from(scale);
                let want = product + f64::from(shift);
                (want, (product.abs() + want.abs()) * F32_EPS)
            }
            UnaryOp::SoftCap { cap } => {
                let cap = f64::from(cap);
                let want = cap * (v / cap).tanh();
                (want, want.abs() * 34.0 * F32_EPS + cap.abs() * f64::from(f32::MIN_POSITIVE))
            }
        };
        computed(want, error + f64::from(f32::MIN_POSITIVE), x.dtype)
    };
    x.row(row).iter().map(cell).collect()
}

/// Row `row` of `x op b`, `b` broadcast as its shape says.
///
/// Bound: one rounding; division 2.5 ulp. Denormals of an operand may be flushed, before a division as well.
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
            BinaryOp::Add => (v + o, (v + o).abs() * F32_EPS + 2.0 * tiny),
            BinaryOp::Sub => (v - o, (v - o).abs() * F32_EPS + 2.0 * tiny),
            BinaryOp::Mul => (v * o, (v * o).abs() * F32_EPS + tiny * (1.0 + v.abs() + o.abs())),
            BinaryOp::Div => (v / o, (v / o).abs() * 6.0 * F32_EPS + tiny * (1.0 + 1.0 / o.abs())),
            BinaryOp::Max => (v.max(o), tiny),
            BinaryOp::Min => (v.min(o), tiny),
        };
        computed(want, error, x.dtype)
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
    use crate::DType;

    fn of(shape: &[usize], data: &[f64]) -> Array {
        Array::new(DType::F32, shape, data.to_vec())
    }
    fn wants(cells: &[Cell]) -> Vec<f64> {
        assert!(cells.iter().all(|c| c.bound.is_finite() && c.bound < 1e-3 * (1.0 + c.want.abs())), "{cells:?}");
        cells.iter().map(|c| c.want).collect()
    }

    #[test]
    fn unary_values_are_the_definitions() {
        let x = of(&[1, 2], &[0.5, -2.0]);
        assert_eq!(wants(&unary(UnaryOp::Exp, &x, 0)), [0.5f64.exp(), (-2f64).exp()]);
        assert_eq!(wants(&unary(UnaryOp::Tanh, &x, 0)), [0.5f64.tanh(), (-2f64).tanh()]);
        assert_eq!(wants(&unary(UnaryOp::Affine { scale: 2.0, shift: 1.0 }, &x, 0)), [2.0, -3.0]);
        assert_eq!(wants(&unary(UnaryOp::SoftCap { cap: 2.0 }, &x, 0)), [2.0 * 0.25f64.tanh(), 2.0 * (-1f64).tanh()]);
        assert!((wants(&unary(UnaryOp::Sigmoid, &x, 0))[1] - 0.119_202_922_022_117_55).abs() < 1e-15);
        assert_eq!(wants(&unary(UnaryOp::Act(Act::Relu2), &of(&[1, 2], &[3.0, -3.0]), 0)), [9.0, 0.0]);
        let far = of(&[1, 2], &[1e4, -1e4]);
        assert!(unary(UnaryOp::Exp, &far, 0).iter().all(|c| c.want.is_finite() && c.want <= f64::from(f32::MAX)));
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
