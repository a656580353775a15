//! Attention with an online softmax (Milakov & Gimelshein 2018, Dao et al. 2022) over ragged batches: memory does
//! not grow with tokens squared. One query against a cache is [`AttentionDecode`](super::AttentionDecode).

use super::cached::{cache_part, check_cached, packed_format, row_stride};
use super::sight::{REACH, log2_scale};
use super::{Cost, Entry, Io, Kernel, Launch, Mask, ScoreBias, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `q` \[q_rows, ..\], `k` \[k_rows, ..\], `v` \[k_rows, ..\], `spans` u32 \[sequences, 4\] of
/// (q_start, q_len, k_start, k_len), then what `mask`, `bias` and `sinks` ask for
/// -> `y` \[q_rows, heads * value_dim\].
///
/// Heads lie side by side in a row: `q`, `k` and `v` may be one fused matrix given three times, with column offsets,
/// and `k`, `v` a cache with sequence b at rows `b * max_len ..`. With `q_block` or `k_block` they lie in blocks of
/// rows instead. k and v have the type of q, or are in a packed cache format, without offsets and blocks.
///
/// Query i of a sequence stands at `p = i + k_len - q_len + shift` among its keys. Spans are clamped to the tensors;
/// those of q must not overlap. A query that sees no key gets 0; rows of q that are in no span are not written.
/// Scores must stay below 1e37 in magnitude.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`: head h reads `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Elements of a head of q and k. Beyond 128 a slower variant is taken.
    pub head_dim: usize,
    /// Elements of a head of v and y, at most 896. Beyond 128 a slower variant is taken.
    pub value_dim: usize,
    /// Factor of the dot products, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// A query sees keys `j <= p` only.
    pub causal: bool,
    /// A query sees keys `j > p - window` only, as Mistral's sliding window does.
    pub window: Option<u32>,
    /// A query sees keys `j <= p + ahead` only.
    pub ahead: Option<u32>,
    /// Moves the queries' places: `q_len - k_len` aligns a causal mask with the first keys instead of the last.
    pub shift: i32,
    /// Column of `q` at which head 0 starts.
    pub q_offset: usize,
    /// Column of `k` at which head 0 starts.
    pub k_offset: usize,
    /// Column of `v` at which head 0 starts.
    pub v_offset: usize,
    /// q is \[batch, heads, q_block, head_dim\] and y \[batch, heads, q_block, value_dim\], both as rows of one head.
    /// Spans name rows of head 0: `batch * heads * q_block + i`.
    pub q_block: Option<usize>,
    /// k is \[batch, kv_heads, k_block, head_dim\], v likewise, as rows of one head. Spans name rows of head 0.
    pub k_block: Option<usize>,
    /// A score s becomes `softcap * tanh(s / softcap)` (Gemma 2).
    pub softcap: Option<f32>,
    /// What hides keys.
    pub mask: Mask,
    /// What is added to scores.
    pub bias: ScoreBias,
    /// An input `sinks` f32 \[heads\]: the score of a further key whose value is 0 (attention sinks; 0 is the
    /// softmax with one added to its sum).
    pub sinks: bool,
}

pub(super) const ENTRY: Entry = Entry {
    name: "attention",
    about: "softmax(q k^T + bias) v by head: ragged, causal, windows, masks, biases, soft cap, sinks",
};

/// Queries of a workgroup, as in the shader.
const TILE: usize = 32;
/// Registers of the shaders hold so many dimensions.
pub(super) const MAX_HEAD_DIM: usize = 128;
/// Workgroup memory of the variant for wide heads holds so many.
const MAX_VALUE_DIM: usize = 896;

/// Heads and the scale are what the shaders were written for.
pub(super) fn check_heads(kernel: &dyn Kernel, heads: [usize; 2], scale: f32) -> Result<()> {
    let [heads, kv_heads] = heads;
    let grouped = kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads) && heads <= 1 << 16;
    require(kernel, grouped, || format!("{heads} heads are no multiple of {kv_heads} key and value heads"))?;
    require(kernel, scale.is_finite(), || format!("scale {scale} is not finite"))
}

/// One of q, k, v and y: where its heads lie.
pub(super) struct Heads {
    /// Elements from row to row.
    pub stride: usize,
    /// Elements from head to head.
    pub step: usize,
    /// Rows that head 0 may have.
    pub rows: usize,
}

impl Attention {
    /// Bidirectional attention of equal q, k and v heads in one fused matrix `[q | k | v]`, scaled by
    /// `1 / sqrt(head_dim)`: what vision transformers do.
    pub fn fused(heads: usize, head_dim: usize) -> Self {
        let cols = heads.saturating_mul(head_dim);
        Self { k_offset: cols, v_offset: cols.saturating_mul(2), ..Self::apart(heads, heads, head_dim) }
    }

    /// Bidirectional attention of q, k and v in matrices of their own, scaled by `1 / sqrt(head_dim)`.
    pub fn apart(heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            value_dim: head_dim,
            scale: (1.0 / (head_dim as f64).sqrt()) as f32,
            causal: false,
            window: None,
            ahead: None,
            shift: 0,
            q_offset: 0,
            k_offset: 0,
            v_offset: 0,
            q_block: None,
            k_block: None,
            softcap: None,
            mask: Mask::None,
            bias: ScoreBias::None,
            sinks: false,
        }
    }

    /// Where the heads of `ty` lie, of `heads` x `dim` from column `offset`.
    fn heads_of(&self, ty: &TensorType, [heads, dim]: [usize; 2], block: Option<usize>) -> Heads {
        let (step, hidden) = match block {
            Some(block) => (block * ty.cols(), (heads - 1) * block),
            None => (dim, 0),
        };
        Heads { stride: row_stride(ty), step, rows: ty.rows().saturating_sub(hidden) }
    }

    /// Where the heads of q and k lie.
    pub(super) fn q_and_k(&self, q: &TensorType, k: &TensorType) -> [Heads; 2] {
        [
            self.heads_of(q, [self.heads, self.head_dim], self.q_block),
            self.heads_of(k, [self.kv_heads, self.head_dim], self.k_block),
        ]
    }

    fn check_tensor(&self, name: &str, ty: &TensorType, offset: usize, (heads, dim, block): Placed) -> Result<()> {
        let cols = if block.is_some() { dim } else { heads * dim };
        let inside = offset.checked_add(cols).is_some_and(|end| end <= ty.cols());
        require(self, inside, || format!("{cols} columns from {offset} are not in {name} {ty}"))?;
        let whole = block.is_none_or(|rows| {
            let batch = rows.checked_mul(heads).filter(|n| *n > 0);
            batch.is_some_and(|n| ty.rows().is_multiple_of(n)) && ty.cols() == dim && offset == 0
        });
        require(self, whole, || format!("{name} {ty} is not [batch, {heads} heads, {block:?} rows, {dim}]"))?;
        // Indices are u32, positions i32.
        let counted = ty.elements() <= u32::MAX as usize && ty.rows() < REACH as usize;
        require(self, counted, || format!("{name} {ty} has more elements than u32 counts"))
    }

    /// Checks what concerns q, k, spans and all that follows them; `more` are the operands of sight.
    pub(super) fn check_scores(
        &self,
        kernel: &dyn Kernel,
        operands: [&TensorType; 3],
        more: &[TensorType],
    ) -> Result<()> {
        let [q, k, spans] = operands;
        check_heads(kernel, [self.heads, self.kv_heads], self.scale)?;
        let sized = (1..=1 << 16).contains(&self.head_dim) && (1..=MAX_VALUE_DIM).contains(&self.value_dim);
        require(kernel, sized, || {
            format!("heads of {} and {} are not in 1 ..= 65536 and {MAX_VALUE_DIM}", self.head_dim, self.value_dim)
        })?;
        self.check_tensor("q", q, self.q_offset, (self.heads, self.head_dim, self.q_block))?;
        self.check_tensor("k", k, self.k_offset, (self.kv_heads, self.head_dim, self.k_block))?;
        let listed = spans.dtype == DType::U32 && spans.cols() == 4 && spans.rows() > 0;
        require(kernel, listed, || format!("spans {spans} are not u32[sequences,4]"))?;
        self.check_sight(kernel, spans.rows(), k.rows(), more)
    }

    /// Every row of every head of k and v is f32 and begins and ends with a whole quad.
    fn whole_quads(&self, io: &Io<'_>) -> bool {
        let (k, v) = (&io.inputs[1], &io.inputs[2]);
        let sizes = [self.head_dim, self.value_dim, self.k_offset, self.v_offset, k.cols(), v.cols()];
        k.dtype == DType::F32 && packed_format(k).is_none() && sizes.iter().all(|n| n.is_multiple_of(4))
    }

    /// The part that attends, its own helpers, and its lanes.
    fn attend_parts(&self, io: &Io<'_>, caps: &Caps) -> (Vec<&'static str>, f64) {
        if self.head_dim.max(self.value_dim) > MAX_HEAD_DIM {
            return (vec!["parts/attend_wide", cache_part(&io.inputs[1])], 64.0);
        }
        if !caps.software {
            return (vec!["parts/attend_tile", cache_part(&io.inputs[1])], 64.0);
        }
        let run = match caps.subgroup {
            Some((8, 8)) if caps.by_pairs() && self.whole_quads(io) => {
                return (vec!["parts/attend_lanes", "parts/run_pairs", "parts/cache_pairs"], 8.0);
            }
            Some((8.., _)) => "parts/run_subgroup",
            _ => "parts/run_plain",
        };
        (vec!["parts/attend_lanes", run, cache_part(&io.inputs[1])], 8.0)
    }
}

/// Heads, elements of a head, rows of a head where heads lie in blocks.
type Placed = (usize, usize, Option<usize>);

impl Kernel for Attention {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = vec!["q", "k", "v", "spans"];
        names.extend(self.sight_inputs());
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let count = self.inputs().len();
        require(self, inputs.len() == count, || format!("{} inputs, not {count}", inputs.len()))?;
        let (q, k, v, spans) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        self.check_scores(self, [q, k, spans], &inputs[4..])?;
        self.check_tensor("v", v, self.v_offset, (self.kv_heads, self.value_dim, self.k_block))?;
        check_cached(self, q, [k, v], [self.k_offset, self.v_offset])?;
        let blocked = packed_format(k).is_some() && self.k_block.is_some();
        require(self, !blocked, || format!("k {k} is packed, which heads in blocks of rows are not"))?;
        let y_cols = if self.q_block.is_some() { self.value_dim } else { self.heads * self.value_dim };
        let y = TensorType::new(q.dtype, &[q.rows(), y_cols]);
        self.check_tensor("y", &y, 0, (self.heads, self.value_dim, self.q_block))?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (q, k, v, sequences) = (&io.inputs[0], &io.inputs[1], &io.inputs[2], io.inputs[3].rows());
        // Of every sequence at most one tile is not full; a block of rows is that of one head.
        let tokens = q.rows() / if self.q_block.is_some() { self.heads } else { 1 };
        let tiles = tokens / TILE + sequences;
        let groups = tiles.checked_mul(self.heads).filter(|n| u32::try_from(*n).is_ok());
        let groups = groups.ok_or_else(|| Error::graph(ENTRY.name, format!("{tiles} tiles are too many")))?;
        let (attend, lanes) = self.attend_parts(io, caps);
        let mut files = vec!["attention", elem_part(q.dtype, caps)?];
        files.extend(self.sight_parts());
        files.extend(attend);
        let mut overrides = self.sight_overrides();
        overrides.extend([("LANES", lanes), ("HEAD_DIM", self.head_dim as f64), ("VALUE_DIM", self.value_dim as f64)]);
        let [q_heads, k_heads] = self.q_and_k(q, k);
        let v_heads = self.heads_of(v, [self.kv_heads, self.value_dim], self.k_block);
        let y_heads = self.heads_of(&io.outputs[0], [self.heads, self.value_dim], self.q_block);
        let word = |n: usize| n as u32;
        let mut params = vec![
            ("q_rows", word(q_heads.rows)),
            ("k_rows", word(k_heads.rows)),
            ("sequences", word(sequences)),
            ("tiles", word(tiles)),
            ("heads", word(self.heads)),
            ("kv_group", word(self.heads / self.kv_heads)),
            ("q_stride", word(q_heads.stride)),
            ("k_stride", word(k_heads.stride)),
            ("v_stride", word(v_heads.stride)),
            ("y_stride", word(y_heads.stride)),
            ("q_head", word(q_heads.step)),
            ("k_head", word(k_heads.step)),
            ("v_head", word(v_heads.step)),
            ("y_head", word(y_heads.step)),
            ("q_offset", word(self.q_offset)),
            ("k_offset", word(self.k_offset)),
            ("v_offset", word(self.v_offset)),
            ("scale", log2_scale(self.scale)),
        ];
        params.extend(self.sight_params(&io.inputs[4..]));
        Ok(vec![Launch { files, overrides, params, grid: grid_2d(groups, caps)?, chunk: None }])
    }
    /// Lengths are data: counted as sequences of equal length, causal or not, each of the columns once.
    fn cost(&self, io: &Io<'_>) -> Cost {
        let (q, k, sequences) = (&io.inputs[0], &io.inputs[1], io.inputs[3].rows().max(1));
        let rows = |ty: &TensorType, heads: usize, block: Option<usize>| {
            (ty.rows() / if block.is_some() { heads } else { 1 }) as u64
        };
        let (q_rows, k_rows) = (rows(q, self.heads, self.q_block), rows(k, self.kv_heads, self.k_block));
        let pairs = q_rows * k_rows / sequences as u64;
        let dims = (self.head_dim + self.value_dim) as u64;
        let size = q.dtype.size() as u64;
        let cached = match packed_format(k) {
            None => self.kv_heads as u64 * dims * size,
            Some(_) => (k.row_bytes() + io.inputs[2].row_bytes()) as u64,
        };
        let moved = q_rows * self.heads as u64 * dims * size + k_rows * cached;
        let lists: u64 = io.inputs[3..].iter().map(TensorType::bytes).sum();
        Cost { flops: 2 * pairs * self.heads as u64 * dims, bytes: moved + lists }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::attention(self, &self.inputs(), inputs, row)
    }
    fn show(&self) -> String {
        let Self { heads, kv_heads, head_dim, value_dim, scale, .. } = self;
        let mut text = format!("heads={heads}/{kv_heads}x{head_dim} scale={scale}{}", self.show_sight());
        if value_dim != head_dim {
            text += &format!(" values={value_dim}");
        }
        for (name, block) in [("q", self.q_block), ("k", self.k_block)] {
            text += &block.map(|rows| format!(" {name}_block={rows}")).unwrap_or_default();
        }
        text + &format!(" offsets={},{},{}", self.q_offset, self.k_offset, self.v_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{AttentionDecode, AttentionMerge};
    use crate::wgsl::{link, reflect};

    fn inputs(rows: usize, cols: usize) -> Vec<TensorType> {
        let qkv = TensorType::f32(&[rows, cols]);
        vec![qkv.clone(), qkv.clone(), qkv, TensorType::u32(&[2, 4]), TensorType::u32(&[rows])]
    }

    /// Links and reflects the only launch of a kernel: params in the shader's order, within the limits.
    fn check(kernel: &dyn Kernel, inputs: &[TensorType], caps: &Caps) -> Launch {
        let outputs = kernel.infer(inputs).unwrap();
        let launch = kernel.launch(&Io { inputs, outputs: &outputs }, caps).unwrap().remove(0);
        let reflection = reflect(&link(&launch.files).unwrap(), &launch.overrides).unwrap();
        reflection.check(kernel.name(), caps).unwrap();
        let names: Vec<&str> = launch.params.iter().map(|(name, _)| *name).collect();
        let words: Vec<&str> = reflection.params.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, words);
        launch
    }

    #[test]
    fn every_variant_fits_the_floor() {
        let software = Caps { software: true, ..Caps::floor() };
        let subgroups = Caps { subgroup: Some((8, 8)), ..software.clone() };
        for (caps, head_dim) in [Caps::floor(), software, subgroups].iter().flat_map(|c| [7, 64, 128].map(|d| (c, d))) {
            let plain = Attention::fused(2, head_dim);
            check(&plain, &inputs(70, 6 * head_dim)[..4], caps);
            check(&Attention { mask: Mask::Keys, ..plain }, &inputs(70, 6 * head_dim), caps);
            let (heads, kv_heads, scale, window, max_len, splits, q_offset) = (2, 1, 0.1, None, 600, 3, 0);
            let decode = AttentionDecode { heads, kv_heads, head_dim, scale, window, max_len, splits, q_offset };
            let cache = TensorType::f32(&[5 * max_len, head_dim]);
            let types = [TensorType::f32(&[5, 2 * head_dim]), cache.clone(), cache, TensorType::u32(&[5])];
            assert_eq!(check(&decode, &types, caps).grid, [30, 1, 1]);
            let merge = AttentionMerge { heads, head_dim, splits, dtype: DType::F32 };
            check(&merge, &[TensorType::f32(&[30, head_dim + 2])], caps);
        }
    }

    #[test]
    fn the_grid_has_room_for_a_last_tile_of_every_sequence() {
        // 33 + 33 rows need 2 tiles each.
        let launch = check(&Attention::fused(3, 8), &inputs(66, 72)[..4], &Caps::floor());
        assert_eq!(launch.grid, [4 * 3, 1, 1]);
    }

    #[test]
    fn wrong_attributes_and_types_are_errors() {
        let good = Attention::fused(2, 64);
        let types = inputs(10, 384);
        assert_eq!(good.infer(&types[..4]).unwrap(), [TensorType::f32(&[10, 128])]);
        let bad = [
            Attention { kv_heads: 0, ..good.clone() },
            Attention { heads: 3, ..good.clone() },
            Attention { heads: usize::MAX, kv_heads: 1, ..good.clone() },
            Attention { head_dim: 0, ..good.clone() },
            Attention { head_dim: 129, ..good.clone() },
            Attention { value_dim: 897, ..good.clone() },
            Attention { value_dim: 0, ..good.clone() },
            Attention { softcap: Some(0.0), ..good.clone() },
            Attention { shift: i32::MIN, ..good.clone() },
            Attention { q_block: Some(10), ..good.clone() },
            Attention { mask: Mask::Flags { off: None }, ..good.clone() },
            Attention { bias: ScoreBias::Table, ..good.clone() },
            Attention { sinks: true, ..good.clone() },
            Attention { head_dim: usize::MAX, ..good.clone() },
            Attention { v_offset: 257, ..good.clone() },
            Attention { q_offset: usize::MAX, ..good.clone() },
            Attention { scale: f32::NAN, ..good.clone() },
            Attention { window: Some(0), ..good.clone() },
            Attention { mask: Mask::Keys, ..good.clone() },
        ];
        for kernel in bad {
            assert!(kernel.infer(&types[..4]).is_err(), "{kernel:?}");
        }
        let mut other = types.clone();
        other[1] = TensorType::f32(&[9, 384]);
        assert!(good.infer(&other[..4]).is_err());
        other = types;
        other[3] = TensorType::f32(&[2, 4]);
        assert!(good.infer(&other[..4]).is_err());
    }
}
