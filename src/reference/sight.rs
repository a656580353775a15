//! Scores of queries and keys: which are seen, and what they are before the softmax.

use super::{Array, F32_EPS};
use crate::kernels::{Attention, Mask, ScoreBias};

/// How far a score goes through the cap, the bias and the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Depth {
    Raw,
    Capped,
    Whole,
}

/// A score with the largest error of its f32 form, and the key it belongs to, counted in its sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    pub key: usize,
    pub value: f64,
    pub error: f64,
}

/// A query: its sequence, its place in it, its head, and the clamped span.
pub(super) struct Query {
    pub sequence: usize,
    pub i: usize,
    pub head: usize,
    pub span: [usize; 4],
}

/// The operand called `name`; `inputs` are q, k, (v,) spans and what the attributes ask for, as `names` has them.
pub(super) fn operand<'a>(names: &[&str], inputs: &'a [Array], name: &str) -> Option<&'a Array> {
    names.iter().position(|n| *n == name).map(|at| &inputs[at])
}

/// The clamped span of a row of head 0 of q, its sequence, and its index in it.
pub(super) fn find(spans: &Array, [q_rows, k_rows]: [usize; 2], row: usize) -> Option<(usize, [usize; 4], usize)> {
    (0..spans.rows()).find_map(|s| {
        let span = clamped(spans, [q_rows, k_rows], s);
        let inside = (span[0]..span[0] + span[1]).contains(&row);
        inside.then(|| (s, span, row - span[0]))
    })
}

/// Span `s` within the tensors.
pub(super) fn clamped(spans: &Array, [q_rows, k_rows]: [usize; 2], s: usize) -> [usize; 4] {
    let [q_start, q_len, k_start, k_len] = [0, 1, 2, 3].map(|i| spans.row(s)[i] as usize);
    let (q_start, k_start) = (q_start.min(q_rows), k_start.min(k_rows));
    [q_start, q_len.min(q_rows - q_start), k_start, k_len.min(k_rows - k_start)]
}

/// Rows that head 0 may have: all, or those with room for the other heads' blocks after them.
pub(super) fn head_rows(tensor: &Array, heads: usize, block: Option<usize>) -> usize {
    tensor.rows() - block.map_or(0, |rows| (heads - 1) * rows)
}

/// Whether the place of a key lets a query see it.
fn in_place(spec: &Attention, query: &Query, j: usize) -> bool {
    let [_, q_len, _, k_len] = query.span;
    let p = (query.i + k_len) as i64 - q_len as i64 + i64::from(spec.shift);
    let ahead = if spec.causal { Some(0) } else { spec.ahead };
    let past = ahead.is_none_or(|a| j as i64 <= p + i64::from(a));
    past && spec.window.is_none_or(|w| j as i64 > p - i64::from(w))
}

/// One cell of a tensor [sequences, heads, queries, keys] with axes of one broadcast.
fn cell(tensor: &Array, query: &Query, j: usize) -> f64 {
    let wanted = [query.sequence, query.head, query.i, j];
    let at = tensor.shape.iter().zip(wanted).fold(0, |at, (n, w)| at * n + if *n == 1 { 0 } else { w });
    tensor.data[at.min(tensor.data.len() - 1)]
}

/// What the mask makes of key j: `None` hides it, else something is added.
fn masked(spec: &Attention, names: &[&str], inputs: &[Array], query: &Query, j: usize) -> Option<f64> {
    match spec.mask {
        Mask::None => Some(0.0),
        Mask::Keys => {
            let mask = operand(names, inputs, "key_mask")?;
            (mask.data[(query.span[2] + j).min(mask.data.len() - 1)] != 0.0).then_some(0.0)
        }
        Mask::Flags { off } => {
            let mask = operand(names, inputs, "mask")?;
            if cell(mask, query, j) != 0.0 { Some(0.0) } else { off.map(f64::from) }
        }
        Mask::Runs { keys } => (cell(operand(names, inputs, "mask")?, query, j / keys) != 0.0).then_some(0.0),
    }
}

/// What is added to the score of key j; `None` where it is minus infinity.
fn biased(spec: &Attention, names: &[&str], inputs: &[Array], query: &Query, j: usize) -> Option<f64> {
    match spec.bias {
        ScoreBias::None => Some(0.0),
        ScoreBias::Dense => {
            let bias = cell(operand(names, inputs, "score_bias")?, query, j);
            (bias != f64::NEG_INFINITY).then(|| bias.clamp(-1e37, 1e37))
        }
        ScoreBias::Table => {
            let (table, index) = (operand(names, inputs, "score_table")?, operand(names, inputs, "score_index")?);
            let at = (query.i * index.cols() + j).min(index.data.len() - 1);
            Some(table.row((index.data[at] as usize).min(table.rows() - 1))[query.head])
        }
        ScoreBias::Alibi => {
            let [_, q_len, _, k_len] = query.span;
            let p = (query.i + k_len) as i64 - q_len as i64 + i64::from(spec.shift);
            Some(operand(names, inputs, "score_slopes")?.data[query.head] * (j as i64 - p) as f64)
        }
    }
}

/// `cap * tanh(s / cap)` of a score.
///
/// Error: tanh has a slope of at most 1. Its own: near 0 the series errs by 1382/155925 x^10 < 9e-9 and rounds
/// about six times, relatively; beyond, e = exp2(-2 |x| log2(e)) errs by 3 + 2 |its argument| ulp and by the
/// argument's rounding, which moves (1 - e) / (1 + e) by twice that at most, and the quotient rounds five times.
fn capped(score: Score, cap: f64) -> Score {
    let x = (score.value / cap).abs();
    let e = (-2.0 * x).exp();
    let argument = 2.0 * x * std::f64::consts::LOG2_E;
    let own = if x < 0.26 { (9e-9 + 8.0 * F32_EPS) * x } else { 0.0 };
    let far = if x > 0.24 { 2.0 * e * (6.0 + 7.0 * argument) * F32_EPS + 12.0 * F32_EPS } else { 0.0 };
    let error = score.error + cap * own.max(far) + 4.0 * F32_EPS * score.value.abs().min(cap);
    Score { value: cap * (score.value / cap).tanh(), error, ..score }
}

/// `scale * dot(query, key)` of keys `j` of a query, as far as `depth`; keys that are not seen are `None`.
///
/// Error: the products and their sum round at most `len + 1` times, the scaling of q and the scale itself
/// (which the kernels multiply by log2(e)) twice more, all relative to the sum of magnitudes. What is added is
/// multiplied by log2(e), itself rounded, and the sum rounds: three roundings of what is added, one of the sum. What a
/// key may be off by as it is read counts by the query.
pub(super) fn score(
    spec: &Attention,
    names: &[&str],
    inputs: &[Array],
    query: &Query,
    j: usize,
    depth: Depth,
) -> Option<Score> {
    let (q, k) = (&inputs[0], &inputs[1]);
    let kv_head = query.head / (spec.heads / spec.kv_heads);
    let (q_row, q_column) = place(query.span[0] + query.i, query.head, spec.head_dim, spec.q_offset, spec.q_block);
    let (k_row, k_column) = place(query.span[2] + j, kv_head, spec.head_dim, spec.k_offset, spec.k_block);
    let (mut sum, mut size, mut slack) = (0.0, 0.0, 0.0);
    let loose = k.slack_of(k_row).get(k_column..).unwrap_or_default();
    for (d, (a, b)) in q.row(q_row)[q_column..][..spec.head_dim].iter().zip(&k.row(k_row)[k_column..]).enumerate() {
        sum += a * b;
        size += (a * b).abs();
        slack += a.abs() * loose.get(d).copied().unwrap_or(0.0);
    }
    let scale = f64::from(spec.scale);
    let roundings = spec.head_dim as f64 + 4.0;
    let mut score = Score { key: j, value: sum * scale, error: (roundings * F32_EPS * size + slack) * scale.abs() };
    // Products and scores below the normal range may be flushed to zero.
    score.error += roundings * f64::from(f32::MIN_POSITIVE);
    if let (Some(cap), true) = (spec.softcap, depth >= Depth::Capped) {
        score = capped(score, f64::from(cap));
    }
    if depth < Depth::Whole {
        return Some(score);
    }
    if !in_place(spec, query, j) {
        return None;
    }
    for added in [biased(spec, names, inputs, query, j)?, masked(spec, names, inputs, query, j)?] {
        if added != 0.0 {
            score.value += added;
            score.error += F32_EPS * (4.0 * added.abs() + score.value.abs());
        }
    }
    Some(score)
}

/// Row and column at which a head of a row of head 0 starts.
pub(super) fn place(row: usize, head: usize, dim: usize, offset: usize, block: Option<usize>) -> (usize, usize) {
    match block {
        Some(rows) => (row + head * rows, offset),
        None => (row, offset + head * dim),
    }
}
