//! Writing a safetensors file that is larger than memory.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::write::{Metadata, TensorHead, header_of};
use crate::{Error, Result};

/// A safetensors file written piece by piece: memory stays small whatever its size. It appears under its name when it is
/// finished; dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct FileWriter {
    path: PathBuf,
    part: PathBuf,
    file: Option<std::io::BufWriter<std::fs::File>>,
    /// Bytes of data that are still to come.
    missing: u64,
}

impl FileWriter {
    /// Writes the header.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is there twice; [`Error::Io`].
    pub fn create(path: &Path, tensors: &[TensorHead], metadata: &Metadata) -> Result<Self> {
        let start = header_of(tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice())), metadata)?;
        let bytes = |t: &TensorHead| t.shape.iter().try_fold(t.dtype.size() as u64, |n, a| n.checked_mul(*a as u64));
        let missing = tensors.iter().map(bytes).try_fold(0u64, |n, b| n.checked_add(b?));
        let missing = missing.ok_or_else(|| Error::argument("tensors", "are larger than any file"))?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let failed = |error: std::io::Error| Error::io(path.display().to_string(), &error);
        let file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(&part).map_err(failed)?);
        let mut writer = Self { path: path.into(), part, file: Some(file), missing };
        writer.put(&start)?;
        Ok(writer)
    }

    /// The next bytes of data.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more than the header has; [`Error::Io`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.missing.checked_sub(bytes.len() as u64);
        self.missing = left.ok_or_else(|| Error::argument("data", "is more than the tensors of the header"))?;
        self.put(bytes)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if data is missing; [`Error::Io`].
    pub fn finish(mut self) -> Result<()> {
        if self.missing > 0 {
            return Err(Error::argument("data", format!("{} bytes are missing", self.missing)));
        }
        let failed = |error: std::io::Error| Error::io(self.path.display().to_string(), &error);
        if let Some(mut file) = self.file.take() {
            file.flush().map_err(failed)?;
            drop(file);
            std::fs::rename(&self.part, &self.path).map_err(failed)?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|error| Error::io(self.path.display().to_string(), &error))
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing half-written stays behind; that this may fail as well changes nothing.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}
