//! The picture part of a GGUF checkpoint, a file of its own (`mmproj`): a tower and what leads from it to the decoder. Keys
//! and tensor names are those of llama.cpp's converters.
//!
//! Lives here: the table of kinds, what all of them share, and whether a part and a decoder are of one model. Each kind is a
//! file: what it needs, and the config.json and preprocessor_config.json that it stands for. Names of tensors are in
//! `schemes`, the nets in `models::families`, which read these files as any others.

mod idefics3;
mod internvl;
mod llava;
mod pixtral;
mod qwen_vl;

use serde_json::{Value, json};

use super::Gguf;
use super::config::File;
use crate::checkpoint::{Config, Scheme, TensorEntry, clip, schemes};
use crate::{Error, Result};

/// A picture part whose kind is known.
struct Part<'f> {
    file: &'f Gguf,
    /// Keys under `clip`.
    own: Config,
    /// Keys under `clip.vision`.
    vision: Config,
}

/// The decoder that a part belongs to.
struct Text {
    /// Its configuration.
    config: Value,
    /// The id of its token for pictures, where it has one.
    token: Option<usize>,
}

/// config.json and preprocessor_config.json.
struct Made {
    config: Value,
    preprocessor: Value,
}

struct Kind {
    /// `clip.projector_type`.
    name: &'static str,
    /// The tensor that gives what the decoder takes, a row for each of its columns.
    last: &'static str,
    /// Where a picture's rows stand. LLaVA's decoders have no such token; all others do.
    token: &'static str,
    /// Values of `model_type` of its decoders.
    decoders: &'static [&'static str],
    /// Names of the tensors of decoder and part.
    scheme: &'static Scheme,
    read: fn(&Part<'_>, Text) -> Result<Made>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "mlp",
        last: "mm.2.weight",
        token: "<image>",
        decoders: TEXTS,
        scheme: schemes::GGUF,
        read: llava::read,
    },
    Kind {
        name: "idefics3",
        last: "mm.model.fc.weight",
        token: "<image>",
        decoders: TEXTS,
        scheme: schemes::GGUF_IDEFICS3,
        read: idefics3::read,
    },
    Kind {
        name: "internvl",
        last: "mm.model.mlp.3.weight",
        token: "<IMG_CONTEXT>",
        decoders: TEXTS,
        scheme: schemes::GGUF_INTERNVL,
        read: internvl::read,
    },
    Kind {
        name: "pixtral",
        last: "mm.2.weight",
        token: "[IMG]",
        decoders: TEXTS,
        scheme: schemes::GGUF_PIXTRAL,
        read: pixtral::read,
    },
    Kind { name: "qwen2vl_merger", read: qwen_vl::second, ..QWEN },
    Kind { name: "qwen2.5vl_merger", read: qwen_vl::newer, ..QWEN },
];

const QWEN: Kind = Kind {
    name: "",
    last: "mm.2.weight",
    token: "<|image_pad|>",
    decoders: &["qwen2_vl_text"],
    scheme: schemes::GGUF_QWEN_VL,
    read: qwen_vl::second,
};

/// Decoders whose positions are those of texts.
const TEXTS: &[&str] = &["llama", "qwen2"];

/// The type of a part's projector. Files of the first writers do not state it.
fn stated(file: &Gguf) -> Option<&str> {
    let at = |path: &str| file.metadata.pointer(path).and_then(Value::as_str);
    at("/clip/projector_type").or(at("/clip/vision/projector_type"))
}

fn kind(file: &Gguf) -> Option<&'static Kind> {
    let name = stated(file).unwrap_or("mlp");
    KINDS.iter().find(|kind| kind.name == name)
}

/// The decoder's token for pictures.
fn token(kind: &Kind, tokens: Option<&Vec<Value>>) -> Option<usize> {
    tokens?.iter().position(|token| token.as_str() == Some(kind.token))
}

/// Whether a file beside the decoder `text` with the vocabulary `tokens` is its part: of a kind that is read, and of one
/// model with it.
pub(super) fn fits(file: &Gguf, text: &Value, tokens: Option<&Vec<Value>>) -> bool {
    kind(file).is_some_and(|kind| apart(kind, file, text, tokens).is_none())
}

/// Why a part of this kind and the decoder are not of one model.
fn apart(kind: &Kind, file: &Gguf, text: &Value, tokens: Option<&Vec<Value>>) -> Option<String> {
    let given = rows(file, kind.last).unwrap_or(0) as u64;
    let taken = text["hidden_size"].as_u64().unwrap_or(0);
    let model_type = text["model_type"].as_str().unwrap_or_default();
    if given == 0 || given != taken {
        return Some(format!("the projector gives {given} columns, the decoder takes {taken}"));
    }
    if !kind.decoders.contains(&model_type) {
        return Some(format!("a part `{}` does not go with a decoder {}", kind.name, clip(model_type)));
    }
    let needless = kind.name == "mlp" || token(kind, tokens).is_some();
    (!needless).then(|| format!("the decoder's vocabulary has no `{}` for pictures to stand at", kind.token))
}

/// Names of the tensors of a checkpoint with this part.
pub(super) fn scheme(file: &Gguf) -> &'static Scheme {
    kind(file).map_or(schemes::GGUF, |kind| kind.scheme)
}

/// config.json and preprocessor_config.json of the decoder `text` with the pictures of `file`.
///
/// # Errors
/// [`Error::Unsupported`] for another kind of part, by its type, and for another tower; [`Error::Malformed`] for files that
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
    let Some(kind) = kind(file) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let reason = format!("`{}`; {} are", clip(stated(file).unwrap_or_default()), known.join(", "));
        return Err(own.unsupported("projector_type", reason));
    };
    if !own.bool("has_vision_encoder", true)? {
        return Err(own.unsupported("has_vision_encoder", "a part without a picture tower"));
    }
    let part = Part { file, own, vision };
    part.need(&[kind.last])?;
    if let Some(reason) = apart(kind, file, &text, tokens) {
        return Err(Error::malformed(file.source.name(), format!("{reason}: they are not of one model")));
    }
    let token = token(kind, tokens);
    let made = (kind.read)(&part, Text { config: text, token })?;
    Ok(vec![("config.json", made.config), ("preprocessor_config.json", made.preprocessor)])
}

fn rows(file: &Gguf, name: &str) -> Option<usize> {
    file.tensors.iter().find(|t| t.name == name).and_then(|t| t.shape.first().copied())
}

impl Part<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensors.iter().any(|t| t.name == name)
    }
    fn about(&self, tensor: &str) -> String {
        format!("{}: tensor `{tensor}`", self.file.source.name())
    }
    /// Refuses a part that lacks one of these tensors.
    fn need(&self, tensors: &[&str]) -> Result<()> {
        match tensors.iter().find(|tensor| !self.has(tensor)) {
            Some(tensor) => Err(Error::unsupported(self.about(tensor), "is missing; parts with it are read")),
            None => Ok(()),
        }
    }
    /// Refuses a part that has one of these tensors.
    fn refuse(&self, tensors: &[&str]) -> Result<()> {
        match tensors.iter().find(|tensor| self.has(tensor)) {
            Some(tensor) => Err(Error::unsupported(self.about(tensor), "is of another tower than this kind's")),
            None => Ok(()),
        }
    }
    /// The tower's activation, by the flags that say it; without them CLIP's.
    fn act(&self) -> Result<&'static str> {
        Ok(match (self.own.bool("use_gelu", false)?, self.own.bool("use_silu", false)?) {
            (true, false) => "gelu",
            (false, true) => "silu",
            (false, false) => "quick_gelu",
            (true, true) => return Err(self.own.broken("use_silu", "stands beside use_gelu")),
        })
    }
    /// Width, layers, heads and such of the tower under the keys of transformers.
    fn tower(&self, model_type: &str) -> Result<Value> {
        let of = |key: &str| self.vision.require::<usize>(key);
        Ok(json!({
            "model_type": model_type,
            "hidden_size": of("embedding_length")?,
            "intermediate_size": of("feed_forward_length")?,
            "num_hidden_layers": of("block_count")?,
            "num_attention_heads": of("attention.head_count")?,
            "image_size": of("image_size")?,
            "patch_size": of("patch_size")?,
        }))
    }
    /// Pictures to numbers: the mean and the deviation that the file states.
    fn levels(&self, kind: &str, [mean, std]: [[f64; 3]; 2]) -> Result<Value> {
        let three = |key: &str, default: [f64; 3]| -> Result<Vec<f64>> {
            let given: Vec<f64> = self.vision.list(key)?.unwrap_or_else(|| default.to_vec());
            let wrong = || self.vision.broken(key, format!("{} numbers, not 3", given.len()));
            if given.len() == 3 { Ok(given) } else { Err(wrong()) }
        };
        Ok(json!({
            "image_processor_type": kind,
            "do_resize": true,
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": three("image_mean", mean)?,
            "image_std": three("image_std", std)?,
            "do_convert_rgb": true,
        }))
    }
    /// How many pixels or patches become one, a side.
    fn scale(&self, key: &str) -> Result<usize> {
        match self.vision.usize(key, 2)? {
            scale @ 1..=64 => Ok(scale),
            other => Err(self.vision.broken(key, format!("squares of {other} patches a side"))),
        }
    }
}

/// `value` with more keys.
fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    value
}

/// The mean and the deviation of CLIP, of SigLIP and of ImageNet.
const CLIP: [[f64; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11]];
const SIGLIP: [[f64; 3]; 2] = [[0.5; 3], [0.5; 3]];
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

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
