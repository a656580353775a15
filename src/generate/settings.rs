//! Settings of one answer: what generation_config.json says, as transformers applies it, and what a caller changes.
//!
//! Here: [`GenerateOptions`], its defaults from a checkpoint, and refusing settings that would change the result and
//! are not done. Not here: the sampling itself (`kernels::sample`) and stopping (`answer`).

use crate::checkpoint::Config;
use crate::kernels::SampleSettings;
use crate::{Error, Result};
use serde_json::Value as Json;

/// New tokens of an answer where neither the caller nor the checkpoint says how many.
const MAX_NEW: usize = 256;

/// How one answer is generated.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Most new tokens, the end token included.
    pub max_new_tokens: usize,
    /// Divides the logits; 0 is greedy, and the next three are then without effect.
    pub temperature: f32,
    /// Keep the `k` best tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep the best tokens whose mass reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this probable relative to the best; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens of prompt and answer; 1 does nothing.
    pub repetition_penalty: f32,
    /// Seed; the same seed gives the same tokens. Prompts of a batch that shall differ get different seeds.
    pub seed: u64,
    /// The answer ends before the first of these strings.
    pub stop: Vec<String>,
    /// Return the log-probability of every token.
    pub logprobs: bool,
}

impl Default for GenerateOptions {
    /// Greedy, up to 256 tokens.
    fn default() -> Self {
        Self {
            max_new_tokens: MAX_NEW,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
            stop: Vec::new(),
            logprobs: false,
        }
    }
}

/// Sampling that a caller asks for, over what the checkpoint says. Any of `temperature`, `top_k`, `top_p` and `min_p`
/// turns sampling on, with transformers' defaults for the others; a temperature of 0 turns it off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// See [`GenerateOptions::temperature`].
    pub temperature: Option<f32>,
    /// See [`GenerateOptions::top_k`].
    pub top_k: Option<u32>,
    /// See [`GenerateOptions::top_p`].
    pub top_p: Option<f32>,
    /// See [`GenerateOptions::min_p`].
    pub min_p: Option<f32>,
}

/// A field of the file, and whether a value of it is without effect.
type Refused = (&'static str, fn(&Json) -> bool);

/// What changes any result.
const REFUSED: &[Refused] = &[
    ("num_beams", at_most_one),
    ("num_beam_groups", at_most_one),
    ("num_return_sequences", at_most_one),
    ("penalty_alpha", zero),
    ("no_repeat_ngram_size", zero),
    ("encoder_no_repeat_ngram_size", zero),
    ("encoder_repetition_penalty", one),
    ("min_length", zero),
    ("min_new_tokens", zero),
    ("guidance_scale", one),
    ("bad_words_ids", empty),
    ("force_words_ids", empty),
    ("constraints", empty),
    ("sequence_bias", empty),
    ("suppress_tokens", empty),
    ("begin_suppress_tokens", empty),
    ("forced_bos_token_id", empty),
    ("forced_eos_token_id", empty),
    ("exponential_decay_length_penalty", empty),
    ("watermarking_config", empty),
    ("dola_layers", empty),
    ("max_time", empty),
];

/// What changes a result that is sampled.
const REFUSED_SAMPLING: &[Refused] =
    &[("typical_p", one), ("epsilon_cutoff", zero), ("eta_cutoff", zero), ("top_h", empty)];

fn at_most_one(value: &Json) -> bool {
    value.as_f64().is_some_and(|v| v <= 1.0)
}
fn one(value: &Json) -> bool {
    value.as_f64() == Some(1.0)
}
fn zero(value: &Json) -> bool {
    value.as_f64() == Some(0.0)
}
fn empty(value: &Json) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(|o| o.is_empty())
}

impl GenerateOptions {
    /// What a checkpoint's generation_config.json says, with `sampling` over it. Without the file: the defaults.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for settings that are not done and would change the result (beams, n-gram bans, forced
    /// tokens, ...), [`Error::Malformed`] for values that are not what they should be.
    pub fn of_model(config: Option<&Config>, sampling: &Sampling) -> Result<Self> {
        let parsed;
        let config = match config {
            Some(config) => config,
            None => {
                parsed = Config::parse("generation_config.json", b"{}")?;
                &parsed
            }
        };
        let asked = [
            sampling.temperature.is_some(),
            sampling.top_k.is_some(),
            sampling.top_p.is_some(),
            sampling.min_p.is_some(),
        ];
        let sample = (config.bool("do_sample", false)? || asked.contains(&true)) && sampling.temperature != Some(0.0);
        refuse(config, REFUSED)?;
        if sample {
            refuse(config, REFUSED_SAMPLING)?;
        }
        let number =
            |name: &str, default: f64| Ok::<f32, Error>(config.optional::<f64>(name)?.unwrap_or(default) as f32);
        let mut options = Self {
            max_new_tokens: config.optional::<usize>("max_new_tokens")?.unwrap_or(MAX_NEW),
            repetition_penalty: number("repetition_penalty", 1.0)?,
            stop: config.one_or_list("stop_strings")?,
            ..Self::default()
        };
        if sample {
            options.temperature = sampling.temperature.map_or_else(|| number("temperature", 1.0), Ok)?;
            options.top_k = match sampling.top_k {
                Some(k) => k,
                // transformers keeps the 50 best unless told otherwise.
                None => u32::try_from(config.optional::<usize>("top_k")?.unwrap_or(50)).unwrap_or(0),
            };
            options.top_p = sampling.top_p.map_or_else(|| number("top_p", 1.0), Ok)?;
            options.min_p = sampling.min_p.map_or_else(|| number("min_p", 0.0), Ok)?;
        }
        Ok(options)
    }

    /// The row of the sampling kernel.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for values out of range, no new token, an empty stop string.
    pub fn settings(&self) -> Result<SampleSettings> {
        if self.max_new_tokens == 0 {
            return Err(Error::argument("max_new_tokens", "must be at least 1"));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::argument("stop", "holds an empty string"));
        }
        let settings = SampleSettings {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        };
        settings.words()?;
        Ok(settings)
    }
}

fn refuse(config: &Config, fields: &[Refused]) -> Result<()> {
    for (name, harmless) in fields {
        if let Some(value) = config.value().get(*name).filter(|v| !v.is_null())
            && !harmless(value)
        {
            let reason = format!("{value} would change the answer; remove it from generation_config.json");
            return Err(config.unsupported(name, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str, sampling: &Sampling) -> Result<GenerateOptions> {
        GenerateOptions::of_model(Some(&Config::parse("generation_config.json", json.as_bytes())?), sampling)
    }

    #[test]
    fn greedy_ignores_what_belongs_to_sampling() {
        let none = Sampling::default();
        let greedy = options(r#"{"temperature": 0.2, "top_k": 5, "typical_p": 0.3, "top_p": null}"#, &none).unwrap();
        assert_eq!(greedy, GenerateOptions::default());
        assert_eq!(GenerateOptions::of_model(None, &none).unwrap(), GenerateOptions::default());
    }

    #[test]
    fn sampling_has_the_defaults_of_transformers() {
        let none = Sampling::default();
        let plain = options(r#"{"do_sample": true}"#, &none).unwrap();
        assert_eq!((plain.temperature, plain.top_k, plain.top_p, plain.min_p), (1.0, 50, 1.0, 0.0));
        let json = r#"{"do_sample": true, "temperature": 0.5, "top_k": 0, "top_p": 0.9, "repetition_penalty": 1.5}"#;
        let stated = options(json, &none).unwrap();
        assert_eq!((stated.temperature, stated.top_k, stated.top_p), (0.5, 0, 0.9));
        assert_eq!(stated.repetition_penalty, 1.5);
        let cold = options(json, &Sampling { temperature: Some(0.0), ..none.clone() }).unwrap();
        assert_eq!((cold.temperature, cold.top_k, cold.repetition_penalty), (0.0, 0, 1.5));
        let asked = options("{}", &Sampling { top_p: Some(0.5), ..none }).unwrap();
        assert_eq!((asked.temperature, asked.top_k, asked.top_p), (1.0, 50, 0.5));
    }

    #[test]
    fn what_would_change_the_answer_is_refused() {
        let none = Sampling::default();
        for field in [r#""num_beams": 4"#, r#""no_repeat_ngram_size": 3"#, r#""forced_eos_token_id": 2"#] {
            let error = options(&format!("{{{field}}}"), &none).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{field}: {error}");
        }
        options(r#"{"num_beams": 1, "no_repeat_ngram_size": 0, "bad_words_ids": [], "max_time": null}"#, &none)
            .unwrap();
        assert!(options(r#"{"do_sample": true, "typical_p": 0.3}"#, &none).is_err());
    }

    #[test]
    fn hostile_settings_are_errors() {
        let bad = [
            GenerateOptions { max_new_tokens: 0, ..Default::default() },
            GenerateOptions { stop: vec![String::new()], ..Default::default() },
            GenerateOptions { temperature: f32::NAN, ..Default::default() },
        ];
        assert!(bad.iter().all(|options| options.settings().is_err()));
    }
}
