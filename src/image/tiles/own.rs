//! Checkpoints of systems whose own code does not use transformers' processors: Qwen-VL, Monkey, MiniCPM-V, LLaVA-UHD.
//! `config.json` alone says how their pictures are tiled; MiniCPM-V's later checkpoints have a processor's file too.

use super::auto::Sources;
use super::minicpmv::Form;
use super::{Features, MiniCpmV, Monkey, Tiling, Whole};
use crate::image::fields::Fields;
use crate::{Error, Result};
use serde_json::Value;

/// The tiling that config.json states where there is no processor's file, and the processor's type whose levels hold.
pub(super) fn alone(sources: &Sources) -> Result<Option<(Tiling, &'static str)>> {
    let config = sources.config()?;
    let visual = config.get("visual").filter(|visual| visual.get("width").is_some());
    Ok(match (sources.model_type()?, visual) {
        ("qwen" | "monkey", Some(visual)) => Some((qwen(sources.model_type()? == "monkey", visual)?, "CLIP")),
        ("minicpmv", _) => Some((minicpmv(sources)?, "MiniCPMV")),
        _ => None,
    })
}

/// A square of one size; Monkey's is cut into windows.
fn qwen(monkey: bool, visual: &Value) -> Result<Tiling> {
    let visual = Fields::new("config.json", visual)?;
    let queries = visual.count("n_queries")?.unwrap_or(256);
    if !monkey && visual.get("lora_repeat_num").is_none() {
        let side = visual.side("image_size")?.unwrap_or(448);
        return Ok(Tiling::Whole(Box::new(Whole::squeezed(side, Features::Queries(queries)))));
    }
    let own = Monkey::default();
    // (height, width) where there are two.
    let size = match visual.get("image_size").and_then(Value::as_array).map(Vec::as_slice) {
        Some([height, width]) => {
            let side = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
            let wrong = || visual.wrong("image_size", "a length, or a height and a width");
            Some((side(width).ok_or_else(wrong)?, side(height).ok_or_else(wrong)?))
        }
        _ => visual.side("image_size")?.map(|side| (side, side)),
    };
    Ok(Tiling::Monkey(Monkey {
        window: visual.side("window")?.unwrap_or(own.window),
        size: size.or(Some((2 * own.window, 2 * own.window))),
        queries,
    }))
}

/// MiniCPM-V up to 2.6, by its processor's file where there is one.
pub(super) fn minicpmv(sources: &Sources) -> Result<Tiling> {
    let (image, config, own) = (sources.image()?, sources.config()?, MiniCpmV::default());
    let slicing = config.object("slice_config")?;
    let count = |name: &str| -> Result<Option<u32>> {
        let sliced = slicing.map(|s| s.side(name)).transpose()?.flatten();
        Ok(image.side(name)?.or(sliced).or(config.side(name)?))
    };
    for fields in [image, config] {
        if fields.bool("slice_mode")? == Some(false) {
            let reason = "pictures would keep their size; `--tiling none` squeezes them into one slice";
            return Err(Error::unsupported("slice_mode = false", reason));
        }
    }
    let queries = config.count("query_num")?.or(image.count("image_feature_size")?).unwrap_or(64);
    let version = image.number("version")?.or(config.number("version")?).unwrap_or(2.0);
    let numbered = image.bool("use_image_id")?.or(config.bool("use_image_id")?);
    let form = match version {
        v if v < 2.6 => Form::Images,
        _ => Form::Slices { numbered: numbered.unwrap_or(image.get("version").is_none()) },
    };
    Ok(Tiling::MiniCpmV(MiniCpmV {
        max: count("max_slice_nums")?.unwrap_or(own.max),
        size: count("scale_resolution")?.unwrap_or(own.size),
        step: count("patch_size")?.unwrap_or(own.step),
        features: Features::Queries(queries),
        form,
        ..own
    }))
}
