//! SigLIP (Zhai et al. 2023): picture and text towers without class rows, pooling by attention, scores with a bias.
//! Its picture tower is also that of LLaVA-OneVision, and with other positions that of Idefics 2 and 3.

use super::clip::{Defaults, Sizes};
use super::{divided, side};
use crate::Result;
use crate::blocks::{AttentionPool, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::CLIP;
use crate::models::{Contrast, Dtypes, Pooler, Pooling, Positions, Spec, TextTower, VisionTower};

/// Both towers of SigLIP base.
pub(super) const BASE: Defaults =
    Defaults { width: 768, mlp: 3072, heads: 12, eps: 1e-6, act: "gelu_pytorch_tanh", patch: 16 };

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let empty = || Config::parse(config.file(), b"{}");
    let vision = config.section("vision_config")?.map_or_else(empty, Ok)?;
    let text = config.section("text_config")?.map_or_else(empty, Ok)?;
    if !vision.bool("vision_use_head", true)? {
        let reason = "false; a tower without its head has no picture embeddings";
        return Err(vision.unsupported("vision_use_head", reason));
    }
    let tower = vision_tower(&vision, dtypes, "vision_model", &BASE)?;
    let pool = attention_pool(&Sizes::read(&vision, &BASE)?, dtypes, "vision_model.head");
    let text = text_tower(&text, dtypes)?;
    let dim = text.head.as_ref().map_or(text.width, |head| head.n);
    if dim != tower.patch.width {
        let reason = format!("{dim}; pictures have {}", tower.patch.width);
        return Err(config.broken("text_config.projection_size", reason));
    }
    let contrast = Contrast {
        dim,
        image: None,
        text: None,
        logit_scale: "logit_scale".into(),
        logit_bias: Some("logit_bias".into()),
    };
    Ok(Spec {
        vision: Some(tower),
        pooler: Some(Pooler::Attention(Box::new(pool))),
        text: Some(text),
        contrast: Some(contrast),
        scheme: CLIP,
        ..Spec::default()
    })
}

/// The picture tower under `front`, by a `vision_config`.
pub(super) fn vision_tower(
    config: &Config,
    dtypes: &dyn Dtypes,
    front: &str,
    defaults: &Defaults,
) -> Result<VisionTower> {
    let sizes = Sizes::read(config, defaults)?;
    let patch = format!("{front}.embeddings.patch_embedding");
    let (image_size, patch_size) = (side(config, "image_size", 224)?, side(config, "patch_size", defaults.patch)?);
    divided(config, "patch_size", image_size - image_size % patch_size.max(1), patch_size)?;
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            weight: format!("{patch}.weight"),
            bias: Some(format!("{patch}.bias")),
            width: sizes.width,
            channels: config.usize("num_channels", 3)?,
            patch: patch_size,
            dtype: dtypes.of(&format!("{patch}.weight")),
        },
        image_size,
        prefix: Vec::new(),
        positions: Positions::Table(format!("{front}.embeddings.position_embedding.weight")),
        order: PatchOrder::ROWS,
        pre_norm: None,
        layers: sizes.layers(dtypes, front, false),
        adapters: Vec::new(),
        post_norm: Some(Norm::Layer { name: format!("{front}.post_layernorm"), eps: sizes.eps }),
    })
}

/// The pooling head; its projections are one tensor, as torch's `MultiheadAttention` keeps them.
fn attention_pool(sizes: &Sizes, dtypes: &dyn Dtypes, front: &str) -> AttentionPool {
    let Sizes { width, mlp, heads, head_dim, eps, act, .. } = *sizes;
    let linear = |name: &str, n, k| {
        let name = format!("{front}.{name}");
        Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
    };
    let qkv = format!("{front}.attention.in_proj_weight");
    AttentionPool {
        probe: format!("{front}.probe"),
        qkv: Linear {
            dtype: dtypes.of(&qkv),
            weight: qkv,
            bias: Some(format!("{front}.attention.in_proj_bias")),
            n: 3 * width,
            k: width,
            stack: Vec::new(),
        },
        attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
        out: linear("attention.out_proj", width, width),
        norm: Norm::Layer { name: format!("{front}.layernorm"), eps },
        mlp: Mlp::Plain { fc1: linear("mlp.fc1", mlp, width), act, fc2: linear("mlp.fc2", width, mlp) },
    }
}

fn text_tower(config: &Config, dtypes: &dyn Dtypes) -> Result<TextTower> {
    let sizes = Sizes::read(config, &BASE)?;
    let table = "text_model.embeddings.token_embedding.weight".to_owned();
    let dim = config.usize("projection_size", sizes.width)?;
    Ok(TextTower {
        dtype: dtypes.of(&table),
        table,
        vocab: config.usize("vocab_size", 32000)?,
        width: sizes.width,
        positions: "text_model.embeddings.position_embedding.weight".into(),
        max_positions: config.usize("max_position_embeddings", 64)?,
        layers: sizes.layers(dtypes, "text_model", false),
        post_norm: Norm::Layer { name: "text_model.final_layer_norm".into(), eps: sizes.eps },
        pooling: Pooling::Last,
        head: Some(Linear::new("text_model.head", dim, sizes.width, true, dtypes.of("text_model.head.weight"))),
        filler: Some(config.usize("pad_token_id", 1)? as u32),
    })
}
