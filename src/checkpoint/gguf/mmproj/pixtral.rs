//! Pixtral and Mistral Small 3.1: a tower for pictures of any size, squares of its patches merged by a matrix in the latter,
//! and a projector of two layers.

use serde_json::{Value, json};

use super::{CLIP, Made, Part, Text, rows, with};
use crate::Result;

pub(super) fn read(part: &Part<'_>, text: Text) -> Result<Made> {
    part.need(&["v.pre_ln.weight", "v.blk.0.ffn_gate.weight", "mm.1.weight"])?;
    part.refuse(&["v.class_embd", "v.patch_embd.bias", "v.position_embd.weight"])?;
    let merge = if part.has("mm.patch_merger.weight") { Some(part.scale("spatial_merge_size")?) } else { None };
    let patch = part.vision.require::<usize>("patch_size")?;
    let longest = part.vision.require::<usize>("image_size")?;
    let more = json!({
        "hidden_act": part.act()?,
        "rope_theta": part.own.f64("rope.freq_base", 10_000.0)?,
        // Rows of q and k are permuted for pairs of neighbours, as the decoder's are.
        "rope_interleaved": true,
    });
    let config = json!({
        "image_token_index": text.token,
        "pad_token_id": text.config["pad_token_id"],
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": part.has("mm.1.bias"),
        "vision_feature_layer": -1,
        "text_config": text.config,
        "vision_config": with(part.tower("pixtral")?, more),
    });
    let kind: Value = match merge {
        Some(merge) => json!({"model_type": "mistral3", "spatial_merge_size": merge}),
        None => json!({
            "model_type": "llava",
            "projector_hidden_size": rows(part.file, "mm.1.weight"),
            "vision_feature_select_strategy": "full",
        }),
    };
    let steps = json!({
        "patch_size": {"height": patch, "width": patch},
        "size": {"longest_edge": longest},
        "resample": 3,
    });
    Ok(Made { config: with(kind, config), preprocessor: with(part.levels("PixtralImageProcessor", CLIP)?, steps) })
}
