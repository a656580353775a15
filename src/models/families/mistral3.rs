//! Mistral 3 (Mistral Small 3.1): the tower of Pixtral, squares of its patches merged by a layer of their own, a
//! projector, Mistral's decoder.

use super::{activation, llama, llava, pixtral};
use crate::Result;
use crate::blocks::{Linear, Norm};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::VISION_LANGUAGE;
use crate::models::{Bridge, Connector, Dtypes, FeatureSelect, Merger, Projector, Spec, VisionTower};

const PROJECTOR: &str = "multi_modal_projector";

/// What a configuration without these sections means.
const VISION: &str = r#"{"intermediate_size": 4096, "hidden_size": 1024, "patch_size": 14, "image_size": 1540,
    "num_hidden_layers": 24, "num_attention_heads": 16, "hidden_act": "gelu", "model_type": "pixtral"}"#;
const TEXT: &str = r#"{"head_dim": 128, "hidden_act": "silu", "hidden_size": 5120, "intermediate_size": 32768,
    "max_position_embeddings": 131072, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 40,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "rope_theta": 1000000000.0, "sliding_window": null,
    "vocab_size": 131072}"#;

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let vision = llava::section(config, "vision_config", VISION, "pixtral")?;
    let text = llava::section(config, "text_config", TEXT, "mistral")?;
    let kind = vision.string("model_type", "pixtral")?;
    if kind != "pixtral" {
        return Err(vision.unsupported("model_type", format!("`{kind}`; pixtral is")));
    }
    let tower = pixtral::vision_tower(&vision, dtypes, "vision_tower")?;
    let decoder = llama::decoder(&text, dtypes, "language_model.", "llm.")?;
    let eps = text.f64("rms_norm_eps", 1e-6)? as f32;
    let connector = connector(config, &tower, (decoder.width, eps), dtypes)?;
    let image = config.usize("image_token_index", config.usize("image_token_id", 10)?)?;
    Ok(Spec {
        vision: Some(tower),
        connector: Some(connector),
        decoder: Some(decoder),
        image_token: Some(image as u32),
        eos: llama::eos(&text)?,
        pad: llama::pad(config)?.or(llama::pad(&text)?),
        prompt: pixtral::INSTRUCT,
        scheme: VISION_LANGUAGE,
        ..Spec::default()
    })
}

fn connector(
    config: &Config,
    tower: &VisionTower,
    (width, eps): (usize, f32),
    dtypes: &dyn Dtypes,
) -> Result<Connector> {
    let chosen: Vec<i64> = config.one_or_list("vision_feature_layer")?;
    let chosen = if chosen.is_empty() { vec![-1] } else { chosen };
    let layers = llava::feature_layers(config, "vision_feature_layer", chosen, tower.layers.len())?;
    if layers.len() != 1 {
        return Err(config.unsupported("vision_feature_layer", format!("{} layers; one is", layers.len())));
    }
    let side = config.usize("spatial_merge_size", 2)?;
    if !(1..=64).contains(&side) {
        return Err(config.broken("spatial_merge_size", format!("squares of {side} patches a side")));
    }
    let bias = config.bool("multimodal_projector_bias", false)?;
    let linear = |name: &str, n, k, bias| {
        let name = format!("{PROJECTOR}.{name}");
        Linear::new(&name, n, k, bias, dtypes.of(&format!("{name}.weight")))
    };
    let deep = tower.patch.width;
    Ok(Connector {
        select: FeatureSelect { layers, drop_prefix: false },
        bridge: Bridge::Merger(Merger {
            side,
            norm: Some(Norm::Rms { name: format!("{PROJECTOR}.norm"), eps }),
            merging: Some(linear("patch_merger.merging_layer", deep, deep.saturating_mul(side * side), false)),
            projector: Projector {
                norm: None,
                layers: vec![
                    (linear("linear_1", width, deep, bias), None),
                    (linear("linear_2", width, width, bias), None),
                ],
                act: activation(config, "projector_hidden_act", "gelu")?,
            },
        }),
    })
}
