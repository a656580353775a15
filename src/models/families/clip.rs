//! CLIP (Radford et al. 2021): picture and text towers, projections, scores.

use super::{activation, divided, layer_count};
use crate::Result;
use crate::blocks::{EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::CLIP;
use crate::kernels::Act;
use crate::models::{Contrast, Dtypes, Pooler, Pooling, Positions, Spec, TextTower, VisionTower};

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let empty = || Config::parse(config.file(), b"{}");
    let vision = config.section("vision_config")?.map_or_else(empty, Ok)?;
    let text = config.section("text_config")?.map_or_else(empty, Ok)?;
    let tower = vision_tower(&vision, dtypes, "vision_model")?;
    let text = text_tower(&text, dtypes)?;
    let dim = config.usize("projection_dim", 512)?;
    let project = |name: &str, k| Linear::new(name, dim, k, false, dtypes.of(&format!("{name}.weight")));
    let contrast = Contrast {
        dim,
        image: Some(project("visual_projection", tower.patch.width)),
        text: Some(project("text_projection", text.width)),
        logit_scale: "logit_scale".into(),
        logit_bias: None,
    };
    Ok(Spec {
        vision: Some(tower),
        pooler: Some(Pooler::FirstNormed),
        text: Some(text),
        contrast: Some(contrast),
        scheme: CLIP,
        ..Spec::default()
    })
}

/// What an encoder of this kind has where its configuration says nothing.
pub(super) struct Defaults {
    pub width: usize,
    pub mlp: usize,
    pub heads: usize,
    pub eps: f64,
    pub act: &'static str,
    pub patch: usize,
}

const VISION: Defaults = Defaults { width: 768, mlp: 3072, heads: 12, eps: 1e-5, act: "quick_gelu", patch: 32 };
const TEXT: Defaults = Defaults { width: 512, mlp: 2048, heads: 8, ..VISION };

/// Sizes of an encoder whose layers are named as CLIP's.
pub(super) struct Sizes {
    pub width: usize,
    pub mlp: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub eps: f32,
    pub act: Act,
    layers: usize,
}

impl Sizes {
    pub(super) fn read(config: &Config, defaults: &Defaults) -> Result<Self> {
        let width = config.usize("hidden_size", defaults.width)?;
        let heads = config.usize("num_attention_heads", defaults.heads)?;
        Ok(Self {
            width,
            mlp: config.usize("intermediate_size", defaults.mlp)?,
            heads,
            head_dim: divided(config, "num_attention_heads", width, heads)?,
            eps: config.f64("layer_norm_eps", defaults.eps)? as f32,
            act: activation(config, "hidden_act", defaults.act)?,
            layers: layer_count(config, "num_hidden_layers", 12)?,
        })
    }
    pub(super) fn layers(&self, dtypes: &dyn Dtypes, front: &str, causal: bool) -> Vec<EncoderLayer> {
        let Self { width, mlp, heads, head_dim, eps, act, .. } = *self;
        let attention = SelfAttention { heads, kv_heads: heads, head_dim, causal, window: None };
        let layer = |i: usize| {
            let at = format!("{front}.encoder.layers.{i}");
            let norm = |name: &str| Norm::Layer { name: format!("{at}.{name}"), eps };
            let linear = |name: &str, n, k| {
                let name = format!("{at}.{name}");
                Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
            };
            let qkv = ["q_proj", "k_proj", "v_proj"].map(|p| (format!("{at}.self_attn.{p}"), width, true));
            let dtype = dtypes.of(&format!("{}.weight", qkv[0].0));
            EncoderLayer {
                norm1: norm("layer_norm1"),
                qkv: Linear::stacked(&qkv, width, dtype),
                qk_norm: None,
                attention,
                out: linear("self_attn.out_proj", width, width),
                norm2: norm("layer_norm2"),
                mlp: Mlp::Plain { fc1: linear("mlp.fc1", mlp, width), act, fc2: linear("mlp.fc2", width, mlp) },
                scales: None,
                windowed: false,
            }
        };
        (0..self.layers).map(layer).collect()
    }
}

/// The picture tower under `front`, by a `vision_config`.
pub(super) fn vision_tower(config: &Config, dtypes: &dyn Dtypes, front: &str) -> Result<VisionTower> {
    let sizes = Sizes::read(config, &VISION)?;
    let norm = |name: &str| Some(Norm::Layer { name: format!("{front}.{name}"), eps: sizes.eps });
    let weight = format!("{front}.embeddings.patch_embedding.weight");
    let image_size = config.usize("image_size", 224)?;
    let patch = config.usize("patch_size", VISION.patch)?;
    divided(config, "patch_size", image_size - image_size % patch.max(1), patch)?;
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            dtype: dtypes.of(&weight),
            weight,
            bias: None,
            width: sizes.width,
            channels: config.usize("num_channels", 3)?,
            patch,
        },
        image_size,
        prefix: vec![format!("{front}.embeddings.class_embedding")],
        positions: Positions::Table(format!("{front}.embeddings.position_embedding.weight")),
        order: PatchOrder::ROWS,
        pre_norm: norm("pre_layrnorm"),
        layers: sizes.layers(dtypes, front, false),
        adapters: Vec::new(),
        post_norm: norm("post_layernorm"),
    })
}

fn text_tower(config: &Config, dtypes: &dyn Dtypes) -> Result<TextTower> {
    let sizes = Sizes::read(config, &TEXT)?;
    let table = "text_model.embeddings.token_embedding.weight".to_owned();
    let eos = config.usize("eos_token_id", 49407)?;
    Ok(TextTower {
        dtype: dtypes.of(&table),
        table,
        vocab: config.usize("vocab_size", 49408)?,
        width: sizes.width,
        positions: "text_model.embeddings.position_embedding.weight".into(),
        max_positions: config.usize("max_position_embeddings", 77)?,
        layers: sizes.layers(dtypes, "text_model", true),
        post_norm: Norm::Layer { name: "text_model.final_layer_norm".into(), eps: sizes.eps },
        // Checkpoints saved before the id was corrected carry 2 and mean the largest id of the text.
        pooling: if eos == 2 { Pooling::LargestId } else { Pooling::FirstOf(eos as u32) },
        head: None,
        filler: None,
    })
}
