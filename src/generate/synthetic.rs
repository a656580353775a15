//! A model of the right shapes with made-up weights: for benchmarks and tests that have no checkpoint.

use super::model::weight_list;
use super::quantizer::{Quantizer, rows_at_once};
use super::{Model, ModelFiles};
use crate::checkpoint::Config;
use crate::gpu::{Buffer, Device, Slice, Use};
use crate::graph::{Store, chunk_bytes};
use crate::kernels::{Layout, TensorType, chunks};
use crate::models::{UniformFormat, read_spec};
use crate::quant::Encoding;
use crate::{DType, Result};
use std::sync::Arc;

/// Elements that are drawn at a time.
const PIECE: usize = 1 << 20;
/// Bytes written before the engine waits for wgpu's staging memory to come back.
const WINDOW: u64 = 64 << 20;

/// The model of `config` with weights in the format `weights`, drawn from `seed`: matrices uniform in `[-0.05, 0.05)`,
/// everything else (gains, biases, positions) in `[0.5, 1)`, so that nothing is zero, denormal or infinite.
/// Activations and cache are f32. It has no tokenizer.
///
/// Errors: those of [`read_spec`], [`crate::Error::OutOfMemory`].
pub async fn random_model(device: &Device, config: Config, weights: impl Into<Encoding>, seed: u64) -> Result<Model> {
    let weights = weights.into();
    let spec = read_spec(&config, &UniformFormat(weights.format(DType::F16)))?;
    let mut quantizer = Quantizer::new(device, weights);
    let (mut store, mut state, mut written) = (Store::new(), seed, 0);
    for (name, ty) in weight_list(&spec, DType::F32)? {
        let mut slices = Vec::new();
        for chunk in chunks(&ty, device.caps()) {
            let bytes = chunk_bytes(&ty, chunk.rows);
            let buffer = device.buffer(&name, bytes, Use::Storage).await?;
            if let Layout::Packed(_) = ty.layout {
                quantized(&mut quantizer, &buffer, (chunk.rows, ty.cols()), &mut state).await?;
            } else {
                for offset in (0..bytes).step_by(PIECE * 4) {
                    let end = bytes.min(offset + PIECE as u64 * 4);
                    let first = offset as usize / ty.dtype.size();
                    let piece = draw(&ty, chunk.rows, first, (end - offset) as usize / ty.dtype.size(), &mut state);
                    device.write(&buffer, offset, &piece);
                }
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
    Ok(Model { files, spec, device: device.clone(), weights: store, compute: DType::F32, fingerprint: None })
}

/// Fills a packed weight `[n, k]` with quantized draws.
async fn quantized(
    quantizer: &mut Quantizer<'_>,
    buffer: &Arc<Buffer>,
    (n, k): (usize, usize),
    state: &mut u64,
) -> Result<()> {
    for first in (0..n).step_by(rows_at_once(k)) {
        let rows = rows_at_once(k).min(n - first);
        // As one row of panels, which has no tail.
        let ty = TensorType::panels(DType::F32, 1, (rows * k).next_multiple_of(4));
        let bytes = draw(&ty, 1, 0, rows * k, state);
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        quantizer.run(&values, rows, k).await?;
        quantizer.copy(buffer, (first, rows, n), k).await?;
    }
    Ok(())
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
