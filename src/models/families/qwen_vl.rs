//! Qwen2-VL and Qwen2.5-VL (Wang et al. 2024, Bai et al. 2025): pictures of any size, positions turned by row and column,
//! squares of patches merged; in 2.5 most layers see windows. Pictures only: a still picture is shown as equal frames,
//! which is one frame with the patch weights summed.

use super::pixtral::theta;
use super::{activation, divided, layer_count, llama, text_config};
use crate::blocks::{
    AxialFrequencies, AxialRope, EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention,
};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::QWEN_VL;
use crate::kernels::Act;
use crate::models::{
    Bridge, Connector, Dtypes, FeatureSelect, Merger, Positions, Projector, PromptForm, Spec, VisionTower,
};
use crate::{DType, Result};

/// The chat form of both.
const CHAT: PromptForm = PromptForm {
    system: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    own_system: ("<|im_start|>system\n", "<|im_end|>\n"),
    user: "<|im_start|>user\n",
    picture: ("<|vision_start|>", "<|vision_end|>"),
    assistant: "<|im_end|>\n<|im_start|>assistant\n",
    answer: ("", "<|im_end|>\n"),
};

/// The eps that the reference code has in place of an option.
const EPS: f32 = 1e-6;

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let empty = || Config::parse(config.file(), b"{}");
    let vision = config.section("vision_config")?.map_or_else(empty, Ok)?;
    let newer = config.string("model_type", "")? == "qwen2_5_vl";
    let text = text_config(config, if newer { "qwen2_5_vl_text" } else { "qwen2_vl_text" })?;
    let tower = Tower::read(&vision, newer)?;
    let decoder = llama::decoder(&text, dtypes, "", "llm.")?;
    if tower.features != decoder.width {
        let path = if newer { "out_hidden_size" } else { "hidden_size" };
        let reason = format!("{} is not the decoder's width {}", tower.features, decoder.width);
        return Err(vision.broken(path, reason));
    }
    let layers = layer_count(&vision, "depth", 32)?;
    Ok(Spec {
        vision: Some(tower.tower(&vision, layers, dtypes)?),
        connector: Some(tower.connector(layers, dtypes)),
        decoder: Some(decoder),
        image_token: Some(config.usize("image_token_id", 151_655)? as u32),
        eos: llama::eos(&text)?,
        pad: llama::pad(config)?.or(llama::pad(&text)?),
        prompt: CHAT,
        scheme: QWEN_VL,
        ..Spec::default()
    })
}

/// What tower and connector are made of.
struct Tower {
    newer: bool,
    width: usize,
    features: usize,
    mlp: usize,
    act: Act,
    attention: SelfAttention,
    order: PatchOrder,
    /// Layers that see the whole picture.
    whole: Option<Vec<usize>>,
    /// Whether q, k and v, and the frames of a patch, are tensors of their own.
    apart: bool,
}

impl Tower {
    fn read(config: &Config, newer: bool) -> Result<Self> {
        let width = if newer { config.usize("hidden_size", 3584)? } else { config.usize("embed_dim", 1280)? };
        let heads = config.usize("num_heads", 16)?;
        let head_dim = divided(config, "num_heads", width, heads)?;
        if !head_dim.is_multiple_of(4) {
            return Err(config.broken("num_heads", format!("heads of {head_dim} elements, no multiple of 4")));
        }
        let (merge, patch) = (config.usize("spatial_merge_size", 2)?, config.usize("patch_size", 14)?);
        if !(1..=64).contains(&merge) || !(1..=1 << 16).contains(&patch) {
            return Err(config.broken("patch_size", format!("squares of {merge} patches of {patch} pixels")));
        }
        let window = if newer { Some(config.usize("window_size", 112)? / merge / patch) } else { None };
        if window == Some(0) {
            return Err(config.broken("window_size", format!("is less than {merge} patches of {patch} pixels")));
        }
        let mlp = if newer {
            config.usize("intermediate_size", 3420)?
        } else {
            (width as f64 * config.f64("mlp_ratio", 4.0)?) as usize
        };
        let whole = if newer { config.list("fullatt_block_indexes")?.or(Some(vec![7, 15, 23, 31])) } else { None };
        Ok(Self {
            newer,
            width,
            features: config.usize(if newer { "out_hidden_size" } else { "hidden_size" }, 3584)?,
            mlp,
            act: activation(config, "hidden_act", if newer { "silu" } else { "quick_gelu" })?,
            attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            order: PatchOrder { merge, window },
            whole,
            // Not a key of transformers: GGUF's picture parts are so.
            apart: config.bool("stored_apart", false)?,
        })
    }

    fn norm(&self, name: String) -> Norm {
        if self.newer { Norm::Rms { name, eps: EPS } } else { Norm::Layer { name, eps: EPS } }
    }

    fn tower(&self, config: &Config, layers: usize, dtypes: &dyn Dtypes) -> Result<VisionTower> {
        let patch = config.usize("patch_size", 14)?;
        let name = "visual.patch_embed.proj.weight";
        Ok(VisionTower {
            stage: "vision.",
            patch: PatchEmbedding {
                weight: if self.apart { format!("added({name},{name}.1)") } else { format!("frames({name})") },
                bias: None,
                width: self.width,
                channels: config.usize("in_channels", 3)?,
                patch,
                // A sum of two narrow numbers is no narrow number.
                dtype: DType::F32.into(),
            },
            // It has none; a picture of 256 features stands for others in plans.
            image_size: 16 * self.order.merge * patch,
            prefix: Vec::new(),
            positions: Positions::Rotary(AxialRope {
                theta: theta(config, "axial")?,
                head_dim: self.attention.head_dim,
                frequencies: AxialFrequencies::Shared,
                interleaved: false,
            }),
            order: self.order,
            pre_norm: None,
            layers: (0..layers).map(|i| self.layer(i, dtypes)).collect(),
            adapters: Vec::new(),
            post_norm: None,
        })
    }

    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> EncoderLayer {
        let at = format!("visual.blocks.{i}");
        let (width, inner) = (self.width, self.mlp);
        let dtype = |name: &str| dtypes.of(&format!("{at}.{name}.weight"));
        let linear = |name: &str, n, k| Linear::new(&format!("{at}.{name}"), n, k, true, dtype(name));
        let mlp = if self.newer {
            let both = ["gate_proj", "up_proj"].map(|name| (format!("{at}.mlp.{name}"), inner, true));
            let gate_up = Linear::stacked(&both, width, dtype("mlp.gate_proj"));
            Mlp::Gated { gate_up, act: self.act, down: linear("mlp.down_proj", width, inner) }
        } else {
            Mlp::Plain { fc1: linear("mlp.fc1", inner, width), act: self.act, fc2: linear("mlp.fc2", width, inner) }
        };
        let qkv = if self.apart {
            let each = ["q", "k", "v"].map(|name| (format!("{at}.attn.{name}"), width, true));
            Linear::stacked(&each, width, dtype("attn.q"))
        } else {
            linear("attn.qkv", width.saturating_mul(3), width)
        };
        EncoderLayer {
            norm1: self.norm(format!("{at}.norm1")),
            qkv,
            attention: self.attention,
            out: linear("attn.proj", width, width),
            norm2: self.norm(format!("{at}.norm2")),
            mlp,
            scales: None,
            windowed: self.whole.as_ref().is_some_and(|whole| !whole.contains(&i)),
            qk_norm: None,
        }
    }

    fn connector(&self, layers: usize, dtypes: &dyn Dtypes) -> Connector {
        let side = self.order.merge;
        let deep = self.width.saturating_mul(side * side);
        let linear = |name: &str, n| {
            let name = format!("visual.merger.mlp.{name}");
            (Linear::new(&name, n, deep, true, dtypes.of(&format!("{name}.weight"))), None)
        };
        Connector {
            select: FeatureSelect { layers: vec![layers], drop_prefix: false },
            bridge: Bridge::Merger(Merger {
                side,
                norm: Some(self.norm("visual.merger.ln_q".into())),
                merging: None,
                projector: Projector {
                    norm: None,
                    layers: vec![linear("0", deep), linear("2", self.features)],
                    act: Act::Gelu,
                },
            }),
        }
    }
}
