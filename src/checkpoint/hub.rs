//! Checkpoints by hub id: downloaded by crate `hf-hub` into the cache that other tools share, then an ordinary
//! [`Directory`]. Only configuration, tokenizer and safetensors files are fetched. Without network the copy that is in
//! the cache is used. The crate runs a thread of its own while it downloads.

use hf_hub::{HFClientSync, split_id};

use super::Directory;
use crate::{Error, Result};

/// What a checkpoint needs; weights in other formats are left where they are.
const WANTED: [&str; 6] = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "*.tiktoken"];

/// The checkpoint of hub id `owner/name` at its main revision, downloaded unless the cache has it. Blocks.
///
/// # Errors
/// [`Error::Io`] if it can neither be downloaded nor found in the cache; the text says what to do.
pub fn download(id: &str) -> Result<Directory> {
    let failed = |error: &dyn std::fmt::Display| Error::Io { path: format!("hub id {id}"), reason: explain(id, error) };
    let (owner, name) = split_id(id);
    let client = HFClientSync::new().map_err(|error| failed(&error))?;
    let model = client.model(owner, name);
    let patterns = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let fresh = model
        .snapshot_download()
        .allow_patterns(patterns(&WANTED))
        // Sub-folders hold other formats and duplicates.
        .ignore_patterns(patterns(&["*/*"]))
        .send();
    let folder = match fresh {
        Ok(folder) => folder,
        Err(error) => {
            let cached = model.snapshot_download().local_files_only(true).send();
            cached.map_err(|_| failed(&error))?
        }
    };
    Directory::open(folder)
}

fn explain(id: &str, error: &dyn std::fmt::Display) -> String {
    let first = error.to_string().lines().next().unwrap_or_default().to_owned();
    format!(
        "{first}; it is not in the cache either. Check the id and the network (a gated model also needs HF_TOKEN), or \
         run `hf download {id} --local-dir FOLDER` on a machine with network and give that folder instead"
    )
}
