//! GGUF, the single-file checkpoints of ggml's programs: metadata and tensor table, checked.
//!
//! Lives here: the reader ([`Gguf`]), and the files that such a checkpoint stands for ([`GgufFiles`]): its metadata as
//! config.json, tokenizer.json and their like, so that everything above reads it as any other checkpoint.

mod config;
mod files;
mod mmproj;
mod table;
mod tokenizer;

pub use files::GgufFiles;
pub(crate) use files::{PICTURES, WEIGHTS};
pub use table::Gguf;
