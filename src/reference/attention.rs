//! Attention, whole and in splits over the keys.

use super::{Array, Cell, F32_EPS};
use crate::DType;
use crate::kernels::Attention;

/// Row `row` of [`Attention`]; `inputs` in port order. Rows outside every span have an infinite bound.
pub fn attention(spec: &Attention, inputs: &[Array], row: usize) -> Vec<Cell> {
    let [q, k, v, spans] = [&inputs[0], &inputs[1], &inputs[2], &inputs[3]];
    let Some((span, i)) = find(spans, [q.rows(), k.rows()], row) else {
        return vec![Cell { want: 0.0, bound: f64::INFINITY }; spec.heads * spec.head_dim];
    };
    let [_, q_len, k_start, k_len] = span;
    let place = (i + k_len) as i64 - q_len as i64;
    let sees = |j: usize| {
        let past = !spec.causal || j as i64 <= place;
        let near = spec.window.is_none_or(|w| j as i64 > place - i64::from(w));
        past && near && (!spec.key_mask || inputs[4].data[k_start + j] != 0.0)
    };
    let keys: Vec<usize> = (0..k_len).filter(|j| sees(*j)).map(|j| k_start + j).collect();
    let mut cells = Vec::new();
    for head in 0..spec.heads {
        let kv_head = head / (spec.heads / spec.kv_heads);
        let query = &q.row(row)[spec.q_offset + head * spec.head_dim..][..spec.head_dim];
        let columns = [spec.k_offset + kv_head * spec.head_dim, spec.v_offset + kv_head * spec.head_dim];
        let scores = scores(query, k, columns[0], &keys, f64::from(spec.scale));
        cells.extend((0..spec.head_dim).map(|d| mean(&scores, k_len, |n| v.row(keys[n])[columns[1] + d], q)));
    }
    cells
}

/// The clamped span of a row of q, and its index in the sequence.
fn find(spans: &Array, [q_rows, k_rows]: [usize; 2], row: usize) -> Option<([usize; 4], usize)> {
    (0..spans.rows()).find_map(|s| {
        let [q_start, q_len, k_start, k_len] = [0, 1, 2, 3].map(|i| spans.row(s)[i] as usize);
        let (q_start, k_start) = (q_start.min(q_rows), k_start.min(k_rows));
        let (q_len, k_len) = (q_len.min(q_rows - q_start), k_len.min(k_rows - k_start));
        let inside = (q_start..q_start + q_len).contains(&row);
        inside.then(|| ([q_start, q_len, k_start, k_len], row - q_start))
    })
}

/// A score with the largest error of its f32 form.
struct Score {
    value: f64,
    error: f64,
}

/// `scale * dot(query, key)`.
///
/// Error: the products and their sum round at most `len + 1` times, the scaling of q and the scale itself
/// (which the kernels multiply by log2(e)) twice more, all relative to the sum of magnitudes.
fn scores(query: &[f64], k: &Array, column: usize, keys: &[usize], scale: f64) -> Vec<Score> {
    let one = |key: &usize| {
        let (mut sum, mut size) = (0.0, 0.0);
        for (a, b) in query.iter().zip(&k.row(*key)[column..]) {
            sum += a * b;
            size += (a * b).abs();
        }
        let roundings = query.len() as f64 + 4.0;
        Score { value: sum * scale, error: roundings * F32_EPS * size * scale.abs() }
    };
    keys.iter().map(one).collect()
}

/// `sum_n exp(score_n) value(n) / sum_n exp(score_n)`, or 0 without scores.
///
/// Bound: a weight `exp2(x)`, x the distance to the largest score in units of log2(e), is relatively off by
/// expm1 of the score's error, by the rounding of x (half an ulp of it times ln 2), and by exp2's own error,
/// which WGSL allows to be 3 + 2 |x| ulp. As the largest score grows, up to once for every four keys of the
/// span, earlier weights are scaled by a further power of two: the x add up to the same distance, each adds 3 ulp
/// and a product. Far below the largest score the weight itself is the error. The two sums round once for every key,
/// the division (2.5 ulp), the last product and the store follow. A relative error e of one weight moves the
/// mean by `w e |value - mean|`.
fn mean(scores: &[Score], span: usize, value: impl Fn(usize) -> f64, stored: &Array) -> Cell {
    let peak = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(s.value));
    let (mut total, mut sum, mut size) = (0.0, 0.0, 0.0);
    for (n, score) in scores.iter().enumerate() {
        let weight = (score.value - peak).exp();
        total += weight;
        sum += weight * value(n);
        size += weight * value(n).abs();
    }
    if total == 0.0 {
        return Cell { want: 0.0, bound: 0.0 };
    }
    let want = sum / total;
    let growths = 7.0 * (span as f64 / 4.0).ceil();
    let mut moved = 0.0;
    for (n, score) in scores.iter().enumerate() {
        let weight = (score.value - peak).exp();
        let x = ((peak - score.value) * std::f64::consts::LOG2_E).min(150.0);
        let relative = (score.error.min(50.0)).exp_m1() + (6.0 + 6.0 * x + growths) * F32_EPS;
        moved += (weight * relative + f64::from(f32::MIN_POSITIVE)) * (value(n) - want).abs();
    }
    let arithmetic = (scores.len() as f64 + 16.0) * F32_EPS * (size / total + want.abs());
    let store = stored.store_ulp() * want.abs() + smallest(stored);
    Cell { want, bound: moved / total + arithmetic + store }
}

/// What a store may lose near zero.
fn smallest(y: &Array) -> f64 {
    if y.dtype == DType::F16 { f64::powi(2.0, -14) } else { f64::from(f32::MIN_POSITIVE) }
}
