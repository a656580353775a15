//! Quantized tensors in our own safetensors files. The bytes of a packed weight are a tensor U8 under the weight's name;
//! `__metadata__` has a note on each, `omma.packed.NAME` = `FORMAT N K`.

use super::{Checkpoint, PackedTensor, Section, clip};
use crate::quant::Encoding;
use crate::{DType, Error, Result};

const FRONT: &str = "omma.packed.";

/// Key and value of the note on the tensor `name`, a matrix `[n, k]` in the format `to`.
pub fn packed_note(name: &str, to: Encoding, n: usize, k: usize) -> (String, String) {
    (format!("{FRONT}{name}"), format!("{to} {n} {k}"))
}

impl Checkpoint {
    /// Makes quantized tensors of those that there are notes on.
    pub(super) fn take_notes(&mut self) -> Result<()> {
        for (key, note) in &self.metadata {
            let Some(name) = key.strip_prefix(FRONT) else { continue };
            let wrong = |reason: &str| {
                let text = format!("note on tensor `{}`: `{}` {reason}", clip(name), clip(note));
                Error::malformed(&self.label, text)
            };
            let words: Vec<&str> = note.split(' ').collect();
            let [format, n, k] = words[..] else { return Err(wrong("is not a format and two numbers")) };
            let packing = Encoding::named(format)?.packing().ok_or_else(|| wrong("is not a packed format"))?;
            let (Ok(n), Ok(k)) = (n.parse::<usize>(), k.parse::<usize>()) else {
                return Err(wrong("is not a format and two numbers"));
            };
            if let Some(rule) = packing.refuses(n, k) {
                return Err(wrong(&format!("breaks the format, which needs {rule}")));
            }
            let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) else {
                return Err(wrong("has no tensor"));
            };
            if entry.dtype != DType::U8 || entry.bytes != packing.bytes(n, k) {
                return Err(wrong(&format!(
                    "takes {} bytes of U8, the tensor has {}",
                    packing.bytes(n, k),
                    entry.bytes
                )));
            }
            let (file, mut offset) = (entry.file, entry.offset);
            let section = |bytes: usize| {
                let at = offset;
                offset += bytes.next_multiple_of(4) as u64;
                Section::Stored { file, offset: at, bytes: bytes as u64 }
            };
            let sections = packing.sections(n, k).into_iter().map(section).collect();
            entry.packed = Some(PackedTensor { packing, sections });
            entry.dtype = DType::F32;
            entry.shape = vec![n, k];
            entry.bytes = 4 * n as u64 * k as u64;
        }
        Ok(())
    }
}
