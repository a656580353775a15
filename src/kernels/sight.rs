//! What attention and attention_scores share: which keys a query sees, what is added to scores, and the words, parts
//! and checks that go with it.

use super::{Attention, Kernel, TensorType, require};
use crate::{DType, Result};

/// What hides keys from queries besides their places.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Mask {
    /// Nothing.
    #[default]
    None,
    /// An input `key_mask` u32 \[k_rows\]: 0 hides a key.
    Keys,
    /// An input `mask` of u32 or i32 flags, \[sequences, heads, queries, keys\] with any of the first three 1: where a
    /// flag is 0 the key is hidden or, with `off`, `off` is added to the score.
    Flags {
        /// Added where the flag is 0, instead of hiding.
        off: Option<f32>,
    },
    /// An input `mask` as for `Flags`, a flag for every run of so many keys: where it is 0 the keys are hidden. Tiles of
    /// a picture that a token sees as a whole.
    Runs {
        /// Keys of a run, at least 1.
        keys: usize,
    },
}

/// What is added to scores, after the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScoreBias {
    /// Nothing.
    #[default]
    None,
    /// An input `score_bias` f32 \[sequences, heads, queries, keys\] with any of the first three 1. Minus infinity
    /// hides a key; magnitudes beyond 1e37 count as 1e37.
    Dense,
    /// Inputs `score_table` f32 \[rows, heads\] and `score_index` u32 \[queries, keys\], the row for a pair of query
    /// and key: relative positions as buckets (T5) or cells of a window (BEiT, Swin).
    Table,
    /// An input `score_slopes` f32 \[heads\], times `j - p` (ALiBi).
    Alibi,
}

/// Positions, windows and shifts add up in i32.
pub(super) const REACH: u32 = 1 << 29;

/// The scale of base-2 weights: `exp(scale * x) = exp2(this * x)`.
pub(super) fn log2_scale(scale: f32) -> u32 {
    ((f64::from(scale) * std::f64::consts::LOG2_E) as f32).to_bits()
}

impl Attention {
    /// Names of the operands beyond q, k, v and spans.
    pub(super) fn sight_inputs(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        match self.mask {
            Mask::None => {}
            Mask::Keys => names.push("key_mask"),
            Mask::Flags { .. } | Mask::Runs { .. } => names.push("mask"),
        }
        match self.bias {
            ScoreBias::None => {}
            ScoreBias::Dense => names.push("score_bias"),
            ScoreBias::Table => names.extend(["score_table", "score_index"]),
            ScoreBias::Alibi => names.push("score_slopes"),
        }
        names.extend(self.sinks.then_some("sinks"));
        names
    }

    /// Checks the operands that [`Self::sight_inputs`] names, in that order.
    pub(super) fn check_sight(
        &self,
        kernel: &dyn Kernel,
        sequences: usize,
        k_rows: usize,
        more: &[TensorType],
    ) -> Result<()> {
        let names = self.sight_inputs();
        require(kernel, more.len() == names.len(), || format!("{} operands for {names:?}", more.len()))?;
        let reach = self.ahead.unwrap_or(0).max(self.shift.unsigned_abs()) <= REACH;
        require(kernel, reach && self.window != Some(0), || {
            format!("a window of {:?} keys, {:?} ahead, shifted by {}", self.window, self.ahead, self.shift)
        })?;
        let run = !matches!(self.mask, Mask::Runs { keys } if keys == 0 || u32::try_from(keys).is_err());
        require(kernel, run, || format!("a mask of {:?}", self.mask))?;
        let capped = self.softcap.is_none_or(|cap| cap.is_finite() && cap > 0.0);
        require(kernel, capped, || format!("a cap of {:?}", self.softcap))?;
        for (name, ty) in names.iter().zip(more) {
            let fits = match *name {
                "key_mask" => ty.dtype == DType::U32 && ty.elements() == k_rows,
                "mask" => matches!(ty.dtype, DType::U32 | DType::I32) && self.spreads(ty, sequences),
                "score_bias" => ty.dtype == DType::F32 && self.spreads(ty, sequences),
                "score_table" => ty.dtype == DType::F32 && ty.cols() == self.heads && ty.elements() > 0,
                "score_index" => ty.dtype == DType::U32 && ty.shape.len() == 2 && ty.elements() > 0,
                _ => ty.dtype == DType::F32 && ty.elements() == self.heads,
            };
            require(kernel, fits && u32::try_from(ty.elements()).is_ok(), || {
                format!("{name} {ty} does not fit {sequences} sequences of {} heads, {k_rows} keys", self.heads)
            })?;
        }
        Ok(())
    }

    /// [sequences, heads, queries, keys], or 1 in place of the first three.
    fn spreads(&self, ty: &TensorType, sequences: usize) -> bool {
        let [s, h, q, k] = ty.shape[..] else { return false };
        (s == 1 || s == sequences) && (h == 1 || h == self.heads) && q * k > 0
    }

    /// Files of the roles sight, mask, score and sink.
    pub(super) fn sight_parts(&self) -> [&'static str; 4] {
        let mask = match self.mask {
            Mask::None => "parts/mask_none",
            Mask::Keys => "parts/mask_keys",
            Mask::Flags { .. } => "parts/mask_flags",
            Mask::Runs { .. } => "parts/mask_runs",
        };
        let score = match self.bias {
            ScoreBias::None => "parts/score_plain",
            ScoreBias::Dense => "parts/score_bias",
            ScoreBias::Table => "parts/score_table",
            ScoreBias::Alibi => "parts/score_alibi",
        };
        ["parts/sight", mask, score, if self.sinks { "parts/sink_heads" } else { "parts/sink_none" }]
    }

    /// Override values of those roles.
    pub(super) fn sight_overrides(&self) -> Vec<(&'static str, f64)> {
        let mut overrides = vec![("SOFTCAP", f64::from(u8::from(self.softcap.is_some())))];
        match self.mask {
            Mask::Flags { off } => overrides.push(("MASK_HIDES", f64::from(u8::from(off.is_none())))),
            Mask::Runs { keys } => overrides.push(("MASK_RUN", keys as f64)),
            Mask::None | Mask::Keys => {}
        }
        overrides
    }

    /// Members of `Params` from `softcap` on.
    pub(super) fn sight_params(&self, more: &[TensorType]) -> Vec<(&'static str, u32)> {
        let operand = |name: &str| self.sight_inputs().iter().position(|n| *n == name).map(|at| &more[at]);
        let off = match self.mask {
            Mask::Flags { off: Some(off) } => log2_scale(off.clamp(-1e37, 1e37)),
            _ => 0,
        };
        let mask = operand("mask").map_or([0; 4], steps);
        let index = operand("score_index").map(|ty| [0, 0, ty.cols() as u32, 1]);
        let score = operand("score_bias").map(steps).or(index).unwrap_or([0; 4]);
        let ahead = if self.causal { 0 } else { self.ahead.unwrap_or(REACH) };
        vec![
            ("softcap", self.softcap.map_or(0, log2_scale)),
            ("shift", self.shift as u32),
            ("ahead", ahead),
            ("window", self.window.map_or(REACH, |w| w.min(REACH))),
            ("mask_sequence", mask[0]),
            ("mask_head", mask[1]),
            ("mask_query", mask[2]),
            ("mask_key", mask[3]),
            ("mask_off", off),
            ("score_sequence", score[0]),
            ("score_head", score[1]),
            ("score_query", score[2]),
            ("score_key", score[3]),
            ("score_rows", operand("score_table").map_or(0, |ty| ty.rows() as u32)),
        ]
    }

    /// Attributes of sight, as a plan prints them.
    pub(super) fn show_sight(&self) -> String {
        let mut text = String::new();
        if self.causal {
            text += " causal";
        }
        for (name, value) in [("window", self.window), ("ahead", self.ahead)] {
            text += &value.map(|v| format!(" {name}={v}")).unwrap_or_default();
        }
        if self.shift != 0 {
            text += &format!(" shift={}", self.shift);
        }
        text += &self.softcap.map(|cap| format!(" softcap={cap}")).unwrap_or_default();
        for name in self.sight_inputs() {
            text += &format!(" {name}");
        }
        if let Mask::Runs { keys } = self.mask {
            text += &format!(" by {keys}");
        }
        text
    }
}

/// Strides of a tensor of four axes, 0 along axes of one.
fn steps(ty: &TensorType) -> [u32; 4] {
    let mut step = 1;
    let mut steps = [0; 4];
    for (at, extent) in steps.iter_mut().zip(&ty.shape).rev() {
        *at = if *extent == 1 { 0 } else { step };
        step *= *extent as u32;
    }
    steps
}
