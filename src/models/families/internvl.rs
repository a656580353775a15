//! InternVL (Chen et al. 2024) as transformers saves it: InternViT with layer scale, pixel shuffle, and a decoder of the
//! LLaMA kind. Pictures come in tiles of the trained square, the overview last.

use super::{activation, divided, layer_count, llama, llava, side};
use crate::Result;
use crate::blocks::{EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::VISION_LANGUAGE;
use crate::kernels::Act;
use crate::models::{
    Bridge, Connector, Dtypes, FeatureSelect, Merger, Positions, Projector, PromptForm, Spec, VisionTower,
};

const TOWER: &str = "vision_tower";
const PROJECTOR: &str = "multi_modal_projector";
const LLM: &str = "language_model.";

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let vision = llava::section(config, "vision_config", "{}", "internvl_vision")?;
    let text = llava::section(config, "text_config", r#"{"model_type": "qwen2"}"#, "qwen2")?;
    let tower = tower(&vision, dtypes)?;
    let decoder = llama::decoder(&text, dtypes, LLM, "llm.")?;
    let connector = connector(config, &tower, decoder.width, dtypes)?;
    Ok(Spec {
        vision: Some(tower),
        connector: Some(connector),
        decoder: Some(decoder),
        image_token: Some(config.usize("image_token_id", 151_667)? as u32),
        eos: llama::eos(&text)?,
        pad: llama::pad(config)?.or(llama::pad(&text)?),
        // Where a chat template takes texts alone.
        prompt: PromptForm { picture: ("", "\n"), ..PromptForm::NONE },
        scheme: VISION_LANGUAGE,
        ..Spec::default()
    })
}

fn tower(config: &Config, dtypes: &dyn Dtypes) -> Result<VisionTower> {
    for (path, done) in [("use_absolute_position_embeddings", true), ("use_mask_token", false)] {
        if config.bool(path, done)? != done {
            return Err(config.unsupported(path, format!("{}; {done} is", !done)));
        }
    }
    let width = config.usize("hidden_size", 1024)?;
    let heads = config.usize("num_attention_heads", 16)?;
    let shape = Shape {
        width,
        mlp: config.usize("intermediate_size", 4096)?,
        heads,
        head_dim: divided(config, "num_attention_heads", width, heads)?,
        eps: config.f64("layer_norm_eps", 1e-6)? as f32,
        rms: rms_norms(config)?,
        qk_norm: config.bool("use_qk_norm", false)?,
        act: activation(config, "hidden_act", "gelu")?,
        qkv_bias: config.bool("attention_bias", false)?,
    };
    let (image_size, patch_size) = (side(config, "image_size", 448)?, side(config, "patch_size", 14)?);
    divided(config, "patch_size", image_size - image_size % patch_size.max(1), patch_size)?;
    let patch = format!("{TOWER}.embeddings.patch_embeddings.projection");
    // A tower that pools by the mean has no norm at its end.
    let last = Norm::Layer { name: format!("{TOWER}.layernorm"), eps: shape.eps };
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            weight: format!("{patch}.weight"),
            bias: Some(format!("{patch}.bias")),
            width,
            channels: config.usize("num_channels", 3)?,
            patch: patch_size,
            dtype: dtypes.of(&format!("{patch}.weight")),
        },
        image_size,
        prefix: vec![format!("{TOWER}.embeddings.cls_token")],
        positions: Positions::Table(format!("{TOWER}.embeddings.position_embeddings")),
        order: PatchOrder::ROWS,
        pre_norm: None,
        layers: (0..layer_count(config, "num_hidden_layers", 24)?).map(|i| shape.layer(i, dtypes)).collect(),
        adapters: Vec::new(),
        post_norm: (!config.bool("use_mean_pooling", true)?).then_some(last),
    })
}

/// Whether the norms of a layer are root-mean-square norms.
fn rms_norms(config: &Config) -> Result<bool> {
    match config.string("norm_type", "layer_norm")?.as_str() {
        "layer_norm" => Ok(false),
        "rms_norm" => Ok(true),
        other => Err(config.unsupported("norm_type", format!("`{other}`; layer_norm and rms_norm are"))),
    }
}

struct Shape {
    width: usize,
    mlp: usize,
    heads: usize,
    head_dim: usize,
    eps: f32,
    rms: bool,
    qk_norm: bool,
    act: Act,
    qkv_bias: bool,
}

impl Shape {
    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> EncoderLayer {
        let Self { width, mlp, heads, head_dim, eps, act, .. } = *self;
        let at = format!("{TOWER}.encoder.layer.{i}");
        let norm = |name: &str| {
            let name = format!("{at}.{name}");
            if self.rms { Norm::Rms { name, eps } } else { Norm::Layer { name, eps } }
        };
        let linear = |name: &str, n, k| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
        };
        let qkv = ["q_proj", "k_proj", "v_proj"].map(|p| (format!("{at}.attention.{p}"), width, self.qkv_bias));
        let dtype = dtypes.of(&format!("{}.weight", qkv[0].0));
        let of_rows = |name: &str| Norm::Rms { name: format!("{at}.attention.{name}"), eps: 1e-6 };
        EncoderLayer {
            norm1: norm("layernorm_before"),
            qkv: Linear::stacked(&qkv, width, dtype),
            qk_norm: self.qk_norm.then(|| ["q_norm", "k_norm"].map(of_rows)),
            attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            out: linear("attention.projection_layer", width, width),
            norm2: norm("layernorm_after"),
            mlp: Mlp::Plain { fc1: linear("mlp.fc1", mlp, width), act, fc2: linear("mlp.fc2", width, mlp) },
            scales: Some([1, 2].map(|half| format!("{at}.lambda_{half}"))),
            windowed: false,
        }
    }
}

fn connector(config: &Config, tower: &VisionTower, width: usize, dtypes: &dyn Dtypes) -> Result<Connector> {
    let strategy = config.string("vision_feature_select_strategy", "default")?;
    if strategy != "default" {
        // With its class row a square picture is no square of patches.
        return Err(config.unsupported("vision_feature_select_strategy", format!("`{strategy}`; default is")));
    }
    let ratio = config.f64("downsample_ratio", 0.5)?;
    let factor = (1.0 / ratio) as usize;
    if !(1..=64).contains(&factor) || ratio * factor as f64 != 1.0 {
        return Err(config.unsupported("downsample_ratio", format!("{ratio}; one over a whole number is")));
    }
    let layers = tower.layers.len();
    let path = "vision_feature_layer";
    let chosen: Vec<i64> = config.one_or_list(path)?;
    let select = match chosen[..] {
        // The last state is taken after the tower's end, others as they leave their layers.
        [] | [-1] => vec![layers + 1],
        [_] => llava::feature_layers(config, path, chosen, layers)?,
        _ => return Err(config.unsupported(path, format!("{chosen:?}; one layer is"))),
    };
    let wide = tower.patch.width * factor * factor;
    let linear = |name: &str, k| {
        let name = format!("{PROJECTOR}.{name}");
        (Linear::new(&name, width, k, true, dtypes.of(&format!("{name}.weight"))), None)
    };
    Ok(Connector {
        select: FeatureSelect { layers: select, drop_prefix: true },
        bridge: Bridge::Merger(Merger {
            side: factor,
            norm: None,
            merging: None,
            projector: Projector {
                norm: Some(Norm::Layer { name: format!("{PROJECTOR}.layer_norm"), eps: 1e-5 }),
                layers: vec![linear("linear_1", wide), linear("linear_2", width)],
                act: activation(config, "projector_hidden_act", "gelu")?,
            },
        }),
    })
}
