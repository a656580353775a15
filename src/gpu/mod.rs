//! The device layer: adapters, our own device or the host's, buffers and their ledger, pipelines and their
//! cache, transfers, typed errors. The one module that names `wgpu`. It knows no kernel's name.
//!
//! Nothing here is global: a [`Device`] is a handle, cheap to clone, and everything made from it belongs to it.

mod adapter;
mod buffer;
mod cache;
mod device;
mod ledger;
mod pipeline;
mod submit;
mod transfer;

pub use adapter::{AdapterChoice, AdapterDescription, adapters, choose, requirements};
pub use buffer::{Buffer, Slice, Use};
pub use device::{Device, HostOptions, OpenOptions, Waiting};
pub use ledger::{Ledger, Memory};
pub use pipeline::{Pipeline, PipelineKey};
pub use submit::{Cancel, Recorder};
pub(crate) use transfer::Reading;

pub use submit::{check_texture, is_bgra};
pub use wgpu;
pub use wgpu::{BindGroup, CommandEncoder, SubmissionIndex, Texture};
