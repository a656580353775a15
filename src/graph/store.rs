//! Buffers by name that outlive a program: weights (possibly in chunks), inputs, caches, results.

use super::plan::{chunk_bytes, stored_bytes};
use crate::gpu::{Device, Slice, Use};
use crate::kernels::{TensorType, chunks};
use crate::{Error, Result};
use std::collections::HashMap;

/// Slices by name. Clones share the buffers.
#[derive(Debug, Clone, Default)]
pub struct Store {
    entries: HashMap<String, Vec<Slice>>,
    /// Grows with every change: programs bound before have to be bound again.
    pub(super) generation: u64,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
    /// Chunks of an entry.
    pub fn get(&self, name: &str) -> Option<&[Slice]> {
        self.entries.get(name).map(Vec::as_slice)
    }
    /// Names of all entries, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
    /// The only slice of an entry.
    pub fn slice(&self, name: &str) -> Result<&Slice> {
        match self.get(name) {
            Some([slice]) => Ok(slice),
            Some(chunks) => Err(Error::graph(name, format!("is kept in {} chunks", chunks.len()))),
            None => Err(Error::graph(name, "is not in the store")),
        }
    }
    /// Puts slices under a name; what was there is let go.
    pub fn put(&mut self, name: &str, chunks: Vec<Slice>) {
        self.entries.insert(name.to_owned(), chunks);
        self.generation += 1;
    }
    /// Takes everything of another store.
    pub fn extend(&mut self, other: &Store) {
        self.generation += 1;
        self.entries.extend(other.entries.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    /// Makes sure that `name` has buffers for `ty`, zero-filled if new; keeps what fits.
    pub async fn ensure(&mut self, device: &Device, name: &str, ty: &TensorType) -> Result<()> {
        if let Some([slice]) = self.get(name)
            && slice.buffer.bytes() >= slice.offset + ty.bytes()
        {
            return Ok(());
        }
        let mut made = Vec::new();
        for chunk in chunks(ty, device.caps()) {
            let bytes = chunk_bytes(ty, chunk.rows);
            made.push(Slice::first(device.buffer(name, bytes, Use::Storage).await?, bytes));
        }
        self.put(name, made);
        Ok(())
    }
    /// Makes sure that `name` has one buffer of at least `bytes`, for contents that are copied and never bound whole.
    pub async fn ensure_whole(&mut self, device: &Device, name: &str, bytes: u64) -> Result<()> {
        if self.get(name).is_none_or(|c| c.len() != 1 || c[0].buffer.bytes() < c[0].offset + bytes) {
            let made = device.buffer(name, bytes, Use::Storage).await?;
            self.put(name, vec![Slice::first(made, bytes)]);
        }
        Ok(())
    }
    /// Bytes that `ty` takes in a store on this device.
    pub fn bytes_of(ty: &TensorType, device: &Device) -> u64 {
        stored_bytes(ty, device.caps())
    }
    /// Writes host bytes into an entry of one slice.
    pub fn write(&self, device: &Device, name: &str, bytes: &[u8]) -> Result<()> {
        let slice = self.slice(name)?;
        if bytes.len() as u64 > slice.bytes {
            return Err(Error::graph(name, format!("{} bytes do not fit {}", bytes.len(), slice.bytes)));
        }
        device.write(&slice.buffer, slice.offset, bytes);
        Ok(())
    }
}
