//! omma: a portable GPU compute engine for multimodal language models.

pub mod caps;
pub mod checkpoint;
pub mod dtype;
pub mod error;
pub mod image;
pub mod kernels;
pub mod quant;
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

/// Features and limits that a host should ask for when it creates its own device for what `plan` plans: largest
/// tensors in one piece, f16 and subgroups where `adapter` has them. Everything is optional: on a device with less
/// the engine uses less, or an error names what is missing.
pub fn requirements(
    adapter: &gpu::wgpu::Adapter,
    plan: &generate::MemoryPlan,
) -> (gpu::wgpu::Features, gpu::wgpu::Limits) {
    gpu::requirements(adapter, plan.largest_tensor)
}
