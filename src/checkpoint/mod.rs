//! Checkpoints: where bytes come from, which tensors they hold, and what those tensors are called.
//!
//! Lives here: byte sources ([`ReadAt`], [`Files`]), safetensors files single and sharded ([`Checkpoint`]), one
//! set of tensor names whatever library saved them ([`Checkpoint::canonical`]), conversion of elements, configs
//! ([`Config`]) and writing ([`write`]). Does not live here: the GPU, the mathematics of any model, tokenizers.
//!
//! Everything read is believed hostile. Sizes are checked before memory is taken, and reading a header takes
//! memory in proportion to the header, never to what the header claims. Reading is async so that a browser can
//! serve the bytes; on disk and in memory the futures are ready at once.

pub mod config;
pub mod convert;
#[cfg(not(target_arch = "wasm32"))]
pub mod disk;
mod entry;
pub mod gguf;
mod header;
#[cfg(all(feature = "hub", not(target_arch = "wasm32")))]
pub mod hub;
#[cfg(all(feature = "hub", not(target_arch = "wasm32")))]
mod hub_error;
mod near;
mod notes;
mod open;
mod published;
pub mod read;
mod refuse;
pub mod rename;
pub mod schemes;
#[cfg(not(target_arch = "wasm32"))]
pub mod source;
#[cfg(test)]
mod tests;
pub mod write;
#[cfg(not(target_arch = "wasm32"))]
mod writer;

pub use config::Config;
#[cfg(not(target_arch = "wasm32"))]
pub use disk::Directory;
pub use entry::{Checkpoint, PackedTensor, Section, TensorEntry};
pub use notes::packed_note;
pub use published::METHODS as QUANT_METHODS;
pub use read::{Files, MemoryFile, MemoryFiles, Pending, ReadAt};
pub use rename::{Rule, Scheme, rule};
#[cfg(not(target_arch = "wasm32"))]
pub use source::{open_model, open_model_with};
#[cfg(not(target_arch = "wasm32"))]
pub use write::write_safetensors;
pub use write::{TensorBytes, encode_safetensors};

/// A name for an error message: control characters out, and no longer than a line.
fn clip(name: &str) -> String {
    const LONGEST: usize = 160;
    let mut text: String = name.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}
