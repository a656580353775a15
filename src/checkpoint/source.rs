//! What a model argument means: a directory on disk, a GGUF file, or else a hub id.

use std::path::Path;
use std::sync::Arc;

use super::disk::DiskFile;
use super::gguf::GgufFiles;
use super::read::ReadAt;
use super::{Directory, Files};
use crate::{Error, Result};

/// The checkpoint that a `--model` argument names: an existing directory, a file `*.gguf`, or a hub id `owner/name`, which is
/// downloaded into the usual cache by feature `hub`. A GGUF file has the picture part that lies beside it, if just one fits.
///
/// # Errors
/// [`Error::Io`] if it is neither; [`Error::Unsupported`] for a hub id in a build
/// without feature `hub`.
pub fn open_model(argument: &str) -> Result<Arc<dyn Files>> {
    let path = Path::new(argument);
    if path.is_dir() {
        return Ok(Arc::new(Directory::open(path)?));
    }
    if is_gguf(path) {
        let files = GgufFiles::new(Arc::new(DiskFile::open(path)?));
        return Ok(Arc::new(files.with_candidates(beside(path)?)));
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

/// [`open_model`] of a GGUF file with its picture part in the file `mmproj`.
///
/// # Errors
/// As [`open_model`]; [`Error::Unsupported`] for a model that is no GGUF file.
pub fn open_model_with(argument: &str, mmproj: Option<&Path>) -> Result<Arc<dyn Files>> {
    let Some(mmproj) = mmproj else { return open_model(argument) };
    let path = Path::new(argument);
    if !is_gguf(path) {
        let reason = "it goes with a model that is a file *.gguf; other checkpoints have their picture part inside";
        return Err(Error::unsupported(format!("picture part {}", mmproj.display()), reason));
    }
    let files = GgufFiles::new(Arc::new(DiskFile::open(path)?));
    Ok(Arc::new(files.with_pictures(Arc::new(DiskFile::open(mmproj)?))))
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
}

/// What may be the picture part of a GGUF file: the files `*mmproj*.gguf` in its folder.
fn beside(path: &Path) -> Result<Vec<Arc<dyn ReadAt>>> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = |path: &Path| {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        is_gguf(path) && name.contains("mmproj")
    };
    if named(path) {
        return Ok(Vec::new());
    }
    let list = std::fs::read_dir(folder).map_err(|e| Error::io(folder.display().to_string(), &e))?;
    let mut paths: Vec<_> = list.filter_map(|item| item.ok().map(|i| i.path())).filter(|p| named(p)).collect();
    paths.sort();
    paths.iter().map(|path| DiskFile::open(path).map(|file| Arc::new(file) as Arc<dyn ReadAt>)).collect()
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
