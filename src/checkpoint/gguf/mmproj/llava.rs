//! LLaVA 1.5 and LLaVA-NeXT (1.6): the tower of CLIP and a projector of two layers; the latter sees tiles, and a learned
//! vector stands behind each row of their map.

use serde_json::{Value, json};

use super::{CLIP, Made, Part, Text, clip, rows, with};
use crate::Result;

pub(super) fn read(part: &Part<'_>, text: Text) -> Result<Made> {
    let tiles = check(part)?;
    // A picture's rows stand where this token is; a decoder without it has none of the vocabulary.
    let token = text.token.map_or(text.config["vocab_size"].clone(), |id| json!(id));
    // The tower ends with the layer whose output the projector takes: writers leave out what comes after it.
    let layers: Vec<i64> = part.vision.list("feature_layer")?.unwrap_or_default();
    let more = json!({
        "layer_norm_eps": part.vision.f64("attention.layer_norm_epsilon", 1e-5)?,
        "hidden_act": part.act()?,
    });
    let config = json!({
        "model_type": if tiles { "llava_next" } else { "llava" },
        "image_token_index": token,
        "pad_token_id": text.config["pad_token_id"],
        "projector_hidden_act": "gelu",
        "projector_hidden_size": rows(part.file, "mm.0.weight"),
        "multimodal_projector_bias": part.has("mm.0.bias"),
        "vision_feature_layer": if layers.is_empty() { json!(-1) } else { json!(layers) },
        "vision_feature_select_strategy": "default",
        "text_config": text.config,
        "vision_config": with(part.tower("clip_vision_model")?, more),
    });
    let side = part.vision.require::<usize>("image_size")?;
    let steps = json!({
        "do_pad": true,
        "size": {"shortest_edge": side},
        "do_center_crop": true,
        "crop_size": {"height": side, "width": side},
        "resample": 3,
    });
    // A single picture is padded to a square, as llama.cpp does with these files and LLaVA 1.5 was trained with.
    let levels = part.levels(if tiles { "LlavaNextImageProcessor" } else { "LlavaImageProcessor" }, CLIP)?;
    let canvases = if tiles { canvases(part)? } else { json!({}) };
    Ok(Made { config, preprocessor: with(with(levels, steps), canvases) })
}

const CANVASES: &str = "image_grid_pinpoints";

/// Whether pictures are cut into tiles. Refuses what is read otherwise or not at all.
fn check(part: &Part<'_>) -> Result<bool> {
    part.need(&["v.class_embd", "v.pre_ln.weight", "mm.0.weight"])?;
    part.refuse(&["v.post_ln.weight", "v.patch_embd.bias"])?;
    let newlines = ["model.image_newline", "v.image_newline"];
    match part.vision.string("mm_patch_merge_type", "flat")?.as_str() {
        "flat" if part.vision.has(CANVASES) => {
            Err(part.vision.unsupported(CANVASES, "tiles whose rows are put one behind the other; spatial_unpad is"))
        }
        "flat" => Ok(false),
        "spatial_unpad" if newlines.iter().any(|name| part.has(name)) => Ok(true),
        "spatial_unpad" => part.need(&newlines[..1]).map(|()| true),
        other => {
            let reason = format!("`{}`; flat and spatial_unpad are", clip(other));
            Err(part.vision.unsupported("mm_patch_merge_type", reason))
        }
    }
}

/// The canvases that pictures are laid on: widths and heights in turn here, pairs of height and width there. Those of
/// LLaVA 1.6 where the file says nothing.
fn canvases(part: &Part<'_>) -> Result<Value> {
    let Some(list) = part.vision.list::<usize>(CANVASES)? else { return Ok(json!({})) };
    let (pairs, []) = list.as_chunks::<2>() else {
        return Err(part.vision.broken(CANVASES, format!("{} numbers are no pairs", list.len())));
    };
    let pairs: Vec<[usize; 2]> = pairs.iter().map(|[width, height]| [*height, *width]).collect();
    Ok(json!({ CANVASES: pairs }))
}
