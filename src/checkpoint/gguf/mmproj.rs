//! The picture part of a GGUF checkpoint, a file of its own (`mmproj`): the tower of CLIP and a projector of two layers,
//! as LLaVA 1.5 has them. Keys and tensor names are those of llama.cpp's converters.

use serde_json::{Value, json};

use super::Gguf;
use super::config::File;
use crate::checkpoint::{Config, TensorEntry, clip};
use crate::{Error, Result};

/// The tower takes pictures as its processor made them where the file says nothing.
const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Columns that the projector gives; `None` for a file that is no picture part of a kind that is read.
pub(super) fn width(file: &Gguf) -> Option<usize> {
    rows(file, "mm.2.weight")
}

fn rows(file: &Gguf, name: &str) -> Option<usize> {
    file.tensors.iter().find(|t| t.name == name).and_then(|t| t.shape.first().copied())
}

/// config.json and preprocessor_config.json of the decoder `text` with the pictures of `file`.
///
/// # Errors
/// [`Error::Unsupported`] for another projector, by its type, and for another tower; [`Error::Malformed`] for files that
/// are not of one model.
pub(super) fn files(file: &Gguf, text: Value, tokens: Option<&Vec<Value>>) -> Result<Vec<File>> {
    let all = Config::of_value(file.source.name(), file.metadata.clone())?;
    let architecture = all.string("general.architecture", "")?;
    if architecture != "clip" {
        return Err(
            all.unsupported("general.architecture", format!("`{}`; a picture part is clip", clip(&architecture)))
        );
    }
    let empty = || Config::of_value(all.file(), json!({}));
    let own = all.section("clip")?.map_or_else(empty, Ok)?;
    let vision = own.section("vision")?.map_or_else(empty, Ok)?;
    check_kind(file, &own, &vision)?;
    let (given, taken) = (width(file), text["hidden_size"].as_u64().map(|n| n as usize));
    if given != taken {
        let reason = format!(
            "the projector gives {} columns, the decoder takes {}: they are not of one model",
            given.unwrap_or(0),
            taken.unwrap_or(0)
        );
        return Err(Error::malformed(file.source.name(), reason));
    }
    // A picture's rows stand where this token is; a decoder without it has none of the vocabulary.
    let token = tokens.and_then(|all| all.iter().position(|t| t.as_str() == Some("<image>")));
    let token = token.map(|id| id as u64).or_else(|| text["vocab_size"].as_u64());
    let act = match (own.bool("use_gelu", false)?, own.bool("use_silu", false)?) {
        (true, false) => "gelu",
        (false, true) => "silu",
        (false, false) => "quick_gelu",
        (true, true) => return Err(own.broken("use_silu", "stands beside use_gelu")),
    };
    // The tower ends with the layer whose output the projector takes: writers leave out what comes after it.
    let layers: Vec<i64> = vision.list("feature_layer")?.unwrap_or_default();
    let config = json!({
        "model_type": "llava",
        "image_token_index": token,
        "pad_token_id": text["pad_token_id"],
        "projector_hidden_act": "gelu",
        "projector_hidden_size": rows(file, "mm.0.weight"),
        "multimodal_projector_bias": has(file, "mm.0.bias"),
        "vision_feature_layer": if layers.is_empty() { json!(-1) } else { json!(layers) },
        "vision_feature_select_strategy": "default",
        "text_config": text,
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": vision.require::<usize>("embedding_length")?,
            "intermediate_size": vision.require::<usize>("feed_forward_length")?,
            "num_hidden_layers": vision.require::<usize>("block_count")?,
            "num_attention_heads": vision.require::<usize>("attention.head_count")?,
            "layer_norm_eps": vision.f64("attention.layer_norm_epsilon", 1e-5)?,
            "image_size": vision.require::<usize>("image_size")?,
            "patch_size": vision.require::<usize>("patch_size")?,
            "hidden_act": act,
        },
    });
    Ok(vec![("config.json", config), ("preprocessor_config.json", preprocessor(&vision)?)])
}

fn has(file: &Gguf, name: &str) -> bool {
    file.tensors.iter().any(|t| t.name == name)
}

/// Refuses what is read otherwise or not at all.
fn check_kind(file: &Gguf, own: &Config, vision: &Config) -> Result<()> {
    let stated = own.optional::<String>("projector_type")?.or(vision.optional("projector_type")?);
    let kind = stated.unwrap_or_else(|| "mlp".to_owned());
    if kind != "mlp" {
        return Err(own.unsupported("projector_type", format!("`{}`; mlp, that of LLaVA 1.5, is", clip(&kind))));
    }
    if !own.bool("has_vision_encoder", true)? {
        return Err(own.unsupported("has_vision_encoder", "a part without a picture tower"));
    }
    let merge = vision.string("mm_patch_merge_type", "flat")?;
    if merge != "flat" {
        return Err(vision.unsupported("mm_patch_merge_type", format!("`{}`; flat is", clip(&merge))));
    }
    let refuse = |tensor: &str, reason: &str| {
        Err(Error::unsupported(format!("{}: tensor `{tensor}`", file.source.name()), reason))
    };
    for tensor in ["v.class_embd", "v.pre_ln.weight", "mm.0.weight", "mm.2.weight"] {
        if !has(file, tensor) {
            return refuse(tensor, "is missing; towers of CLIP with a projector of two layers are read");
        }
    }
    for tensor in ["v.post_ln.weight", "v.patch_embd.bias"] {
        if has(file, tensor) {
            return refuse(tensor, "is of another tower than LLaVA's");
        }
    }
    Ok(())
}

/// What is done to a picture: padded to a square, as llama.cpp does with these files and LLaVA 1.5 was trained with.
fn preprocessor(vision: &Config) -> Result<Value> {
    let three = |key: &str, default: [f64; 3]| -> Result<Vec<f64>> {
        let given: Vec<f64> = vision.list(key)?.unwrap_or_else(|| default.to_vec());
        if given.len() == 3 { Ok(given) } else { Err(vision.broken(key, format!("{} numbers, not 3", given.len()))) }
    };
    let side = vision.require::<usize>("image_size")?;
    Ok(json!({
        "image_processor_type": "LlavaImageProcessor",
        "do_pad": true,
        "do_resize": true,
        "size": {"shortest_edge": side},
        "do_center_crop": true,
        "crop_size": {"height": side, "width": side},
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": three("image_mean", MEAN)?,
        "image_std": three("image_std", STD)?,
        "do_convert_rgb": true,
        "resample": 3,
    }))
}

/// Gives the two matrices of the tower's MLPs the names of what they do: older writers call the first `ffn_down`.
pub(super) fn straighten(tensors: &mut [TensorEntry]) {
    let outputs = |e: &TensorEntry| e.shape.first().copied();
    let first_is_down = {
        let of = |name: &str| tensors.iter().find(|e| e.name == name);
        // The first gives more columns than it takes; its bias is as long as its rows are many.
        match (of("v.blk.0.ffn_down.weight"), of("v.blk.0.ln1.weight").and_then(outputs)) {
            (Some(down), Some(width)) => down.shape.len() == 2 && down.shape[1] == width && down.shape[0] != width,
            _ => false,
        }
    };
    if !first_is_down {
        return;
    }
    for entry in tensors.iter_mut().filter(|e| e.name.starts_with("v.blk.")) {
        entry.name = match entry.name.split_once(".ffn_down.") {
            Some((front, rest)) => format!("{front}.ffn_up.{rest}"),
            None => entry.name.replacen(".ffn_up.", ".ffn_down.", 1),
        };
    }
}
