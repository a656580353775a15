//! The spec that a plan starts from: a checkpoint's headers, or its configuration alone.

use super::ModelFiles;
use super::model::CheckpointDtypes;
use crate::checkpoint::{Checkpoint, Config, Files};
use crate::models::{Spec, UniformFormat, read_spec};
use crate::quant::{Encoding, WeightFormat};
use crate::{DType, Result};

/// A spec with the types that its weights would be kept in: `weights` if given, else those of the checkpoint, else
/// (config.json alone) the configuration's `dtype`. Reads headers only.
///
/// Errors: those of [`ModelFiles::read`] and [`Checkpoint::open`]; [`Error::Unsupported`] for a configuration of other types
/// than f32, f16 and bf16.
pub async fn planned_spec(files: &dyn Files, weights: Option<Encoding>) -> Result<(ModelFiles, Spec)> {
    let read = ModelFiles::read(files).await?;
    // Types that cannot be kept do not matter where another one is asked for.
    let stated = match stated_dtype(&read.config) {
        Err(error) if weights.is_none() => return Err(error),
        stated => stated.unwrap_or(DType::F32),
    };
    let uniform = weights.map_or(WeightFormat::Float(stated), |weights| weights.format(stated));
    let spec = read_spec(&read.config, &UniformFormat(uniform))?;
    let settled = matches!(weights, Some(Encoding::Float(_)));
    if settled || !files.list().await?.iter().any(|name| name.ends_with(".safetensors") || name == "model.gguf") {
        return Ok((read, spec));
    }
    let checkpoint = Checkpoint::open(files).await?.quantized_by(&read.config).await?.canonical(spec.scheme)?;
    let spec = read_spec(&read.config, &CheckpointDtypes { checkpoint: &checkpoint, weights })?;
    Ok((read, spec))
}

/// `dtype` (transformers 5) or `torch_dtype` of the configuration or of its text part; f32 without one.
fn stated_dtype(config: &Config) -> Result<DType> {
    for path in ["dtype", "torch_dtype", "text_config.dtype", "text_config.torch_dtype"] {
        match config.optional::<String>(path)?.as_deref() {
            None => {}
            Some("float32") => return Ok(DType::F32),
            Some("float16") => return Ok(DType::F16),
            Some("bfloat16") => return Ok(DType::BF16),
            Some(other) => return Err(config.unsupported(path, format!("`{other}`; float32, float16, bfloat16 are"))),
        }
    }
    Ok(DType::F32)
}
