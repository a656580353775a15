//! What a checkpoint asks to be done with a picture: its `preprocessor_config.json`, or the `image_processor` part
//! of a `processor_config.json` as transformers 5 writes it.
//!
//! Each processor type of transformers has its own defaults for absent fields; they are one table here. Options
//! that would change the pixels and that we do not do are errors that name the field.

use super::fields::Fields;
use super::tiles::Levels;
use super::{Policy, Resample};
use crate::{Error, Result};
use serde_json::Value;

/// Longest side that a configuration may ask for.
const MAX_SIDE: u64 = 65_536;

/// The size that a picture is resized to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// Exactly this, whatever the aspect ratio.
    Exact {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// The shorter side becomes this, the longer keeps the aspect ratio.
    ShortestEdge(u32),
    /// As [`Size::ShortestEdge`], but smaller where the longer side would exceed `longest`.
    Bounded {
        /// The shorter side.
        shortest: u32,
        /// Bound of the longer side.
        longest: u32,
    },
}

/// Steps from picture to model input, in their order: resize, crop, rescale, normalise. Sizes are in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocess {
    /// Type of the image processor, as `CLIPImageProcessor`, without the suffixes `Fast` and `Pil`.
    pub processor: String,
    /// Policy that the checkpoint itself asks for: `none` or `pad`.
    pub policy: Policy,
    /// Size to resize to, if at all.
    pub size: Option<Size>,
    /// Filter of the resize.
    pub resample: Resample,
    /// (height, width) of the centre crop, if any.
    pub crop: Option<(u32, u32)>,
    /// Factor on the bytes; 1 without `do_rescale`.
    pub rescale: f64,
    /// Subtracted from the rescaled value, by channel; 0 without `do_normalize`.
    pub mean: [f64; 3],
    /// Divides the difference, by channel; 1 without `do_normalize`.
    pub std: [f64; 3],
    /// Colour of the policy `pad`: `int(image_mean * 255)`.
    pub background: [u8; 3],
}

/// Defaults of one processor type of transformers.
struct Defaults {
    /// Name before `ImageProcessor` or `FeatureExtractor`.
    prefix: &'static str,
    size: Size,
    resample: Resample,
    crop: Option<u32>,
    mean: [f64; 3],
    std: [f64; 3],
}

const HALF: [f64; 3] = [0.5; 3];
const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

const fn square(side: u32) -> Size {
    Size::Exact { height: side, width: side }
}

const fn half(prefix: &'static str, side: u32, resample: Resample, crop: Option<u32>) -> Defaults {
    Defaults { prefix, size: square(side), resample, crop, mean: HALF, std: HALF }
}

const fn clip(prefix: &'static str, size: Size, crop: Option<u32>) -> Defaults {
    Defaults { prefix, size, resample: Resample::Bicubic, crop, mean: CLIP_MEAN, std: CLIP_STD }
}

const TYPES: &[Defaults] = &[
    half("Beit", 256, Resample::Bicubic, Some(224)),
    clip("Bit", Size::ShortestEdge(224), Some(224)),
    clip("Blip", square(384), None),
    clip("ChineseCLIP", Size::ShortestEdge(224), Some(224)),
    clip("CLIP", Size::ShortestEdge(224), Some(224)),
    half("DeiT", 256, Resample::Bicubic, Some(224)),
    clip("Llava", Size::ShortestEdge(224), Some(224)),
    half("Siglip", 224, Resample::Bicubic, None),
    half("ViT", 224, Resample::Bilinear, None),
];

impl Preprocess {
    /// What CLIP's own processor does without any fields: shorter side to 224, centre crop, CLIP's mean and deviation.
    pub fn clip() -> Self {
        Self {
            processor: "CLIPImageProcessor".into(),
            policy: Policy::None,
            size: Some(Size::ShortestEdge(224)),
            resample: Resample::Bicubic,
            crop: Some((224, 224)),
            rescale: 1.0 / 255.0,
            mean: CLIP_MEAN,
            std: CLIP_STD,
            background: CLIP_MEAN.map(|m| (m * 255.0) as u8),
        }
    }

    /// Reads the files of a checkpoint, either of which may be absent; `(name, text)` each. The `image_processor`
    /// part of a `processor_config.json` wins over a `preprocessor_config.json`, as in transformers 5. `fallback`
    /// is the type for files that name none, as `CLIPImageProcessor`; with neither file it gives that type's
    /// defaults.
    ///
    /// # Errors
    /// [`Error::Malformed`] for broken JSON and wrong field types, [`Error::Unsupported`] for other processor types
    /// and options.
    pub fn read(
        preprocessor: Option<(&str, &str)>,
        processor: Option<(&str, &str)>,
        fallback: Option<&str>,
    ) -> Result<Self> {
        for (path, text) in processor.into_iter().chain(preprocessor) {
            let value: Value = serde_json::from_str(text).map_err(|e| Error::malformed(path, e.to_string()))?;
            let nested = value.get("image_processor").filter(|v| v.is_object());
            let flat = Some(&value).filter(|_| preprocessor.is_some_and(|(name, _)| name == path));
            if let Some(found) = nested.or(flat) {
                return Self::from_value(path, found, fallback);
            }
        }
        let Some(fallback) = fallback else {
            let reason = "neither preprocessor_config.json nor an image_processor in processor_config.json";
            return Err(Error::argument("picture preprocessing", reason));
        };
        Self::from_value("preprocessor_config.json", &Value::Object(serde_json::Map::new()), Some(fallback))
    }

    /// Reads the object of an image processor.
    ///
    /// # Errors
    /// As [`Preprocess::read`].
    pub fn from_value(path: &str, value: &Value, fallback: Option<&str>) -> Result<Self> {
        let fields = Fields::new(path, value)?;
        let named = fields.text("image_processor_type")?.or(fields.text("feature_extractor_type")?).or(fallback);
        let Some(named) = named else {
            return Err(Error::malformed(path, "`image_processor_type` is missing"));
        };
        let prefix = bare_name(named);
        let Some(defaults) = TYPES.iter().find(|t| t.prefix == prefix) else {
            return Err(unknown_type(named));
        };
        refuse_unknown(&fields, defaults)?;
        let (mean, std) = colours(&fields, (defaults.mean, defaults.std))?;
        let levels = levels(&fields, defaults.resample, (mean, std))?;
        let pad = prefix == "Llava" && fields.bool("do_pad")?.unwrap_or(false);
        Ok(Self {
            processor: format!("{prefix}ImageProcessor"),
            policy: if pad { Policy::Pad } else { Policy::None },
            size: read_size(&fields, defaults)?,
            resample: levels.resample,
            crop: read_crop(&fields, defaults)?,
            rescale: levels.rescale,
            mean: levels.mean,
            std: levels.std,
            background: mean.map(|m| (m * 255.0) as u8),
        })
    }
}

/// Processor types that tile, with what they do to pixels when their fields are absent.
const TILING_TYPES: &[(&str, Resample, [[f64; 3]; 2])] = &[
    ("Fuyu", Resample::Bilinear, [HALF, HALF]),
    ("GotOcr2", Resample::Bicubic, [CLIP_MEAN, CLIP_STD]),
    ("Idefics2", Resample::Bilinear, [HALF, HALF]),
    ("Idefics3", Resample::Lanczos, [HALF, HALF]),
    ("LlavaNext", Resample::Bicubic, [CLIP_MEAN, CLIP_STD]),
    ("LlavaOnevision", Resample::Bicubic, [CLIP_MEAN, CLIP_STD]),
    ("MiniCPMV", Resample::Bicubic, [HALF, HALF]),
    ("MiniCPMV4_6", Resample::Bicubic, [HALF, HALF]),
    ("Mllama", Resample::Bilinear, [HALF, HALF]),
    ("OmmaDemo", Resample::Bicubic, [HALF, HALF]),
    ("Pixtral", Resample::Bicubic, [CLIP_MEAN, CLIP_STD]),
    ("Qwen2VL", Resample::Bicubic, [CLIP_MEAN, CLIP_STD]),
    ("SmolVLM", Resample::Lanczos, [HALF, HALF]),
];

/// Types that lay transparent pictures on white (transformers 4); the others drop alpha.
const ON_WHITE: &[&str] = &["Idefics2", "Idefics3", "Mllama", "OmmaDemo", "Pixtral", "SmolVLM"];

impl Preprocess {
    /// What a processor of type `prefix` does to pixels once their place is known.
    pub(super) fn levels(fields: &Fields<'_>, prefix: &str) -> Result<Levels> {
        let whole = TYPES.iter().map(|t| (t.prefix, t.resample, [t.mean, t.std]));
        let found = whole.chain(TILING_TYPES.iter().copied()).find(|(name, ..)| *name == prefix);
        let (_, resample, [mean, std]) = found.ok_or_else(|| unknown_type(prefix))?;
        let levels = levels(fields, resample, colours(fields, (mean, std))?)?;
        Ok(Levels { over: ON_WHITE.contains(&prefix).then_some([255; 3]), ..levels })
    }
}

/// Mean and deviation, stated or the type's own.
fn colours(fields: &Fields<'_>, (mean, std): ([f64; 3], [f64; 3])) -> Result<([f64; 3], [f64; 3])> {
    // MiniCPM-V's own processor calls them after the norm.
    let either = |name, own| Ok::<_, Error>(fields.colour(name)?.or(fields.colour(own)?));
    let mean = either("image_mean", "norm_mean")?.unwrap_or(mean);
    let std = either("image_std", "norm_std")?.unwrap_or(std);
    if std.iter().any(|s| (*s as f32) == 0.0) {
        return Err(fields.wrong("image_std", "no zero"));
    }
    Ok((mean, std))
}

/// Filter, factor, mean and deviation, with the switches that turn them off.
fn levels(fields: &Fields<'_>, resample: Resample, (mean, std): ([f64; 3], [f64; 3])) -> Result<Levels> {
    let rescaled = fields.bool("do_rescale")?.unwrap_or(true);
    let rescale = fields.number("rescale_factor")?.unwrap_or(1.0 / 255.0);
    let normalized = fields.bool("do_normalize")?.unwrap_or(true);
    Ok(Levels {
        resample: read_resample(fields)?.unwrap_or(resample),
        rescale: if rescaled { rescale } else { 1.0 },
        mean: if normalized { mean } else { [0.0; 3] },
        std: if normalized { std } else { [1.0; 3] },
        over: None,
    })
}

/// `CLIP` of `CLIPImageProcessor`, `CLIPImageProcessorFast`, `CLIPImageProcessorPil` and `CLIPFeatureExtractor`.
pub(super) fn bare_name(name: &str) -> &str {
    let name = name.strip_suffix("Fast").or(name.strip_suffix("Pil")).unwrap_or(name);
    name.strip_suffix("ImageProcessor").or(name.strip_suffix("FeatureExtractor")).unwrap_or(name)
}

fn unknown_type(name: &str) -> Error {
    let known = TYPES.iter().map(|t| t.prefix).collect::<Vec<_>>().join(", ");
    let name: String = name.chars().take(80).collect();
    Error::unsupported(format!("image_processor_type = \"{name}\""), format!("supported: {known}"))
}

/// Fields that change the pixels and that the supported types do not have, or have and we do not do.
fn refuse_unknown(fields: &Fields<'_>, defaults: &Defaults) -> Result<()> {
    let done = ["do_resize", "do_center_crop", "do_rescale", "do_normalize"];
    // Pictures are always RGB here; labels are no pictures.
    let harmless = ["do_convert_rgb", "do_reduce_labels"];
    for name in fields.names() {
        let known =
            done.contains(&name) || harmless.contains(&name) || (name == "do_pad" && defaults.prefix == "Llava");
        let switched_on = name.starts_with("do_") && fields.bool(name)?.unwrap_or(false);
        let sized = ["pad_size", "size_divisor", "size_divisibility", "crop_pct"].contains(&name);
        if (switched_on && !known) || (sized && fields.get(name).is_some()) {
            let what = format!("{name} of a {}ImageProcessor", defaults.prefix);
            return Err(Error::unsupported(
                what,
                "it would change the pixels; supported: resize, centre crop, \
                                                 rescale, normalise",
            ));
        }
    }
    Ok(())
}

fn read_resample(fields: &Fields<'_>) -> Result<Option<Resample>> {
    let Some(value) = fields.get("resample") else { return Ok(None) };
    let number = value.as_u64().ok_or_else(|| fields.wrong("resample", "a filter number"))?;
    let filter = Resample::from_pil(number);
    filter.map(Some).ok_or_else(|| Error::unsupported(format!("resample = {number}"), "PIL's filters are 0 to 5"))
}

fn read_size(fields: &Fields<'_>, defaults: &Defaults) -> Result<Option<Size>> {
    if !fields.bool("do_resize")?.unwrap_or(true) {
        return Ok(None);
    }
    let Some(value) = fields.get("size") else { return Ok(Some(defaults.size)) };
    let by_edge = matches!(defaults.size, Size::ShortestEdge(_));
    let by_edge = !fields.bool("default_to_square")?.unwrap_or(!by_edge);
    let side = |v: &Value| side(fields, "size", v);
    let size = match value {
        Value::Number(_) if by_edge => Size::ShortestEdge(side(value)?),
        Value::Number(_) => square(side(value)?),
        Value::Array(list) if list.len() == 2 => Size::Exact { height: side(&list[0])?, width: side(&list[1])? },
        Value::Object(_) => {
            let part = |name: &str| value.get(name).filter(|v| !v.is_null()).map(side).transpose();
            match (part("height")?, part("width")?, part("shortest_edge")?, part("longest_edge")?) {
                (Some(height), Some(width), None, None) => Size::Exact { height, width },
                (None, None, Some(shortest), None) => Size::ShortestEdge(shortest),
                (None, None, Some(shortest), Some(longest)) => Size::Bounded { shortest, longest },
                _ => return Err(unsupported_size(value)),
            }
        }
        _ => return Err(fields.wrong("size", "a number, [height, width] or an object")),
    };
    Ok(Some(size))
}

fn unsupported_size(value: &Value) -> Error {
    let text: String = value.to_string().chars().take(80).collect();
    let forms = "supported: {height, width}, {shortest_edge}, {shortest_edge, longest_edge}";
    Error::unsupported(format!("size = {text}"), forms)
}

fn read_crop(fields: &Fields<'_>, defaults: &Defaults) -> Result<Option<(u32, u32)>> {
    if !fields.bool("do_center_crop")?.unwrap_or(defaults.crop.is_some()) {
        return Ok(None);
    }
    let side = |v: &Value| side(fields, "crop_size", v);
    let wrong = || fields.wrong("crop_size", "a number, [height, width] or {height, width}");
    match fields.get("crop_size") {
        // Types without a crop of their own have no default size either.
        None => {
            defaults.crop.map(|c| Some((c, c))).ok_or_else(|| Error::malformed(fields.path, "`crop_size` is missing"))
        }
        Some(value @ Value::Number(_)) => side(value).map(|s| Some((s, s))),
        Some(Value::Array(list)) if list.len() == 2 => Ok(Some((side(&list[0])?, side(&list[1])?))),
        Some(value) => match (value.get("height"), value.get("width")) {
            (Some(height), Some(width)) => Ok(Some((side(height)?, side(width)?))),
            _ => Err(wrong()),
        },
    }
}

fn side(fields: &Fields<'_>, name: &str, value: &Value) -> Result<u32> {
    let side = value.as_u64().filter(|s| (1..=MAX_SIDE).contains(s)).and_then(|s| u32::try_from(s).ok());
    side.ok_or_else(|| fields.wrong(name, "sides from 1 to 65536 pixels"))
}
