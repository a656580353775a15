//! LLaVA (Liu et al. 2023) and what shares its net: v1, 1.5, HD, NeXT, LLaVAR, SVIT, ViP-LLaVA, Yi-VL. Reads the layout of
//! transformers (`vision_config`, `text_config`) and that of the original code (`mm_projector_type`).

use super::clip::vision_tower;
use super::{activation, llama, pixtral, siglip, uhd};
use crate::Result;
use crate::blocks::{Linear, Norm};
use crate::checkpoint::schemes::VISION_LANGUAGE;
use crate::checkpoint::{Config, Rule, Scheme, rule};
use crate::kernels::Act;
use crate::models::{Bridge, Connector, Dtypes, FeatureSelect, Projector, PromptForm, Spec, VisionTower};

const PROJECTOR: &str = "multi_modal_projector";
const TOWER: &str = "vision_tower.vision_model";
const LLM: &str = "language_model.";

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    if config.has("mm_vision_tower") || config.has("mm_projector_type") {
        return original(config, dtypes);
    }
    let one = config.string("model_type", "")? == "llava_onevision";
    let (vision, text) = if one {
        let text = section(config, "text_config", r#"{"model_type": "qwen2"}"#, "qwen2")?;
        (section(config, "vision_config", SHAPED_384, "siglip_vision_model")?, text)
    } else {
        let text = section(config, "text_config", "{}", "llama")?;
        (section(config, "vision_config", LARGE_336, "clip_vision_model")?, text)
    };
    let kind = vision.string("model_type", "clip_vision_model")?;
    let tower = match kind.as_str() {
        "clip_vision_model" => vision_tower(&vision, dtypes, TOWER)?,
        "siglip_vision_model" => siglip::vision_tower(&vision, dtypes, TOWER, &siglip::BASE)?,
        "pixtral" => pixtral::vision_tower(&vision, dtypes, "vision_tower")?,
        _ => {
            let reason = format!("`{kind}`; clip_vision_model, siglip_vision_model and pixtral are");
            return Err(vision.unsupported("model_type", reason));
        }
    };
    let decoder = llama::decoder(&text, dtypes, LLM, "llm.")?;
    let connector = connector(config, &tower, decoder.width, dtypes)?;
    let image =
        config.usize("image_token_index", config.usize("image_token_id", if one { 151_646 } else { 32_000 })?)?;
    Ok(Spec {
        vision: Some(tower),
        connector: Some(connector),
        decoder: Some(decoder),
        image_token: Some(image as u32),
        eos: llama::eos(&text)?,
        pad: llama::pad(config)?.or(llama::pad(&text)?),
        vectors: if one || config.string("model_type", "")? == "llava_next" { newline() } else { Vec::new() },
        prompt: match (kind.as_str(), config.string("model_type", "")?.as_str()) {
            ("pixtral", _) => pixtral::INSTRUCT,
            (_, "vipllava") => VIP,
            // Asked by its decoder's chat template.
            (_, "llava_onevision") => PromptForm::default(),
            _ => V15,
        },
        scheme: VISION_LANGUAGE,
        ..Spec::default()
    })
}

/// The vector behind every row of the map of LLaVA-NeXT and LLaVA-OneVision.
fn newline() -> Vec<(&'static str, String)> {
    vec![("image_newline", "image_newline".to_owned())]
}

/// The section `name`, whose `model_type` is `kind` if it does not say; `default` where there is none.
pub(super) fn section(config: &Config, name: &str, default: &str, kind: &str) -> Result<Config> {
    match config.section(name)? {
        Some(section) if !section.has("model_type") => Ok(section.with("model_type", kind.into())),
        Some(section) => Ok(section),
        None => Config::parse(config.file(), default.as_bytes()),
    }
}

/// What LLaVA-OneVision's configuration means when it has no `vision_config`.
const SHAPED_384: &str = r#"{"model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
    "patch_size": 14, "image_size": 384, "num_hidden_layers": 26, "num_attention_heads": 16}"#;
/// What LLaVA's configuration means when it has no `vision_config`.
const LARGE_336: &str = r#"{"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "patch_size": 14, "image_size": 336}"#;
const LARGE_224: &str = r#"{"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "patch_size": 14, "image_size": 224}"#;
const HUGE_448: &str = r#"{"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
    "num_attention_heads": 16, "patch_size": 14, "image_size": 448, "hidden_act": "gelu"}"#;

/// LLaVA-1.5 as its transformers checkpoints are asked.
const V15: PromptForm = PromptForm {
    system: "",
    own_system: ("", " "),
    user: "USER: ",
    picture: ("", "\n"),
    assistant: " ASSISTANT:",
    answer: (" ", "</s>"),
};
/// LLaVA v1 and v1.5 in the original code: Vicuna's conversation with its introduction.
const V1: PromptForm = PromptForm {
    system: "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, \
             detailed, and polite answers to the human's questions. ",
    ..V15
};
/// ViP-LLaVA.
const VIP: PromptForm = PromptForm {
    system: "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, \
             detailed, and polite answers to the human's questions.",
    own_system: ("", " "),
    user: "###Human: ",
    picture: ("", "\n"),
    assistant: "###Assistant:",
    answer: (" ", ""),
};
/// Yi-VL, the English half of its introduction.
const YI_VL: PromptForm = PromptForm {
    system: "This is a chat between an inquisitive human and an AI assistant. Assume the role of the AI assistant. \
             Read all the images carefully, and respond to the human's questions with informative, helpful, detailed \
             and polite answers.\n\n",
    own_system: ("", " "),
    user: "### Human: ",
    picture: ("", "\n"),
    assistant: "\n### Assistant:",
    answer: (" ", "\n"),
};
/// LLaVA-Mistral: the decoder's own form.
const MISTRAL: PromptForm = PromptForm {
    system: "",
    own_system: ("", " "),
    user: "[INST] ",
    picture: ("", "\n"),
    assistant: " [/INST]",
    answer: (" ", "</s>"),
};

/// The form of a checkpoint in the original layout.
fn original_form(config: &Config) -> Result<PromptForm> {
    let form = if config.string("mm_projector_type", "linear")?.ends_with("_Norm") {
        YI_VL
    } else if config.string("model_type", "")? == "llava_mistral" {
        MISTRAL
    } else {
        V1
    };
    let marked = config.bool("mm_use_im_start_end", false)?;
    Ok(if marked { PromptForm { picture: ("<im_start>", "<im_end>\n"), ..form } } else { form })
}

fn connector(config: &Config, tower: &VisionTower, width: usize, dtypes: &dyn Dtypes) -> Result<Connector> {
    let model = config.string("model_type", "")?;
    let (vip, one) = (model == "vipllava", model == "llava_onevision");
    let default = match (vip, one) {
        (true, _) => vec![-2, -5, -8, -11, 6],
        (_, true) => vec![-1],
        _ => vec![-2],
    };
    // ViP-LLaVA's field is a plural in transformers 4 and LLaVA's in transformers 5.
    let path = if config.has("vision_feature_layers") { "vision_feature_layers" } else { "vision_feature_layer" };
    let chosen: Vec<i64> = config.one_or_list(path)?;
    let layers = feature_layers(config, path, if chosen.is_empty() { default } else { chosen }, tower.layers.len())?;
    let strategy = config.string("vision_feature_select_strategy", if one { "full" } else { "default" })?;
    let drop_prefix = match strategy.as_str() {
        _ if vip => true,
        "default" => true,
        "full" => false,
        other => {
            let reason = format!("`{other}`; default and full are");
            return Err(config.unsupported("vision_feature_select_strategy", reason));
        }
    };
    if drop_prefix && tower.prefix.is_empty() {
        let reason = "`default` drops the first row, and the tower has no class token; full is supported";
        return Err(config.unsupported("vision_feature_select_strategy", reason));
    }
    let bias = vip || config.bool("multimodal_projector_bias", true)?;
    let input = layers.len() * tower.patch.width;
    let linear = |name: &str, n, k| {
        let name = format!("{PROJECTOR}.{name}");
        (Linear::new(&name, n, k, bias, dtypes.of(&format!("{name}.weight"))), None)
    };
    let eps = config.f64("projector_layernorm_eps", 1e-5)? as f32;
    // Not a key of transformers, whose projectors are as wide as the decoder: GGUF's picture parts may have others.
    let inner = config.usize("projector_hidden_size", width)?;
    if !(1..=WIDEST).contains(&inner) {
        return Err(config.broken("projector_hidden_size", format!("{inner} is not from 1 to {WIDEST}")));
    }
    Ok(Connector {
        select: FeatureSelect { layers, drop_prefix },
        bridge: Bridge::Mlp(Projector {
            norm: vip.then(|| Norm::Layer { name: format!("{PROJECTOR}.projector_layernorm"), eps }),
            layers: vec![linear("linear_1", inner, input), linear("linear_2", width, inner)],
            act: activation(config, "projector_hidden_act", "gelu")?,
        }),
    })
}

/// Widest layer inside a projector.
const WIDEST: usize = 1 << 17;

/// Hidden states counted from the front: `-1` is what leaves the last layer.
pub(super) fn feature_layers(config: &Config, path: &str, chosen: Vec<i64>, layers: usize) -> Result<Vec<usize>> {
    let states = layers as i64 + 1;
    let front = |i: i64| {
        let at = if i < 0 { states + i } else { i };
        if (0..states).contains(&at) {
            Ok(at as usize)
        } else {
            Err(config.broken(path, format!("{i} of {layers} layers")))
        }
    };
    chosen.into_iter().map(front).collect()
}

/// The original code's layout: a decoder's configuration with `mm_*` fields; the tower by the name of its checkpoint.
fn original(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let name = config.string("mm_vision_tower", "openai/clip-vit-large-patch14-336")?;
    let sizes = match name.rsplit('/').next().unwrap_or_default() {
        "clip-vit-large-patch14-336" => LARGE_336,
        "clip-vit-large-patch14" => LARGE_224,
        n if n.contains("ViT-H") && n.contains("448") => HUGE_448,
        _ => {
            let reason = format!("`{name}`; clip-vit-large-patch14, -336 and Yi's CLIP-ViT-H-14 at 448 are");
            return Err(config.unsupported("mm_vision_tower", reason));
        }
    };
    let tower = vision_tower(&Config::parse(config.file(), sizes.as_bytes())?, dtypes, TOWER)?;
    let mut text = config.value().clone();
    let base = if config.string("model_type", "")? == "llava_mistral" { "mistral" } else { "llama" };
    text["model_type"] = base.into();
    let text = Config::of_value(config.file(), text)?;
    let decoder = llama::decoder(&text, dtypes, LLM, "llm.")?;
    let (bridge, scheme) = match uhd::resampler(config, tower.patch.width, decoder.width, dtypes)? {
        Some(resampler) => (Bridge::Resampler(Box::new(resampler)), uhd::SCHEME),
        None => {
            let (layers, scheme) = projector(config, tower.patch.width, decoder.width, dtypes)?;
            (Bridge::Mlp(Projector { norm: None, layers, act: Act::Gelu }), scheme)
        }
    };
    let chosen = config.one_or_list("mm_vision_select_layer")?;
    let chosen = if chosen.is_empty() { vec![-2] } else { chosen };
    let select = FeatureSelect {
        layers: feature_layers(config, "mm_vision_select_layer", chosen, tower.layers.len())?,
        drop_prefix: config.string("mm_vision_select_feature", "patch")? == "patch",
    };
    Ok(Spec {
        vision: Some(tower),
        connector: Some(Connector { select, bridge }),
        image_token: Some(decoder.vocab as u32),
        decoder: Some(decoder),
        eos: llama::eos(&text)?,
        pad: llama::pad(config)?,
        vectors: if config.string("mm_patch_merge_type", "flat")?.contains("unpad") { newline() } else { Vec::new() },
        prompt: original_form(config)?,
        scheme,
        ..Spec::default()
    })
}

type Layers = Vec<(Linear, Option<Norm>)>;

/// `linear`, `mlp2x_gelu`, or Yi-VL's `mlp2x_gelu_Norm`: linear, norm, gelu, linear, norm.
fn projector(config: &Config, k: usize, n: usize, dtypes: &dyn Dtypes) -> Result<(Layers, &'static Scheme)> {
    let linear = |name: &str, k| {
        let name = format!("{PROJECTOR}.{name}");
        Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
    };
    let norm = |name: &str| Some(Norm::Layer { name: format!("{PROJECTOR}.{name}"), eps: 1e-5 });
    match config.string("mm_projector_type", "linear")?.as_str() {
        "linear" => Ok((vec![(linear("linear_1", k), None)], VISION_LANGUAGE)),
        "mlp2x_gelu" => Ok((vec![(linear("linear_1", k), None), (linear("linear_2", n), None)], VISION_LANGUAGE)),
        "mlp2x_gelu_Norm" => {
            Ok((vec![(linear("linear_1", k), norm("norm_1")), (linear("linear_2", n), norm("norm_2"))], YI))
        }
        other => {
            Err(config.unsupported("mm_projector_type", format!("`{other}`; linear, mlp2x_gelu, mlp2x_gelu_Norm are")))
        }
    }
}

const YI_PROJECTOR: &[Rule] = &[
    rule("model.mm_projector.0.", "multi_modal_projector.linear_1."),
    rule("model.mm_projector.1.", "multi_modal_projector.norm_1."),
    rule("model.mm_projector.3.", "multi_modal_projector.linear_2."),
    rule("model.mm_projector.4.", "multi_modal_projector.norm_2."),
];
const YI: &Scheme = &[YI_PROJECTOR, VISION_LANGUAGE[0], VISION_LANGUAGE[1]];
