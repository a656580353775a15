//! `auto`: settings from a checkpoint's own files, as transformers' processors read them: `preprocessor_config.json` (or
//! the `image_processor` part of `processor_config.json`) says what is done to the picture, `config.json` how many
//! pixels become one token. Checkpoints of LLaVA's own code say the first in `config.json` too.

use super::{
    AnyRes, Features, Fuyu, Idefics2, Idefics3, InternVl, Levels, MiniCpmV, Mllama, Native, Pixtral, Tiling, Uhd,
    Unpad, Whole, own,
};
use crate::image::fields::Fields;
use crate::image::preprocess::bare_name;
use crate::image::{Policy, Preprocess};
use crate::{Error, Result};
use serde_json::{Map, Value};

/// Texts of a checkpoint's files; what is absent is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckpointFiles<'a> {
    /// config.json
    pub config: Option<&'a str>,
    /// preprocessor_config.json
    pub preprocessor: Option<&'a str>,
    /// processor_config.json
    pub processor: Option<&'a str>,
}

/// The objects that settings are read from.
pub(super) struct Sources {
    image: Value,
    image_file: &'static str,
    processor: Value,
    config: Value,
    vision: Value,
}

impl Sources {
    pub(super) fn image(&self) -> Result<Fields<'_>> {
        Fields::new(self.image_file, &self.image)
    }
    fn processor(&self) -> Result<Fields<'_>> {
        Fields::new("processor_config.json", &self.processor)
    }
    pub(super) fn config(&self) -> Result<Fields<'_>> {
        Fields::new("config.json", &self.config)
    }
    fn vision(&self) -> Result<Fields<'_>> {
        Fields::new("config.json", &self.vision)
    }
    /// Whether a processor's file says nothing of its type.
    fn unnamed(&self) -> Result<bool> {
        let image = self.image()?;
        Ok(image.get("image_processor_type").or(image.get("feature_extractor_type")).is_none())
    }
    pub(super) fn model_type(&self) -> Result<&str> {
        Ok(self.config()?.text("model_type")?.unwrap_or_default())
    }
    /// Side of the tower's patches: stated, or the default of the tower's type in transformers.
    fn patch(&self) -> Result<u32> {
        if let Some(patch) = self.vision()?.side("patch_size")? {
            return Ok(patch);
        }
        let tower = self.vision()?.text("model_type")?.unwrap_or_default();
        let known = PATCHES.iter().find(|(name, _)| *name == tower).map(|(_, patch)| *patch);
        known.ok_or_else(|| Error::malformed("config.json", format!("no `patch_size` of the picture tower `{tower}`")))
    }
}

/// Patch sizes that a configuration may leave out, by the tower's `model_type` in transformers.
const PATCHES: &[(&str, u32)] = &[
    ("beit", 16),
    ("blip_vision_model", 16),
    ("clip", 32),
    ("clip_vision_model", 32),
    ("deit", 16),
    ("dinov2", 14),
    ("idefics2_vision", 32),
    ("idefics3_vision", 32),
    ("internvl_vision", 14),
    ("mllama_vision_model", 14),
    ("pixtral", 16),
    ("qwen2_5_vl", 14),
    ("qwen2_vl", 14),
    ("siglip", 16),
    ("siglip_vision_model", 16),
    ("smolvlm_vision", 32),
    ("vit", 16),
];

impl Tiling {
    /// What a checkpoint's own processor does.
    ///
    /// # Errors
    /// [`Error::Malformed`] for broken files and missing fields, [`Error::Unsupported`] for processor types and options
    /// that are not known.
    pub fn of_checkpoint(files: &CheckpointFiles<'_>) -> Result<Self> {
        let sources = sources(files)?;
        if let (true, Some((tiling, _))) = (sources.unnamed()?, own::alone(&sources)?) {
            return tiling.checked();
        }
        let fields = sources.image()?;
        let named = fields.text("image_processor_type")?.or(fields.text("feature_extractor_type")?);
        let prefix = bare_name(named.unwrap_or("CLIPImageProcessor"));
        let tiling = match prefix {
            "LlavaNext" => any_resolution(&sources, 224, None),
            "LlavaOnevision" => any_resolution(&sources, 384, Some(max_of(&sources)?)),
            "Qwen2VL" => native(&sources),
            "GotOcr2" => internvl(&sources),
            "Fuyu" => fuyu(&sources),
            "Idefics2" => idefics2(&sources),
            "Idefics3" | "SmolVLM" => idefics3(&sources),
            "Pixtral" => pixtral(&sources),
            "Mllama" => mllama(&sources),
            "MiniCPMV4_6" => minicpmv4_6(&sources),
            "MiniCPMV" => own::minicpmv(&sources),
            "OmmaDemo" => demo(&sources),
            _ => whole(&sources, named),
        };
        tiling?.checked()
    }
}

impl Levels {
    /// How a checkpoint's own processor makes numbers of pixels.
    ///
    /// # Errors
    /// As [`Tiling::of_checkpoint`].
    pub fn of_checkpoint(files: &CheckpointFiles<'_>) -> Result<Self> {
        let sources = sources(files)?;
        let fields = sources.image()?;
        let named = fields.text("image_processor_type")?.or(fields.text("feature_extractor_type")?);
        let own = if sources.unnamed()? { own::alone(&sources)?.map(|(_, levels)| levels) } else { None };
        Preprocess::levels(&fields, own.or(named.map(bare_name)).unwrap_or("CLIP"))
    }
}

impl CheckpointFiles<'_> {
    /// Whether config.json says all of how pictures are tiled, where no processor's file is there.
    pub fn is_enough(config: &str) -> bool {
        let alone = CheckpointFiles { config: Some(config), ..CheckpointFiles::default() };
        let own = sources(&alone).and_then(|sources| own::alone(&sources));
        // LLaVA-UHD's own code has no file for its slices, only CLIP's levels. What is not supported is said later.
        !matches!(own, Ok(None)) || matches!(Tiling::of_checkpoint(&alone), Ok(Tiling::Uhd(_)))
    }
}

fn parse(path: &str, text: Option<&str>) -> Result<Value> {
    let Some(text) = text else { return Ok(Value::Object(Map::new())) };
    serde_json::from_str(text).map_err(|e| Error::malformed(path, e.to_string()))
}

fn sources(files: &CheckpointFiles<'_>) -> Result<Sources> {
    let processor = parse("processor_config.json", files.processor)?;
    let config = parse("config.json", files.config)?;
    let nested = processor.get("image_processor").filter(|v| v.is_object()).cloned();
    let (image, image_file) = match nested {
        Some(image) => (image, "processor_config.json"),
        None => (parse("preprocessor_config.json", files.preprocessor)?, "preprocessor_config.json"),
    };
    let vision = config.get("vision_config").filter(|v| v.is_object()).unwrap_or(&config).clone();
    let sources = Sources { image, image_file, processor, config, vision };
    if files.config.is_none() {
        return Err(Error::argument("policy auto", "the checkpoint has no config.json"));
    }
    Ok(sources)
}

/// LLaVA-NeXT and LLaVA-OneVision of transformers. Canvases are (height, width) there.
fn any_resolution(sources: &Sources, default: u32, max: Option<u32>) -> Result<Tiling> {
    let image = sources.image()?;
    let size = image.size()?;
    let side = size.shortest.or(size.height).unwrap_or(default);
    let crops = max.is_none() && image.bool("do_center_crop")?.unwrap_or(true);
    let crop = if crops { image.side("crop_size")?.unwrap_or(default) } else { side };
    if crop != side || size.width.is_some_and(|width| width != side) {
        let reason = format!("tiles are cropped to {crop} pixels after a resize to {side}; supported: equal squares");
        return Err(Error::unsupported("crop_size of the image processor", reason));
    }
    let canvases = image.pairs("image_grid_pinpoints")?.map(|list| list.into_iter().map(|(h, w)| (w, h)).collect());
    let own = if max.is_some() { AnyRes::onevision(9) } else { AnyRes::default() };
    let canvases = canvases.unwrap_or_else(|| own.canvases.iter().map(|(h, w)| (*w, *h)).collect());
    let patch = sources.patch()?;
    Ok(Tiling::AnyRes(AnyRes { tile: side, patch, canvases, unpad: Unpad::Rounded, newline: true, max }))
}

/// `9` of `anyres_max_9`.
fn max_of(sources: &Sources) -> Result<u32> {
    let stated = sources.config()?.text("vision_aspect_ratio")?;
    let stated = stated.or(sources.processor()?.text("vision_aspect_ratio")?).unwrap_or("anyres_max_9");
    let number = stated.strip_prefix("anyres_max_").and_then(|n| n.parse().ok());
    number.ok_or_else(|| {
        Error::unsupported(format!("vision_aspect_ratio = \"{stated}\""), "supported: anyres_max_<number>")
    })
}

fn native(sources: &Sources) -> Result<Tiling> {
    let image = sources.image()?;
    let own = Native::default();
    let (patch, merge) = (image.side("patch_size")?.unwrap_or(14), image.side("merge_size")?.unwrap_or(2));
    let size = image.size()?;
    let min = image.count("min_pixels")?.or(size.shortest.map(u64::from)).unwrap_or(own.min_pixels);
    let max = image.count("max_pixels")?.or(size.longest.map(u64::from)).unwrap_or(own.max_pixels);
    let factor = patch.saturating_mul(merge);
    let window = (sources.model_type()? == "qwen2_5_vl").then(|| sources.vision()?.side("window_size")).transpose()?;
    let window = window.map(|side| side.unwrap_or(112) / factor.max(1));
    Ok(Tiling::Native(Native { factor, min_pixels: min, max_pixels: max, window }))
}

fn internvl(sources: &Sources) -> Result<Tiling> {
    let (image, model_type) = (sources.image()?, sources.model_type()?);
    if model_type != "internvl" {
        let reason = "the GotOcr2ImageProcessor is supported for internvl";
        return Err(Error::unsupported(format!("model_type \"{model_type}\""), reason));
    }
    let (width, height) = image.size()?.exact().unwrap_or((384, 384));
    let cuts = image.bool("crop_to_patches")?.unwrap_or(true);
    let most = image.side("max_patches")?.unwrap_or(12);
    let (min, max) = if cuts { (image.side("min_patches")?.unwrap_or(1), most) } else { (1, 1) };
    let ratio = sources.config()?.number("downsample_ratio")?.unwrap_or(0.5);
    let merged = f64::from(sources.patch()?) / ratio;
    Ok(Tiling::InternVl(InternVl { tile: (width, height), min, max, features: Features::Squares(merged as u32) }))
}

fn fuyu(sources: &Sources) -> Result<Tiling> {
    let image = sources.image()?;
    let patch = image.side("patch_size")?.unwrap_or(30);
    let bound = image.size()?.exact().unwrap_or((1920, 1080));
    let resizes = image.bool("do_resize")?.unwrap_or(true);
    // The processor cuts what the image processor has filled up; files without one come from the latter alone.
    let cut = image.get("processor_class").or(sources.processor()?.get("processor_class")).is_some();
    Ok(Tiling::Fuyu(Fuyu { patch, bound: resizes.then_some(bound), fill: resizes && !cut }))
}

fn idefics2(sources: &Sources) -> Result<Tiling> {
    let (image, own) = (sources.image()?, Idefics2::default());
    let size = image.size()?;
    let latents = sources.config()?.object("perceiver_config")?.map(|p| p.count("resampler_n_latents")).transpose()?;
    Ok(Tiling::Idefics2(Idefics2 {
        shortest: size.shortest.unwrap_or(own.shortest),
        longest: size.longest.unwrap_or(own.longest),
        split: image.bool("do_image_splitting")?.unwrap_or(own.split),
        latents: latents.flatten().unwrap_or(own.latents),
    }))
}

fn idefics3(sources: &Sources) -> Result<Tiling> {
    let (image, own) = (sources.image()?, Idefics3::default());
    let tile = image.object("max_image_size")?.map(|size| size.side("longest_edge")).transpose()?;
    let scale = sources.config()?.side("scale_factor")?.unwrap_or(2);
    let stated = sources.processor()?.count("image_seq_len")?;
    let features = match stated {
        Some(count) => Features::Queries(count),
        None => Features::Squares(sources.patch()?.saturating_mul(scale)),
    };
    Ok(Tiling::Idefics3(Idefics3 {
        longest: image.size()?.longest.unwrap_or(own.longest),
        tile: tile.flatten().unwrap_or(own.tile),
        split: image.bool("do_image_splitting")?.unwrap_or(own.split),
        features,
    }))
}

fn pixtral(sources: &Sources) -> Result<Tiling> {
    let image = sources.image()?;
    let size = image.size()?;
    let bound = size.longest.map(|side| (side, side)).or(size.exact()).unwrap_or((1024, 1024));
    let config = sources.config()?;
    let merge = match sources.processor()?.side("spatial_merge_size")?.or(config.side("spatial_merge_size")?) {
        None if sources.model_type()? == "mistral3" => 2,
        merge => merge.unwrap_or(1),
    };
    // Mistral 3 states a patch in one release of the processor and merged patches in another.
    let step = image.side("patch_size")?.unwrap_or(16).max(sources.patch()?.saturating_mul(merge));
    Ok(Tiling::Pixtral(Pixtral { bound, step }))
}

fn mllama(sources: &Sources) -> Result<Tiling> {
    let image = sources.image()?;
    let tile = image.size()?.exact().map_or(224, |size| size.1);
    let max = image.side("max_image_tiles")?.unwrap_or(4);
    Ok(Tiling::Mllama(Mllama { tile, max, patch: sources.patch()? }))
}

fn minicpmv4_6(sources: &Sources) -> Result<Tiling> {
    let image = sources.image()?;
    let cuts = image.bool("slice_mode")?.unwrap_or(true);
    let max = if cuts { image.side("max_slice_nums")?.unwrap_or(9) } else { 1 };
    let merge = if image.text("downsample_mode")? == Some("4x") { 2 } else { 4 };
    let side = image.side("scale_resolution")?.unwrap_or(448);
    Ok(Tiling::MiniCpmV(MiniCpmV::v4_6(max, side, image.side("patch_size")?.unwrap_or(14), merge)))
}

/// LLaVA-UHD's slices of another size and number.
fn demo(sources: &Sources) -> Result<Tiling> {
    let (image, own) = (sources.image()?, Uhd::default());
    let queries = sources.config()?.object("resampler_config")?.map(|r| r.count("num_queries")).transpose()?;
    Ok(Tiling::Uhd(Uhd {
        max: image.side("max_slices")?.unwrap_or(24),
        size: image.side("slice_size")?.unwrap_or(252),
        patch: image.side("patch_size")?.unwrap_or(own.patch),
        queries: queries.flatten().unwrap_or(64),
    }))
}

/// Queries of the resampler that LLaVA-UHD's code names in `config.json`.
fn uhd_queries(config: &Fields<'_>) -> Result<Option<u64>> {
    Ok(match config.text("mm_projector_type")? {
        Some("adapt_spatial_resampler_v1") => Some(144),
        Some("uhd_v1_query64") => Some(64),
        Some("resampler") => Some(config.count("mm_resampler_queries")?.unwrap_or(64)),
        _ => None,
    })
}

/// One input; or the tiles that LLaVA's own code asks for in `config.json`.
fn whole(sources: &Sources, named: Option<&str>) -> Result<Tiling> {
    let steps = match named {
        Some(_) => Preprocess::from_value(sources.image_file, &sources.image, None)?,
        None => Preprocess::clip(),
    };
    let config = sources.config()?;
    if let Some(queries) = uhd_queries(&config)? {
        return Ok(Tiling::Uhd(Uhd { queries, ..Uhd::default() }));
    }
    let asked = config.text("image_aspect_ratio")?.unwrap_or_default();
    let keeps_class = config.text("vision_feature_select_strategy")? == Some("full");
    // LLaVA's own configurations name a CLIP tower and say nothing of its patches.
    let patch =
        if config.get("mm_vision_tower").is_some() { sources.patch().unwrap_or(14) } else { sources.patch()? };
    if let Some(max) = asked.strip_prefix("anyres") {
        let tile = steps.crop.map_or(336, |crop| crop.0);
        let max =
            max.strip_prefix("_max_").map(|n| n.parse().map_err(|_| config.wrong("image_aspect_ratio", "a number")));
        let merge = config.text("mm_patch_merge_type")?.unwrap_or("flat");
        let own = AnyRes { tile, patch, max: max.transpose()?, ..AnyRes::hd() };
        let canvases = config.pairs("image_grid_pinpoints")?.unwrap_or(own.canvases);
        let unpad = if merge.contains("unpad") { Unpad::Truncated } else { Unpad::Keep };
        return Ok(Tiling::AnyRes(AnyRes { canvases, unpad, newline: merge.contains("unpad"), ..own }));
    }
    let features = if keeps_class { Features::SquaresAndClass(patch) } else { Features::Squares(patch) };
    let pad = steps.policy == Policy::Pad || asked == "pad";
    Ok(Tiling::Whole(Box::new(Whole { steps, pad, features, before: Vec::new(), after: Vec::new() })))
}
