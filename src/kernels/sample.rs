//! Choosing the next token of every row: greedy, or drawn with temperature, top-k, top-p and min-p.
//!
//! The kernel decides in integers (see `sample.wgsl`), so that the same logits, settings and seed give the same
//! tokens on every adapter. Logits that differ between adapters in their last bits can, rarely, still lead to
//! different tokens: where a token lies within that difference of a cut or of the drawn target.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `logits` \[rows, vocab\], `seen` u32 \[rows, ceil(vocab / 32)\] (bit `i % 32` of word `i / 32` is set if token `i`
/// takes the repetition penalty), `settings` u32 \[rows, 8\] ([`SampleSettings::words`]), `steps` u32 \[rows\] ->
/// `ids` u32 \[rows\], `logprob` f32 \[rows\].
///
/// The log-probability is that of the chosen token under the raw logits, before penalty and temperature. The
/// random number depends on the row's seed and step alone: rows that shall differ get different seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample;

/// Sampling settings of one row, as generation_config.json states them.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSettings {
    /// Divides the logits; 0 takes the best token.
    pub temperature: f32,
    /// Keep the `k` best tokens (and those equal to the last of them); 0 keeps all, 1 is greedy.
    pub top_k: u32,
    /// Keep the best tokens whose mass reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this probable relative to the best; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens that were seen; 1 does nothing.
    pub repetition_penalty: f32,
    /// Seed of the row.
    pub seed: u64,
}

impl Default for SampleSettings {
    /// Greedy, without a penalty.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
    }
}

/// Octaves below the best token from which on a token has no weight, in steps of 2^-16.
const DEPTH: f64 = 31.0 * 65536.0;

impl SampleSettings {
    /// The words of a row of `settings`: scale = log2(e) / temperature in steps of 2^-20 (0 for greedy), top_k,
    /// top_p in steps of 2^-32 (0 for all), depth of min_p in steps of 2^-16 octaves, penalty and 1 / penalty as
    /// f32 bits, low and high word of the seed.
    ///
    /// Errors: a value out of its range, or not a number.
    pub fn words(&self) -> Result<[u32; 8]> {
        let check = |ok: bool, what: &str, range: &str| {
            if ok { Ok(()) } else { Err(Error::argument(what, format!("must be {range}"))) }
        };
        check(self.temperature >= 0.0 && self.temperature.is_finite(), "temperature", "finite and not negative")?;
        check(self.top_p > 0.0 && self.top_p <= 1.0, "top_p", "above 0 and at most 1")?;
        check((0.0..=1.0).contains(&self.min_p), "min_p", "between 0 and 1")?;
        let penalty = self.repetition_penalty;
        check(penalty.is_normal() && penalty > 0.0 && (1.0 / penalty).is_normal(), "repetition_penalty", "above 0")?;
        let greedy = self.temperature == 0.0 || self.top_k == 1;
        // Float to integer casts saturate: a very low temperature keeps the steepest scale, a very high one
        // the flattest.
        let scale = (std::f64::consts::LOG2_E / f64::from(self.temperature) * f64::from(1 << 20)).round() as u32;
        let top_p = (f64::from(self.top_p) * 4_294_967_296.0).round() as u32;
        let depth = (-f64::from(self.min_p).log2() * 65536.0).floor().min(DEPTH - 1.0) as u32;
        Ok([
            if greedy { 0 } else { scale.max(1) },
            self.top_k,
            if self.top_p < 1.0 { top_p.max(1) } else { 0 },
            depth,
            penalty.to_bits(),
            (1.0 / penalty).to_bits(),
            self.seed as u32,
            (self.seed >> 32) as u32,
        ])
    }
}

pub(super) const ENTRY: Entry =
    Entry { name: "sample", about: "next tokens: penalty, temperature, top-k, top-p, min-p" };

/// The index of a token is found in three digits of 7 bits.
const MAX_VOCAB: usize = 1 << 21;

impl Kernel for Sample {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["logits", "seen", "settings", "steps"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["ids", "logprob"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (logits, seen, settings, steps) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        let (rows, vocab) = (logits.rows(), logits.cols());
        require(self, (1..=MAX_VOCAB).contains(&vocab), || format!("logits {logits} beyond {MAX_VOCAB} columns"))?;
        super::flat_limit(self, logits.elements())?;
        let expected = [
            (seen, "seen", TensorType::u32(&[rows, vocab.div_ceil(32)])),
            (settings, "settings", TensorType::u32(&[rows, 8])),
            (steps, "steps", TensorType::u32(&[rows])),
        ];
        for (got, name, want) in expected {
            require(self, *got == want, || format!("{name} is {got}, logits {logits} want {want}"))?;
        }
        Ok(vec![TensorType::u32(&[rows]), TensorType::new(DType::F32, &[rows])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let logits = &io.inputs[0];
        // One workgroup a row: on a GPU as many lanes as it takes to hide the latency of the passes.
        let roomy = !caps.software && caps.max_lanes >= 1024 && caps.max_workgroup_bytes >= 32 << 10;
        let lanes = logits.cols().next_power_of_two().clamp(64, if roomy { 1024 } else { 256 });
        let parts = ["parts/reduce_shared", "parts/best_shared", "parts/wide_shared"];
        let mut files = vec!["sample", elem_part(logits.dtype, caps)?];
        files.extend(parts);
        files.extend(["parts/exp2_fixed", "parts/radix_search", "parts/philox"]);
        Ok(vec![Launch {
            files,
            overrides: vec![("LANES", lanes as f64)],
            params: vec![
                ("rows", logits.rows() as u32),
                ("cols", logits.cols() as u32),
                ("seen_cols", logits.cols().div_ceil(32) as u32),
            ],
            grid: grid_2d(logits.rows(), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, _row: usize) -> Vec<Cell> {
        let [logits, seen, settings, steps] = inputs else { return Vec::new() };
        match output {
            0 => reference::sample_ids(logits, seen, settings, steps),
            _ => reference::sample_logprob(logits, seen, settings, steps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_words() {
        let settings = SampleSettings { seed: 0x1_0000_0002, ..Default::default() };
        assert_eq!(settings.words().unwrap(), [0, 0, 0, 31 * 65536 - 1, 1f32.to_bits(), 1f32.to_bits(), 2, 1]);
        let warm = SampleSettings { temperature: 1.0, top_k: 5, top_p: 0.5, min_p: 0.25, ..settings.clone() };
        assert_eq!(warm.words().unwrap()[..4], [1_512_775, 5, 1 << 31, 2 << 16]);
        let cold = SampleSettings { temperature: 1e-30, ..settings.clone() };
        assert_eq!(cold.words().unwrap()[0], u32::MAX);
        let hot = SampleSettings { temperature: 3e38, ..settings };
        assert_eq!(hot.words().unwrap()[0], 1, "0 would mean greedy");
    }

    #[test]
    fn hostile_settings_are_errors() {
        let good = SampleSettings::default;
        let bad = [
            SampleSettings { temperature: -1.0, ..good() },
            SampleSettings { temperature: f32::NAN, ..good() },
            SampleSettings { temperature: f32::INFINITY, ..good() },
            SampleSettings { top_p: 0.0, ..good() },
            SampleSettings { top_p: f32::NAN, ..good() },
            SampleSettings { min_p: 1.5, ..good() },
            SampleSettings { repetition_penalty: 0.0, ..good() },
            SampleSettings { repetition_penalty: 1e-39, ..good() },
        ];
        for settings in bad {
            assert!(settings.words().is_err(), "{settings:?}");
        }
    }
}
