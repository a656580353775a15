//! The files that a GGUF checkpoint stands for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{Gguf, config, mmproj, tokenizer};
use crate::checkpoint::read::{Files, MemoryFile, Pending, ReadAt};
use crate::checkpoint::{Checkpoint, schemes};
use crate::{Error, Result};

/// Name of the weights among the files.
pub(crate) const WEIGHTS: &str = "model.gguf";
/// Name of the weights of the picture part.
pub(crate) const PICTURES: &str = "mmproj.gguf";

/// A GGUF file as a checkpoint: `model.gguf`, with a picture part `mmproj.gguf`, and config.json, generation_config.json,
/// tokenizer.json and their like made of the metadata. They are read when the first file is asked for.
pub struct GgufFiles {
    source: Arc<dyn ReadAt>,
    pictures: Option<Arc<dyn ReadAt>>,
    candidates: Vec<Arc<dyn ReadAt>>,
    made: OnceLock<Made>,
}

/// What was read.
struct Made {
    files: BTreeMap<&'static str, Vec<u8>>,
    pictures: Option<Arc<dyn ReadAt>>,
}

impl GgufFiles {
    /// The checkpoint in `source`.
    pub fn new(source: Arc<dyn ReadAt>) -> Self {
        Self { source, pictures: None, candidates: Vec::new(), made: OnceLock::new() }
    }
    /// The same with the picture part in `pictures`.
    #[must_use]
    pub fn with_pictures(self, pictures: Arc<dyn ReadAt>) -> Self {
        Self { pictures: Some(pictures), ..self }
    }
    /// The same with the picture part that fits among `candidates`, if there is one: that of a kind which goes with the
    /// decoder, whose projector gives what it takes.
    #[must_use]
    pub fn with_candidates(self, candidates: Vec<Arc<dyn ReadAt>>) -> Self {
        Self { candidates, ..self }
    }

    /// The picture part: the one that was given, or the candidate that fits.
    async fn part(&self, text: &Value, tokens: Option<&Vec<Value>>) -> Result<Option<Gguf>> {
        if let Some(pictures) = &self.pictures {
            return Gguf::open(pictures.clone()).await.map(Some);
        }
        let mut found: Option<Gguf> = None;
        for candidate in &self.candidates {
            // What is damaged is no part of this model; who means it names it.
            let Ok(part) = Gguf::open(candidate.clone()).await else { continue };
            if !mmproj::fits(&part, text, tokens) {
                continue;
            }
            if let Some(other) = &found {
                let reason =
                    format!("{} and {} fit; name the one that is meant", other.source.name(), part.source.name());
                return Err(Error::argument("picture part", reason));
            }
            found = Some(part);
        }
        Ok(found)
    }

    async fn made(&self) -> Result<&Made> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let file = Gguf::open(self.source.clone()).await?;
        let mut all = config::files(&file).await?;
        let tokens = file.metadata.pointer("/tokenizer/ggml/tokens").and_then(Value::as_array);
        let part = self.part(&all[0].1, tokens).await?;
        if let Some(part) = &part {
            let text = all.remove(0).1;
            all.extend(mmproj::files(part, text, tokens)?);
        }
        let mut made = BTreeMap::new();
        for (name, value) in all.into_iter().chain(tokenizer::files(&file)?) {
            let text = serde_json::to_vec(&value).map_err(|e| Error::malformed(self.source.name(), e.to_string()))?;
            made.insert(name, text);
        }
        Ok(self.made.get_or_init(|| Made { files: made, pictures: part.map(|part| part.source) }))
    }

    async fn find(&self, name: &str) -> Result<Option<Arc<dyn ReadAt>>> {
        match name {
            WEIGHTS => return Ok(Some(self.source.clone())),
            PICTURES => return Ok(self.made().await?.pictures.clone()),
            _ => {}
        }
        let made = self.made().await?.files.get(name);
        let place = format!("{}: {name}", self.source.name());
        Ok(made.map(|bytes| Arc::new(MemoryFile::new(place, bytes.clone())) as Arc<dyn ReadAt>))
    }
}

impl Files for GgufFiles {
    fn describe(&self) -> String {
        self.source.name().to_owned()
    }
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>> {
        Box::pin(self.find(name))
    }
    fn list(&self) -> Pending<'_, Result<Vec<String>>> {
        Box::pin(async move {
            let made = self.made().await?;
            let pictures = made.pictures.as_ref().map(|_| PICTURES.to_owned());
            Ok(made.files.keys().map(|name| (*name).to_owned()).chain([WEIGHTS.to_owned()]).chain(pictures).collect())
        })
    }
}

impl Checkpoint {
    /// Opens a GGUF file, its tensors under canonical names, and a picture part.
    ///
    /// # Errors
    /// Those of [`Gguf::open`]; [`Error::Malformed`] for a name that is there twice.
    pub async fn of_gguf(source: Arc<dyn ReadAt>, pictures: Option<Arc<dyn ReadAt>>) -> Result<Self> {
        let file = Gguf::open(source).await?;
        let label = file.source.name().to_owned();
        let (mut files, mut entries, mut scheme) = (vec![file.source], file.tensors, schemes::GGUF);
        if let Some(pictures) = pictures {
            let mut part = Gguf::open(pictures).await?;
            scheme = mmproj::scheme(&part);
            mmproj::straighten(&mut part.tensors);
            part.tensors.iter_mut().for_each(|entry| entry.move_to(files.len()));
            files.push(part.source);
            entries.append(&mut part.tensors);
        }
        let mut checkpoint = Self { label, files, entries, metadata: BTreeMap::new() };
        checkpoint.sort()?;
        checkpoint.canonical(scheme)
    }
}
