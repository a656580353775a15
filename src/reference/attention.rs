//! Attention, whole and in splits over the keys.

use super::{Array, Cell, F32_EPS, smallest_normal};
use crate::kernels::{Attention, AttentionDecode, AttentionMerge};

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
    let store = stored.store_ulp() * want.abs() + smallest_normal(stored.dtype);
    Cell { want, bound: moved / total + arithmetic + store }
}

/// Row `row` (a split of a head of a sequence) of [`AttentionDecode`]: the sum by column, peak and total.
///
/// Bound: as for [`attention`], but nothing is divided, so that the error of the largest score (no more than the
/// largest error of any) stays in every weight, and the rounding of every weight counts in full.
pub fn attention_decode(spec: &AttentionDecode, inputs: &[Array], row: usize) -> Vec<Cell> {
    let [q, k, v, lens] = [&inputs[0], &inputs[1], &inputs[2], &inputs[3]];
    let (split, head) = (row % spec.splits, row / spec.splits % spec.heads);
    let batch = row / spec.splits / spec.heads;
    let len = (lens.data[batch] as usize).min(spec.max_len);
    let seen = spec.window.map_or(len, |w| len.min(w as usize));
    // The seen keys go to the splits in order, in equal multiples of 256.
    let chunk = seen.div_ceil(spec.splits * 256) * 256;
    let begin = (len - seen + split * chunk).min(len);
    let end = (begin + chunk).min(len);
    let keys: Vec<usize> = (begin..end).map(|j| batch * spec.max_len + j).collect();
    let column = head / (spec.heads / spec.kv_heads) * spec.head_dim;
    let query = &q.row(batch)[spec.q_offset + head * spec.head_dim..][..spec.head_dim];
    let scores = scores(query, k, column, &keys, f64::from(spec.scale));
    let exact = |want: f64| Cell { want, bound: 0.0 };
    if scores.is_empty() {
        let lowest = exact(f64::from(-1e38_f32));
        return [vec![exact(0.0); spec.head_dim], vec![lowest, exact(0.0)]].concat();
    }
    let peak = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(s.value));
    let peak_error = scores.iter().fold(0.0, |m: f64, s| m.max(s.error));
    let weighted = |value: &dyn Fn(usize) -> f64| {
        let (mut want, mut bound) = (0.0, 0.0);
        for (n, score) in scores.iter().enumerate() {
            let weight = (score.value - peak).exp();
            let x = ((peak - score.value) * std::f64::consts::LOG2_E).min(150.0);
            let growths = 7.0 * (scores.len() as f64 / 256.0).ceil();
            let roundings = 6.0 + 6.0 * x + growths + scores.len() as f64 + 16.0;
            let relative = (score.error + peak_error).min(50.0).exp_m1() + roundings * F32_EPS;
            want += weight * value(n);
            bound += (weight * relative + f64::from(f32::MIN_POSITIVE)) * value(n).abs();
        }
        Cell { want, bound: bound + f64::from(f32::MIN_POSITIVE) }
    };
    let mut cells: Vec<Cell> = (0..spec.head_dim).map(|d| weighted(&|n| v.row(keys[n])[column + d])).collect();
    let log2e = std::f64::consts::LOG2_E;
    cells.push(Cell { want: peak * log2e, bound: (peak_error + 2.0 * F32_EPS * peak.abs()) * log2e });
    cells.push(weighted(&|_| 1.0));
    cells
}

/// Row `row` (a sequence) of [`AttentionMerge`].
///
/// Bound: peaks are exact inputs; a scale rounds its difference (half an ulp, times ln 2) and errs by 3 + 2 |x| ulp;
/// both sums round twice a split, the division and the store follow.
pub fn attention_merge(spec: &AttentionMerge, partials: &Array, row: usize) -> Vec<Cell> {
    let d = spec.head_dim;
    let store = spec.dtype.store_ulp();
    let least = smallest_normal(spec.dtype);
    let cell = |head: usize, column: usize| {
        let first = (row * spec.heads + head) * spec.splits;
        let rows: Vec<&[f64]> = (first..first + spec.splits).map(|s| partials.row(s)).collect();
        let peak = rows.iter().fold(f64::NEG_INFINITY, |m, r| m.max(r[d]));
        let scale = |r: &[f64]| (r[d] - peak).exp2();
        let total: f64 = rows.iter().map(|r| scale(r) * r[d + 1]).sum();
        if total == 0.0 {
            return Cell { want: 0.0, bound: 0.0 };
        }
        let want = rows.iter().map(|r| scale(r) * r[column]).sum::<f64>() / total;
        let error = |r: &&[f64]| {
            let x = (peak - r[d]).min(150.0);
            let roundings = (12.0 + 6.0 * x + 2.0 * spec.splits as f64) * F32_EPS;
            (scale(r) * roundings + f64::from(f32::MIN_POSITIVE)) * (r[column].abs() + want.abs() * r[d + 1])
        };
        let moved = rows.iter().map(error).sum::<f64>() / total;
        Cell { want, bound: moved + want.abs() * (6.0 * F32_EPS + store) + least }
    };
    (0..spec.heads).flat_map(|head| (0..d).map(move |column| (head, column))).map(|(h, c)| cell(h, c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn array(shape: &[usize], value: impl Fn(usize) -> f64) -> Array {
        Array::new(DType::F32, shape, (0..shape.iter().product()).map(value).collect())
    }

    fn one_head(dim: usize) -> Attention {
        Attention { k_offset: 0, v_offset: 0, ..Attention::fused(1, dim) }
    }

    /// Weights 1/4 and 3/4: the scores differ by ln 3.
    #[test]
    fn attention_by_hand() {
        let q = array(&[2, 1], |_| 1.0);
        let k = array(&[2, 1], |j| j as f64 * 3f64.ln());
        let v = array(&[2, 1], |j| 4.0 * j as f64);
        let spans = array(&[1, 4], |i| [0.0, 2.0, 0.0, 2.0][i]);
        let both = attention(&one_head(1), &[q.clone(), k.clone(), v.clone(), spans.clone()], 0);
        assert!((both[0].want - 3.0).abs() < 1e-15 && both[0].bound < 1e-5, "{both:?}");
        let causal = Attention { causal: true, ..one_head(1) };
        let first = attention(&causal, &[q.clone(), k.clone(), v.clone(), spans.clone()], 0);
        assert_eq!(first[0].want, 0.0);
        let window = Attention { window: Some(1), ..causal };
        let last = attention(&window, &[q.clone(), k.clone(), v.clone(), spans.clone()], 1);
        assert_eq!(last[0].want, 4.0);
        let masked = Attention { key_mask: true, ..one_head(1) };
        let none = attention(&masked, &[q, k, v, spans, array(&[2], |_| 0.0)], 0);
        assert_eq!((none[0].want, none[0].bound), (0.0, 0.0));
    }

    /// The plain softmax in f32, in another order, stays within the bound; a changed score does not.
    #[test]
    fn bound_covers_f32_and_no_more() {
        let (keys, dim) = (300, 16);
        let noise = |i: usize| f64::from(((i * 7919) % 1009) as f32 / 504.5 - 1.0);
        let q = array(&[1, dim], noise);
        let k = array(&[keys, dim], |i| noise(i + 5));
        let v = array(&[keys, dim], |i| noise(3 * i + 1));
        let spans = array(&[1, 4], |i| [0.0, 1.0, 0.0, keys as f64][i]);
        let spec = one_head(dim);
        let in_f32 = |scale: f32| {
            let score = |j: usize| (0..dim).rev().fold(0f32, |s, d| s + q.data[d] as f32 * k.row(j)[d] as f32) * scale;
            let (mut sum, mut total) = (0f32, 0f32);
            for j in (0..keys).rev() {
                let weight = score(j).exp();
                sum += weight * v.row(j)[2] as f32;
                total += weight;
            }
            f64::from(sum / total)
        };
        let cell = attention(&spec, &[q.clone(), k.clone(), v.clone(), spans], 0)[2];
        assert!((in_f32(spec.scale) - cell.want).abs() < cell.bound, "{cell:?}");
        assert!((in_f32(spec.scale * 1.01) - cell.want).abs() > cell.bound, "{cell:?}");
    }

    /// Decoding in splits and merging them is attention of the last token.
    #[test]
    fn decode_and_merge_agree_with_attention() {
        let (dim, len, max_len) = (4, 700, 800);
        let q = array(&[1, 2 * dim], |i| (i as f64).sin());
        let k = array(&[max_len, dim], |i| (1.3 * i as f64).cos());
        let v = array(&[max_len, dim], |i| (0.7 * i as f64).sin());
        let whole = Attention { kv_heads: 1, causal: true, window: Some(650), ..one_head(dim) };
        let whole = Attention { heads: 2, ..whole };
        let spans = array(&[1, 4], |i| [0.0, 1.0, 0.0, len as f64][i]);
        let want = attention(&whole, &[q.clone(), k.clone(), v.clone(), spans], 0);
        let Attention { heads, kv_heads, head_dim, scale, window, .. } = whole;
        let splits = 2;
        let decode = AttentionDecode { heads, kv_heads, head_dim, scale, window, max_len, splits, q_offset: 0 };
        let inputs = [q, k, v, array(&[1], |_| len as f64)];
        let rows: Vec<f64> =
            (0..4).flat_map(|row| attention_decode(&decode, &inputs, row)).map(|cell| cell.want).collect();
        let partials = Array::new(DType::F32, &[4, dim + 2], rows);
        let merge = AttentionMerge { heads, head_dim, splits, dtype: DType::F32 };
        for (a, b) in want.iter().zip(attention_merge(&merge, &partials, 0)) {
            assert!((a.want - b.want).abs() < 1e-12, "{a:?} {b:?}");
        }
    }
}
