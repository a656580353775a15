//! A checkpoint directory on disk. With feature `mmap` its files are memory maps, which the weights are uploaded
//! from without a copy; without it they are read by position. Not on wasm32.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::{Files, Pending, ReadAt, check_name, check_range};
use crate::{Error, Result};

/// Files that [`Directory`] lists at most; a checkpoint has far fewer.
const MAX_LISTED: usize = 100_000;

/// A checkpoint directory.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let place = path.display().to_string();
        let found = std::fs::metadata(&path).map_err(|error| Error::io(&place, &error))?;
        if !found.is_dir() {
            return Err(Error::Io { path: place, reason: "not a directory; give the folder of the checkpoint".into() });
        }
        Ok(Self { path })
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn find(&self, name: &str) -> Result<Option<Arc<dyn ReadAt>>> {
        check_name(&self.describe(), name)?;
        let path = self.path.join(name);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(Arc::new(DiskFile::open(&path)?))),
            Ok(_) => Err(Error::Io { path: path.display().to_string(), reason: "not a regular file".into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path.display().to_string(), &error)),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let place = self.describe();
        let mut names = Vec::new();
        for item in std::fs::read_dir(&self.path).map_err(|error| Error::io(&place, &error))?.take(MAX_LISTED) {
            let item = item.map_err(|error| Error::io(&place, &error))?;
            // Metadata follows links: hub caches are folders of links.
            if std::fs::metadata(item.path()).is_ok_and(|found| found.is_file())
                && let Ok(name) = item.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

impl Files for Directory {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>> {
        Box::pin(async move { self.find(name) })
    }
    fn list(&self) -> Pending<'_, Result<Vec<String>>> {
        Box::pin(async move { self.names() })
    }
}

/// One file on disk, as a [`ReadAt`]. With feature `mmap` it is mapped whole when it is opened.
#[derive(Debug)]
pub struct DiskFile {
    name: String,
    len: u64,
    #[cfg(feature = "mmap")]
    map: Option<memmap2::Mmap>,
    #[cfg(not(feature = "mmap"))]
    file: File,
}

impl DiskFile {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`Error::Io`] if it is missing, not a regular file, or cannot be mapped.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| Error::io(&name, &error);
        // Asked before opening: opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::Io { path: name, reason: "not a regular file".into() });
        }
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Self::of(file, len, &name).map_err(failed)
    }

    #[cfg(feature = "mmap")]
    fn of(file: File, len: u64, name: &str) -> std::io::Result<Self> {
        // An empty file cannot be mapped everywhere.
        let map = match usize::try_from(len) {
            Ok(0) => None,
            Ok(size) => Some(map_file(&file, size)?),
            Err(_) => return Err(std::io::Error::other("too large to map on this machine")),
        };
        Ok(Self { name: name.into(), len, map })
    }

    #[cfg(not(feature = "mmap"))]
    fn of(file: File, len: u64, name: &str) -> std::io::Result<Self> {
        Ok(Self { name: name.into(), len, file })
    }
}

#[cfg(feature = "mmap")]
fn map_file(file: &File, size: usize) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only and private to this value, and `len` is fixed here, so that every access is checked
    // against the length that was mapped. What the language cannot rule out is another process that changes or
    // truncates the file while it is mapped. Checkpoints are files that their writers replace by renaming, not in
    // place (hub caches, safetensors writers, ours), every byte pattern is a valid `u8`, and a header is parsed once
    // into owned values, so that no check made here is undone by a later change. A file truncated under the map
    // kills the process by signal on Unix; who cannot exclude that builds without feature `mmap`.
    unsafe { memmap2::MmapOptions::new().len(size).map(file) }
}

impl ReadAt for DiskFile {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at<'a>(&'a self, offset: u64, out: &'a mut [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            check_range(self, offset, out.len())?;
            self.fill(offset, out).map_err(|error| Error::io(&self.name, &error))
        })
    }
    #[cfg(feature = "mmap")]
    fn as_slice(&self) -> Option<&[u8]> {
        Some(self.map.as_deref().unwrap_or_default())
    }
}

#[cfg(feature = "mmap")]
impl DiskFile {
    fn fill(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        // In range: the caller checked against `len`, which is the length of the map.
        let start = offset as usize;
        let bytes = self.map.as_deref().unwrap_or_default();
        out.copy_from_slice(&bytes[start..start + out.len()]);
        Ok(())
    }
}

#[cfg(all(not(feature = "mmap"), unix))]
impl DiskFile {
    fn fill(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, out, offset)
    }
}

#[cfg(all(not(feature = "mmap"), windows))]
impl DiskFile {
    fn fill(&self, mut offset: u64, mut out: &mut [u8]) -> std::io::Result<()> {
        while !out.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, out, offset)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => {
                    offset += n as u64;
                    out = &mut out[n..];
                }
            }
        }
        Ok(())
    }
}

#[cfg(all(not(feature = "mmap"), not(unix), not(windows)))]
impl DiskFile {
    fn fill(&self, _offset: u64, _out: &mut [u8]) -> std::io::Result<()> {
        Err(std::io::Error::other("positioned reads are not known on this system; build with feature `mmap`"))
    }
}
