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

#[cfg(test)]
mod tests {
    use super::super::{CheckpointFiles, Levels, Mark, Segment};
    use super::*;
    use crate::image::{Policy, Size};

    fn read(config: &str, preprocessor: Option<&str>) -> Result<(Tiling, Levels)> {
        let files = CheckpointFiles { config: Some(config), preprocessor, processor: None };
        Ok((Tiling::of_checkpoint(&files)?, Levels::of_checkpoint(&files)?))
    }

    /// Marks of a plan, features as their number.
    fn told(tiling: &Tiling, width: u32, height: u32) -> String {
        let plan = tiling.plan(width, height).unwrap();
        let text = |segment: &Segment| match segment {
            Segment::Mark(mark) => mark.name.to_string(),
            other => other.tokens().to_string(),
        };
        plan.order.iter().map(text).collect()
    }

    #[test]
    fn towers_of_qwen() {
        let config = r#"{"model_type": "qwen", "visual": {"width": 1664, "image_size": 448}}"#;
        assert!(CheckpointFiles::is_enough(config));
        let (tiling, levels) = read(config, None).unwrap();
        let Tiling::Whole(whole) = tiling else { panic!("{tiling:?}") };
        assert_eq!(whole.steps.size, Some(Size::Exact { height: 448, width: 448 }));
        assert_eq!((whole.features, levels.mean[2]), (Features::Queries(256), 0.408_210_73));
        let monkey = r#"{"model_type": "monkey", "visual": {"width": 1664, "image_size": 896}}"#;
        let Tiling::Monkey(monkey) = read(monkey, None).unwrap().0 else { panic!("no windows") };
        assert_eq!((monkey.window, monkey.size), (448, Some((896, 896))));
        let wide = r#"{"model_type": "qwen", "visual": {"width": 1, "lora_repeat_num": 6, "image_size": [896, 1344]}}"#;
        let plan = read(wide, None).unwrap().0.plan(500, 400).unwrap();
        assert_eq!((plan.policy, plan.grid, plan.tokens.total), (Policy::Monkey, Some((3, 2)), 7 * 256));
        assert!(!CheckpointFiles::is_enough(r#"{"model_type": "qwen"}"#));
    }

    #[test]
    fn slices_of_minicpm_v() {
        let second = r#"{"model_type": "minicpmv", "query_num": 64, "max_slice_nums": 9}"#;
        let (tiling, levels) = read(second, None).unwrap();
        assert_eq!((levels.mean, levels.resample), ([0.5; 3], crate::image::Resample::Bicubic));
        let pictures = "<image>64</image>";
        assert_eq!(told(&tiling, 400, 300), format!("{pictures}\n"));
        let rows = [pictures.repeat(2), pictures.repeat(2)].join("\n");
        assert_eq!(told(&tiling, 800, 800), format!("{pictures}<slice>{rows}</slice>\n"));
        let sixth =
            r#"{"model_type": "minicpmv", "version": 2.6, "query_num": 64, "slice_config": {"max_slice_nums": 4}}"#;
        let file = r#"{"image_processor_type": "MiniCPMVImageProcessor", "version": 2.6, "use_image_id": true,
            "norm_mean": [0.4, 0.5, 0.6]}"#;
        let (tiling, levels) = read(sixth, Some(file)).unwrap();
        assert_eq!(levels.mean, [0.4, 0.5, 0.6]);
        let rows = ["<slice>64</slice>".repeat(2), "<slice>64</slice>".repeat(2)].join("\n");
        let number = format!("<image_id>{}</image_id>", Mark::NUMBER);
        assert_eq!(told(&tiling, 800, 800), format!("{number}{pictures}{rows}\n"));
        let whole = r#"{"model_type": "minicpmv", "slice_mode": false}"#;
        assert!(read(whole, None).unwrap_err().to_string().contains("slice_mode"));
    }
}
