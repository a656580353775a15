//! Where the bytes of a checkpoint come from: a file that is read in pieces, and a folder of such files.
//!
//! The traits are object safe and async, so that a browser can answer with range requests; sources that hold their
//! bytes (memory, memory maps) say so and are not copied. On wasm32 nothing has to be `Send`. Here are the traits
//! and the in-memory sources; a directory on disk is in `disk`, a hub repository in `hub`.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::clip;
use crate::{Error, Result};

/// A future of a byte source: `Send` except on wasm32, where the promises of a browser are not.
#[cfg(not(target_arch = "wasm32"))]
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A future of a byte source: `Send` except on wasm32, where the promises of a browser are not.
#[cfg(target_arch = "wasm32")]
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// `Send + Sync`, except on wasm32, where it asks for nothing. Implemented for every type that can be.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSendSync: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> MaybeSendSync for T {}
/// `Send + Sync`, except on wasm32, where it asks for nothing. Implemented for every type that can be.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSendSync {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSendSync for T {}

/// Bytes that are read in pieces. The length is fixed when the source is opened.
pub trait ReadAt: MaybeSendSync {
    /// Name for error messages: a file name or an address.
    fn name(&self) -> &str;

    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::Io`] when fewer bytes are there, or when the system or the network fails.
    fn read_at<'a>(&'a self, offset: u64, out: &'a mut [u8]) -> Pending<'a, Result<()>>;

    /// All bytes, for a source that has them in memory or mapped; exactly [`ReadAt::len`] of them.
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}

/// Largest file that [`Files::read`] reads whole, in bytes. Tokenizers of today reach 35 MB.
pub const MAX_WHOLE_FILE: u64 = 128 << 20;

/// The files of one checkpoint: configuration, tokenizer and weights side by side under plain names.
pub trait Files: MaybeSendSync {
    /// What and where this is, for messages.
    fn describe(&self) -> String;

    /// Opens the file `name`; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name that leads out of the folder; [`Error::Io`] from the system.
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>>;

    /// Names of the files, sorted. A source that cannot list answers with an empty list.
    ///
    /// # Errors
    /// [`Error::Io`] from the system.
    fn list(&self) -> Pending<'_, Result<Vec<String>>>;

    /// The command that brings the files into a folder of the user, where they are in none.
    fn copy_command(&self) -> Option<String> {
        None
    }

    /// Reads the file `name` whole, up to [`MAX_WHOLE_FILE`] bytes; `None` if there is none of that name.
    ///
    /// # Errors
    /// As [`Files::open`], and [`Error::Malformed`] for a longer file.
    fn read<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let Some(source) = self.open(name).await? else { return Ok(None) };
            if source.len() > MAX_WHOLE_FILE {
                let reason = format!("{} bytes, more than the {MAX_WHOLE_FILE} that are read whole", source.len());
                return Err(Error::malformed(source.name(), reason));
            }
            let mut bytes = vec![0; source.len() as usize];
            source.read_at(0, &mut bytes).await?;
            Ok(Some(bytes))
        })
    }
}

/// Checks that `name` stays inside its folder: relative, parts divided by `/`, none of them empty, `.` or `..`.
/// Names come out of index files, which are not ours.
pub(crate) fn check_name(place: &str, name: &str) -> Result<()> {
    let outside = |part: &str| part.is_empty() || part == "." || part == "..";
    let odd = |c: char| c.is_control() || matches!(c, '\\' | ':');
    if name.len() > 1024 || name.contains(odd) || name.split('/').any(outside) {
        return Err(Error::malformed(place, format!("`{}` is not a file name inside the checkpoint", clip(name))));
    }
    Ok(())
}

/// Checks that `len` bytes from `offset` on lie within `source`.
pub(crate) fn check_range(source: &dyn ReadAt, offset: u64, len: usize) -> Result<()> {
    let end = offset.checked_add(len as u64);
    if end.is_none_or(|end| end > source.len()) {
        let reason = format!("{len} bytes from {offset} on reach beyond the end at {}", source.len());
        return Err(Error::Io { path: source.name().into(), reason });
    }
    Ok(())
}

/// A file held in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryFile {
    name: String,
    bytes: Vec<u8>,
}

impl MemoryFile {
    /// A file of these bytes.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

impl ReadAt for MemoryFile {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at<'a>(&'a self, offset: u64, out: &'a mut [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            check_range(self, offset, out.len())?;
            let start = offset as usize;
            out.copy_from_slice(&self.bytes[start..start + out.len()]);
            Ok(())
        })
    }
    fn as_slice(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }
}

/// A checkpoint folder held in memory: made by a test, received by a page, linked into a binary.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    label: String,
    files: BTreeMap<String, Arc<MemoryFile>>,
}

impl MemoryFiles {
    /// An empty folder that messages call `label`.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), files: BTreeMap::new() }
    }
    /// The folder with one more file, which replaces one of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        let path = format!("{}/{name}", self.label);
        self.files.insert(name, Arc::new(MemoryFile::new(path, bytes)));
        self
    }
}

impl Files for MemoryFiles {
    fn describe(&self) -> String {
        self.label.clone()
    }
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>> {
        Box::pin(async move {
            check_name(&self.label, name)?;
            Ok(self.files.get(name).map(|file| Arc::clone(file) as Arc<dyn ReadAt>))
        })
    }
    fn list(&self) -> Pending<'_, Result<Vec<String>>> {
        Box::pin(async move { Ok(self.files.keys().cloned().collect()) })
    }
}
