//! Fuyu (Bavishi et al. 2023) and OtterHD: no tower, patches become rows of the prompt by one linear layer. Its decoder is
//! Persimmon: layer norms, heads of queries and keys normalised, half of a head rotary, squared relu.

use super::llama::{self, RopeDefaults};
use super::{activation, divided, layer_count, text_config};
use crate::Result;
use crate::blocks::{
    DecoderLayer, Layer, Linear, Mlp, Norm, NormedQkv, Part, PatchEmbedding, PatchOrder, Qkv, SelfAttention,
};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::{DECODER, VISION_LANGUAGE};
use crate::kernels::Act;
use crate::models::{
    Bridge, Connector, Decoder, Dtypes, FeatureSelect, Positions, Projector, PromptForm, Spec, VisionTower,
};

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    if config.string("model_type", "")? == "persimmon" {
        let decoder = decoder(config, dtypes, "", "")?;
        let (eos, pad) = (ends(config)?, llama::pad(config)?);
        return Ok(Spec { decoder: Some(decoder), eos, pad, scheme: DECODER, ..Spec::default() });
    }
    let text = text_config(config, "persimmon")?;
    let kind = text.string("model_type", "persimmon")?;
    if kind != "persimmon" {
        return Err(text.unsupported("model_type", format!("`{kind}`; persimmon is")));
    }
    let decoder = decoder(&text, dtypes, "language_model.", "llm.")?;
    let bare = Projector { norm: None, layers: Vec::new(), act: Act::Gelu };
    Ok(Spec {
        vision: Some(patches(config, decoder.width, dtypes)?),
        connector: Some(Connector {
            select: FeatureSelect { layers: vec![0], drop_prefix: false },
            bridge: Bridge::Mlp(bare),
        }),
        decoder: Some(decoder),
        image_token: Some(config.usize("image_token_id", 71_011)? as u32),
        eos: ends(&text)?,
        pad: llama::pad(config)?.or(llama::pad(&text)?),
        // The answer begins behind this byte.
        leading: Some("<0x04>"),
        prompt: PromptForm::default(),
        scheme: VISION_LANGUAGE,
        ..Spec::default()
    })
}

fn ends(config: &Config) -> Result<Vec<u32>> {
    let listed = llama::eos(config)?;
    Ok(if listed.is_empty() { vec![2] } else { listed })
}

/// The linear layer on patches, as a tower without layers. Its columns run by pixel, then by channel.
fn patches(config: &Config, width: usize, dtypes: &dyn Dtypes) -> Result<VisionTower> {
    let (patch, channels) = (config.usize("patch_size", 30)?, config.usize("num_channels", 3)?);
    if !(1..=1 << 10).contains(&patch) || channels != 3 {
        return Err(config.broken("patch_size", format!("patches of {patch} pixels and {channels} channels")));
    }
    let name = "vision_embed_tokens.weight";
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            weight: Part::Planar { name, channels }.to_string(),
            bias: Some("vision_embed_tokens.bias".into()),
            width,
            channels,
            patch,
            dtype: dtypes.of(name),
        },
        image_size: config.usize("image_size", 300)?.max(patch),
        prefix: Vec::new(),
        positions: Positions::None,
        order: PatchOrder::ROWS,
        pre_norm: None,
        layers: Vec::new(),
        adapters: Vec::new(),
        post_norm: None,
    })
}

/// Persimmon, whose tensors have `front` before `model.` and `lm_head.`.
fn decoder(config: &Config, dtypes: &dyn Dtypes, front: &str, stage: &'static str) -> Result<Decoder> {
    let width = config.usize("hidden_size", 4096)?;
    let heads = config.usize("num_attention_heads", 64)?;
    let head_dim = divided(config, "num_attention_heads", width, heads)?;
    let shape = Shape {
        front: format!("{front}model"),
        width,
        mlp: config.usize("intermediate_size", 16384)?,
        attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: true, window: None },
        eps: config.f64("layer_norm_eps", 1e-5)? as f32,
        act: activation(config, "hidden_act", "relu2")?,
        normed: config.bool("qk_layernorm", true)?,
    };
    let vocab = config.usize("vocab_size", 262_144)?;
    let table = format!("{front}model.embed_tokens.weight");
    let tied = config.bool("tie_word_embeddings", false)?;
    let head = if tied { table.clone() } else { format!("{front}lm_head.weight") };
    let max_positions = config.usize("max_position_embeddings", 16384)?;
    let count = layer_count(config, "num_hidden_layers", 36)?;
    Ok(Decoder {
        stage,
        table_rows: vocab,
        vocab,
        width,
        dtype: dtypes.of(&table),
        embed_scale: None,
        layers: (0..count).map(|i| Layer::Own(shape.layer(i, dtypes))).collect(),
        norm: Norm::Layer { name: format!("{front}model.final_layernorm"), eps: shape.eps },
        head_scale: None,
        head: Linear { dtype: dtypes.of(&head), weight: head, bias: None, n: vocab, k: width, stack: Vec::new() },
        table,
        rope: llama::rope(config, head_dim, max_positions, RopeDefaults { theta: 25_000.0, partial: 0.5 })?,
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
    act: Act,
    normed: bool,
}

impl Shape {
    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> DecoderLayer {
        let at = format!("{}.layers.{i}", self.front);
        let norm = |name: &str| Norm::Layer { name: format!("{at}.{name}"), eps: self.eps };
        let linear = |name: &str, n, k| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
        };
        DecoderLayer {
            branch_scale: None,
            norm1: norm("input_layernorm"),
            qkv: self.qkv(&at, dtypes),
            attention: self.attention,
            out: linear("self_attn.dense", self.width, self.width),
            norm2: norm("post_attention_layernorm"),
            mlp: Mlp::Plain {
                fc1: linear("mlp.dense_h_to_4h", self.mlp, self.width),
                act: self.act,
                fc2: linear("mlp.dense_4h_to_h", self.width, self.mlp),
            },
        }
    }

    /// One tensor holds query, key and value of head after head.
    fn qkv(&self, at: &str, dtypes: &dyn Dtypes) -> Qkv {
        let fused = format!("{at}.self_attn.query_key_value");
        let dtype = dtypes.of(&format!("{fused}.weight"));
        let unit = self.attention.head_dim;
        if !self.normed {
            let sorted = |name: &str| Part::Sorted { name: &format!("{fused}.{name}"), parts: 3, unit }.to_string();
            let (weight, bias) = (sorted("weight"), Some(sorted("bias")));
            return Qkv::Stacked(Linear { weight, bias, n: 3 * self.width, k: self.width, dtype, stack: Vec::new() });
        }
        let one = |part: usize| {
            let of = |name: &str| Part::Every { name: &format!("{fused}.{name}"), part, parts: 3, unit }.to_string();
            Linear {
                weight: of("weight"),
                bias: Some(of("bias")),
                n: self.width,
                k: self.width,
                dtype,
                stack: Vec::new(),
            }
        };
        let norm = |name: &str| Norm::Layer { name: format!("{at}.self_attn.{name}"), eps: self.eps };
        let (q_norm, k_norm) = (norm("q_layernorm"), norm("k_layernorm"));
        Qkv::Normed(Box::new(NormedQkv { q: one(0), k: one(1), v: one(2), q_norm, k_norm }))
    }
}
