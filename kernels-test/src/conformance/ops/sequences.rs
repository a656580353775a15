//! What attention and rotary mappings share: constants, positions, heads in columns and in blocks.

use super::super::builder::{Builder, Stop};
use omma::graph::ValueId;
use omma::kernels::{Binary, BinaryOp, Concat, Gather, Picks, Rearrange, Rope, RowIndex, TensorType};

/// f32 values known when the graph is built.
pub fn constant(b: &mut Builder<'_>, name: &str, shape: &[usize], values: &[f32]) -> Result<ValueId, Stop> {
    let bits: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
    let words = b.graph().constant_u32(name, shape, &bits);
    b.view(words, TensorType::f32(shape))
}

/// A tensor of one value.
pub fn filled(b: &mut Builder<'_>, name: &str, shape: &[usize], value: f32) -> Result<ValueId, Stop> {
    let one = constant(b, name, &[1], &[value])?;
    b.add(Rearrange::expand(&[1], shape)?, &[one])
}

/// A copy.
pub fn copied(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId, Stop> {
    let shape = b.shape(x);
    b.add(Rearrange::all(&shape), &[x])
}

/// Integer operand `i` as u32, clamped to `0 .. extent`.
pub fn numbers(b: &mut Builder<'_>, i: usize, extent: usize) -> Result<ValueId, Stop> {
    let wide = b.host(i)?.dtype.is_wide();
    let x = b.input(i)?;
    b.add(RowIndex { extents: vec![extent], wide }, &[x])
}

/// Operand `i`, with a last axis of `from .. from + count` of its columns.
pub fn columns(b: &mut Builder<'_>, x: ValueId, first: usize, count: usize) -> Result<ValueId, Stop> {
    let shape = b.shape(x);
    b.add(Rearrange::all(&shape).slice(shape.len() - 1, first, 1, count)?, &[x])
}

/// [batch, rows, heads * dim] -> [batch, heads, rows, dim].
pub fn to_blocks(b: &mut Builder<'_>, x: ValueId, heads: usize) -> Result<ValueId, Stop> {
    let [batch, rows, cols] = axes(b, x)?;
    b.add(Rearrange::transpose(&[batch, rows, heads, cols / heads.max(1)], &[0, 2, 1, 3])?, &[x])
}

/// The extents of a value of `N` axes.
pub fn axes<const N: usize>(b: &Builder<'_>, x: ValueId) -> Result<[usize; N], Stop> {
    let shape = b.shape(x);
    shape[..].try_into().or_else(|_| Stop::unsupported(format!("{shape:?} in place of a tensor of {N} axes")))
}

/// Joined along an axis; nothing where one has no cell along it.
pub fn joined(b: &mut Builder<'_>, axis: usize, first: ValueId, second: ValueId) -> Result<ValueId, Stop> {
    match (b.shape(first)[axis], b.shape(second)[axis]) {
        (0, _) => copied(b, second),
        (_, 0) => copied(b, first),
        _ => b.add(Concat { axis }, &[first, second]),
    }
}

/// Flags f32 [batch, keys]: 1 where `keys` lie within (`before`) or beyond the first `lens[b]`, taken from a triangle of
/// constants. `lens` u32 [batch] is at most `keys`.
pub fn length_flags(b: &mut Builder<'_>, lens: ValueId, keys: usize, before: bool) -> Result<ValueId, Stop> {
    let batch = b.shape(lens).iter().product();
    if keys > 4096 {
        return Stop::unsupported(format!("a mask by length of {keys} keys"));
    }
    let flag = |i: usize| f32::from((i % keys < i / keys) == before);
    let values: Vec<f32> = (0..(keys + 1) * keys).map(flag).collect();
    let triangle = constant(b, if before { "within" } else { "beyond" }, &[keys + 1, keys], &values)?;
    let picks = Picks { batches: 1, picks: batch, cols: keys, strides: [0, 1, 0], wide: false };
    b.add(Gather { picks, shape: vec![batch, keys] }, &[triangle, lens])
}

/// Cosines and sines of operands `cos` and `sin` as one table, [rows, 2 * half], times `scale`.
pub fn turn_table(b: &mut Builder<'_>, cos: usize, sin: usize, scale: f32) -> Result<(ValueId, usize), Stop> {
    let (mut first, second) = (b.input(cos)?, b.input(sin)?);
    let half = b.shape(first).last().copied().unwrap_or(1);
    let rows = b.shape(first).iter().product::<usize>() / half.max(1);
    first = b.reshape(first, &[rows, half])?;
    let second = b.reshape(second, &[rows, half])?;
    let mut table = b.add(Concat { axis: 1 }, &[first, second])?;
    if scale != 1.0 {
        let factor = constant(b, "scale", &[1], &[scale])?;
        table = b.add(Binary { op: BinaryOp::Mul }, &[table, factor])?;
    }
    Ok((table, 2 * half))
}

/// Where heads of a tensor lie: in columns of rows of tokens, or each in a block of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// How many.
    pub count: usize,
    /// Elements of one.
    pub dim: usize,
    /// Rows of a block, where heads lie in blocks.
    pub block: Option<usize>,
}

/// [`Rope`] for heads that lie so.
pub fn rope(heads: Heads, rotary_dim: usize, interleaved: bool) -> Rope {
    Rope { rotary_dim, interleaved, block: heads.block, ..Rope::whole(heads.count, heads.dim) }
}
