//! attention: draws of everything that an attention may have, with the operands that it asks for.

use super::cached;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Attention, Kernel, Mask, ScoreBias, TensorType};

/// Sequences of these lengths of q and k one after the other, with whatever operands `kernel` asks for.
fn lengths(kernel: Attention, lengths: &[(u32, u32)], dtype: DType) -> Case {
    let (mut q, mut k, mut spans) = (0, 0, Vec::new());
    for (q_len, k_len) in lengths {
        spans.extend([q, *q_len, k, *k_len]);
        (q, k) = (q + q_len, k + k_len);
    }
    let cols = |offset: usize, heads: usize, dim: usize| offset + heads * dim;
    let rows = |count: u32, cols: usize| Input::float(dtype, &[count.max(1) as usize, cols]);
    let mut inputs = vec![
        rows(q, cols(kernel.q_offset, kernel.heads, kernel.head_dim)),
        rows(k, cols(kernel.k_offset, kernel.kv_heads, kernel.head_dim)),
        rows(k, cols(kernel.v_offset, kernel.kv_heads, kernel.value_dim)),
        Input::u32(&[lengths.len(), 4], &spans),
    ];
    let longest = |of: fn(&(u32, u32)) -> u32| lengths.iter().map(of).max().unwrap_or(1).max(1) as usize;
    let sizes = [lengths.len(), kernel.heads, longest(|l| l.0), longest(|l| l.1)];
    for name in kernel.inputs().split_off(4) {
        inputs.push(operand(name, sizes, k.max(1) as usize));
    }
    Case::new(format!("{lengths:?} {dtype} {}", kernel.show()), kernel, inputs)
}

fn operand(name: &str, [sequences, heads, q, k]: [usize; 4], k_rows: usize) -> Input {
    let index = |shape: &[usize], below: u32| Input::new(TensorType::u32(shape), Fill::Index(below));
    match name {
        "key_mask" => index(&[k_rows], 3),
        "mask" => index(&[sequences, 1, q, k], 3),
        "score_bias" => Input::f32(&[1, heads, q, k]).fill(Fill::Uniform(-3.0, 3.0)),
        "score_table" => Input::f32(&[50, heads]),
        "score_index" => index(&[q, k], 52),
        "sinks" => Input::f32(&[heads]).fill(Fill::Uniform(-2.0, 4.0)),
        _ => Input::f32(&[heads]).fill(Fill::Uniform(0.01, 0.9)),
    }
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (kv_heads, group, dim) = (d.size(3), d.size(3), d.size(140));
    let value_dim = if d.below(4) == 3 { d.size(140) } else { dim };
    let scale = d.pick(&[1.0, 30.0]) / (dim as f32).sqrt();
    let flags = |off| Mask::Flags { off };
    let masks = [Mask::None, Mask::Keys, flags(None), flags(Some(-3.0)), Mask::Runs { keys: 7 }];
    let biases = [ScoreBias::None, ScoreBias::Dense, ScoreBias::Table, ScoreBias::Alibi];
    let kernel = Attention {
        value_dim,
        scale,
        causal: d.flag(),
        window: d.maybe(&[1, 5, 40]),
        ahead: d.maybe(&[0, 3]),
        shift: d.pick(&[0, 0, -5, 70]),
        q_offset: d.below(5),
        k_offset: d.below(5),
        v_offset: d.below(5),
        softcap: d.maybe(&[2.0, 50.0]),
        // What is seen and added is simple more often than not: variants take time to compile.
        mask: if d.flag() { d.pick(&masks) } else { Mask::None },
        bias: if d.flag() { d.pick(&biases) } else { ScoreBias::None },
        sinks: d.below(4) == 3,
        ..cached(kv_heads * group, kv_heads, dim)
    };
    // Rows of q that are in no sequence are not written, so there is a query.
    let mut list = vec![(d.size(90) as u32, d.size_or_none(200) as u32)];
    list.extend((1..d.size(4)).map(|_| (d.size_or_none(90) as u32, d.size_or_none(200) as u32)));
    let dtype = d.float();
    row!(lengths(kernel, &list, dtype))
}
