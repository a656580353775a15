//! Operators that keep a state beside attention: linear attention, causal convolution, caches that are written into.

use super::super::builder::{Builder, Mapped, Stop};
use super::matmul::floats;
use super::sequences::{axes, copied, filled, joined, numbers};
use omma::kernels::{Act, CachePlaces, Combine, ConvGrouped, Convolution, LinearAttention, Picks, Rearrange, Scatter};

pub fn linear_attention(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2, 3, 4, 5])?;
    let (heads, kv_heads) = (b.int("q_num_heads")?.max(0) as usize, b.int("kv_num_heads")?.max(0) as usize);
    let rule = b.text("update_rule")?;
    let (decay, delta) = (matches!(rule, "gated" | "gated_delta"), matches!(rule, "delta" | "gated_delta"));
    if !decay && !delta && rule != "linear" {
        return Stop::unsupported(format!("update_rule {rule}"));
    }
    let mut operands = vec![b.input(0)?, b.input(1)?, b.input(2)?];
    let ([batch, _, q_cols], [_, _, v_cols]) = (axes(b, operands[0])?, axes(b, operands[2])?);
    let dim = q_cols / heads.max(1);
    let state = if b.has(3) {
        let past = b.input(3)?;
        copied(b, past)?
    } else {
        filled(b, "no_state", &[batch, kv_heads, dim, v_cols / kv_heads.max(1)], 0.0)?
    };
    operands.push(state);
    for (given, i) in [(decay, 4), (delta, 5)] {
        if given {
            operands.push(b.input(i)?);
        }
    }
    let named = b.opt_float("scale")?.filter(|s| *s != 0.0);
    let scale = named.unwrap_or((1.0 / (dim as f64).sqrt()) as f32);
    let all = b.add_all(LinearAttention { heads, kv_heads, scale, decay, delta }, &operands)?;
    Ok(vec![Some(all[0]), Some(all[1])])
}

pub fn causal_conv(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2])?;
    let (x, w) = (b.input(0)?, b.input(1)?);
    let ([batch, channels, _], [_, _, reach]) = (axes(b, x)?, axes(b, w)?);
    let act = match b.opt_text("activation")?.unwrap_or("none") {
        "none" => None,
        "silu" | "swish" => Some(Act::Silu),
        other => return Stop::unsupported(format!("activation {other}")),
    };
    let kept = reach.saturating_sub(1);
    let mut padded = x;
    if kept > 0 {
        let before = if b.has(3) { b.input(3)? } else { filled(b, "no_past", &[batch, channels, kept], 0.0)? };
        padded = joined(b, 2, before, x)?;
    }
    let mut operands = vec![padded, w];
    if b.has(2) {
        operands.push(b.input(2)?);
    }
    let mut kernel = Convolution { groups: channels, bias: b.has(2), act, ..Convolution::default() };
    kernel.window.size = [1, 1, reach];
    let y = b.add(ConvGrouped(kernel), &operands)?;
    let shape = b.shape(padded);
    let state = if b.wanted(1) && kept > 0 {
        Some(b.add(Rearrange::all(&shape).slice(2, shape[2] - kept, 1, kept)?, &[padded])?)
    } else if b.wanted(1) {
        Some(b.add(Rearrange::all(&shape).slice(2, 0, 1, 0)?, &[padded])?)
    } else {
        None
    };
    Ok(vec![Some(y), state])
}

/// Rows along an axis of a cache, written from a place of each sequence on.
pub fn tensor_scatter(b: &mut Builder<'_>) -> Mapped {
    let (cache, update) = (b.host(0)?, b.host(1)?);
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(-2), cache.shape.len())?;
    let wrap = match b.opt_text("mode")?.unwrap_or("linear") {
        "linear" => false,
        "circular" => true,
        other => return Stop::unsupported(format!("mode {other}")),
    };
    if axis == 0 || cache.shape.contains(&0) || update.shape.contains(&0) {
        return Stop::unsupported(format!("axis {axis} of {:?}: it is that of the sequences, or empty", cache.shape));
    }
    let (batch, rows, queries) = (cache.shape[0], cache.shape[axis], update.shape[axis]);
    let heads: usize = cache.shape[1..axis].iter().product();
    let cols: usize = cache.shape[axis + 1..].iter().product();
    let wide = cache.dtype.is_wide();
    let lens = if b.has(2) {
        numbers(b, 2, rows + 1)?
    } else {
        b.graph().constant_u32("no_indices", &[batch], &vec![0; batch])
    };
    let places = CachePlaces { queries, heads, rows, q_step: queries, plus: queries as i32, wrap };
    let slots = b.add_all(places, &[lens])?[2];
    let (past, new) = (b.input(0)?, b.input(1)?);
    let present = copied(b, past)?;
    let picks = Picks { batches: 1, picks: batch * heads * queries, cols, strides: [0, 1, 0], wide };
    let y = b.add(Scatter { picks, combine: Combine::Replace }, &[new, slots, present])?;
    Ok(vec![Some(y)])
}
