//! Writing safetensors: dumps, features, converted checkpoints. Tensors are written in the order given, the header
//! padded to 8 bytes so that data is aligned. Written by hand: the header is all there is to it, and crate
//! `safetensors` sorts the tensors and wants them as its own view type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::clip;
use super::header::dtype_name;
#[cfg(not(target_arch = "wasm32"))]
pub use super::writer::FileWriter;
use crate::{DType, Error, Result};

/// A tensor to write: its elements as little-endian bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorBytes<'a> {
    /// Name.
    pub name: &'a str,
    /// Element type.
    pub dtype: DType,
    /// Shape, slowest axis first.
    pub shape: &'a [usize],
    /// Elements, row by row, little endian.
    pub bytes: &'a [u8],
}

/// Metadata of a file: texts under names.
pub type Metadata = BTreeMap<String, String>;

/// A safetensors file in memory.
///
/// # Errors
/// [`Error::InvalidArgument`] for a name that is there twice or is `__metadata__`, and for bytes that do not make
/// the shape.
pub fn encode_safetensors(tensors: &[TensorBytes<'_>], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut out = start_of_file(tensors, metadata)?;
    for tensor in tensors {
        out.extend_from_slice(tensor.bytes);
    }
    Ok(out)
}

/// Writes a safetensors file. It appears under its name only when it is whole.
///
/// # Errors
/// Those of [`encode_safetensors`], and [`Error::Io`].
#[cfg(not(target_arch = "wasm32"))]
pub fn write_safetensors(path: &std::path::Path, tensors: &[TensorBytes<'_>], metadata: &Metadata) -> Result<()> {
    let start = start_of_file(tensors, metadata)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let done = write_parts(part.as_ref(), &start, tensors).and_then(|()| std::fs::rename(&part, path));
    done.map_err(|error| {
        // Nothing half-written stays behind; that this may fail as well changes nothing.
        let _ = std::fs::remove_file(&part);
        Error::io(path.display().to_string(), &error)
    })
}

#[cfg(not(target_arch = "wasm32"))]
fn write_parts(path: &std::path::Path, start: &[u8], tensors: &[TensorBytes<'_>]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    file.write_all(start)?;
    for tensor in tensors {
        file.write_all(tensor.bytes)?;
    }
    file.flush()
}

/// Length and header of the file.
fn start_of_file(tensors: &[TensorBytes<'_>], metadata: &Metadata) -> Result<Vec<u8>> {
    tensors.iter().try_for_each(check)?;
    header_of(tensors.iter().map(|t| (t.name, t.dtype, t.shape)), metadata)
}

/// Length and header of a file of these names, types and shapes.
pub(super) fn header_of<'t>(
    tensors: impl Iterator<Item = (&'t str, DType, &'t [usize])>,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata));
    }
    let mut at = 0u64;
    for (name, dtype, shape) in tensors {
        let bytes = shape.iter().try_fold(dtype.size() as u64, |n, axis| n.checked_mul(*axis as u64));
        let end = bytes.and_then(|bytes| at.checked_add(bytes));
        let end = end.ok_or_else(|| Error::argument(format!("tensor `{}`", clip(name)), "is larger than any file"))?;
        let value = json!({"dtype": dtype_name(dtype), "shape": shape, "data_offsets": [at, end]});
        if header.insert(name.to_owned(), value).is_some() {
            return Err(Error::argument(format!("tensor `{}`", clip(name)), "is there twice"));
        }
        at = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.append(&mut text);
    Ok(out)
}

fn check(tensor: &TensorBytes<'_>) -> Result<()> {
    let wrong = |reason: String| Err(Error::argument(format!("tensor `{}`", clip(tensor.name)), reason));
    if tensor.name == "__metadata__" {
        return wrong("the format keeps this name for itself".into());
    }
    let elements = tensor.shape.iter().try_fold(tensor.dtype.size(), |n, axis| n.checked_mul(*axis));
    if elements != Some(tensor.bytes.len()) {
        return wrong(format!("{} {:?} does not take {} bytes", tensor.dtype, tensor.shape, tensor.bytes.len()));
    }
    Ok(())
}

/// A tensor that will be written: its name, type and shape.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorHead {
    /// Name.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Shape, slowest axis first.
    pub shape: Vec<usize>,
}
