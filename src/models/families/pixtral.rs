//! The tower of Pixtral (Mistral AI 2024), used by LLaVA's net in Pixtral 12B and by Mistral 3: pictures of any size,
//! positions turned by row and column, RMS norms, gated MLPs, no biases.

use super::{activation, divided, layer_count};
use crate::Result;
use crate::blocks::{
    AxialFrequencies, AxialRope, EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention,
};
use crate::checkpoint::Config;
use crate::kernels::Act;
use crate::models::{Dtypes, Positions, PromptForm, VisionTower};

/// Mistral's instructions, a picture in place.
pub(super) const INSTRUCT: PromptForm = PromptForm {
    system: "",
    own_system: ("", " "),
    user: "[INST]",
    picture: ("", ""),
    assistant: "[/INST]",
    answer: ("", "</s>"),
};

/// The eps that the reference code has in place of an option.
const EPS: f32 = 1e-5;

/// The picture tower under `front`, by a `vision_config`.
pub(super) fn vision_tower(config: &Config, dtypes: &dyn Dtypes, front: &str) -> Result<VisionTower> {
    let width = config.usize("hidden_size", 1024)?;
    let heads = config.usize("num_attention_heads", 16)?;
    let mlp = config.usize("intermediate_size", 4096)?;
    let head_dim = divided(config, "num_attention_heads", width, heads)?;
    if !head_dim.is_multiple_of(2) {
        return Err(config.broken("num_attention_heads", format!("heads of {head_dim} elements, an odd number")));
    }
    let layers = Layers {
        front,
        width,
        mlp,
        attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
        act: activation(config, "hidden_act", "gelu")?,
    };
    let weight = format!("{front}.patch_conv.weight");
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            dtype: dtypes.of(&weight),
            weight,
            bias: None,
            width,
            channels: config.usize("num_channels", 3)?,
            patch: patch_size(config)?,
        },
        image_size: config.usize("image_size", 1024)?,
        prefix: Vec::new(),
        positions: Positions::Rotary(AxialRope {
            theta: theta(config, "axial")?,
            head_dim,
            frequencies: AxialFrequencies::Alternating,
            // Not a key of transformers: GGUF's picture parts are so.
            interleaved: config.bool("rope_interleaved", false)?,
        }),
        order: PatchOrder::ROWS,
        pre_norm: Some(layers.norm("ln_pre")),
        layers: (0..layer_count(config, "num_hidden_layers", 24)?).map(|i| layers.layer(i, dtypes)).collect(),
        adapters: Vec::new(),
        post_norm: None,
    })
}

/// What all layers share.
struct Layers<'f> {
    front: &'f str,
    width: usize,
    mlp: usize,
    attention: SelfAttention,
    act: Act,
}

impl Layers<'_> {
    fn norm(&self, name: &str) -> Norm {
        Norm::Rms { name: format!("{}.{name}", self.front), eps: EPS }
    }
    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> EncoderLayer {
        let Self { front, width, mlp, .. } = *self;
        let at = format!("transformer.layers.{i}");
        let stacked = |names: &[&str], n: usize, k: usize| {
            let list: Vec<_> = names.iter().map(|name| (format!("{front}.{at}.{name}"), n, false)).collect();
            Linear::stacked(&list, k, dtypes.of(&format!("{}.weight", list[0].0)))
        };
        EncoderLayer {
            norm1: self.norm(&format!("{at}.attention_norm")),
            qkv: stacked(&["attention.q_proj", "attention.k_proj", "attention.v_proj"], width, width),
            qk_norm: None,
            attention: self.attention,
            out: stacked(&["attention.o_proj"], width, width),
            norm2: self.norm(&format!("{at}.ffn_norm")),
            mlp: Mlp::Gated {
                gate_up: stacked(&["feed_forward.gate_proj", "feed_forward.up_proj"], mlp, width),
                act: self.act,
                down: stacked(&["feed_forward.down_proj"], width, mlp),
            },
            scales: None,
            windowed: false,
        }
    }
}

fn patch_size(config: &Config) -> Result<usize> {
    match config.usize("patch_size", 16)? {
        0 => Err(config.broken("patch_size", "patches of no pixels")),
        patch => Ok(patch),
    }
}

/// `rope_theta`, or `rope_parameters` with a type that a tower has: `default` in transformers 4, `kind` in 5.
pub(super) fn theta(config: &Config, kind: &str) -> Result<f32> {
    let Some(section) = config.section("rope_parameters")? else {
        return Ok(config.f64("rope_theta", 10_000.0)? as f32);
    };
    match section.string("rope_type", kind)? {
        name if name == kind || name == "default" => Ok(section.f64("rope_theta", 10_000.0)? as f32),
        other => Err(section.unsupported("rope_type", format!("`{other}`; {kind} and default are"))),
    }
}
