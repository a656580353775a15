//! The files that a GGUF checkpoint stands for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::{Gguf, config, tokenizer};
use crate::checkpoint::read::{Files, MemoryFile, Pending, ReadAt};
use crate::checkpoint::{Checkpoint, schemes};
use crate::{Error, Result};

/// Name of the weights among the files.
pub(crate) const WEIGHTS: &str = "model.gguf";

/// A GGUF file as a checkpoint: `model.gguf`, and config.json, generation_config.json, tokenizer.json and
/// tokenizer_config.json made of its metadata. It is read when the first file is asked for.
pub struct GgufFiles {
    source: Arc<dyn ReadAt>,
    made: OnceLock<BTreeMap<&'static str, Vec<u8>>>,
}

impl GgufFiles {
    /// The checkpoint in `source`.
    pub fn new(source: Arc<dyn ReadAt>) -> Self {
        Self { source, made: OnceLock::new() }
    }

    async fn made(&self) -> Result<&BTreeMap<&'static str, Vec<u8>>> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let file = Gguf::open(self.source.clone()).await?;
        let mut made = BTreeMap::new();
        for (name, value) in config::files(&file)?.into_iter().chain(tokenizer::files(&file)?) {
            let text = serde_json::to_vec(&value).map_err(|e| Error::malformed(self.source.name(), e.to_string()))?;
            made.insert(name, text);
        }
        Ok(self.made.get_or_init(|| made))
    }

    async fn find(&self, name: &str) -> Result<Option<Arc<dyn ReadAt>>> {
        if name == WEIGHTS {
            return Ok(Some(self.source.clone()));
        }
        let made = self.made().await?.get(name);
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
            let made = self.made().await?.keys().map(|name| (*name).to_owned());
            Ok(made.chain([WEIGHTS.to_owned()]).collect())
        })
    }
}

impl Checkpoint {
    /// Opens a GGUF file, its tensors under canonical names.
    ///
    /// # Errors
    /// Those of [`Gguf::open`]; [`Error::Malformed`] for a name that is there twice.
    pub async fn of_gguf(source: Arc<dyn ReadAt>) -> Result<Self> {
        let file = Gguf::open(source).await?;
        let label = file.source.name().to_owned();
        let mut checkpoint = Self { label, files: vec![file.source], entries: file.tensors, metadata: BTreeMap::new() };
        checkpoint.sort()?;
        checkpoint.canonical(schemes::GGUF)
    }
}
