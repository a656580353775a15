//! A model of the right shapes with made-up weights: for benchmarks and tests that have no checkpoint.

use super::model::weight_list;
use super::{Model, ModelFiles};
use crate::checkpoint::Config;
use crate::gpu::{Device, Slice, Use};
use crate::graph::{Store, chunk_bytes};
use crate::kernels::{Layout, TensorType, chunks};
use crate::models::{UniformDtype, read_spec};
use crate::{DType, Result};

/// Elements that are drawn at a time.
const PIECE: usize = 1 << 20;
/// Bytes written before the engine waits for wgpu's staging memory to come back.
const WINDOW: u64 = 64 << 20;

/// The model of `config` with weights of type `weights` drawn from `seed`: matrices uniform in `[-0.05, 0.05)`,
/// everything else (gains, biases, positions) in `[0.5, 1)`, so that nothing is zero, denormal or infinite.
/// Activations and cache are f32. It has no tokenizer.
///
/// Errors: those of [`read_spec`], [`crate::Error::OutOfMemory`].
pub async fn random_model(device: &Device, config: Config, weights: DType, seed: u64) -> Result<Model> {
    let spec = read_spec(&config, &UniformDtype(weights))?;
    let (mut store, mut state, mut written) = (Store::new(), seed, 0);
    for (name, ty) in weight_list(&spec, DType::F32, DType::F32)? {
        let mut slices = Vec::new();
        for chunk in chunks(&ty, device.caps()) {
            let bytes = chunk_bytes(&ty, chunk.rows);
            let buffer = device.buffer(&name, bytes, Use::Storage).await?;
            for offset in (0..bytes).step_by(PIECE * 4) {
                let end = bytes.min(offset + PIECE as u64 * 4);
                let first = offset as usize / ty.dtype.size();
                let piece = draw(&ty, chunk.rows, first, (end - offset) as usize / ty.dtype.size(), &mut state);
                device.write(&buffer, offset, &piece);
            }
            slices.push(Slice::first(buffer, bytes));
            written += bytes;
            if written > WINDOW {
                device.flush().await?;
                written = 0;
            }
        }
        store.put(&name, slices);
    }
    device.flush().await?;
    let image_text = "<image>".to_owned();
    let files = ModelFiles { config, generation: None, tokenizer: None, template: None, processor: None, image_text };
    Ok(Model {
        files,
        spec,
        device: device.clone(),
        weights: store,
        compute: DType::F32,
        kv: DType::F32,
        fingerprint: None,
    })
}

/// Bytes of `count` elements from element `first` of a chunk of `rows` rows.
fn draw(ty: &TensorType, rows: usize, first: usize, count: usize, state: &mut u64) -> Vec<u8> {
    let panels = ty.layout == Layout::Panels;
    let (low, spread) = if panels { (-0.05, 0.1) } else { (0.5, 0.5) };
    let mut bytes = Vec::with_capacity(count * ty.dtype.size());
    for i in first..first + count {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = (*state >> 40) as f32 / (1 << 24) as f32;
        // The tail of a panel's last quad is zero.
        let tail = panels && i / (4 * rows.max(1)) * 4 + i % 4 >= ty.cols();
        let value = if tail { 0.0 } else { low + spread * unit };
        match ty.dtype {
            DType::F16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
            DType::BF16 => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
            _ => bytes.extend(value.to_le_bytes()),
        }
    }
    bytes
}
