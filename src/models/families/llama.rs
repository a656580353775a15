//! The decoders of LLaMA, Mistral, Qwen2, Qwen2-VL and Llama 3.2 Vision: one net; different defaults, biases, windows and
//! positions, and in the last one layers that attend to pictures.

use super::{activation, divided, layer_count};
use crate::Result;
use crate::blocks::{CrossLayer, DecoderLayer, Layer, Linear, Mlp, Norm, Qkv, RopeScaling, RopeSpec, SelfAttention};
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
    // What a configuration leaves out where it is the default.
    let default = match config.string("model_type", "llama")?.as_str() {
        "llama" | "mistral" => vec![2],
        "mllama_text_model" => vec![128_001],
        _ => Vec::new(),
    };
    Ok(if known.is_empty() { default } else { known })
}

/// Padding id.
pub(super) fn pad(config: &Config) -> Result<Option<u32>> {
    let default =
        config.string("model_type", "")? == "mllama_text_model" && config.value().get("pad_token_id").is_none();
    let stated = config.optional::<i64>("pad_token_id")?.and_then(|id| u32::try_from(id).ok());
    Ok(if default { Some(128_004) } else { stated })
}

/// What the decoders differ in when a field is left out.
struct Defaults {
    width: usize,
    mlp: usize,
    layers: usize,
    heads: usize,
    kv_heads: Option<usize>,
    max_positions: usize,
    vocab: usize,
    eps: f64,
    theta: f64,
    qkv_bias: bool,
    window: Option<usize>,
    full_layers: usize,
    /// Tokens have three positions.
    axes: bool,
}

fn defaults(model_type: &str, config: &Config) -> Result<Defaults> {
    let llama = Defaults {
        width: 4096,
        mlp: 11008,
        layers: 32,
        heads: 32,
        kv_heads: None,
        max_positions: 2048,
        vocab: 32000,
        eps: 1e-6,
        theta: 10_000.0,
        qkv_bias: false,
        window: None,
        full_layers: 28,
        axes: false,
    };
    Ok(match model_type {
        "llama" => llama,
        "mistral" => Defaults { mlp: 14336, kv_heads: Some(8), max_positions: 131_072, window: Some(4096), ..llama },
        "qwen2" => Defaults {
            mlp: 22016,
            kv_heads: Some(32),
            max_positions: 32768,
            vocab: 151_936,
            qkv_bias: true,
            window: Some(4096),
            ..llama
        },
        "qwen2_vl_text" | "qwen2_5_vl_text" => Defaults {
            width: 8192,
            mlp: 29568,
            layers: 80,
            heads: 64,
            kv_heads: Some(8),
            max_positions: 32768,
            vocab: 152_064,
            eps: 1e-5,
            theta: 1e6,
            qkv_bias: true,
            window: Some(4096),
            full_layers: 80,
            axes: true,
        },
        "mllama_text_model" => Defaults {
            mlp: 14336,
            layers: 40,
            kv_heads: Some(8),
            max_positions: 131_072,
            vocab: 128_256,
            eps: 1e-5,
            theta: 500_000.0,
            ..llama
        },
        other => {
            let reason =
                format!("`{other}`; llama, mistral, qwen2, qwen2_vl_text, qwen2_5_vl_text, mllama_text_model are");
            return Err(config.unsupported("model_type", reason));
        }
    })
}

/// The decoder whose tensors have `front` before `model.` and `lm_head.`.
pub(super) fn decoder(config: &Config, dtypes: &dyn Dtypes, front: &str, stage: &'static str) -> Result<Decoder> {
    let model_type = config.string("model_type", "llama")?;
    let defaults = defaults(&model_type, config)?;
    let shape = Shape::read(config, &defaults, front)?;
    let count = layer_count(config, "num_hidden_layers", defaults.layers)?;
    let windows = windows(config, &model_type, count, &defaults)?;
    let crossing = crossing(config, &model_type, count)?;
    let layer = |(i, window)| match crossing.contains(&i) {
        true => Layer::Cross(Box::new(shape.cross_layer(i, dtypes))),
        false => Layer::Own(shape.layer(i, window, dtypes)),
    };
    let vocab = config.usize("vocab_size", defaults.vocab)?;
    let table = format!("{front}model.embed_tokens.weight");
    let head =
        if config.bool("tie_word_embeddings", false)? { table.clone() } else { format!("{front}lm_head.weight") };
    let max_positions = config.usize("max_position_embeddings", defaults.max_positions)?;
    let rope =
        rope(config, shape.attention.head_dim, max_positions, RopeDefaults { theta: defaults.theta, partial: 1.0 })?;
    let sections = if defaults.axes { Some(sections(config, rope.rotary_dim)?) } else { None };
    Ok(Decoder {
        stage,
        // Llama 3.2 Vision has 8 more, for the picture's and other special tokens.
        table_rows: if model_type == "mllama_text_model" { vocab.saturating_add(8) } else { vocab },
        vocab,
        width: shape.width,
        dtype: dtypes.of(&table),
        embed_scale: None,
        layers: windows.into_iter().enumerate().map(layer).collect(),
        norm: Norm::Rms { name: format!("{front}model.norm"), eps: shape.eps },
        head_scale: None,
        head: Linear { dtype: dtypes.of(&head), weight: head, bias: None, n: vocab, k: shape.width, stack: Vec::new() },
        table,
        rope: RopeSpec { sections, ..rope },
        log_base: None,
        max_positions,
        cross: None,
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
    fn read(config: &Config, defaults: &Defaults, front: &str) -> Result<Self> {
        let width = config.usize("hidden_size", defaults.width)?;
        let heads = config.usize("num_attention_heads", defaults.heads)?;
        let head_dim = match config.optional::<usize>("head_dim")? {
            Some(dim) => dim,
            None => divided(config, "num_attention_heads", width, heads)?,
        };
        let kv_heads = config.usize("num_key_value_heads", defaults.kv_heads.unwrap_or(heads))?;
        divided(config, "num_key_value_heads", heads, kv_heads)?;
        Ok(Self {
            front: format!("{front}model"),
            width,
            mlp: config.usize("intermediate_size", defaults.mlp)?,
            attention: SelfAttention { heads, kv_heads, head_dim, causal: true, window: None },
            eps: config.f64("rms_norm_eps", defaults.eps)? as f32,
            act: activation(config, "hidden_act", "silu")?,
            qkv_bias: defaults.qkv_bias || config.bool("attention_bias", false)?,
            out_bias: !defaults.qkv_bias && config.bool("attention_bias", false)?,
            mlp_bias: config.bool("mlp_bias", false)?,
        })
    }

    fn norm(&self, at: &str, name: &str) -> Norm {
        Norm::Rms { name: format!("{at}.{name}"), eps: self.eps }
    }

    fn gated(&self, at: &str, dtypes: &dyn Dtypes) -> Mlp {
        let of = |name: &str| dtypes.of(&format!("{at}.mlp.{name}.weight"));
        let gate_up = ["gate_proj", "up_proj"].map(|p| (format!("{at}.mlp.{p}"), self.mlp, self.mlp_bias));
        let down = format!("{at}.mlp.down_proj");
        Mlp::Gated {
            gate_up: Linear::stacked(&gate_up, self.width, of("gate_proj")),
            act: self.act,
            down: Linear::new(&down, self.width, self.mlp, self.mlp_bias, of("down_proj")),
        }
    }

    fn layer(&self, i: usize, window: Option<u32>, dtypes: &dyn Dtypes) -> DecoderLayer {
        let at = format!("{}.layers.{i}", self.front);
        let of = |name: &str| dtypes.of(&format!("{at}.self_attn.{name}.weight"));
        let attention = SelfAttention { window, ..self.attention };
        let (q, kv) = (attention.q_width(), attention.kv_width());
        let qkv = [("q_proj", q), ("k_proj", kv), ("v_proj", kv)];
        let qkv = qkv.map(|(p, n)| (format!("{at}.self_attn.{p}"), n, self.qkv_bias));
        let out = format!("{at}.self_attn.o_proj");
        DecoderLayer {
            branch_scale: None,
            norm1: self.norm(&at, "input_layernorm"),
            qkv: Qkv::Stacked(Linear::stacked(&qkv, self.width, of("q_proj"))),
            attention,
            out: Linear::new(&out, self.width, q, self.out_bias, of("o_proj")),
            norm2: self.norm(&at, "post_attention_layernorm"),
            mlp: self.gated(&at, dtypes),
        }
    }

    /// A layer of Llama 3.2 Vision that attends to features.
    fn cross_layer(&self, i: usize, dtypes: &dyn Dtypes) -> CrossLayer {
        let at = format!("{}.layers.{i}", self.front);
        let attention = SelfAttention { causal: false, ..self.attention };
        let (q, kv) = (attention.q_width(), attention.kv_width());
        let linear = |name: &str, n, k| {
            let name = format!("{at}.cross_attn.{name}");
            Linear::new(&name, n, k, false, dtypes.of(&format!("{name}.weight")))
        };
        CrossLayer {
            norm1: self.norm(&at, "input_layernorm"),
            q: linear("q_proj", q, self.width),
            k: linear("k_proj", kv, self.width),
            v: linear("v_proj", kv, self.width),
            q_norm: self.norm(&at, "cross_attn.q_norm"),
            k_norm: self.norm(&at, "cross_attn.k_norm"),
            attention,
            out: linear("o_proj", self.width, q),
            norm2: self.norm(&at, "post_attention_layernorm"),
            mlp: self.gated(&at, dtypes),
            gates: ["attn", "mlp"].map(|branch| format!("{at}.cross_attn_{branch}_gate")),
        }
    }
}

/// Layers that attend to features.
fn crossing(config: &Config, model_type: &str, count: usize) -> Result<Vec<usize>> {
    if model_type != "mllama_text_model" {
        return Ok(Vec::new());
    }
    let listed = config.list("cross_attention_layers")?.unwrap_or_else(|| (3..40).step_by(5).collect());
    match listed.iter().find(|i| **i >= count) {
        Some(i) if config.has("cross_attention_layers") => {
            Err(config.broken("cross_attention_layers", format!("layer {i} of {count}")))
        }
        _ => Ok(listed),
    }
}

/// The sliding window of every layer.
fn windows(config: &Config, model_type: &str, count: usize, defaults: &Defaults) -> Result<Vec<Option<u32>>> {
    // An explicit null switches a default window off.
    let written = config.value().get("sliding_window").is_some();
    let size = match config.optional::<usize>("sliding_window")? {
        None if !written => defaults.window,
        size => size,
    };
    let window = size.map(|w| w as u32);
    if defaults.window.is_none() {
        return Ok(vec![None; count]);
    }
    if model_type == "mistral" {
        return Ok(vec![window; count]);
    }
    if !config.bool("use_sliding_window", false)? {
        return Ok(vec![None; count]);
    }
    let first = config.usize("max_window_layers", defaults.full_layers)?;
    match config.list::<String>("layer_types")? {
        Some(types) if types.len() != count => {
            Err(config.broken("layer_types", format!("{} entries for {count} layers", types.len())))
        }
        Some(types) => Ok(types.iter().map(|t| if t == "sliding_attention" { window } else { None }).collect()),
        None => Ok((0..count).map(|i| if i >= first { window } else { None }).collect()),
    }
}

/// Pairs that are turned by time, by row and by column.
fn sections(config: &Config, rotary_dim: usize) -> Result<[usize; 3]> {
    let section = rope_section(config)?;
    let list = section.list::<usize>("mrope_section")?.unwrap_or_else(|| vec![16, 24, 24]);
    match <[usize; 3]>::try_from(list) {
        Ok(parts) if parts.iter().try_fold(0usize, |sum, n| sum.checked_add(*n)) == Some(rotary_dim / 2) => Ok(parts),
        Ok(parts) => Err(section.broken("mrope_section", format!("{parts:?} for {} pairs", rotary_dim / 2))),
        Err(list) => Err(section.broken("mrope_section", format!("{list:?}; three numbers of pairs are read"))),
    }
}

/// What a decoder's rotary positions are when the fields are left out.
pub(super) struct RopeDefaults {
    /// `rope_theta`
    pub theta: f64,
    /// `partial_rotary_factor`
    pub partial: f64,
}

/// `rope_scaling` or `rope_parameters`, empty where there is neither.
fn rope_section(config: &Config) -> Result<Config> {
    let path = if config.has("rope_parameters") { "rope_parameters" } else { "rope_scaling" };
    config.section(path)?.map_or_else(|| Config::parse(config.file(), b"{}"), Ok)
}

/// Rotary settings: `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5).
pub(super) fn rope(config: &Config, head_dim: usize, max_positions: usize, defaults: RopeDefaults) -> Result<RopeSpec> {
    let section = rope_section(config)?;
    let theta = config.f64("rope_theta", section.f64("rope_theta", defaults.theta)?)? as f32;
    let partial = config.f64("partial_rotary_factor", section.f64("partial_rotary_factor", defaults.partial)?)?;
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
        // Which position turns a pair is another matter: `sections`.
        "default" | "mrope" => RopeScaling::None,
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
    Ok(RopeSpec {
        theta,
        rotary_dim,
        interleaved: config.bool("rope_interleaved", false)?,
        scaling,
        factors: factors(config, rotary_dim)?,
        rounded: None,
        sections: None,
    })
}

/// `rope_factors`, which GGUF checkpoints have.
fn factors(config: &Config, rotary_dim: usize) -> Result<Option<Vec<f32>>> {
    let Some(factors) = config.list::<f64>("rope_factors")? else { return Ok(None) };
    if factors.len() != rotary_dim / 2 {
        let reason = format!("{} factors for {} frequencies", factors.len(), rotary_dim / 2);
        return Err(config.broken("rope_factors", reason));
    }
    Ok(Some(factors.into_iter().map(|f| f as f32).collect()))
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
