//! Tests of the checkpoint layer on made-up files, and on the golden checkpoints where they are at hand.

mod config;
mod disk;
mod gguf;
mod golden;
mod hostile;
mod names;
mod open;
mod published;
mod write;

use std::future::Future;

use super::read::check_range;
use super::*;
use crate::Result;

fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

/// A safetensors file of this header text and this many data bytes, which count up.
fn file_of(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend((0..data).map(|n| n as u8));
    bytes
}

fn open_bytes(bytes: &[u8]) -> Result<Checkpoint> {
    wait(Checkpoint::open(&MemoryFiles::new("made").with("model.safetensors", bytes.to_vec())))
}

/// A source that, like a browser's, has no slice to offer.
struct Remote(MemoryFile);

impl ReadAt for Remote {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_at<'a>(&'a self, offset: u64, out: &'a mut [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            check_range(self, offset, out.len())?;
            self.0.read_at(offset, out).await
        })
    }
}
