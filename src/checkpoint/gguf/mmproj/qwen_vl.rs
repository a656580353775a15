//! Qwen2-VL and Qwen2.5-VL: a tower for pictures of any size, squares of its patches side by side, and two layers.

use serde_json::{Value, json};

use super::{CLIP, Made, Part, Text, rows, with};
use crate::Result;

/// Most layers whose windows are listed; no tower has more.
const MAX_LAYERS: usize = 1000;

/// Qwen2-VL.
pub(super) fn second(part: &Part<'_>, text: Text) -> Result<Made> {
    part.refuse(&["v.blk.0.ffn_gate.weight"])?;
    let (width, inner) = sizes(part)?;
    let vision = json!({
        "model_type": "qwen2_vl",
        "embed_dim": width,
        "hidden_size": text.config["hidden_size"],
        // A little more, for it is rounded down where it is read.
        "mlp_ratio": (inner as f64 + 0.25) / width as f64,
        "hidden_act": part.act()?,
    });
    made(part, text, "qwen2_vl", vision)
}

/// Qwen2.5-VL: most layers see windows, each `n_wa_pattern`-th the whole picture.
pub(super) fn newer(part: &Part<'_>, text: Text) -> Result<Made> {
    part.need(&["v.blk.0.ffn_gate.weight"])?;
    let (width, inner) = sizes(part)?;
    let layers = part.vision.require::<usize>("block_count")?;
    let pattern = part.vision.require::<usize>("n_wa_pattern")?;
    let whole: Vec<usize> =
        (0..layers.min(MAX_LAYERS)).filter(|i| pattern == 0 || (i + 1).is_multiple_of(pattern)).collect();
    let vision = json!({
        "model_type": "qwen2_5_vl",
        "hidden_size": width,
        "out_hidden_size": text.config["hidden_size"],
        "intermediate_size": inner,
        "hidden_act": part.act()?,
        "fullatt_block_indexes": whole,
        "window_size": part.vision.usize("window_size", 112)?,
    });
    made(part, text, "qwen2_5_vl", vision)
}

/// Width of the tower and of what is inside its MLPs. The latter is not as stated in parts of Qwen2-VL: writers put the
/// decoder's width there, or 0.
fn sizes(part: &Part<'_>) -> Result<(usize, usize)> {
    part.need(&["v.patch_embd.weight.1", "v.blk.0.attn_q.weight", "v.post_ln.weight", "mm.0.weight"])?;
    // Old writers put a table of zeros into `v.position_embd.weight`, which nothing looks at.
    part.refuse(&["v.class_embd", "v.pre_ln.weight"])?;
    let width: usize = part.vision.require("embedding_length")?;
    // Older writers call the first matrix `ffn_down`.
    let both = ["v.blk.0.ffn_up.weight", "v.blk.0.ffn_down.weight"].map(|name| rows(part.file, name));
    let inner = both.into_iter().flatten().find(|rows| *rows != width);
    if width == 0 {
        return Err(part.vision.broken("embedding_length", "is 0"));
    }
    Ok((width, inner.unwrap_or(width)))
}

fn made(part: &Part<'_>, mut text: Text, model_type: &str, vision: Value) -> Result<Made> {
    text.config["model_type"] = json!(format!("{model_type}_text"));
    let (patch, merge) = (part.vision.require::<usize>("patch_size")?, part.scale("spatial_merge_size")?);
    let more = json!({
        "depth": part.vision.require::<usize>("block_count")?,
        "num_heads": part.vision.require::<usize>("attention.head_count")?,
        "patch_size": patch,
        "spatial_merge_size": merge,
        "stored_apart": true,
    });
    let config = json!({
        "model_type": model_type,
        "image_token_id": text.token,
        "pad_token_id": text.config["pad_token_id"],
        "tie_word_embeddings": text.config["tie_word_embeddings"],
        "text_config": text.config,
        "vision_config": with(vision, more),
    });
    // Sizes are those of the published checkpoints where the file says nothing.
    let steps = json!({
        "patch_size": patch,
        "temporal_patch_size": 2,
        "merge_size": merge,
        "min_pixels": part.vision.usize("image_min_pixels", 56 * 56)?,
        "max_pixels": part.vision.usize("image_max_pixels", 28 * 28 * 16_384)?,
        "resample": 3,
    });
    Ok(Made { config, preprocessor: with(part.levels("Qwen2VLImageProcessor", CLIP)?, steps) })
}
