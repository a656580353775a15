//! Folders without the usual file names: the one safetensors file that may be meant, or why there is none and what to
//! do. Pickled weights run code when they are loaded, so they are refused, with the command that converts them.

use super::clip;
use crate::{Error, Result};

/// Endings of pickled or framework-specific weights.
const FOREIGN: [&str; 9] = [".bin", ".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5", ".npz"];
/// Files with such endings that hold no weights.
const NO_WEIGHTS: [&str; 5] = ["training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scheduler.bin"];

/// The only safetensors file in `list`. `copy` is the command that brings the files into a folder of the user, where
/// they are in none.
///
/// # Errors
/// [`Error::Unsupported`] for weights in another format or an adapter; [`Error::Io`] if there is nothing to open.
pub(super) fn only_weights<'a>(place: &str, list: &'a [String], copy: Option<&str>) -> Result<&'a str> {
    let found: Vec<&str> = list.iter().map(String::as_str).filter(|name| name.ends_with(".safetensors")).collect();
    match found[..] {
        ["adapter_model.safetensors"] => {
            let reason = "it is an adapter, not a model; merge it into its base model first (peft: merge_and_unload)";
            return Err(Error::unsupported(format!("{place}/adapter_model.safetensors"), reason));
        }
        [only] if only.contains("-of-") => {
            let reason = format!("it is one shard of several; model.safetensors.index.json is missing in {place}");
            return Err(Error::Io { path: format!("{place}/{only}"), reason });
        }
        [only] => return Ok(only),
        [] => {}
        [first, ..] => {
            let reason = format!(
                "{} safetensors files ({} ...) and neither model.safetensors nor model.safetensors.index.json; rename \
                 the one that is meant to model.safetensors",
                found.len(),
                clip(first)
            );
            return Err(Error::Io { path: place.into(), reason });
        }
    }
    if let Some(name) = list.iter().find(|name| name.ends_with(".gguf")) {
        let reason = "a GGUF file is a checkpoint of its own; give the file instead of its folder";
        return Err(Error::unsupported(format!("{place}/{}", clip(name)), reason));
    }
    if let Some(name) = list.iter().find(|name| is_foreign(name)) {
        return Err(foreign(place, name, list, copy));
    }
    let reason = "no weights here: neither model.safetensors nor model.safetensors.index.json";
    Err(Error::Io { path: place.into(), reason: reason.into() })
}

fn is_foreign(name: &str) -> bool {
    FOREIGN.iter().any(|ending| name.ends_with(ending)) && !NO_WEIGHTS.contains(&name)
}

fn foreign(place: &str, name: &str, list: &[String], copy: Option<&str>) -> Error {
    let what = format!("{place}/{}", clip(name));
    if [".msgpack", ".h5", ".npz"].iter().any(|ending| name.ends_with(ending)) {
        return Error::unsupported(what, "weights of another framework; save them as safetensors with that framework");
    }
    let first = copy.map(|command| format!("run `{command}`, then ")).unwrap_or_default();
    let reason = format!(
        "pickled weights can run code when they are loaded; {first}convert them to safetensors, in that folder: {}",
        convert_command(&pattern(name, list))
    );
    Error::unsupported(what, reason)
}

/// What to convert: all parts of a sharded pickle, or the one file. Only plain names are quoted in a command that a
/// person will paste into a shell.
fn pattern(name: &str, list: &[String]) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let ending = name.rsplit_once('.').map_or("bin", |(_, ending)| ending);
    let parts = list.iter().filter(|other| is_foreign(other) && other.ends_with(ending)).count();
    if name.starts_with("pytorch_model") && parts > 1 {
        format!("pytorch_model*.{ending}")
    } else if plain {
        name.to_owned()
    } else {
        format!("*.{ending}")
    }
}

fn convert_command(pattern: &str) -> String {
    // `clone` parts tied tensors, which safetensors refuses to save; `state_dict` and `model` are usual wrappers.
    format!(
        "python3 -c \"import glob, torch; from safetensors.torch import save_file; w = {{}}; [w.update(d.get('state_dict', \
         d.get('model', d))) for d in (torch.load(f, map_location='cpu', weights_only=True) for f in \
         sorted(glob.glob('{pattern}')))]; save_file({{k: v.clone().contiguous() for k, v in w.items() if \
         torch.is_tensor(v)}}, 'model.safetensors', {{'format': 'pt'}})\""
    )
}
