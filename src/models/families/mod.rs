//! The registry of families: `model_type` -> the function that reads its configuration. Tensor names live here.

mod clip;
mod demo;
mod dinov2;
mod fuyu;
mod idefics;
mod internvl;
mod llama;
mod llava;
mod minicpm;
mod mistral3;
mod mllama;
mod mllama_vision;
mod pixtral;
mod qwen;
mod qwen_vl;
mod resampler;
mod siglip;
mod uhd;
mod vit;

use super::{Dtypes, Spec};
use crate::checkpoint::{Config, QUANT_METHODS};
use crate::kernels::Act;
use crate::{Error, Result};

/// A family of models.
pub struct Family {
    /// Values of `model_type` that it reads.
    pub model_types: &'static [&'static str],
    /// What it is, for the model table.
    pub about: &'static str,
    /// Reads config.json.
    pub read: fn(&Config, &dyn Dtypes) -> Result<Spec>,
}

/// All families.
pub static FAMILIES: &[Family] = &[
    Family { model_types: &["vit", "deit"], about: "ViT and DeiT, picture classification", read: vit::read },
    Family {
        model_types: &["dinov2", "dinov2_with_registers"],
        about: "DINOv2, with registers or without, picture features and classification",
        read: dinov2::read,
    },
    Family { model_types: &["clip"], about: "CLIP, picture and text embeddings and scores", read: clip::read },
    Family { model_types: &["siglip"], about: "SigLIP, picture and text embeddings and scores", read: siglip::read },
    Family {
        model_types: &["llama", "mistral", "qwen2", "qwen2_vl_text", "qwen2_5_vl_text", "mllama_text_model"],
        about: "LLaMA, Mistral, Qwen2 text decoders, and those of Qwen2-VL and Llama 3.2 Vision",
        read: llama::read,
    },
    Family { model_types: &["mllama"], about: "Llama 3.2 Vision", read: mllama::read },
    Family { model_types: &["fuyu", "persimmon"], about: "Fuyu and OtterHD; Persimmon, its decoder", read: fuyu::read },
    Family {
        model_types: &["idefics2"],
        about: "Idefics 2, pictures of any aspect to 64 rows each",
        read: idefics::second,
    },
    Family {
        model_types: &["idefics3", "smolvlm"],
        about: "Idefics 3 and SmolVLM, a picture in tiles with four patches a row",
        read: idefics::third,
    },
    Family {
        model_types: &["internvl"],
        about: "InternVL, a picture in tiles with four patches a row",
        read: internvl::read,
    },
    Family {
        model_types: &["llava", "llava_next", "llava_onevision", "vipllava", "llava_llama", "llava_mistral"],
        about: "LLaVA v1, 1.5, NeXT, OneVision, UHD, ViP-LLaVA, Yi-VL, Pixtral and what shares their net",
        read: llava::read,
    },
    Family {
        model_types: &["qwen2_vl", "qwen2_5_vl"],
        about: "Qwen2-VL and Qwen2.5-VL, pictures",
        read: qwen_vl::read,
    },
    Family {
        model_types: &["qwen", "monkey"],
        about: "Qwen-VL and Monkey; the first Qwen, their decoder",
        read: qwen::read,
    },
    Family {
        model_types: &["minicpmv", "minicpm"],
        about: "MiniCPM-V 2.0 and 2.6, a picture in slices of its own shape; MiniCPM, the decoder of 2.0",
        read: minicpm::read,
    },
    Family { model_types: &["mistral3"], about: "Mistral Small 3.1", read: mistral3::read },
    Family { model_types: &["omma_demo"], about: "The demo model of this project", read: demo::read },
];

/// Reads config.json by its `model_type`.
///
/// Errors: [`Error::UnknownArchitecture`], [`Error::Unsupported`] for an option that the engine does not do.
pub fn read_spec(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let name = config.string("model_type", "")?;
    if config.has("quantization_config") {
        let method = config.string("quantization_config.quant_method", "")?;
        if !QUANT_METHODS.contains(&method.as_str()) {
            let reason = format!("{} are", QUANT_METHODS.join(", "));
            return Err(config.unsupported("quantization_config.quant_method", reason));
        }
    }
    let family = FAMILIES.iter().find(|f| f.model_types.contains(&name.as_str()));
    let family = family.ok_or_else(|| {
        let architectures = config.one_or_list::<String>("architectures").unwrap_or_default().join(", ");
        let known = FAMILIES.iter().flat_map(|f| f.model_types).map(|t| (*t).to_owned()).collect();
        Error::UnknownArchitecture { name: format!("`{name}` ({architectures})"), known }
    })?;
    let mut spec = Spec { model_type: name, ..(family.read)(config, dtypes)? };
    spec.settle(dtypes);
    Ok(spec)
}

/// The activation that a configuration names.
fn activation(config: &Config, path: &str, default: &str) -> Result<Act> {
    match config.string(path, default)?.as_str() {
        "gelu" => Ok(Act::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Act::GeluTanh),
        "quick_gelu" => Ok(Act::QuickGelu),
        "silu" | "swish" => Ok(Act::Silu),
        "relu" => Ok(Act::Relu),
        "relu2" => Ok(Act::Relu2),
        other => Err(config.unsupported(path, format!("`{other}`; gelu, gelu_new, quick_gelu, silu, relu, relu2 are"))),
    }
}

/// A divisor that has to divide.
fn divided(config: &Config, path: &str, whole: usize, parts: usize) -> Result<usize> {
    if parts == 0 || !whole.is_multiple_of(parts) {
        return Err(config.broken(path, format!("{parts} does not divide {whole}")));
    }
    Ok(whole / parts)
}

/// The side of a square that is given as one number or as two that are equal.
fn side(config: &Config, path: &str, default: usize) -> Result<usize> {
    match config.one_or_list::<usize>(path)?[..] {
        [] => Ok(default),
        [side] => Ok(side),
        [height, width] if height == width => Ok(width),
        ref other => Err(config.unsupported(path, format!("{other:?}; squares are"))),
    }
}

/// A layer count that a graph may have.
fn layer_count(config: &Config, path: &str, default: usize) -> Result<usize> {
    let layers = config.usize(path, default)?;
    if layers > 1000 { Err(config.broken(path, format!("{layers} layers"))) } else { Ok(layers) }
}

/// `text_config`, or the whole configuration where a checkpoint has it flat; of `model_type` where it does not say.
fn text_config(config: &Config, model_type: &str) -> Result<Config> {
    let Some(section) = config.section("text_config")? else {
        return Ok(config.clone().with("model_type", model_type.into()));
    };
    let named = section.has("model_type");
    let section = if named { section } else { section.with("model_type", model_type.into()) };
    // The head is tied by the whole model's option.
    Ok(match config.optional::<bool>("tie_word_embeddings")? {
        Some(tied) if !section.has("tie_word_embeddings") => section.with("tie_word_embeddings", tied.into()),
        _ => section,
    })
}
