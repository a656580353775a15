//! Attention, whole and in splits over the keys.

use super::sight::{Depth, Query, Score, clamped, find, head_rows, operand, place, score};
use super::{Array, Cell, F32_EPS, smallest_normal};
use crate::kernels::{Attention, AttentionDecode, AttentionMerge, AttentionScores, ScoreStage};

/// Row `row` of [`Attention`]; `inputs` in the order of the ports, which `names` lists. Rows outside every span have an infinite bound.
pub fn attention(spec: &Attention, names: &[&str], inputs: &[Array], row: usize) -> Vec<Cell> {
    let [q, k, v, spans] = [&inputs[0], &inputs[1], &inputs[2], &inputs[3]];
    // The row of head 0, and the heads that this row holds.
    let (row, heads) = match spec.q_block {
        Some(block) => (row / (block * spec.heads) * block * spec.heads + row % block, one(row / block % spec.heads)),
        None => (row, 0..spec.heads),
    };
    let rows = [head_rows(q, spec.heads, spec.q_block), head_rows(k, spec.kv_heads, spec.k_block)];
    let Some((sequence, span, i)) = find(spans, rows, row) else {
        return vec![Cell { want: 0.0, bound: f64::INFINITY }; heads.len() * spec.value_dim];
    };
    let mut cells = Vec::new();
    for head in heads {
        let query = Query { sequence, i, head, span };
        let scores = (0..span[3]).filter_map(|j| score(spec, names, inputs, &query, j, Depth::Whole));
        let mut scores: Vec<Score> = scores.collect();
        let kv_head = head / (spec.heads / spec.kv_heads);
        let sink = operand(names, inputs, "sinks").map(|sinks| sinks.data[head]);
        scores.extend(sink.map(|value| Score { key: usize::MAX, value, error: 3.0 * F32_EPS * value.abs() }));
        let value = |n: usize, d: usize| match scores[n].key {
            usize::MAX => 0.0,
            key => {
                let (row, column) = place(span[2] + key, kv_head, spec.value_dim, spec.v_offset, spec.k_block);
                v.row(row)[column + d]
            }
        };
        let loose = |d: usize| {
            let one = |score: &Score| {
                let (row, column) = place(span[2] + score.key, kv_head, spec.value_dim, spec.v_offset, spec.k_block);
                v.slack_of(row).get(column + d).copied().unwrap_or(0.0)
            };
            scores.iter().filter(|score| score.key != usize::MAX).map(one).fold(0.0, f64::max)
        };
        cells.extend((0..spec.value_dim).map(|d| {
            let cell = mean(&scores, span[3], |n| value(n, d), q);
            // The mean of what values may be off by as they are read is at most the largest.
            Cell { bound: cell.bound + loose(d), ..cell }
        }));
    }
    cells
}

/// Row `row` of [`AttentionScores`]; `inputs` in the order of the ports, which `names` lists.
///
/// Bound: a score is what it is in [`attention`], times ln(2) once more (two roundings); the largest f32 that is not
/// seen is minus infinity. A weight errs by expm1 of the errors of its own and of the largest score, by that of exp2
/// of the distance (3 + 2 |x| ulp, and half an ulp of x), and by the sum's: as many for every term, which once for
/// each term and for each growth of the peak rounds, then the quotient and a product.
pub fn attention_scores(spec: &AttentionScores, names: &[&str], inputs: &[Array], row: usize) -> Vec<Cell> {
    let of = &spec.of;
    let (q, k, spans) = (&inputs[0], &inputs[1], &inputs[2]);
    let rows = [head_rows(q, of.heads, of.q_block), head_rows(k, of.kv_heads, of.k_block)];
    let (i, head) = (row % spec.queries, row / spec.queries % of.heads);
    let sequence = row / spec.queries / of.heads;
    let span = clamped(spans, rows, sequence);
    let query = Query { sequence, i, head, span };
    let depth = match spec.stage {
        ScoreStage::Product => Depth::Raw,
        ScoreStage::Capped => Depth::Capped,
        _ => Depth::Whole,
    };
    let last = if depth == Depth::Whole { span[3] } else { rows[1] - span[2] };
    let there = |j: usize| i < span[1] && j < last;
    let scores: Vec<Option<Score>> =
        (0..spec.keys).map(|j| if there(j) { score(of, names, inputs, &query, j, depth) } else { None }).collect();
    let tiny = f64::from(f32::MIN_POSITIVE);
    if spec.stage != ScoreStage::Weight {
        let hidden = if spec.stage == ScoreStage::Score { f64::from(spec.hidden) } else { 0.0 };
        let cell = |s: &Option<Score>| match s {
            None => Cell { want: hidden, bound: 0.0 },
            Some(s) => Cell { want: s.value, bound: s.error + 4.0 * F32_EPS * s.value.abs() + tiny },
        };
        return scores.iter().map(cell).collect();
    }
    let sink = operand(names, inputs, "sinks").map(|sinks| sinks.data[head]);
    let extra = sink.map(|value| Score { key: usize::MAX, value, error: 3.0 * F32_EPS * value.abs() });
    let all: Vec<Score> = scores.iter().flatten().copied().chain(extra).collect();
    let peak = all.iter().fold(f64::NEG_INFINITY, |m, s| m.max(s.value));
    let peak_error = all.iter().fold(0.0, |m: f64, s| m.max(s.error));
    let weight = |s: &Score| {
        let x = ((peak - s.value) * std::f64::consts::LOG2_E).min(150.0);
        let roundings = (6.0 + 6.0 * x + 8.0 * all.len() as f64 + 8.0) * F32_EPS;
        ((s.value - peak).exp(), (s.error + peak_error).min(50.0).exp_m1() + roundings)
    };
    let total: f64 = all.iter().map(|s| weight(s).0).sum();
    let off: f64 = all.iter().map(|s| weight(s).0 * weight(s).1 + tiny).sum::<f64>() / total;
    let cell = |s: &Option<Score>| match s {
        None => Cell { want: 0.0, bound: 0.0 },
        Some(s) => {
            let (value, relative) = weight(s);
            let want = value / total;
            Cell { want, bound: want * (relative + off + 8.0 * F32_EPS) + 2.0 * tiny }
        }
    };
    scores.iter().map(cell).collect()
}

fn one(head: usize) -> std::ops::Range<usize> {
    head..head + 1
}

/// `scale * dot(query, key)` of rows `keys` of a cache.
///
/// Error: as argued for `score` in sight, without what is added.
fn cached(query: &[f64], k: &Array, column: usize, keys: &[usize], scale: f64) -> Vec<Score> {
    let one = |key: &usize| {
        let (mut sum, mut size, mut slack) = (0.0, 0.0, 0.0);
        let loose = k.slack_of(*key).get(column..).unwrap_or_default();
        for (d, (a, b)) in query.iter().zip(&k.row(*key)[column..]).enumerate() {
            sum += a * b;
            size += (a * b).abs();
            slack += a.abs() * loose.get(d).copied().unwrap_or(0.0);
        }
        let roundings = query.len() as f64 + 4.0;
        Score { key: *key, value: sum * scale, error: (roundings * F32_EPS * size + slack) * scale.abs() }
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
    let scores = cached(query, k, column, &keys, f64::from(spec.scale));
    let exact = |want: f64| Cell { want, bound: 0.0 };
    if scores.is_empty() {
        let lowest = exact(f64::from(-1e38_f32));
        return [vec![exact(0.0); spec.head_dim], vec![lowest, exact(0.0)]].concat();
    }
    let peak = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(s.value));
    let peak_error = scores.iter().fold(0.0, |m: f64, s| m.max(s.error));
    let weighted = |value: &dyn Fn(usize) -> f64, slack: &dyn Fn(usize) -> f64| {
        let (mut want, mut bound) = (0.0, 0.0);
        for (n, score) in scores.iter().enumerate() {
            let weight = (score.value - peak).exp();
            let x = ((peak - score.value) * std::f64::consts::LOG2_E).min(150.0);
            let growths = 7.0 * (scores.len() as f64 / 256.0).ceil();
            let roundings = 6.0 + 6.0 * x + growths + scores.len() as f64 + 16.0;
            let relative = (score.error + peak_error).min(50.0).exp_m1() + roundings * F32_EPS;
            want += weight * value(n);
            bound += (weight * relative + f64::from(f32::MIN_POSITIVE)) * value(n).abs() + weight * slack(n);
        }
        Cell { want, bound: bound + f64::from(f32::MIN_POSITIVE) }
    };
    let slack = |n: usize, d: usize| v.slack_of(keys[n]).get(column + d).copied().unwrap_or(0.0);
    let mut cells: Vec<Cell> =
        (0..spec.head_dim).map(|d| weighted(&|n| v.row(keys[n])[column + d], &|n| slack(n, d))).collect();
    let log2e = std::f64::consts::LOG2_E;
    cells.push(Cell { want: peak * log2e, bound: (peak_error + 2.0 * F32_EPS * peak.abs()) * log2e });
    cells.push(weighted(&|_| 1.0, &|_| 0.0));
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
    use crate::kernels::Mask;

    const PORTS: [&str; 4] = ["q", "k", "v", "spans"];

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
        let both = attention(&one_head(1), &PORTS, &[q.clone(), k.clone(), v.clone(), spans.clone()], 0);
        assert!((both[0].want - 3.0).abs() < 1e-15 && both[0].bound < 1e-5, "{both:?}");
        let causal = Attention { causal: true, ..one_head(1) };
        let first = attention(&causal, &PORTS, &[q.clone(), k.clone(), v.clone(), spans.clone()], 0);
        assert_eq!(first[0].want, 0.0);
        let window = Attention { window: Some(1), ..causal };
        let last = attention(&window, &PORTS, &[q.clone(), k.clone(), v.clone(), spans.clone()], 1);
        assert_eq!(last[0].want, 4.0);
        let masked = Attention { mask: Mask::Keys, ..one_head(1) };
        let none =
            attention(&masked, &["q", "k", "v", "spans", "key_mask"], &[q, k, v, spans, array(&[2], |_| 0.0)], 0);
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
        let cell = attention(&spec, &PORTS, &[q.clone(), k.clone(), v.clone(), spans], 0)[2];
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
        let want = attention(&whole, &PORTS, &[q.clone(), k.clone(), v.clone(), spans], 0);
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
