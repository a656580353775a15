//! Name schemes: every known layout of a model gives the same canonical names.

use std::collections::BTreeMap;

use super::*;
use crate::DType;
use crate::checkpoint::schemes::{ALL, CLIP, DECODER, QWEN_VL, VISION_LANGUAGE, VIT};

fn with_names(names: &[&str]) -> Checkpoint {
    let tensors: Vec<_> =
        names.iter().map(|name| TensorBytes { name, dtype: DType::U8, shape: &[1], bytes: &[1] }).collect();
    open_bytes(&encode_safetensors(&tensors, &Default::default()).unwrap()).unwrap()
}

fn canonical(scheme: &Scheme, names: &[&str]) -> Vec<String> {
    with_names(names).canonical(scheme).unwrap().names().map(str::to_owned).collect()
}

const LLAVA: [&str; 9] = [
    "language_model.lm_head.weight",
    "language_model.model.embed_tokens.weight",
    "language_model.model.layers.0.self_attn.q_proj.weight",
    "language_model.model.norm.weight",
    "multi_modal_projector.linear_1.weight",
    "multi_modal_projector.linear_2.bias",
    "vision_tower.vision_model.embeddings.class_embedding",
    "vision_tower.vision_model.encoder.layers.0.layer_norm1.bias",
    "vision_tower.vision_model.pre_layrnorm.weight",
];

#[test]
fn llava_layouts() {
    let later = [
        "lm_head.weight",
        "model.language_model.embed_tokens.weight",
        "model.language_model.layers.0.self_attn.q_proj.weight",
        "model.language_model.norm.weight",
        "model.multi_modal_projector.linear_1.weight",
        "model.multi_modal_projector.linear_2.bias",
        "model.vision_tower.vision_model.embeddings.class_embedding",
        "model.vision_tower.vision_model.encoder.layers.0.layer_norm1.bias",
        "model.vision_tower.vision_model.pre_layrnorm.weight",
    ];
    let original = [
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.norm.weight",
        "model.mm_projector.0.weight",
        "model.mm_projector.2.bias",
        "model.vision_tower.vision_tower.vision_model.embeddings.class_embedding",
        "model.vision_tower.vision_tower.vision_model.encoder.layers.0.layer_norm1.bias",
        "model.vision_tower.vision_tower.vision_model.pre_layrnorm.weight",
    ];
    let flat = later.map(|name| name.replace("vision_tower.vision_model.", "vision_tower."));
    let hub_flat = LLAVA.map(|name| name.replace("vision_tower.vision_model.", "vision_tower."));
    let bare = LLAVA.map(|name| name.replace("language_model.model.", "language_model."));
    for names in [LLAVA, later, original] {
        assert_eq!(canonical(VISION_LANGUAGE, &names), LLAVA);
    }
    for names in [flat, hub_flat, bare] {
        assert_eq!(canonical(VISION_LANGUAGE, &names.each_ref().map(String::as_str)), LLAVA);
    }
    let vip =
        ["model.mm_projector.final_linear.2.weight", "model.mm_projector.clip_layernorm.bias", "model.image_newline"];
    let want =
        ["image_newline", "multi_modal_projector.linear_2.weight", "multi_modal_projector.projector_layernorm.bias"];
    assert_eq!(canonical(VISION_LANGUAGE, &vip), want);
}

#[test]
fn towers_without_an_inner_model_stay() {
    for name in ["vision_tower.patch_conv.weight", "vision_tower.encoder.layer.0.layernorm_before.weight"] {
        assert_eq!(canonical(VISION_LANGUAGE, &[name]), [name]);
        assert_eq!(canonical(VISION_LANGUAGE, &[&format!("model.{name}")]), [name]);
    }
}

#[test]
fn other_layouts() {
    let decoder =
        ["lm_head.weight", "model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight"];
    for front in ["model.language_model.", "language_model.model.", "model.", ""] {
        let names: Vec<String> = decoder.iter().map(|name| name.replace("model.", front)).collect();
        assert_eq!(canonical(DECODER, &names.iter().map(String::as_str).collect::<Vec<_>>()), decoder, "{front}");
    }
    assert_eq!(canonical(DECODER, &["language_model.lm_head.weight"]), ["lm_head.weight"]);
    let qwen = ["lm_head.weight", "model.layers.0.input_layernorm.weight", "visual.blocks.0.norm1.weight"];
    let later = [
        "lm_head.weight",
        "model.language_model.layers.0.input_layernorm.weight",
        "model.visual.blocks.0.norm1.weight",
    ];
    assert_eq!(canonical(QWEN_VL, &later), qwen);
    let tower = ["vision_model.embeddings.patch_embedding.weight", "vision_model.encoder.layers.0.mlp.fc1.bias"];
    assert_eq!(canonical(CLIP, &["embeddings.patch_embedding.weight", "encoder.layers.0.mlp.fc1.bias"]), tower);
    let text = ["embeddings.token_embedding.weight", "encoder.layers.0.mlp.fc1.bias"];
    assert_eq!(canonical(CLIP, &text), text);
    let vit = ["classifier.bias", "vit.embeddings.cls_token", "vit.layernorm.weight"];
    assert_eq!(canonical(VIT, &["classifier.bias", "embeddings.cls_token", "layernorm.weight"]), vit);
}

/// Names in a pair of GGUF files, of all kinds of parts.
const GGUF_PAIR: [&str; 10] = [
    "blk.0.attn_q.weight",
    "mm.model.fc.weight",
    "mm.model.mlp.3.bias",
    "output.weight",
    "token_embd.weight",
    "v.blk.0.attn_q.weight",
    "v.blk.0.ffn_gate.weight",
    "v.blk.0.ls1.weight",
    "v.patch_embd.weight.1",
    "v.position_embd.weight",
];

#[test]
fn canonical_names_stay_and_the_stored_name_is_kept() {
    let checkpoint = with_names(&["model.language_model.norm.weight"]).canonical(VISION_LANGUAGE).unwrap();
    assert_eq!(checkpoint.entries()[0].stored, "model.language_model.norm.weight");
    let again = checkpoint.canonical(VISION_LANGUAGE).unwrap();
    assert!(again.names().eq(["language_model.model.norm.weight"]));
    for scheme in ALL {
        // A table may lead nowhere that a second reading leads away from.
        for names in [&LLAVA[..], &GGUF_PAIR] {
            let once = with_names(names).canonical(scheme).unwrap();
            assert!(once.canonical(scheme).unwrap().names().eq(once.names()));
        }
    }
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let checkpoint = with_names(&["lm_head.weight", "language_model.lm_head.weight"]);
    let text = checkpoint.canonical(VISION_LANGUAGE).unwrap_err().to_string();
    assert!(text.contains("`lm_head.weight` of") && text.contains("`language_model.lm_head.weight` of"), "{text}");
}

#[test]
fn explicit_renames() {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let checkpoint = with_names(&["a", "b", "c"]);
    let swapped = checkpoint.with_renames(&map(&[("a", "b"), ("b", "a")])).unwrap();
    let pairs: Vec<_> = swapped.entries().iter().map(|e| (e.name.as_str(), e.stored.as_str())).collect();
    assert_eq!(pairs, [("a", "b"), ("b", "a"), ("c", "c")]);
    assert!(checkpoint.with_renames(&map(&[("x", "y")])).is_err());
    assert!(checkpoint.with_renames(&map(&[("a", "c")])).is_err());
    assert!(checkpoint.with_renames(&map(&[("a", "")])).is_err());
}
