//! Mixtures of experts.

use super::matmul::{Sum, epilogue, smallest_of};
use super::{Array, Cell, F32_EPS, computed};
use crate::DType;
use crate::kernels::{ExpertMatMul, ExpertSort, Route, Score, Swiglu};

const NOBODY: f64 = u32::MAX as f64;

/// Half ulps by which WGSL's exp(-t) may be off, with t rounded once before: 3 + 2 t ulp.
fn exp_error(t: f64) -> f64 {
    6.0 + 5.0 * t.abs()
}

/// Row `row` of experts (output 0) or weights (output 1).
///
/// Bound of a weight, in half ulps: its score's exponential; in the divisor the error of each score by its share, and one
/// rounding for each score added; two divisions of 5 and a product of 1.
pub fn route(kernel: &Route, x: &Array, output: usize, row: usize) -> Vec<Cell> {
    let values = x.row(row);
    let mut best: Vec<usize> = (0..values.len()).collect();
    best.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
    best.truncate(kernel.top);
    if output == 0 {
        return best.iter().map(|e| Cell { want: *e as f64, bound: 0.0 }).collect();
    }
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Score and its error in half ulps.
    let score = |v: f64| match kernel.score {
        Score::Softmax => ((v - top).exp(), if top - v > 100.0 { 0.0 } else { exp_error(top - v) }),
        // Of 1 + exp(-v) the exponential is a share; the sum rounds and the division is off by 5.
        Score::Sigmoid => {
            let e = (-v).exp();
            (1.0 / (1.0 + e), if v < -88.0 { f64::INFINITY } else { e / (1.0 + e) * exp_error(v) + 6.0 })
        }
    };
    let sum = |list: &[f64]| {
        let total = list.iter().map(|v| score(*v).0).sum::<f64>();
        let error = list.iter().map(|v| score(*v).0 * score(*v).1).filter(|e| e.is_finite()).sum::<f64>();
        (total, error / total + list.len() as f64)
    };
    let chosen: Vec<f64> = best.iter().map(|e| values[*e]).collect();
    let (divisor, error) = match (kernel.normalise, kernel.score) {
        (true, _) => sum(&chosen),
        (false, Score::Softmax) => sum(values),
        (false, Score::Sigmoid) => (1.0, 0.0),
    };
    let cell = |v: &f64| {
        let (value, own) = score(*v);
        let want = value / divisor * f64::from(kernel.scale);
        let bound =
            if own.is_finite() { want.abs() * F32_EPS * (own + error + 11.0) } else { f64::from(f32::MIN_POSITIVE) };
        computed(want, bound + f64::from(f32::MIN_POSITIVE), DType::F32)
    };
    chosen.iter().map(cell).collect()
}

/// Row `row` of order (output 0, one row), spans (output 1) or place (output 2).
pub fn expert_sort(kernel: &ExpertSort, ids: &Array, output: usize, row: usize) -> Vec<Cell> {
    let mut lists = vec![Vec::new(); kernel.experts];
    for (a, id) in ids.data.iter().enumerate() {
        lists[(*id as usize).min(kernel.experts - 1)].push(a);
    }
    let mut place = vec![NOBODY; ids.data.len()];
    let (mut order, mut spans) = (Vec::new(), Vec::new());
    for list in &lists {
        let kept = kernel.capacity.map_or(list.len(), |c| list.len().min(c));
        spans.push([order.len() as f64, kept as f64]);
        for a in &list[..kept] {
            place[*a] = order.len() as f64;
            order.push(*a as f64);
        }
        if let Some(capacity) = kernel.capacity {
            order.extend(std::iter::repeat_n(NOBODY, capacity - kept));
        }
    }
    let cols = ids.cols();
    let exact = |values: &[f64]| values.iter().map(|v| Cell { want: *v, bound: 0.0 }).collect();
    match output {
        0 => exact(&order),
        1 => exact(&spans[row]),
        _ => exact(&place[row * cols..][..cols]),
    }
}

/// Row `row` of y: inputs x, w, order, spans, bias. Bound as for `matmul`.
pub fn expert_matmul(kernel: &ExpertMatMul, inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, w, order, spans) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
    let experts = spans.data.len() / 2;
    let width = w.rows() / experts;
    let has = |e: &usize| {
        let first = spans.data[2 * e] as usize;
        (first..first + spans.data[2 * e + 1] as usize).contains(&row)
    };
    let Some(expert) = (0..experts).find(has) else {
        return vec![Cell { want: 0.0, bound: 0.0 }; width];
    };
    let from = kernel.per.map_or(row, |per| order.data[row] as usize / per).min(x.rows() - 1);
    let values = x.row(from);
    let cell = |col: usize| {
        let n = expert * width + col;
        let (mut value, mut size) = (0.0, 0.0);
        for (a, b) in values.iter().zip(w.row(n)) {
            value += a * b;
            size += (a * b).abs();
        }
        let slack = values.iter().zip(w.slack_of(n)).map(|(a, s)| a.abs() * s).sum();
        let bias = if kernel.bias { inputs[4].data[n] } else { 0.0 };
        let sum = Sum { value: value + bias, size: size + bias.abs(), terms: values.len(), slack };
        epilogue(sum, None, None, (DType::F32.store_ulp(), smallest_of(DType::F32)))
    };
    (0..width).map(cell).collect()
}

/// Row `row` of y: inputs x, place, weights. Bound: each product and each partial sum rounds once.
pub fn expert_combine(inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, place, weights) = (&inputs[0], &inputs[1], &inputs[2]);
    let cell = |col: usize| {
        let (mut want, mut size) = (0.0, 0.0);
        for (at, weight) in place.row(row).iter().zip(weights.row(row)) {
            if *at != NOBODY {
                let term = weight * x.row((*at as usize).min(x.rows() - 1))[col];
                want += term;
                size += term.abs();
            }
        }
        let terms = place.cols() as f64;
        computed(want, (terms + 1.0) * (F32_EPS * size + f64::from(f32::MIN_POSITIVE)), DType::F32)
    };
    (0..x.cols()).map(cell).collect()
}

/// Row `row` of the gated unit.
///
/// Bound, in half ulps: the exponential (its argument rounds once more) by its share of the divisor, whose sum rounds; the
/// division 5; the offset 1 of its sum; the product 1.
pub fn swiglu(kernel: &Swiglu, x: &Array, row: usize) -> Vec<Cell> {
    let (values, cols) = (x.row(row), x.cols() / 2);
    let limit = kernel.limit.map_or(f64::from(f32::MAX), f64::from);
    let cell = |i: usize| {
        let (gate, up) =
            if kernel.interleaved { (values[2 * i], values[2 * i + 1]) } else { (values[i], values[cols + i]) };
        let (gate, up) = (gate.min(limit), up.clamp(-limit, limit));
        let t = f64::from(kernel.alpha) * gate;
        let e = (-t).exp();
        let value = gate / (1.0 + e);
        let offset = up + f64::from(kernel.beta);
        let want = value * offset;
        // Beyond 88 the exponential is held, and the value is below what a normal number holds times the gate.
        let held = if t < -87.0 { gate.abs() * f64::exp(-87.0) * offset.abs() } else { 0.0 };
        let share = if e.is_finite() { e / (1.0 + e) } else { 1.0 };
        let relative = share * exp_error(t) + 8.0;
        let error = want.abs() * F32_EPS * relative + value.abs() * F32_EPS * (up.abs() + offset.abs());
        computed(want, error + held + f64::from(f32::MIN_POSITIVE) * (1.0 + offset.abs()), DType::F32)
    };
    (0..cols).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_by_hand() {
        let ids = Array::new(DType::U32, &[3, 2], vec![2.0, 0.0, 0.0, 9.0, 2.0, 1.0]);
        let of = |kernel: &ExpertSort, output, row| -> Vec<f64> {
            expert_sort(kernel, &ids, output, row).iter().map(|c| c.want).collect()
        };
        let all = ExpertSort { experts: 3, capacity: None };
        assert_eq!(of(&all, 0, 0), [1.0, 2.0, 5.0, 0.0, 3.0, 4.0]);
        assert_eq!(of(&all, 1, 2), [3.0, 3.0]);
        assert_eq!(of(&all, 2, 1), [1.0, 4.0]);
        let two = ExpertSort { experts: 3, capacity: Some(2) };
        assert_eq!(of(&two, 0, 0), [1.0, 2.0, 5.0, NOBODY, 0.0, 3.0]);
        assert_eq!(of(&two, 2, 2), [NOBODY, 2.0]);
    }

    #[test]
    fn routing_by_hand() {
        let x = Array::new(DType::F32, &[1, 3], vec![0.0, 2f64.ln(), 2f64.ln()]);
        let kernel = Route { top: 2, score: Score::Softmax, normalise: false, scale: 1.0 };
        let ids: Vec<f64> = route(&kernel, &x, 0, 0).iter().map(|c| c.want).collect();
        assert_eq!(ids, [1.0, 2.0]);
        assert!((route(&kernel, &x, 1, 0)[0].want - 0.4).abs() < 1e-12);
        let kernel = Route { normalise: true, scale: 3.0, ..kernel };
        assert!((route(&kernel, &x, 1, 0)[1].want - 1.5).abs() < 1e-12);
    }
}
