//! Idefics 3 and SmolVLM: the tower of SigLIP, squares of its patches side by side, and one matrix.

use serde_json::json;

use super::{Made, Part, SIGLIP, Text, with};
use crate::Result;

pub(super) fn read(part: &Part<'_>, text: Text) -> Result<Made> {
    part.need(&["v.patch_embd.bias", "v.post_ln.weight"])?;
    part.refuse(&["v.class_embd", "v.pre_ln.weight", "mm.model.fc.bias"])?;
    // The flag of GELU stands for its approximation by tanh, which SigLIP has.
    let act = match part.act()? {
        "gelu" => "gelu_pytorch_tanh",
        other => other,
    };
    let more = json!({
        "layer_norm_eps": part.vision.f64("attention.layer_norm_epsilon", 1e-6)?,
        "hidden_act": act,
    });
    let config = json!({
        "model_type": "idefics3",
        "image_token_id": text.token,
        "pad_token_id": text.config["pad_token_id"],
        "scale_factor": part.scale("projector.scale_factor")?,
        "tie_word_embeddings": text.config["tie_word_embeddings"],
        "text_config": text.config,
        "vision_config": with(part.tower("idefics3_vision")?, more),
    });
    // Tiles are as large as the pictures that the tower was trained with, and four a side where the file says nothing.
    let tile = part.vision.require::<usize>("image_size")?;
    let longest = part.vision.usize("preproc_image_size", tile.saturating_mul(4))?;
    let steps = json!({
        "do_image_splitting": true,
        "do_pad": true,
        "max_image_size": {"longest_edge": tile},
        "size": {"longest_edge": longest},
        "resample": 1,
    });
    Ok(Made { config, preprocessor: with(part.levels("Idefics3ImageProcessor", SIGLIP)?, steps) })
}
