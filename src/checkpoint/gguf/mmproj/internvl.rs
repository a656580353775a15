//! InternVL: InternViT with gains behind its layers, squares of its patches side by side, and a projector of two layers.

use serde_json::json;

use super::{IMAGENET, Made, Part, Text, with};
use crate::Result;

pub(super) fn read(part: &Part<'_>, text: Text) -> Result<Made> {
    part.need(&["v.class_embd", "v.patch_embd.bias", "v.blk.0.ls1.weight", "mm.model.mlp.0.weight"])?;
    part.refuse(&["v.pre_ln.weight"])?;
    // What else there is of InternViT is told by its tensors: root-mean-square norms have no bias.
    let rms = !part.has("v.blk.0.ln1.bias");
    let more = json!({
        "layer_norm_eps": part.vision.f64("attention.layer_norm_epsilon", 1e-6)?,
        "hidden_act": part.act()?,
        "norm_type": if rms { "rms_norm" } else { "layer_norm" },
        "use_qk_norm": part.has("v.blk.0.attn_q_norm.weight"),
        "attention_bias": part.has("v.blk.0.attn_q.bias"),
        "use_mean_pooling": !part.has("v.post_ln.weight"),
    });
    let config = json!({
        "model_type": "internvl",
        "image_token_id": text.token,
        "pad_token_id": text.config["pad_token_id"],
        "downsample_ratio": 1.0 / part.scale("projector.scale_factor")? as f64,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "text_config": text.config,
        "vision_config": with(part.tower("internvl_vision")?, more),
    });
    let side = part.vision.require::<usize>("image_size")?;
    let steps = json!({
        "crop_to_patches": true,
        "min_patches": part.vision.usize("preproc_min_tiles", 1)?,
        "max_patches": part.vision.usize("preproc_max_tiles", 12)?,
        "size": {"height": side, "width": side},
        "resample": 3,
    });
    Ok(Made { config, preprocessor: with(part.levels("GotOcr2ImageProcessor", IMAGENET)?, steps) })
}
