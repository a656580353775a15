//! Buffers that are entered in the ledger, and slices of them.

use super::{Device, Ledger};
use crate::{Error, Result};
use std::sync::Arc;

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Bound as storage; copied to and from.
    Storage,
    /// Bound as uniform; copied to.
    Uniform,
    /// Copied to, then mapped for reading by the host.
    Readback,
}

/// A GPU buffer of the engine. Dropping it gives its bytes back.
#[derive(Debug)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    bytes: u64,
    ledger: Option<Arc<Ledger>>,
}

impl Buffer {
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// The wgpu buffer, for hosts that read features without a copy through the CPU.
    pub fn wgpu(&self) -> &wgpu::Buffer {
        &self.raw
    }
    /// Whether a shader can read it.
    pub fn is_storage(&self) -> bool {
        self.raw.usage().contains(wgpu::BufferUsages::STORAGE)
    }
    /// A buffer of the host, which keeps owning its memory: it is not entered in the ledger. It needs the
    /// usages STORAGE, and COPY_SRC to be read back.
    pub fn from_host(buffer: wgpu::Buffer) -> Arc<Self> {
        Arc::new(Self { bytes: buffer.size(), raw: buffer, ledger: None })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(ledger) = &self.ledger {
            ledger.leave(self.bytes);
        }
    }
}

/// A range of a buffer, as it is bound.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The buffer.
    pub buffer: Arc<Buffer>,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Slice {
    /// The whole of a buffer.
    pub fn whole(buffer: Arc<Buffer>) -> Self {
        Self { offset: 0, bytes: buffer.bytes(), buffer }
    }
    /// The first `bytes` of a buffer.
    pub fn first(buffer: Arc<Buffer>, bytes: u64) -> Self {
        Self { buffer, offset: 0, bytes }
    }
    pub(super) fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer.raw,
            offset: self.offset,
            size: std::num::NonZeroU64::new(self.bytes),
        })
    }
}

impl Device {
    /// Makes a buffer of at least `bytes` bytes (a multiple of 4). Its contents are zero.
    ///
    /// Errors: [`Error::OutOfMemory`] by the driver, the memory limit or an injected fault;
    /// [`Error::MissingCapability`] above `max_buffer_size`.
    pub async fn buffer(&self, what: &str, bytes: u64, usage: Use) -> Result<Arc<Buffer>> {
        let bytes = bytes.next_multiple_of(4).max(4);
        if bytes > self.caps().max_buffer {
            return Err(Error::MissingCapability {
                what: what.into(),
                needs: format!("a buffer of {bytes} bytes"),
                has: format!("max_buffer_size {}", self.caps().max_buffer),
            });
        }
        let ledger = self.ledger().clone();
        ledger.enter(what, bytes)?;
        let usages = match usage {
            Use::Storage => wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            Use::Uniform => wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            Use::Readback => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        };
        let descriptor =
            wgpu::BufferDescriptor { label: Some(what), size: bytes, usage: usages, mapped_at_creation: false };
        let made = self.scoped(what, || self.wgpu().create_buffer(&descriptor)).await;
        match made {
            Ok(raw) => Ok(Arc::new(Buffer { raw, bytes, ledger: Some(ledger) })),
            Err(error) => {
                ledger.leave(bytes);
                let live = ledger.memory().live;
                Err(match error {
                    Error::OutOfMemory { .. } => Error::OutOfMemory { what: what.into(), bytes, live, limit: None },
                    other => other,
                })
            }
        }
    }
    /// A storage buffer with contents.
    pub async fn buffer_with(&self, what: &str, contents: &[u8]) -> Result<Arc<Buffer>> {
        let buffer = self.buffer(what, contents.len() as u64, Use::Storage).await?;
        self.write(&buffer, 0, contents);
        Ok(buffer)
    }
}
