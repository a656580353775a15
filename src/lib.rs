//! omma: a portable GPU compute engine for multimodal language models.

pub mod caps;
pub mod checkpoint;
pub mod dtype;
pub mod error;
pub mod image;
pub mod kernels;
pub mod reference;
pub mod text;
pub mod wgsl;

pub mod gpu;
pub mod graph;
pub mod measure;

pub mod blocks;
pub mod generate;
pub mod models;

pub use caps::Caps;
pub use dtype::DType;
pub use error::{Error, Result};
/// The wgpu that the engine is built with: a host's devices, encoders and textures have to be of this version.
pub use gpu::wgpu;
