//! The scores of attention in memory: what a model that returns them needs, and a look into one that does not.

use super::sight::log2_scale;
use super::{Attention, Cost, Entry, Io, Kernel, Launch, Layout, TensorType, elem_part, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// How far a score has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreStage {
    /// `scale * dot(q, k)`, for every key of the tensor.
    Product,
    /// After the soft cap, for every key of the tensor.
    Capped,
    /// As the softmax gets it; [`AttentionScores::hidden`] where a key is not seen.
    Score,
    /// After the softmax; 0 where a key is not seen.
    Weight,
}

/// `q`, `k`, `spans`, then the operands of mask, bias and sinks, as [`Attention`] takes them
/// -> `y` f32 \[sequences, heads, queries, keys\], queries and keys counted in their sequence.
///
/// Queries beyond their span see no key. [`ScoreStage::Product`] and [`ScoreStage::Capped`] are 0 where the tensor
/// has no such key, or the sequence no such query.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionScores {
    /// The attention; what concerns values is not looked at.
    pub of: Attention,
    /// Rows of y for each head of a sequence.
    pub queries: usize,
    /// Columns of y.
    pub keys: usize,
    /// What is written.
    pub stage: ScoreStage,
    /// What [`ScoreStage::Score`] has where a key is not seen: minus infinity, or 0.
    pub hidden: f32,
}

pub(super) const ENTRY: Entry =
    Entry { name: "attention_scores", about: "scores or weights of attention in memory, at any stage" };

impl Kernel for AttentionScores {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = vec!["q", "k", "spans"];
        names.extend(self.of.sight_inputs());
        // The sink is part of the softmax only; a binding that no stage reads would not be there.
        let unread: &[&str] = match self.stage {
            ScoreStage::Weight => &[],
            ScoreStage::Score => &["sinks"],
            _ => &["sinks", "key_mask", "mask", "score_bias", "score_table", "score_index", "score_slopes"],
        };
        names.retain(|name| !unread.contains(name));
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let count = self.inputs().len();
        require(self, inputs.len() == count, || format!("{} inputs, not {count}", inputs.len()))?;
        let (q, k, spans) = (&inputs[0], &inputs[1], &inputs[2]);
        self.sighted().check_scores(self, [q, k, spans], &inputs[3..])?;
        let plain = q.dtype == k.dtype && k.layout == Layout::Rows;
        require(self, plain, || format!("q {q} and k {k} do not match"))?;
        let capped = self.stage != ScoreStage::Capped || self.of.softcap.is_some();
        require(self, capped, || "the scores have no cap".into())?;
        let shape = [spans.rows(), self.of.heads, self.queries, self.keys];
        let cells = shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
        require(self, cells.is_some_and(|n| n > 0), || format!("scores {shape:?} are none or too many"))?;
        flat_limit(self, cells.unwrap_or(usize::MAX))?;
        Ok(vec![TensorType::f32(&shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (q, k, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let of = self.sighted();
        let mut files = vec!["attention_scores", elem_part(q.dtype, caps)?, "parts/reduce_shared"];
        files.extend(of.sight_parts());
        let mut overrides = of.sight_overrides();
        overrides.extend([
            ("LANES", if caps.software { 8.0 } else { 64.0 }),
            ("HEAD_DIM", of.head_dim as f64),
            ("STAGE", f64::from(self.stage as u8)),
        ]);
        let [q_heads, k_heads] = of.q_and_k(q, k);
        let word = |n: usize| n as u32;
        let mut params = vec![
            ("q_rows", word(q_heads.rows)),
            ("k_rows", word(k_heads.rows)),
            ("sequences", word(io.inputs[2].rows())),
            ("queries", word(self.queries)),
            ("keys", word(self.keys)),
            ("heads", word(of.heads)),
            ("kv_group", word(of.heads / of.kv_heads)),
            ("q_stride", word(q_heads.stride)),
            ("k_stride", word(k_heads.stride)),
            ("q_head", word(q_heads.step)),
            ("k_head", word(k_heads.step)),
            ("q_offset", word(of.q_offset)),
            ("k_offset", word(of.k_offset)),
            ("scale", log2_scale(of.scale)),
        ];
        params.extend(of.sight_params(&io.inputs[3..]));
        params.push(("hidden", self.hidden.to_bits()));
        Ok(vec![Launch { files, overrides, params, grid: grid_2d(y.rows(), caps)?, chunk: None }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, (io.outputs[0].elements() * self.of.head_dim) as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::attention_scores(self, &self.inputs(), inputs, row)
    }
    fn show(&self) -> String {
        let Self { of, stage, .. } = self;
        format!("{stage:?} heads={}/{}x{} scale={}{}", of.heads, of.kv_heads, of.head_dim, of.scale, of.show_sight())
    }
}

impl AttentionScores {
    /// The attention, without what this stage does not come to.
    fn sighted(&self) -> Attention {
        let plain = Attention { value_dim: 1, ..self.of.clone() };
        match self.stage {
            ScoreStage::Weight => plain,
            ScoreStage::Score => Attention { sinks: false, ..plain },
            ScoreStage::Product | ScoreStage::Capped => Attention {
                sinks: false,
                mask: super::Mask::None,
                bias: super::ScoreBias::None,
                softcap: if self.stage == ScoreStage::Capped { plain.softcap } else { None },
                ..plain
            },
        }
    }
}
