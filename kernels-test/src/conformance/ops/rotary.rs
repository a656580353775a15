//! Rotary position embeddings.

use super::super::builder::{Builder, Mapped, Stop};
use super::matmul::floats;
use super::sequences::{Heads, numbers, rope, turn_table};
use super::{Entry, MICROSOFT, ONNX};
use omma::graph::ValueId;
use omma::kernels::{CachePlaces, Rearrange, Rope};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "RotaryEmbedding", onnx),
    (MICROSOFT, "MRotaryEmbedding", multi),
    (MICROSOFT, "RotaryEmbedding", microsoft),
];

/// Batch, tokens of a sequence, and heads of operand 0. Without a count of heads of three axes, `dim` says how large
/// one is.
fn heads(b: &Builder<'_>, dim: usize) -> Result<(usize, usize, Heads), Stop> {
    match b.host(0)?.shape[..] {
        [batch, count, rows, dim] => Ok((batch, rows, Heads { count, dim, block: Some(rows) })),
        [batch, rows, cols] => {
            let named = b.opt_int("num_heads")?.filter(|n| *n > 0);
            let count = named.map_or(cols / dim.max(1), |n| n as usize);
            if count == 0 || !cols.is_multiple_of(count) {
                return Stop::unsupported(format!("{cols} columns of {count} heads"));
            }
            Ok((batch, rows, Heads { count, dim: cols / count, block: None }))
        }
        ref shape => Stop::unsupported(format!("{} of a tensor {shape:?}", b.case().op)),
    }
}

/// The elements of a head that turn, by the attribute or by the table.
fn turning(b: &Builder<'_>, table: usize) -> Result<usize, Stop> {
    let named = b.opt_int("rotary_embedding_dim")?.filter(|n| *n > 0);
    match named {
        Some(n) if n as usize != table => Stop::unsupported(format!("{n} elements that turn, tables for {table}")),
        _ => Ok(table),
    }
}

fn turned(b: &mut Builder<'_>, kernel: Rope, operands: &[ValueId]) -> Mapped {
    let shape = b.shape(operands[0]);
    let y = b.add(kernel, operands)?;
    Ok(vec![Some(b.reshape(y, &shape)?)])
}

fn onnx(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2])?;
    let (table, dim) = turn_table(b, 1, 2, 1.0)?;
    let (batch, tokens, heads) = heads(b, dim)?;
    let rows = b.shape(table)[0];
    let positions = if b.has(3) {
        numbers(b, 3, rows)?
    } else {
        // The tables are those of each token.
        let all: Vec<u32> = (0..(batch * tokens) as u32).collect();
        b.graph().constant_u32("tokens", &[batch * tokens], &all)
    };
    let kernel = rope(heads, turning(b, dim)?, b.int("interleaved")? != 0);
    let x = b.input(0)?;
    turned(b, kernel, &[x, positions, table])
}

/// The attribute `scale` is not looked at: ONNX Runtime's own operator reads it and does not use it.
fn microsoft(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 2, 3])?;
    let (table, dim) = turn_table(b, 2, 3, 1.0)?;
    let (batch, tokens, heads) = heads(b, dim)?;
    let rows = b.shape(table)[0];
    let mut positions = numbers(b, 1, rows)?;
    if b.host(1)?.shape.len() == 1 {
        // One number: the position of the first token of every sequence.
        let places = CachePlaces {
            queries: tokens,
            heads: 1,
            rows: rows.max(tokens),
            q_step: tokens,
            plus: tokens as i32,
            wrap: false,
        };
        let first = b.add_all(places, &[positions])?[1];
        positions = b.add(Rearrange::expand(&[1, tokens], &[batch, tokens])?, &[first])?;
    }
    let kernel = rope(heads, turning(b, dim)?, b.int("interleaved")? != 0);
    let x = b.input(0)?;
    turned(b, kernel, &[x, positions, table])
}

/// The axis whose position turns a pair: sections one after the other, or (layout 1) columns taken in turn as long as
/// the second and third section last, the first taking the rest.
fn pair_axes(sections: &[i64], layout: i64, half: usize) -> Result<Vec<u32>, Stop> {
    let sizes: Vec<usize> = sections.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
    if sizes.len() != 3 || sizes.iter().sum::<usize>() != half {
        return Stop::unsupported(format!("sections {sections:?} of {half} pairs"));
    }
    let chunked = |pair: usize| u32::from(pair >= sizes[0]) + u32::from(pair >= sizes[0] + sizes[1]);
    let in_turn = |pair: usize| if pair / 3 < sizes[pair % 3] { pair as u32 % 3 } else { 0 };
    match layout {
        0 => Ok((0..half).map(chunked).collect()),
        1 => Ok((0..half).map(in_turn).collect()),
        other => Stop::unsupported(format!("mrope_layout {other}")),
    }
}

fn multi(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 2, 3])?;
    let scale = b.opt_float("scale")?.unwrap_or(1.0);
    let (table, dim) = turn_table(b, 2, 3, scale)?;
    let (batch, tokens, heads) = heads(b, dim)?;
    let rows = b.shape(table)[0];
    let positions = numbers(b, 1, rows)?;
    let positions = b.reshape(positions, &[3, batch * tokens])?;
    let axes = pair_axes(&b.ints("mrope_section")?, b.opt_int("mrope_layout")?.unwrap_or(0), dim / 2)?;
    let axes = b.graph().constant_u32("pair_axis", &[dim / 2], &axes);
    let plain = rope(heads, turning(b, dim)?, b.int("interleaved")? != 0);
    let x = b.input(0)?;
    turned(b, Rope { axes: Some(3), ..plain }, &[x, positions, table, axes])
}
