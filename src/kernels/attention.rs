//! Attention with an online softmax (Milakov & Gimelshein 2018, Dao et al. 2022) over ragged batches: memory does
//! not grow with tokens squared. One query against a cache is [`AttentionDecode`](super::AttentionDecode).

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `q` \[q_rows, ..\], `k` \[k_rows, ..\], `v` \[k_rows, ..\], `spans` u32 \[sequences, 4\] of
/// (q_start, q_len, k_start, k_len), with `key_mask` also `key_mask` u32 \[k_rows\] (0: masked)
/// -> `y` \[q_rows, heads * head_dim\].
///
/// `q`, `k` and `v` may be one fused matrix given three times, with column offsets, and `k`, `v` a cache with
/// sequence b at rows `b * max_len ..`. Query i of a sequence stands at `p = i + k_len - q_len` among its keys.
/// Spans are clamped to the tensors; those of q must not overlap. A query that sees no key gets 0; rows of q that
/// are in no span are not written. Scores must stay below 1e37 in magnitude.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`: head h reads `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Elements of a head, 1 to 128.
    pub head_dim: usize,
    /// Factor of the dot products, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// A query sees keys `j <= p` only.
    pub causal: bool,
    /// A query sees keys `j > p - window` only, as Mistral's sliding window does.
    pub window: Option<u32>,
    /// Column of `q` at which head 0 starts.
    pub q_offset: usize,
    /// Column of `k` at which head 0 starts.
    pub k_offset: usize,
    /// Column of `v` at which head 0 starts.
    pub v_offset: usize,
    /// There is an input `key_mask`.
    pub key_mask: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "attention", about: "softmax(q k^T) v by head: ragged, causal, sliding window, key mask" };

/// Queries of a workgroup, as in the shader.
const TILE: usize = 32;
/// Registers of the shaders hold so many dimensions.
pub(super) const MAX_HEAD_DIM: usize = 128;
/// A window that hides nothing; positions and window add up in i32.
const NO_WINDOW: u32 = 1 << 30;

/// Heads, their size and the scale are what the shaders were written for.
pub(super) fn check_heads(kernel: &dyn Kernel, heads: [usize; 2], head_dim: usize, scale: f32) -> Result<()> {
    let [heads, kv_heads] = heads;
    let grouped = kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads) && heads <= 1 << 16;
    require(kernel, grouped, || format!("{heads} heads are no multiple of {kv_heads} key and value heads"))?;
    let held = (1..=MAX_HEAD_DIM).contains(&head_dim);
    require(kernel, held, || format!("head_dim {head_dim} is not in 1 ..= {MAX_HEAD_DIM}"))?;
    require(kernel, scale.is_finite(), || format!("scale {scale} is not finite"))
}

/// The scale of base-2 weights: `exp(scale * x) = exp2(this * x)`.
pub(super) fn log2_scale(scale: f32) -> u32 {
    ((f64::from(scale) * std::f64::consts::LOG2_E) as f32).to_bits()
}

impl Attention {
    /// Bidirectional attention of equal q, k and v heads in one fused matrix `[q | k | v]`, scaled by
    /// `1 / sqrt(head_dim)`: what vision transformers do.
    pub fn fused(heads: usize, head_dim: usize) -> Self {
        let cols = heads.saturating_mul(head_dim);
        Self {
            heads,
            kv_heads: heads,
            head_dim,
            scale: (1.0 / (head_dim as f64).sqrt()) as f32,
            causal: false,
            window: None,
            q_offset: 0,
            k_offset: cols,
            v_offset: cols.saturating_mul(2),
            key_mask: false,
        }
    }

    fn check_tensor(&self, name: &str, ty: &TensorType, offset: usize, heads: usize) -> Result<()> {
        let cols = heads * self.head_dim;
        let inside = offset.checked_add(cols).is_some_and(|end| end <= ty.cols());
        require(self, inside, || format!("{cols} columns from {offset} are not in {name} {ty}"))?;
        // Indices are u32, positions i32.
        let counted = ty.elements() <= u32::MAX as usize && ty.rows() < 1 << 30;
        require(self, counted, || format!("{name} {ty} has more elements than u32 counts"))
    }
}

impl Kernel for Attention {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = vec!["q", "k", "v", "spans"];
        if self.key_mask {
            names.push("key_mask");
        }
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        check_heads(self, [self.heads, self.kv_heads], self.head_dim, self.scale)?;
        let count = self.inputs().len();
        require(self, inputs.len() == count, || format!("{} inputs, not {count}", inputs.len()))?;
        let (q, k, v, spans) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        self.check_tensor("q", q, self.q_offset, self.heads)?;
        self.check_tensor("k", k, self.k_offset, self.kv_heads)?;
        self.check_tensor("v", v, self.v_offset, self.kv_heads)?;
        let alike = q.dtype == k.dtype && q.dtype == v.dtype && k.rows() == v.rows();
        require(self, alike, || format!("q {q}, k {k} and v {v} do not match"))?;
        let listed = spans.dtype == DType::U32 && spans.cols() == 4 && spans.rows() > 0;
        require(self, listed, || format!("spans {spans} are not u32[sequences,4]"))?;
        if let Some(mask) = inputs.get(4) {
            let masked = mask.dtype == DType::U32 && mask.elements() == k.rows();
            require(self, masked, || format!("key_mask {mask} does not match k {k}"))?;
        }
        require(self, self.window != Some(0), || "a window of 0 keys".into())?;
        let y = TensorType::new(q.dtype, &[q.rows(), self.heads * self.head_dim]);
        self.check_tensor("y", &y, 0, self.heads)?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (q, k, v, sequences) = (&io.inputs[0], &io.inputs[1], &io.inputs[2], io.inputs[3].rows());
        // Of every sequence at most one tile is not full.
        let tiles = q.rows() / TILE + sequences;
        let groups = tiles.checked_mul(self.heads).filter(|n| u32::try_from(*n).is_ok());
        let groups = groups.ok_or_else(|| Error::graph(ENTRY.name, format!("{tiles} tiles are too many")))?;
        let mask = if self.key_mask { "parts/mask_keys" } else { "parts/mask_none" };
        let mut files = vec!["attention", elem_part(q.dtype, caps)?, mask];
        let lanes = if caps.software {
            let shared = caps.subgroup.is_some_and(|(least, _)| least >= 8);
            files.extend(["parts/attend_lanes", if shared { "parts/octet_subgroup" } else { "parts/octet_plain" }]);
            8.0
        } else {
            files.push("parts/attend_tile");
            64.0
        };
        let word = |n: usize| n as u32;
        Ok(vec![Launch {
            files,
            overrides: vec![("LANES", lanes), ("HEAD_DIM", self.head_dim as f64)],
            params: vec![
                ("q_rows", word(q.rows())),
                ("k_rows", word(k.rows())),
                ("sequences", word(sequences)),
                ("tiles", word(tiles)),
                ("heads", word(self.heads)),
                ("kv_group", word(self.heads / self.kv_heads)),
                ("q_stride", word(q.cols())),
                ("k_stride", word(k.cols())),
                ("v_stride", word(v.cols())),
                ("q_offset", word(self.q_offset)),
                ("k_offset", word(self.k_offset)),
                ("v_offset", word(self.v_offset)),
                ("scale", log2_scale(self.scale)),
                ("causal", self.causal.into()),
                ("window", self.window.map_or(NO_WINDOW, |w| w.min(NO_WINDOW))),
            ],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    /// Lengths are data: counted as sequences of equal length, causal or not, each of the columns once.
    fn cost(&self, io: &Io<'_>) -> Cost {
        let (q, k, sequences) = (&io.inputs[0], &io.inputs[1], io.inputs[3].rows().max(1));
        let wide = |n: usize| n as u64;
        let pairs = wide(q.rows()) * wide(k.rows()) / wide(sequences);
        let row = wide(self.head_dim * q.dtype.size());
        let moved = wide(q.rows() * self.heads) * 2 * row + wide(k.rows() * self.kv_heads) * 2 * row;
        let lists: u64 = io.inputs[3..].iter().map(TensorType::bytes).sum();
        Cost { flops: 4 * pairs * wide(self.heads * self.head_dim), bytes: moved + lists }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::attention(self, inputs, row)
    }
    fn show(&self) -> String {
        let Self { heads, kv_heads, head_dim, scale, .. } = self;
        let mut text = format!("heads={heads}/{kv_heads}x{head_dim} scale={scale}");
        if self.causal {
            text += " causal";
        }
        if let Some(window) = self.window {
            text += &format!(" window={window}");
        }
        if self.key_mask {
            text += " key_mask";
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
            check(&Attention { key_mask: true, ..plain }, &inputs(70, 6 * head_dim), caps);
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
            Attention { head_dim: usize::MAX, ..good.clone() },
            Attention { v_offset: 257, ..good.clone() },
            Attention { q_offset: usize::MAX, ..good.clone() },
            Attention { scale: f32::NAN, ..good.clone() },
            Attention { window: Some(0), ..good.clone() },
            Attention { key_mask: true, ..good.clone() },
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
