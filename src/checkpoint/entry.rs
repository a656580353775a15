//! A checkpoint as a table of tensors, and reading from it.
//!
//! The table is sorted by name. Entries carry where their bytes are; nothing is loaded until it is read, and reads
//! may ask for any piece, so that a tensor larger than a staging buffer is uploaded in pieces.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::convert;
use super::near::nearest;
use super::read::ReadAt;
use crate::quant::Packing;
use crate::{DType, Error, Result};

/// Bytes converted at a time where the source has to be copied.
const PIECE: usize = 64 << 10;

/// One tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorEntry {
    /// Name by which the checkpoint is asked for it; see [`Checkpoint::canonical`].
    pub name: String,
    /// Name in the file.
    pub stored: String,
    /// Element type.
    pub dtype: DType,
    /// Shape, slowest axis first.
    pub shape: Vec<usize>,
    /// Which file: an index into [`Checkpoint::files`].
    pub file: usize,
    /// First byte in that file.
    pub offset: u64,
    /// Length in bytes: elements x element size, checked when the file was opened.
    pub bytes: u64,
    /// Quantized: the type and the bytes above are those of the numbers that it reads as, and it is read by sections.
    pub packed: Option<PackedTensor>,
}

/// Where the sections of a quantized tensor `[n, k]` are.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedTensor {
    /// Its layout.
    pub packing: Packing,
    /// What [`Packing::sections`] counts, in the same order and of these lengths.
    pub sections: Vec<Section>,
}

/// The bytes of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Section {
    /// A range of a file.
    Stored {
        /// Which file: an index into [`Checkpoint::files`].
        file: usize,
        /// First byte in that file.
        offset: u64,
        /// Length in bytes.
        bytes: u64,
    },
    /// Made when the checkpoint was opened: a small table.
    Made(Arc<[u8]>),
}

impl Section {
    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Stored { bytes, .. } => *bytes,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }
}

impl TensorEntry {
    /// The same tensor in a file of another number.
    pub(super) fn move_to(&mut self, file: usize) {
        self.file = file;
        for section in self.packed.iter_mut().flat_map(|packed| &mut packed.sections) {
            if let Section::Stored { file: own, .. } = section {
                *own = file;
            }
        }
    }
    /// Number of elements.
    pub fn elements(&self) -> usize {
        (self.bytes / self.dtype.size() as u64) as usize
    }
}

/// Tensors of one or several safetensors files.
#[derive(Clone)]
pub struct Checkpoint {
    pub(super) label: String,
    pub(super) files: Vec<Arc<dyn ReadAt>>,
    /// Sorted by name, no name twice.
    pub(super) entries: Vec<TensorEntry>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkpoint({}, {} files, {} tensors)", self.label, self.files.len(), self.entries.len())
    }
}

impl Checkpoint {
    /// The tensor of that name.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] with the three nearest names.
    pub fn entry(&self, name: &str) -> Result<&TensorEntry> {
        self.find(name).ok_or_else(|| Error::MissingTensor {
            path: self.label.clone(),
            name: super::clip(name),
            near: nearest(self.names(), name, 3).iter().map(|near| super::clip(near)).collect(),
        })
    }
    /// The tensor of that name, if it is there.
    pub fn find(&self, name: &str) -> Option<&TensorEntry> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()?;
        self.entries.get(at)
    }
    /// The tensor of that name, which must have that shape.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::WrongShape`].
    pub fn shaped(&self, name: &str, shape: &[usize]) -> Result<&TensorEntry> {
        let entry = self.entry(name)?;
        if entry.shape != shape {
            return Err(Error::WrongShape { name: name.into(), got: entry.shape.clone(), want: shape.into() });
        }
        Ok(entry)
    }
    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }
    /// All tensors, sorted by name.
    pub fn entries(&self) -> &[TensorEntry] {
        &self.entries
    }
    /// The files, to which [`TensorEntry::file`] points.
    pub fn files(&self) -> &[Arc<dyn ReadAt>] {
        &self.files
    }
    /// What and where this is, for messages.
    pub fn describe(&self) -> &str {
        &self.label
    }
    /// `__metadata__` of the files; of several files with the same key the first counts.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
    /// Bytes of all tensors as stored.
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    /// The tensor's bytes where they can be had without a copy. Not aligned to the element type.
    pub fn bytes_of(&self, entry: &TensorEntry) -> Option<&[u8]> {
        let all = self.files.get(entry.file).filter(|_| entry.packed.is_none())?.as_slice()?;
        let start = usize::try_from(entry.offset).ok()?;
        all.get(start..start.checked_add(usize::try_from(entry.bytes).ok()?)?)
    }

    /// Fills `out` with the tensor's bytes from `byte_offset` on, as stored (little endian).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a piece beyond the tensor; [`Error::Io`] from the source.
    pub async fn read_into(&self, entry: &TensorEntry, byte_offset: u64, out: &mut [u8]) -> Result<()> {
        let end = byte_offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > entry.bytes) {
            let reason = format!("{} bytes from {byte_offset} on, it has {}", out.len(), entry.bytes);
            return Err(Error::argument(format!("piece of tensor `{}`", entry.name), reason));
        }
        numbers(entry)?;
        if let Some(bytes) = self.bytes_of(entry) {
            let start = byte_offset as usize;
            out.copy_from_slice(&bytes[start..start + out.len()]);
            return Ok(());
        }
        let source = self.files.get(entry.file).ok_or_else(|| {
            Error::argument(format!("tensor `{}`", entry.name), "the entry is of another checkpoint".to_owned())
        })?;
        source.read_at(entry.offset + byte_offset, out).await
    }

    /// Fills `out` with elements from `first` on, converted to f32 (see [`convert::to_f32`]).
    ///
    /// # Errors
    /// As [`Checkpoint::read_into`].
    pub async fn read_f32(&self, entry: &TensorEntry, first: usize, out: &mut [f32]) -> Result<()> {
        self.read_with(entry, first, out, |bytes, out| {
            convert::to_f32(entry.dtype, bytes, out);
            Ok(())
        })
        .await
    }

    /// Fills `out` with elements from `first` on of an integer or bool tensor.
    ///
    /// # Errors
    /// As [`Checkpoint::read_into`]; [`Error::InvalidArgument`] for a float tensor or a u64 beyond i64.
    pub async fn read_i64(&self, entry: &TensorEntry, first: usize, out: &mut [i64]) -> Result<()> {
        self.read_with(entry, first, out, |bytes, out| {
            convert::to_i64(entry.dtype, bytes, out)
                .map_err(|reason| Error::argument(format!("tensor `{}` as integers", entry.name), reason))
        })
        .await
    }

    /// Fills `out` with the bits of elements from `first` on of an f16 or bf16 tensor.
    ///
    /// # Errors
    /// As [`Checkpoint::read_into`]; [`Error::InvalidArgument`] for another element type.
    pub async fn read_bits16(&self, entry: &TensorEntry, first: usize, out: &mut [u16]) -> Result<()> {
        if !matches!(entry.dtype, DType::F16 | DType::BF16) {
            let reason = format!("it is {}", entry.dtype);
            return Err(Error::argument(format!("16-bit floats of tensor `{}`", entry.name), reason));
        }
        let start = (first as u64).saturating_mul(2);
        self.read_into(entry, start, bytemuck::cast_slice_mut(out)).await?;
        out.iter_mut().for_each(|bits| *bits = u16::from_le(*bits));
        Ok(())
    }

    /// Fills `out` with bytes of a section of a quantized tensor, from `byte_offset` on.
    ///
    /// # Errors
    /// As [`Checkpoint::read_into`]; [`Error::InvalidArgument`] for a section that the tensor does not have.
    pub async fn read_section(
        &self,
        entry: &TensorEntry,
        section: usize,
        byte_offset: u64,
        out: &mut [u8],
    ) -> Result<()> {
        let wrong = |reason: String| Error::argument(format!("section {section} of tensor `{}`", entry.name), reason);
        let found = entry.packed.as_ref().and_then(|packed| packed.sections.get(section));
        let found = found.ok_or_else(|| wrong("there is none".into()))?;
        let end = byte_offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > found.bytes()) {
            return Err(wrong(format!("{} bytes from {byte_offset} on, it has {}", out.len(), found.bytes())));
        }
        match found {
            Section::Made(bytes) => {
                out.copy_from_slice(&bytes[byte_offset as usize..][..out.len()]);
                Ok(())
            }
            Section::Stored { file, offset, .. } => {
                let source = self.files.get(*file).ok_or_else(|| wrong("is of another checkpoint".into()))?;
                source.read_at(offset + byte_offset, out).await
            }
        }
    }

    /// All elements of the tensor as f32.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and those of [`Checkpoint::read_f32`].
    pub async fn load_f32(&self, name: &str) -> Result<Vec<f32>> {
        let entry = self.entry(name)?;
        let mut out = vec![0.0; entry.elements()];
        self.read_f32(entry, 0, &mut out).await?;
        Ok(out)
    }

    /// All elements of an integer or bool tensor.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and those of [`Checkpoint::read_i64`].
    pub async fn load_i64(&self, name: &str) -> Result<Vec<i64>> {
        let entry = self.entry(name)?;
        let mut out = vec![0; entry.elements()];
        self.read_i64(entry, 0, &mut out).await?;
        Ok(out)
    }

    /// Converts the elements from `first` on into `out` in pieces of bounded size.
    async fn read_with<T>(
        &self,
        entry: &TensorEntry,
        first: usize,
        out: &mut [T],
        convert: impl Fn(&[u8], &mut [T]) -> Result<()>,
    ) -> Result<()> {
        numbers(entry)?;
        let size = entry.dtype.size();
        if first.checked_add(out.len()).is_none_or(|end| end > entry.elements()) {
            let reason = format!("{} elements from {first} on, it has {}", out.len(), entry.elements());
            return Err(Error::argument(format!("piece of tensor `{}`", entry.name), reason));
        }
        if let Some(bytes) = self.bytes_of(entry) {
            return convert(&bytes[first * size..(first + out.len()) * size], out);
        }
        let mut piece = vec![0; PIECE.min(out.len() * size)];
        let mut at = (first * size) as u64;
        for part in out.chunks_mut(PIECE / size) {
            let bytes = &mut piece[..part.len() * size];
            self.read_into(entry, at, bytes).await?;
            convert(bytes, part)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

/// A quantized tensor has sections, no elements.
fn numbers(entry: &TensorEntry) -> Result<()> {
    match &entry.packed {
        Some(packed) => Err(Error::argument(format!("elements of tensor `{}`", entry.name), packed.packing.name())),
        None => Ok(()),
    }
}
