//! Attention of ONNX Runtime: Attention, MultiHeadAttention, GroupQueryAttention.

use super::super::builder::{Builder, Mapped, Stop};
use super::attention::{Attending, heads_of, spread, with_past};
use super::matmul::{by_weight, floats};
use super::sequences::{
    Heads, axes, columns, copied, filled, joined, length_flags, numbers, rope, to_blocks, turn_table,
};
use omma::DType;
use omma::graph::ValueId;
use omma::kernels::{Binary, BinaryOp, CachePlaces, KvAppend, Rearrange, RmsNorm, ScoreStage, TensorType};

/// Added where a key is masked, unless the node says otherwise: a masked key is not removed.
const FILTER: f32 = -10_000.0;
/// Added where a key is not seen.
const HIDDEN: f32 = -3e38;

/// What an operator of this domain has that no mapping does.
fn refuse(b: &Builder<'_>, operands: &[(usize, &str)]) -> Result<(), Stop> {
    match operands.iter().find(|(i, _)| b.has(*i)) {
        Some((_, name)) => Stop::unsupported(format!("{} with {name}", b.case().op)),
        None => Ok(()),
    }
}

/// `x` plus columns `first .. first + count` of operand `i`.
fn biased(b: &mut Builder<'_>, x: ValueId, i: usize, first: usize) -> Result<ValueId, Stop> {
    let cols = b.shape(x).last().copied().unwrap_or(1);
    let bias = b.input(i)?;
    let part = columns(b, bias, first, cols)?;
    b.add(Binary { op: BinaryOp::Add }, &[x, part])
}

/// Operand `i`, a mask by key, as flags [batch, 1, queries or 1, keys].
fn key_flags(b: &mut Builder<'_>, i: usize, [batch, queries, keys]: [usize; 3]) -> Result<ValueId, Stop> {
    let shape = b.host(i)?.shape.clone();
    let as_flags = |b: &mut Builder<'_>, x: ValueId| b.view(x, TensorType::new(DType::U32, &[batch, 1, 1, keys]));
    match shape[..] {
        [n] if n == batch => {
            let lens = numbers(b, i, keys + 1)?;
            let flags = length_flags(b, lens, keys, true)?;
            as_flags(b, flags)
        }
        [n] if n == 2 * batch => {
            let both = numbers(b, i, keys + 1)?;
            let ends = columns(b, both, 0, batch)?;
            let starts = columns(b, both, batch, batch)?;
            let (within, beyond) = (length_flags(b, ends, keys, true)?, length_flags(b, starts, keys, false)?);
            let flags = b.add(Binary { op: BinaryOp::Mul }, &[within, beyond])?;
            as_flags(b, flags)
        }
        [n, t] if n == batch && t == keys => {
            let x = b.input(i)?;
            b.reshape(x, &[batch, 1, 1, keys])
        }
        [n, s, t] if n == batch && s == queries && t == keys => {
            let x = b.input(i)?;
            b.reshape(x, &[batch, 1, queries, keys])
        }
        [n, 1, rows, cols] if n == batch && rows >= keys && cols >= keys => {
            let x = b.input(i)?;
            let view = Rearrange::all(&shape).slice(2, keys - queries, 1, queries)?.slice(3, 0, 1, keys)?;
            b.add(view, &[x])
        }
        _ => Stop::unsupported(format!("a mask of shape {shape:?} for {batch} sequences of {keys} keys")),
    }
}

/// One of the parts of a packed operand [batch, rows, heads, parts, dim], as [batch, rows, heads * dim].
fn part(b: &mut Builder<'_>, i: usize, at: usize) -> Result<ValueId, Stop> {
    let x = b.input(i)?;
    let [batch, rows, heads, parts, dim] = axes(b, x)?;
    let view = Rearrange::all(&[batch, rows, heads, parts, dim]).slice(3, at, 1, 1)?;
    b.add(view.shaped(&[batch, rows, heads * dim]), &[x])
}

/// An operand with its batch, its rows and its heads.
type Operand = (ValueId, usize, usize, Heads);

/// q, k and v of MultiHeadAttention, as they come.
fn three(b: &mut Builder<'_>, heads: i64) -> Result<[Operand; 3], Stop> {
    let count = heads.max(1) as usize;
    let packed = |b: &mut Builder<'_>, i: usize, at: usize| -> Result<Operand, Stop> {
        let x = part(b, i, at)?;
        let [batch, rows, cols] = axes(b, x)?;
        Ok((x, batch, rows, Heads { count, dim: cols / count, block: None }))
    };
    let plain = |b: &mut Builder<'_>, i: usize| -> Result<Operand, Stop> {
        let (batch, rows, own) = heads_of(b, i, Some(heads))?;
        Ok((b.input(i)?, batch, rows, own))
    };
    if b.host(0)?.shape.len() == 5 {
        return Ok([packed(b, 0, 0)?, packed(b, 0, 1)?, packed(b, 0, 2)?]);
    }
    let q = plain(b, 0)?;
    if b.host(1)?.shape.len() == 5 {
        return Ok([q, packed(b, 1, 0)?, packed(b, 1, 1)?]);
    }
    Ok([q, plain(b, 1)?, plain(b, 2)?])
}

pub fn multi_head(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2, 3, 5, 6, 7])?;
    refuse(b, &[(8, "past_sequence_length"), (9, "cache_indirection")])?;
    let [mut q, mut k, mut v] = three(b, b.int("num_heads")?)?;
    if b.has(3) {
        // Keys and values that come in blocks have their bias already.
        let mut first = 0;
        for (operand, apart) in [(&mut q, true), (&mut k, false), (&mut v, false)] {
            if apart || operand.3.block.is_none() {
                operand.0 = biased(b, operand.0, 3, first)?;
            }
            first += operand.3.count * operand.3.dim;
        }
    }
    let (batch, queries, new_keys) = (q.1, q.2, k.2);
    let mut keys = new_keys;
    if b.has(6) && b.has(7) {
        (k.0, k.3) = with_past(b, k.0, k.3, 6)?;
        (v.0, v.3) = with_past(b, v.0, v.3, 7)?;
        keys = k.3.block.unwrap_or(keys);
    }
    if k.3.block != v.3.block {
        return Stop::unsupported("keys and values of different layouts");
    }
    let mut all = Attending::new((q.0, q.3), (k.0, k.3), (v.0, v.3), [batch, queries, keys]);
    all.kernel.scale = b.opt_float("scale")?.filter(|s| *s != 0.0).unwrap_or(all.kernel.scale);
    all.kernel.causal = b.opt_int("unidirectional")?.unwrap_or(0) != 0;
    all.kernel.shift = queries as i32 - new_keys as i32;
    if b.has(4) {
        let off = b.opt_float("mask_filter_value")?.unwrap_or(FILTER);
        all.flags = Some((key_flags(b, 4, [batch, queries, keys])?, Some(off)));
    }
    if b.has(5) {
        all.bias = Some(spread(b, 5, keys, 0.0)?);
    }
    if all.kernel.causal && new_keys > queries {
        beside_keys(b, &mut all, keys - new_keys)?;
    }
    let y = all.add(b, &[batch, queries, q.3.count * v.3.dim])?;
    let mut outputs = vec![Some(y)];
    for (i, x) in [(1, k), (2, v)] {
        outputs.push(if b.wanted(i) { Some(present(b, x.0, x.3)?) } else { None });
    }
    finished(b, outputs)
}

/// Keys or values as blocks, in a value of their own.
fn present(b: &mut Builder<'_>, x: ValueId, heads: Heads) -> Result<ValueId, Stop> {
    if heads.block.is_some() { copied(b, x) } else { to_blocks(b, x, heads.count) }
}

/// As many outputs as the case has, none of which may be one that we do not compute.
fn finished(b: &Builder<'_>, mut outputs: Vec<Option<ValueId>>) -> Mapped {
    let count = b.case().wanted.len();
    if let Some(i) = (outputs.len()..count).find(|i| b.wanted(*i)) {
        return Stop::unsupported(format!("output {i} of {}", b.case().op));
    }
    outputs.resize(count, None);
    Ok(outputs)
}

pub fn attention(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2, 4, 5])?;
    refuse(b, &[(6, "past_sequence_length: keys and values are kept in a shared buffer")])?;
    if b.opt_int("do_rotary")?.unwrap_or(0) != 0 {
        return Stop::unsupported("Attention with do_rotary: its tables are not operands");
    }
    let count = b.int("num_heads")?.max(1) as usize;
    let x = b.input(0)?;
    let [batch, queries, _] = axes(b, x)?;
    let cols = b.host(1)?.shape.last().copied().unwrap_or(0);
    let widths = match b.opt_ints("qkv_hidden_sizes")? {
        Some(sizes) => sizes.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect(),
        None => vec![cols / 3; 3],
    };
    let [q_width, k_width, v_width] = widths[..] else {
        return Stop::unsupported(format!("qkv_hidden_sizes {widths:?}"));
    };
    let w = b.panels(1, true)?;
    let bias = if b.has(2) { Some(b.input(2)?) } else { None };
    let qkv = by_weight(b, x, w, bias)?;
    let heads = |width: usize| Heads { count, dim: width / count, block: None };
    let (q_heads, mut k_heads, mut v_heads) = (heads(q_width), heads(k_width), heads(v_width));
    let (mut k, mut v, mut keys) = (qkv, qkv, queries);
    let kept = b.has(4) || b.wanted(1);
    if kept {
        let (k_cols, v_cols) = (columns(b, qkv, q_width, k_width)?, columns(b, qkv, q_width + k_width, v_width)?);
        (k, v) = (to_blocks(b, k_cols, count)?, to_blocks(b, v_cols, count)?);
        if b.has(4) {
            let past = b.input(4)?;
            let [_, _, _, rows, dim] = axes(b, past)?;
            let half = |at| Rearrange::all(&[2, batch, count, rows, dim]).slice(0, at, 1, 1);
            let (old_k, old_v) =
                (half(0)?.shaped(&[batch, count, rows, dim]), half(1)?.shaped(&[batch, count, rows, dim]));
            let (old_k, old_v) = (b.add(old_k, &[past])?, b.add(old_v, &[past])?);
            (k, v) = (joined(b, 2, old_k, k)?, joined(b, 2, old_v, v)?);
            keys += rows;
        }
        (k_heads.block, v_heads.block) = (Some(keys), Some(keys));
    }
    let mut all = Attending::new((qkv, q_heads), (k, k_heads), (v, v_heads), [batch, queries, keys]);
    if !kept {
        (all.kernel.k_offset, all.kernel.v_offset) = (q_width, q_width + k_width);
    }
    all.kernel.scale = b.opt_float("scale")?.filter(|s| *s != 0.0).unwrap_or(all.kernel.scale);
    all.kernel.causal = b.opt_int("unidirectional")?.unwrap_or(0) != 0;
    if b.has(3) {
        let off = b.opt_float("mask_filter_value")?.unwrap_or(FILTER);
        all.flags = Some((key_flags(b, 3, [batch, queries, keys])?, Some(off)));
    }
    if b.has(5) {
        all.bias = Some(spread(b, 5, keys, 0.0)?);
    }
    let mut outputs = vec![Some(all.add(b, &[batch, queries, v_width])?)];
    if b.wanted(1) {
        let shape = [1, batch, count, keys, k_width / count];
        let (k, v) = (b.reshape(k, &shape)?, b.reshape(v, &shape)?);
        outputs.push(Some(joined(b, 0, k, v)?));
    }
    finished(b, outputs)
}

/// Causal attention to more new keys than there are queries, as ONNX Runtime has it: query i sees keys up to i behind the
/// past, and the last one all keys. Told by the bias, since no mask by place says the second.
fn beside_keys(b: &mut Builder<'_>, all: &mut Attending, past: usize) -> Result<(), Stop> {
    let (queries, keys) = (all.queries, all.keys);
    let hidden = |i: usize| i / keys + 1 < queries && i % keys > past + i / keys;
    let cells: Vec<f32> = (0..queries * keys).map(|i| if hidden(i) { HIDDEN } else { 0.0 }).collect();
    let mut bias = b.graph().constant_f32("seen", &[1, 1, queries, keys], &cells);
    if let Some(given) = all.bias {
        let mut shape = b.shape(given);
        (shape[2], shape[3]) = (queries, keys);
        let has = b.shape(given);
        let given = if has == shape { given } else { b.add(Rearrange::expand(&has, &shape)?, &[given])? };
        bias = b.add(Rearrange::expand(&[1, 1, queries, keys], &shape)?, &[bias])?;
        bias = b.add(Binary { op: BinaryOp::Add }, &[given, bias])?;
    }
    all.bias = Some(bias);
    all.kernel.causal = false;
    Ok(())
}

/// What GroupQueryAttention says of its sequences.
struct Cache {
    batch: usize,
    queries: usize,
    /// Rows that the past has.
    old: usize,
    /// Rows that the present has.
    rows: usize,
    /// Every sequence begins here, at key 0.
    prompt: bool,
}

pub fn grouped(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2, 3, 4, 7, 8, 10, 11, 14, 15])?;
    refuse(b, &[(12, "k_scale: a quantized cache"), (13, "v_scale: a quantized cache")])?;
    if b.opt_int("sliding_window_cache")?.unwrap_or(0) != 0 {
        return Stop::unsupported("GroupQueryAttention with sliding_window_cache");
    }
    let (count, kv_count) = (b.int("num_heads")?.max(1) as usize, b.int("kv_num_heads")?.max(1) as usize);
    let (q, k, v, dim) = separate(b, count, kv_count)?;
    let [batch, queries, _] = axes(b, q)?;
    let total = b.host(6)?.ints().first().map_or(0, |n| usize::try_from(*n).unwrap_or(0));
    let old = if b.has(3) { b.host(3)?.shape.get(2).copied().unwrap_or(0) } else { 0 };
    let cache = Cache { batch, queries, old, rows: old.max(total), prompt: total == queries };
    if cache.rows < queries {
        return Stop::unsupported(format!("{queries} new rows of {total} in all"));
    }
    let (heads, kv_heads) = (Heads { count, dim, block: None }, Heads { count: kv_count, dim, block: None });
    // A prompt is padded behind its end: what is there is seen by nobody. Later rows end where their sequence does.
    let lens = match cache.prompt {
        true => b.graph().constant_u32("prompts", &[batch], &vec![queries as u32 - 1; batch]),
        false => numbers(b, 5, cache.rows)?,
    };
    let (q_step, rows) = (queries, cache.rows);
    let places = CachePlaces { queries, heads: kv_count, rows, q_step, plus: 1, wrap: false };
    let placed = b.add_all(places, &[lens])?;
    let q = normed(b, q, heads, 14)?;
    let k = normed(b, k, kv_heads, 15)?;
    let (q, k) = turned(b, q, k, [heads, kv_heads], (placed[1], &cache))?;
    let (k, v) = (appended(b, k, kv_count, 3, placed[2], &cache)?, appended(b, v, kv_count, 4, placed[2], &cache)?);
    let blocks = Heads { block: Some(cache.rows), ..kv_heads };
    let mut all = Attending::new((q, heads), (k, blocks), (v, blocks), [batch, queries, cache.rows]);
    all.spans = Some(placed[0]);
    all.kernel.scale = b.opt_float("scale")?.filter(|s| *s != 0.0).unwrap_or(all.kernel.scale);
    all.kernel.causal = b.opt_int("causal")?.unwrap_or(1) != 0;
    all.kernel.softcap = b.opt_float("softcap")?.filter(|cap| *cap > 0.0);
    all.kernel.window = b.opt_int("local_window_size")?.filter(|n| *n > 0).map(|n| n as u32);
    if cache.prompt && !all.kernel.causal {
        let ends = numbers(b, 5, cache.rows)?;
        let counted = CachePlaces { queries, heads: kv_count, rows, q_step, plus: 1, wrap: false };
        all.spans = Some(b.add_all(counted, &[ends])?[0]);
    }
    if b.has(10) {
        all.bias = Some(spread(b, 10, cache.rows, 0.0)?);
    }
    if b.has(11) {
        all.sinks = Some(b.input(11)?);
    } else if b.opt_int("smooth_softmax")?.unwrap_or(-1) > 0 {
        all.sinks = Some(filled(b, "smooth", &[count], 0.0)?);
    }
    let y = all.add(b, &[batch, queries, count * dim])?;
    let mut outputs = vec![Some(y), Some(k), Some(v)];
    if b.wanted(3) {
        let stage = match b.opt_int("qk_output")?.unwrap_or(0) {
            1 => ScoreStage::Score,
            2 => ScoreStage::Weight,
            other => return Stop::unsupported(format!("qk_output {other}")),
        };
        outputs.push(Some(all.scores(b, stage, 0.0)?));
    }
    finished(b, outputs)
}

/// q, k and v [batch, rows, cols], and the size of a head; packed ones are columns of q.
fn separate(b: &mut Builder<'_>, count: usize, kv_count: usize) -> Result<(ValueId, ValueId, ValueId, usize), Stop> {
    let q = b.input(0)?;
    let [_, _, cols] = axes(b, q)?;
    if b.has(1) {
        return Ok((q, b.input(1)?, b.input(2)?, cols / count));
    }
    let dim = cols / (count + 2 * kv_count);
    let k = columns(b, q, count * dim, kv_count * dim)?;
    let v = columns(b, q, (count + kv_count) * dim, kv_count * dim)?;
    Ok((columns(b, q, 0, count * dim)?, k, v, dim))
}

/// RMS norm of each head, where operand `i` gives its gains.
fn normed(b: &mut Builder<'_>, x: ValueId, heads: Heads, i: usize) -> Result<ValueId, Stop> {
    if !b.has(i) {
        return Ok(x);
    }
    let shape = b.shape(x);
    let rows: usize = shape.iter().product::<usize>() / heads.dim;
    let eps = b.opt_float("qk_norm_epsilon")?.unwrap_or(1e-6);
    let (apart, gain) = (b.reshape(x, &[rows, heads.dim])?, b.input(i)?);
    let y = b.add(RmsNorm { eps }, &[apart, gain])?;
    b.reshape(y, &shape)
}

/// q and k turned by their positions, if the node asks for it.
fn turned(
    b: &mut Builder<'_>,
    q: ValueId,
    k: ValueId,
    heads: [Heads; 2],
    (placed, cache): (ValueId, &Cache),
) -> Result<(ValueId, ValueId), Stop> {
    if b.opt_int("do_rotary")?.unwrap_or(0) == 0 {
        return Ok((q, k));
    }
    let (table, rotary) = turn_table(b, 7, 8, 1.0)?;
    let rows = b.shape(table)[0];
    let positions = if b.has(9) { given_positions(b, rows, cache)? } else { placed };
    let interleaved = b.opt_int("rotary_interleaved")?.unwrap_or(0) != 0;
    let mut both = Vec::new();
    for (x, heads) in [q, k].into_iter().zip(heads) {
        let shape = b.shape(x);
        let y = b.add(rope(heads, rotary, interleaved), &[x, positions, table])?;
        both.push(b.reshape(y, &shape)?);
    }
    Ok((both[0], both[1]))
}

/// Operand 9, positions by token; of a prompt only the first counts, as the position of every first token.
fn given_positions(b: &mut Builder<'_>, rows: usize, cache: &Cache) -> Result<ValueId, Stop> {
    let all = numbers(b, 9, rows)?;
    if !cache.prompt {
        return Ok(all);
    }
    let (batch, queries) = (cache.batch, cache.queries);
    let first = columns(b, all, 0, 1)?;
    let plus = queries as i32;
    let places = CachePlaces { queries, heads: 1, rows: rows.max(queries), q_step: queries, plus, wrap: false };
    let counted = b.add_all(places, &[first])?[1];
    b.add(Rearrange::expand(&[1, queries], &[batch, queries])?, &[counted])
}

/// The present: operand `past` with the new rows at their slots.
fn appended(
    b: &mut Builder<'_>,
    new: ValueId,
    heads: usize,
    past: usize,
    slots: ValueId,
    cache: &Cache,
) -> Result<ValueId, Stop> {
    let new = to_blocks(b, new, heads)?;
    let dim = b.shape(new)[3];
    if cache.old == 0 && cache.rows == cache.queries {
        return Ok(new);
    }
    let shape = [cache.batch, heads, cache.rows, dim];
    let base = if cache.old == 0 {
        filled(b, "nothing", &shape, 0.0)?
    } else {
        let old = b.input(past)?;
        if cache.old == cache.rows {
            copied(b, old)?
        } else {
            // Where sequences end early the appended rows are written over.
            let both = joined(b, 2, old, new)?;
            let all = b.shape(both);
            b.add(Rearrange::all(&all).slice(2, 0, 1, cache.rows)?, &[both])?
        }
    };
    let base = b.reshape(base, &[cache.batch * heads * cache.rows, dim])?;
    let new = b.reshape(new, &[cache.batch * heads * cache.queries, dim])?;
    let all = b.add(KvAppend { x_offset: 0, cols: dim }, &[new, slots, base])?;
    b.reshape(all, &shape)
}
