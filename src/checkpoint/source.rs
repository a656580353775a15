//! What a model argument means: a directory on disk, a GGUF file, or else a hub id.

use std::path::Path;
use std::sync::Arc;

use super::disk::DiskFile;
use super::gguf::GgufFiles;
use super::{Directory, Files};
use crate::{Error, Result};

/// The checkpoint that a `--model` argument names: an existing directory, a file `*.gguf`, or a hub id `owner/name`, which is
/// downloaded into the usual cache by feature `hub`.
///
/// # Errors
/// [`Error::Io`] if it is neither; [`Error::Unsupported`] for a hub id in a build
/// without feature `hub`.
pub fn open_model(argument: &str) -> Result<Arc<dyn Files>> {
    let path = Path::new(argument);
    if path.is_dir() {
        return Ok(Arc::new(Directory::open(path)?));
    }
    if argument.to_ascii_lowercase().ends_with(".gguf") {
        return Ok(Arc::new(GgufFiles::new(Arc::new(DiskFile::open(path)?))));
    }
    if path.exists() {
        let reason = "a file, not a directory; give the folder that holds config.json and the weights";
        return Err(Error::Io { path: argument.into(), reason: reason.into() });
    }
    if is_hub_id(argument) {
        return open_hub(argument);
    }
    Err(Error::Io {
        path: argument.into(),
        reason: "no such directory, and not a hub id of the form owner/name".into(),
    })
}

/// Whether `text` has the form of a hub id: two parts of letters, digits, `-`, `_` and `.`, divided by one `/`.
pub fn is_hub_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let part = |part: &str| {
        (1..=96).contains(&part.len()) && part.chars().all(plain) && !part.starts_with('.') && !part.contains("..")
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(feature = "hub")]
fn open_hub(id: &str) -> Result<Arc<dyn Files>> {
    Ok(Arc::new(super::hub::Hub::from_env().open(id)?))
}

#[cfg(not(feature = "hub"))]
fn open_hub(id: &str) -> Result<Arc<dyn Files>> {
    let reason = "there is no such directory, and this build cannot download; build with `cargo build --features hub`, \
                  or download the checkpoint into a folder and give that folder";
    Err(Error::unsupported(format!("hub id {id}"), reason))
}
