//! Which files of a folder are the checkpoint: one safetensors file, or an index and its shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::header::{Header, HeaderTensor, read_header};
use super::read::{Files, ReadAt, check_name};
use super::{Checkpoint, PackedTensor, Section, TensorEntry, clip, refuse};
use crate::quant::Packing;
use crate::{DType, Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct Index {
    /// Tensor -> file.
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens the checkpoint of a folder: `model.safetensors`, else `model.safetensors.index.json` with its shards,
    /// else the only other `*.safetensors`. Reads headers, no weights.
    ///
    /// Every tensor of the index must be in the shard that the index names. A tensor that the index leaves out
    /// is taken as well, as the reference library does.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a file that breaks its format, naming file and tensor; [`Error::Io`] for a missing
    /// shard or no weights at all; [`Error::Unsupported`] for weights in another format, with the way to convert them.
    pub async fn open(files: &dyn Files) -> Result<Self> {
        if let Some(source) = files.open(SINGLE).await? {
            return Self::of_sources(files.describe(), vec![source]).await;
        }
        if let Some(bytes) = files.read(INDEX).await? {
            return open_shards(files, &bytes).await;
        }
        if let Some(source) = files.open(super::gguf::WEIGHTS).await? {
            let pictures = files.open(super::gguf::PICTURES).await?;
            return Self::of_gguf(source, pictures).await;
        }
        let list = files.list().await?;
        let name = refuse::only_weights(&files.describe(), &list, files.copy_command().as_deref())?;
        match files.open(name).await? {
            Some(source) => Self::of_sources(files.describe(), vec![source]).await,
            None => Err(Error::Io { path: files.describe(), reason: format!("{name} has disappeared") }),
        }
    }

    /// Opens one safetensors file, which need not be a model: inputs, expected values, features.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a file that breaks the format; [`Error::Io`] from the source.
    pub async fn of_file(source: Arc<dyn ReadAt>) -> Result<Self> {
        Self::of_sources(source.name().to_owned(), vec![source]).await
    }

    /// Opens several safetensors files as one checkpoint. No tensor may be in two of them.
    ///
    /// # Errors
    /// As [`Checkpoint::of_file`], and [`Error::Malformed`] for a tensor that is there twice.
    pub async fn of_sources(label: String, files: Vec<Arc<dyn ReadAt>>) -> Result<Self> {
        let mut checkpoint = Self { label, files: Vec::new(), entries: Vec::new(), metadata: BTreeMap::new() };
        for source in files {
            let header = read_header(&*source).await?;
            checkpoint.add(source, header);
        }
        checkpoint.take_notes()?;
        checkpoint.sort()?;
        Ok(checkpoint)
    }

    fn add(&mut self, source: Arc<dyn ReadAt>, header: Header) {
        let file = self.files.len();
        self.files.push(source);
        self.entries.extend(header.tensors.into_iter().map(|tensor| entry(file, tensor)));
        for (key, value) in header.metadata {
            self.metadata.entry(key).or_insert(value);
        }
    }

    /// Sorts the table by name and refuses a name that is there twice.
    pub(super) fn sort(&mut self) -> Result<()> {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        let Some(pair) = self.entries.windows(2).find(|pair| pair[0].name == pair[1].name) else { return Ok(()) };
        let place = |entry: &TensorEntry| {
            let file = self.files.get(entry.file).map(|file| file.name()).unwrap_or_default();
            format!("`{}` of {file}", clip(&entry.stored))
        };
        let reason =
            format!("tensor `{}` is there twice: {} and {}", clip(&pair[0].name), place(&pair[0]), place(&pair[1]));
        Err(Error::malformed(&self.label, reason))
    }
}

/// The entry of a tensor of a header. Floats of 8 bits are a packed weight with a factor of 1.
fn entry(file: usize, tensor: HeaderTensor) -> TensorEntry {
    let HeaderTensor { name, dtype, shape, offset, bytes, e4m3 } = tensor;
    let packed = e4m3.then(|| PackedTensor {
        packing: Packing::Bytes { e4m3: true, tile: [1 << 30, 1 << 30] },
        sections: vec![Section::Stored { file, offset, bytes }, Section::Made(1f32.to_le_bytes().to_vec().into())],
    });
    let (dtype, bytes) = if e4m3 { (DType::F32, bytes * 4) } else { (dtype, bytes) };
    TensorEntry { stored: name.clone(), name, dtype, shape, file, offset, bytes, packed }
}

async fn open_shards(files: &dyn Files, index: &[u8]) -> Result<Checkpoint> {
    let place = format!("{}/{INDEX}", files.describe());
    let index: Index = serde_json::from_slice(index).map_err(|error| Error::malformed(&place, error.to_string()))?;
    let mut shards: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
    shards.sort_unstable();
    shards.dedup();
    let mut sources = Vec::new();
    for shard in &shards {
        check_name(&place, shard)?;
        let Some(source) = files.open(shard).await? else {
            let wanted = index.weight_map.values().filter(|file| file == shard).count();
            let reason = format!("the shard is missing; {INDEX} places {wanted} tensors in it");
            return Err(Error::Io { path: format!("{}/{shard}", files.describe()), reason });
        };
        sources.push(source);
    }
    let checkpoint = Checkpoint::of_sources(files.describe(), sources).await?;
    for (name, shard) in &index.weight_map {
        let file = checkpoint.find(name).map(|entry| shards[entry.file]);
        if file != Some(shard.as_str()) {
            let found = file.map_or("it is in no shard".to_owned(), |file| format!("it is in {file}"));
            return Err(Error::malformed(&place, format!("tensor `{}` should be in {shard}, {found}", clip(name))));
        }
    }
    Ok(checkpoint)
}
