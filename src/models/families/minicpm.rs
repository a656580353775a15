//! MiniCPM-V 2.0 and 2.6 (Yao et al. 2024) as their own code saves them: SigLIP's tower over slices of any shape, a resampler
//! whose keys have sines and cosines of their places, and MiniCPM's (2.0) or Qwen2's decoder (2.6). And MiniCPM, the
//! decoder alone.

use super::resampler::Stored;
use super::{divided, layer_count, llama, siglip};
use crate::Result;
use crate::blocks::{
    EncoderLayer, KeyPositions, Layer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, Resampler, SelfAttention,
};
use crate::checkpoint::Config;
use crate::kernels::Act;
use crate::models::{Bridge, Connector, Decoder, Dtypes, FeatureSelect, Positions, PromptForm, Spec, VisionTower};

const TOWER: &str = "vpm";
const RESAMPLER: &str = "resampler";
/// Added to the variance by all norms of the resampler and of timm's tower.
const EPS: f32 = 1e-6;

/// How a conversation with 2.0 is written.
const SECOND: PromptForm = PromptForm { user: "<用户>", assistant: "<AI>", ..PromptForm::NONE };
/// With 2.6.
const CHAT: PromptForm = PromptForm {
    system: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    own_system: ("<|im_start|>system\n", "<|im_end|>\n"),
    user: "<|im_start|>user\n",
    picture: ("", ""),
    assistant: "<|im_end|>\n<|im_start|>assistant\n",
    answer: ("", "<|im_end|>\n"),
};

/// SigLIP's towers in timm, by the middle of their names: width, layers, heads, width inside the MLP.
const TIMM: &[(&str, [usize; 4])] =
    &[("vit_base_", [768, 12, 12, 3072]), ("vit_large_", [1024, 24, 16, 4096]), ("vit_so400m_", [1152, 27, 16, 4304])];

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    if config.string("model_type", "")? == "minicpm" {
        let decoder = minicpm(config, dtypes, "", "")?;
        return Ok(Spec { decoder: Some(decoder), eos: ends(config)?, pad: llama::pad(config)?, ..Spec::default() });
    }
    let version = config.optional::<f64>("version")?;
    let second = version.unwrap_or(2.0) < 2.5 && config.has("vision_encoder");
    if !second && version != Some(2.6) {
        let said = version.map_or("without a version or a vision_encoder".to_owned(), |v| v.to_string());
        return Err(config.unsupported("version", format!("{said}; MiniCPM-V 2.0 and 2.6 are")));
    }
    let front = "llm.";
    let (tower, decoder) = if second {
        (timm(config, dtypes)?, minicpm(config, dtypes, front, "llm.")?)
    } else {
        let text = config.clone().with("model_type", "qwen2".into());
        (navit(config, dtypes)?, llama::decoder(&text, dtypes, front, "llm.")?)
    };
    let resampler = resampler(config, (tower.patch.width, decoder.width), second, dtypes)?;
    // What leaves the tower's last norm.
    let select = FeatureSelect { layers: vec![tower.layers.len() + 1], drop_prefix: false };
    Ok(Spec {
        vision: Some(tower),
        connector: Some(Connector { select, bridge: Bridge::Resampler(Box::new(resampler)) }),
        decoder: Some(decoder),
        image_text: Some("<unk>"),
        own_form: true,
        prompt: if second { SECOND } else { CHAT },
        eos: ends(config)?,
        pad: llama::pad(config)?.or(Some(0)),
        ..Spec::default()
    })
}

fn ends(config: &Config) -> Result<Vec<u32>> {
    let listed = llama::eos(config)?;
    Ok(if listed.is_empty() { vec![2] } else { listed })
}

/// MiniCPM: LLaMA's decoder with factors on embeddings, on what layers add, and on what the output layer takes.
fn minicpm(config: &Config, dtypes: &dyn Dtypes, front: &str, stage: &'static str) -> Result<Decoder> {
    let mut text = config.clone().with("model_type", "llama".into());
    if !config.has("tie_word_embeddings") {
        text = text.with("tie_word_embeddings", true.into());
    }
    let mut decoder = llama::decoder(&text, dtypes, front, stage)?;
    let factor = |value: f64| (value != 1.0).then_some(value as f32);
    let depth = config.f64("scale_depth", 1.0)? / (decoder.layers.len().max(1) as f64).sqrt();
    for layer in &mut decoder.layers {
        if let Layer::Own(layer) = layer {
            layer.branch_scale = factor(depth);
        }
    }
    decoder.embed_scale = factor(config.f64("scale_emb", 1.0)?);
    decoder.head_scale = factor(config.f64("dim_model_base", 1.0)? / decoder.width.max(1) as f64);
    Ok(decoder)
}

/// The tower of 2.0: the one of timm's that `vision_encoder` names. A `vision_config` may state other sizes.
fn timm(config: &Config, dtypes: &dyn Dtypes) -> Result<VisionTower> {
    let name = config.string("vision_encoder", "")?;
    let known = TIMM.iter().find(|(start, _)| name.starts_with(start) && name.contains("siglip"));
    let after = |mark: &str| {
        let digits = name.split(mark).nth(1)?.chars().take_while(char::is_ascii_digit).collect::<String>();
        digits.parse::<usize>().ok()
    };
    let (Some((_, [width, layers, heads, mlp])), Some(patch), Some(side)) = (known, after("patch"), after("siglip_"))
    else {
        let reason = format!("`{name}`; timm's towers of SigLIP are");
        return Err(config.unsupported("vision_encoder", reason));
    };
    let empty = || Config::parse(config.file(), b"{}");
    let own = config.section("vision_config")?.map_or_else(empty, Ok)?;
    let width = own.usize("hidden_size", *width)?;
    let heads = own.usize("num_attention_heads", *heads)?;
    let shape = Shape {
        width,
        mlp: own.usize("intermediate_size", *mlp)?,
        attention: SelfAttention {
            heads,
            kv_heads: heads,
            head_dim: divided(&own, "num_attention_heads", width, heads)?,
            causal: false,
            window: None,
        },
    };
    let (side, patch) = (own.usize("image_size", side)?, own.usize("patch_size", patch)?);
    divided(&own, "patch_size", side - side % patch.max(1), patch)?;
    let layers = kept(config, layer_count(&own, "num_hidden_layers", *layers)?)?;
    let weight = format!("{TOWER}.patch_embed.proj.weight");
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            dtype: dtypes.of(&weight),
            weight,
            bias: Some(format!("{TOWER}.patch_embed.proj.bias")),
            width,
            channels: 3,
            patch,
        },
        image_size: side,
        prefix: Vec::new(),
        positions: Positions::Resampled(format!("{TOWER}.pos_embed")),
        order: PatchOrder::ROWS,
        pre_norm: None,
        layers: (0..layers).map(|i| shape.layer(i, dtypes)).collect(),
        adapters: Vec::new(),
        post_norm: Some(Norm::Layer { name: format!("{TOWER}.norm"), eps: EPS }),
    })
}

/// Layers that are left where the last is not used.
fn kept(config: &Config, layers: usize) -> Result<usize> {
    Ok(layers.saturating_sub(usize::from(config.bool("drop_vision_last_layer", true)?)))
}

struct Shape {
    width: usize,
    mlp: usize,
    attention: SelfAttention,
}

impl Shape {
    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> EncoderLayer {
        let at = format!("{TOWER}.blocks.{i}");
        let norm = |name: &str| Norm::Layer { name: format!("{at}.{name}"), eps: EPS };
        let linear = |name: &str, n, k| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
        };
        EncoderLayer {
            norm1: norm("norm1"),
            qkv: linear("attn.qkv", self.width.saturating_mul(3), self.width),
            qk_norm: None,
            attention: self.attention,
            out: linear("attn.proj", self.width, self.width),
            norm2: norm("norm2"),
            mlp: Mlp::Plain {
                fc1: linear("mlp.fc1", self.mlp, self.width),
                act: Act::Gelu,
                fc2: linear("mlp.fc2", self.width, self.mlp),
            },
            scales: None,
            windowed: false,
        }
    }
}

/// The tower of 2.6, as transformers names SigLIP's; patches are placed by parts of height and width.
fn navit(config: &Config, dtypes: &dyn Dtypes) -> Result<VisionTower> {
    let empty = || Config::parse(config.file(), b"{}");
    let own = config.section("vision_config")?.map_or_else(empty, Ok)?;
    let mut tower = siglip::vision_tower(&own, dtypes, TOWER, &siglip::BASE)?;
    tower.layers.truncate(kept(config, tower.layers.len())?);
    let positions = Positions::Fractions(format!("{TOWER}.embeddings.position_embedding.weight"));
    Ok(VisionTower { positions, ..tower })
}

/// `query_num` queries; those of 2.0 have positions of their own.
fn resampler(
    config: &Config,
    (features, width): (usize, usize),
    second: bool,
    dtypes: &dyn Dtypes,
) -> Result<Resampler> {
    let stored = Stored {
        at: RESAMPLER,
        post: &format!("{RESAMPLER}.ln_post"),
        proj: &format!("{RESAMPLER}.proj"),
        queries: ("query_num", config.usize("query_num", 64)?),
        features,
        width: ("hidden_size", width),
    };
    let read = stored.read(config, dtypes)?;
    let positions = if second { read.positions } else { None };
    Ok(Resampler { positions, key_positions: KeyPositions::Fresh, ..read })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::models::UniformDtype;

    fn spec(json: &str) -> Result<Spec> {
        read(&Config::parse("config.json", json.as_bytes())?, &UniformDtype(DType::F32))
    }

    #[test]
    fn published_sizes() {
        let second = spec(
            r#"{"model_type": "minicpmv", "vision_encoder": "vit_so400m_patch14_siglip_384.webli", "hidden_size": 2304,
            "num_attention_heads": 36, "num_hidden_layers": 40, "scale_emb": 12, "scale_depth": 1.4,
            "dim_model_base": 256, "drop_vision_last_layer": true}"#,
        )
        .unwrap();
        let tower = second.vision.unwrap();
        assert_eq!((tower.layers.len(), tower.patch.width, tower.patch.patch, tower.image_size), (26, 1152, 14, 384));
        let decoder = second.decoder.unwrap();
        assert_eq!((decoder.embed_scale, decoder.head_scale), (Some(12.0), Some(1.0 / 9.0)));
        assert_eq!(decoder.head.weight, decoder.table, "MiniCPM's default");
        let Layer::Own(layer) = &decoder.layers[0] else { panic!("looks at pictures") };
        assert!((layer.branch_scale.unwrap() - 0.221_359_43).abs() < 1e-7);
        let sixth = spec(
            r#"{"model_type": "minicpmv", "version": 2.6, "hidden_size": 3584, "num_attention_heads": 28,
            "num_key_value_heads": 4, "query_num": 64, "drop_vision_last_layer": false, "vision_config":
            {"hidden_size": 1152, "image_size": 980, "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14}}"#,
        )
        .unwrap();
        assert_eq!((sixth.vision.unwrap().layers.len(), sixth.image_text), (27, Some("<unk>")));
        assert_eq!(sixth.decoder.unwrap().embed_scale, None);
    }

    #[test]
    fn other_versions_and_towers_are_named() {
        let message = |json: &str| spec(json).unwrap_err().to_string();
        assert!(message(r#"{"version": 4.5}"#).contains("2.0 and 2.6"));
        assert!(message(r#"{"vision_config": {}}"#).contains("2.0 and 2.6"), "2.5");
        let eva = r#"{"vision_encoder": "eva02_enormous_patch14_clip_224.laion2b_plus"}"#;
        assert!(message(eva).contains("SigLIP"));
        assert!(spec(r#"{"version": 2.6, "query_num": 60, "hidden_size": 128}"#).is_err());
        assert!(spec(r#"{"version": 2.6, "hidden_size": 96}"#).is_err());
    }
}
