//! The decoders of LLaMA, Mistral and Qwen2: one net, different defaults, biases and windows.

use super::{activation, divided, layer_count};
use crate::Result;
use crate::blocks::{DecoderLayer, Linear, Norm, RopeScaling, RopeSpec, SelfAttention};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::DECODER;
use crate::models::{Decoder, Dtypes, Spec};

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let decoder = decoder(config, dtypes, "", "")?;
    Ok(Spec { decoder: Some(decoder), eos: eos(config)?, pad: pad(config)?, scheme: DECODER, ..Spec::default() })
}

/// End ids of a decoder's configuration.
pub(super) fn eos(config: &Config) -> Result<Vec<u32>> {
    let ids: Vec<usize> = config.one_or_list("eos_token_id")?;
    let known = ids.into_iter().map(|id| id as u32).collect::<Vec<_>>();
    let llama = matches!(config.string("model_type", "llama")?.as_str(), "llama" | "mistral");
    // LLaMA's and Mistral's configurations leave out the default, 2.
    Ok(if known.is_empty() && llama { vec![2] } else { known })
}

/// Padding id.
pub(super) fn pad(config: &Config) -> Result<Option<u32>> {
    Ok(config.optional::<i64>("pad_token_id")?.and_then(|id| u32::try_from(id).ok()))
}

/// What the three differ in when a field is left out.
struct Defaults {
    width: usize,
    mlp: usize,
    kv_heads: Option<usize>,
    max_positions: usize,
    vocab: usize,
    qkv_bias: bool,
    window: Option<usize>,
}

fn defaults(model_type: &str, config: &Config) -> Result<Defaults> {
    let llama = Defaults {
        width: 4096,
        mlp: 11008,
        kv_heads: None,
        max_positions: 2048,
        vocab: 32000,
        qkv_bias: false,
        window: None,
    };
    Ok(match model_type {
        "llama" => llama,
        "mistral" => Defaults { mlp: 14336, kv_heads: Some(8), max_positions: 131_072, window: Some(4096), ..llama },
        "qwen2" => {
            Defaults { mlp: 22016, kv_heads: Some(32), max_positions: 32768, vocab: 151_936, qkv_bias: true, ..llama }
        }
        other => {
            let reason = format!("`{other}`; llama, mistral and qwen2 are");
            return Err(config.unsupported("model_type", reason));
        }
    })
}

/// The decoder whose tensors have `front` before `model.` and `lm_head.`.
pub(super) fn decoder(config: &Config, dtypes: &dyn Dtypes, front: &str, stage: &'static str) -> Result<Decoder> {
    let model_type = config.string("model_type", "llama")?;
    let defaults = defaults(&model_type, config)?;
    let width = config.usize("hidden_size", defaults.width)?;
    let heads = config.usize("num_attention_heads", 32)?;
    let head_dim = match config.optional::<usize>("head_dim")? {
        Some(dim) => dim,
        None => divided(config, "num_attention_heads", width, heads)?,
    };
    let kv_heads = config.usize("num_key_value_heads", defaults.kv_heads.unwrap_or(heads))?;
    divided(config, "num_key_value_heads", heads, kv_heads)?;
    let shape = Shape {
        front: format!("{front}model"),
        width,
        mlp: config.usize("intermediate_size", defaults.mlp)?,
        attention: SelfAttention { heads, kv_heads, head_dim, causal: true, window: None },
        eps: config.f64("rms_norm_eps", 1e-6)? as f32,
        act: activation(config, "hidden_act", "silu")?,
        qkv_bias: defaults.qkv_bias || config.bool("attention_bias", false)?,
        out_bias: !defaults.qkv_bias && config.bool("attention_bias", false)?,
        mlp_bias: config.bool("mlp_bias", false)?,
    };
    let count = layer_count(config, "num_hidden_layers", 32)?;
    let windows = windows(config, &model_type, count, defaults.window)?;
    let vocab = config.usize("vocab_size", defaults.vocab)?;
    let table = format!("{front}model.embed_tokens.weight");
    let head =
        if config.bool("tie_word_embeddings", false)? { table.clone() } else { format!("{front}lm_head.weight") };
    let max_positions = config.usize("max_position_embeddings", defaults.max_positions)?;
    Ok(Decoder {
        stage,
        vocab,
        width,
        dtype: dtypes.of(&table),
        layers: windows.into_iter().enumerate().map(|(i, window)| shape.layer(i, window, dtypes)).collect(),
        norm: Norm::Rms { name: format!("{front}model.norm"), eps: shape.eps },
        head: Linear { dtype: dtypes.of(&head), weight: head, bias: None, n: vocab, k: width, stack: Vec::new() },
        table,
        rope: rope(config, head_dim, max_positions)?,
        max_positions,
    })
}

struct Shape {
    front: String,
    width: usize,
    mlp: usize,
    attention: SelfAttention,
    eps: f32,
    act: crate::kernels::Act,
    qkv_bias: bool,
    out_bias: bool,
    mlp_bias: bool,
}

impl Shape {
    fn layer(&self, i: usize, window: Option<u32>, dtypes: &dyn Dtypes) -> DecoderLayer {
        let at = format!("{}.layers.{i}", self.front);
        let norm = |name: &str| Norm::Rms { name: format!("{at}.{name}"), eps: self.eps };
        let of = |name: &str| dtypes.of(&format!("{at}.{name}.weight"));
        let attention = SelfAttention { window, ..self.attention };
        let (q, kv) = (attention.q_width(), attention.kv_width());
        let qkv = [("q_proj", q), ("k_proj", kv), ("v_proj", kv)];
        let qkv = qkv.map(|(p, n)| (format!("{at}.self_attn.{p}"), n, self.qkv_bias));
        let gate_up = ["gate_proj", "up_proj"].map(|p| (format!("{at}.mlp.{p}"), self.mlp, self.mlp_bias));
        let out = format!("{at}.self_attn.o_proj");
        let down = format!("{at}.mlp.down_proj");
        DecoderLayer {
            norm1: norm("input_layernorm"),
            qkv: Linear::stacked(&qkv, self.width, of("self_attn.q_proj")),
            attention,
            out: Linear::new(&out, self.width, q, self.out_bias, of("self_attn.o_proj")),
            norm2: norm("post_attention_layernorm"),
            gate_up: Linear::stacked(&gate_up, self.width, of("mlp.gate_proj")),
            act: self.act,
            down: Linear::new(&down, self.width, self.mlp, self.mlp_bias, of("mlp.down_proj")),
        }
    }
}

/// The sliding window of every layer.
fn windows(config: &Config, model_type: &str, count: usize, default: Option<usize>) -> Result<Vec<Option<u32>>> {
    // An explicit null switches a default window off.
    let written = config.value().get("sliding_window").is_some();
    let size = match config.optional::<usize>("sliding_window")? {
        None if !written => default.or((model_type == "qwen2").then_some(4096)),
        size => size,
    };
    let window = size.map(|w| w as u32);
    if model_type == "llama" {
        return Ok(vec![None; count]);
    }
    if model_type == "mistral" {
        return Ok(vec![window; count]);
    }
    if !config.bool("use_sliding_window", false)? {
        return Ok(vec![None; count]);
    }
    let first = config.usize("max_window_layers", 28)?;
    match config.list::<String>("layer_types")? {
        Some(types) if types.len() != count => {
            Err(config.broken("layer_types", format!("{} entries for {count} layers", types.len())))
        }
        Some(types) => Ok(types.iter().map(|t| if t == "sliding_attention" { window } else { None }).collect()),
        None => Ok((0..count).map(|i| if i >= first { window } else { None }).collect()),
    }
}

/// Rotary settings: `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5).
fn rope(config: &Config, head_dim: usize, max_positions: usize) -> Result<RopeSpec> {
    let path = if config.has("rope_parameters") { "rope_parameters" } else { "rope_scaling" };
    let empty = || Config::parse(config.file(), b"{}");
    let section = config.section(path)?.map_or_else(empty, Ok)?;
    let theta = config.f64("rope_theta", section.f64("rope_theta", 10_000.0)?)? as f32;
    let partial = config.f64("partial_rotary_factor", section.f64("partial_rotary_factor", 1.0)?)?;
    let rotary_dim = (head_dim as f64 * partial) as usize;
    if rotary_dim < 2 || !rotary_dim.is_multiple_of(2) || rotary_dim > head_dim {
        return Err(config.broken("head_dim", format!("{rotary_dim} rotary dimensions")));
    }
    let kind = section.string("rope_type", &section.string("type", "default")?)?;
    let number = |name: &str, default: f64| section.f64(name, default).map(|v| v as f32);
    let trained = section.usize("original_max_position_embeddings", max_positions)?.max(1);
    let factor = number("factor", 1.0)?;
    if factor < 1.0 {
        return Err(section.broken("factor", format!("{factor} is below 1")));
    }
    let scaling = match kind.as_str() {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor },
        "dynamic" => RopeScaling::Dynamic { factor, trained },
        "llama3" => {
            let (low, high) = (number("low_freq_factor", 1.0)?, number("high_freq_factor", 4.0)?);
            RopeScaling::Llama3 { factor, low, high, trained }
        }
        "yarn" => RopeScaling::Yarn {
            factor,
            beta_fast: number("beta_fast", 32.0)?,
            beta_slow: number("beta_slow", 1.0)?,
            trained,
            attention: yarn_attention(&section, factor)?,
            truncate: section.bool("truncate", true)?,
        },
        other => {
            let reason = format!("`{other}`; default, linear, dynamic, llama3 and yarn are");
            return Err(section.unsupported("rope_type", reason));
        }
    };
    Ok(RopeSpec { theta, rotary_dim, interleaved: config.bool("rope_interleaved", false)?, scaling, rounded: None })
}

/// The factor on cosine and sine that YaRN recommends, or what the configuration states.
fn yarn_attention(section: &Config, factor: f32) -> Result<f32> {
    if let Some(given) = section.optional::<f64>("attention_factor")? {
        return Ok(given as f32);
    }
    let scale = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * f64::from(factor).ln() + 1.0 };
    let all = section.optional::<f64>("mscale")?;
    let dims = section.optional::<f64>("mscale_all_dim")?;
    Ok(match (all, dims) {
        (Some(all), Some(dims)) if all != 0.0 && dims != 0.0 => (scale(all) / scale(dims)) as f32,
        _ => scale(1.0) as f32,
    })
}
