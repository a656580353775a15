//! Attention of one new query a sequence against its cache: split over the keys, then merged. Prompts go through
//! [`Attention`](super::Attention).

use super::attention::{MAX_HEAD_DIM, check_heads};
use super::cached::{cache_part, check_cached, row_stride};
use super::sight::log2_scale;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `q` \[batch, ..\], `k`, `v` \[batch * max_len, kv_heads * head_dim\] of the type of `q` or in a packed cache format, `lens` u32 \[batch\] (valid keys
/// of each sequence, the new one included) -> `partials` f32 \[batch * heads * splits, head_dim + 2\], rows of
/// (sum, peak, total) with the peak in units of log2(e); [`AttentionMerge`] makes the output of them.
///
/// The query is the last of the `lens[b]` tokens; it sees them all, or the last `window`. Lengths are read on the
/// device (and clamped to `max_len`), so a program serves every step of a generation.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionDecode {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`: head h reads `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Elements of a head, 1 to 128.
    pub head_dim: usize,
    /// Factor of the dot products, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Only the last so many keys are seen.
    pub window: Option<u32>,
    /// Rows of the cache a sequence.
    pub max_len: usize,
    /// Parts into which the keys are cut, 1 to 256; see [`AttentionDecode::splits_for`].
    pub splits: usize,
    /// Column of `q` at which head 0 starts.
    pub q_offset: usize,
}

pub(super) const ENTRY: Entry =
    Entry { name: "attention_decode", about: "one query a sequence against its cache, split over the keys" };

const LANES: u32 = 64;
/// Keys that a workgroup takes at a time, as in the shader.
const BLOCK: usize = 256;
const MAX_SPLITS: usize = 256;

impl AttentionDecode {
    /// Splits that give a device enough workgroups: about 512 in all, never less than a block of keys each.
    pub fn splits_for(batch: usize, heads: usize, max_len: usize) -> usize {
        let wanted = 512_usize.div_ceil(batch.max(1).saturating_mul(heads.max(1)));
        wanted.min(max_len.div_ceil(BLOCK)).clamp(1, MAX_SPLITS)
    }

    fn kv_cols(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

impl Kernel for AttentionDecode {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["q", "k", "v", "lens"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["partials"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        check_heads(self, [self.heads, self.kv_heads], self.scale)?;
        let held = (1..=MAX_HEAD_DIM).contains(&self.head_dim);
        require(self, held, || format!("head_dim {} is not in 1 ..= {MAX_HEAD_DIM}", self.head_dim))?;
        let (q, k, v, lens) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        let inside = self.q_offset.checked_add(self.heads * self.head_dim).is_some_and(|end| end <= q.cols());
        require(self, inside, || format!("{} heads from column {} are not in q {q}", self.heads, self.q_offset))?;
        let rows = q.rows().checked_mul(self.max_len);
        let shaped = k.cols() == self.kv_cols() && Some(k.rows()) == rows && self.max_len > 0;
        check_cached(self, q, [k, v], [0, 0])?;
        require(self, shaped && k == v, || {
            format!("caches {k} and {v} do not match q {q}, {} rows a sequence", self.max_len)
        })?;
        let listed = lens.dtype == DType::U32 && lens.elements() == q.rows();
        require(self, listed, || format!("lens {lens} do not match q {q}"))?;
        require(self, (1..=MAX_SPLITS).contains(&self.splits), || format!("{} splits", self.splits))?;
        require(self, self.window != Some(0), || "a window of 0 keys".into())?;
        let groups = q.rows().saturating_mul(self.heads * self.splits);
        let counted = [k.elements(), q.elements(), groups.saturating_mul(self.head_dim + 2)];
        require(self, counted.iter().all(|n| *n <= u32::MAX as usize), || "more elements than u32 counts".into())?;
        Ok(vec![TensorType::f32(&[groups, self.head_dim + 2])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let q = &io.inputs[0];
        let groups = io.outputs[0].rows();
        let mut files = vec!["attention_decode", elem_part(q.dtype, caps)?, cache_part(&io.inputs[1])];
        let lanes = if caps.software {
            files.push("parts/decode_lanes");
            8
        } else {
            files.extend(["parts/decode_tile", "parts/reduce_shared"]);
            LANES
        };
        Ok(vec![Launch {
            files,
            overrides: vec![("LANES", lanes.into()), ("HEAD_DIM", self.head_dim as f64)],
            params: vec![
                ("groups", groups as u32),
                ("heads", self.heads as u32),
                ("kv_group", (self.heads / self.kv_heads) as u32),
                ("splits", self.splits as u32),
                ("max_len", self.max_len as u32),
                ("q_stride", q.cols() as u32),
                ("q_offset", self.q_offset as u32),
                ("kv_stride", row_stride(&io.inputs[1]) as u32),
                ("scale", log2_scale(self.scale)),
                ("window", self.window.unwrap_or(u32::MAX)),
            ],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    /// Lengths are data: counted as full caches, or full windows.
    fn cost(&self, io: &Io<'_>) -> Cost {
        let (q, cache) = (&io.inputs[0], &io.inputs[1]);
        let seen = self.window.map_or(self.max_len, |w| self.max_len.min(w as usize));
        let keys = (q.rows() * seen) as u64;
        let row = cache.row_bytes() as u64;
        let query = (q.rows() * self.heads * self.head_dim * q.dtype.size()) as u64;
        let bytes = 2 * keys * row + query + io.inputs[3].bytes() + io.outputs[0].bytes();
        Cost { flops: 4 * keys * (self.heads * self.head_dim) as u64, bytes }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::attention_decode(self, inputs, row)
    }
    fn show(&self) -> String {
        let Self { heads, kv_heads, head_dim, scale, max_len, splits, .. } = self;
        let window = self.window.map(|w| format!(" window={w}")).unwrap_or_default();
        format!("heads={heads}/{kv_heads}x{head_dim} scale={scale} max_len={max_len} splits={splits}{window}")
    }
}

/// `partials` f32 \[batch * heads * splits, head_dim + 2\] of [`AttentionDecode`] -> `y` \[batch, heads * head_dim\].
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMerge {
    /// Query heads.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Rows of `partials` for one head of a sequence.
    pub splits: usize,
    /// Type of `y`.
    pub dtype: DType,
}

pub(super) const MERGE: Entry =
    Entry { name: "attention_merge", about: "brings the splits of attention_decode together" };

impl Kernel for AttentionMerge {
    fn name(&self) -> &'static str {
        MERGE.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["partials"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let partials = &inputs[0];
        let a_sequence = self.heads.checked_mul(self.splits).filter(|n| *n > 0);
        let batch = a_sequence.filter(|n| partials.rows().is_multiple_of(*n)).map(|n| partials.rows() / n);
        let wide = self.head_dim > 0 && self.head_dim.checked_add(2) == Some(partials.cols());
        let fits = wide && partials.dtype == DType::F32 && partials.elements() <= u32::MAX as usize;
        require(self, batch.is_some() && fits, || {
            format!("partials {partials} are not {} heads x {} splits of {}", self.heads, self.splits, self.head_dim)
        })?;
        Ok(vec![TensorType::new(self.dtype, &[batch.unwrap_or(0), self.heads * self.head_dim])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let groups = io.inputs[0].rows() / self.splits;
        Ok(vec![Launch {
            files: vec!["attention_merge", elem_part(self.dtype, caps)?],
            overrides: vec![("LANES", LANES.into())],
            params: vec![("groups", groups as u32), ("splits", self.splits as u32), ("head_dim", self.head_dim as u32)],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::attention_merge(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        format!("heads={}x{} splits={}", self.heads, self.head_dim, self.splits)
    }
}
