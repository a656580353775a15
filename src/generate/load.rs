//! Weights from a checkpoint to the device: read in pieces; floats are converted and put into panels on the way, packed
//! weights are copied, or made of floats on the device.

use super::quantizer::{Quantizer, rows_at_once};
use super::sources::sources;
use super::stack::Stack;
use crate::checkpoint::Checkpoint;
use crate::gpu::{Buffer, Device, Slice, Use};
use crate::graph::Store;
use crate::kernels::{Layout, TensorType, chunks};
use crate::quant::{Encoding, Packing};
use crate::{DType, Error, Result};
use std::sync::Arc;

/// What a load reports and obeys.
#[derive(Default)]
pub struct LoadOptions<'a> {
    /// Told the share of the bytes that are loaded, from 0 to 1.
    pub progress: Option<Box<dyn FnMut(f32) + 'a>>,
    /// What floats are turned into where a packed weight is wanted.
    pub encoding: Option<Encoding>,
}

/// Host bytes that are converted at a time; with wgpu's staging about three times this is held.
const PIECE: usize = 8 << 20;
/// Bytes written before the engine waits for wgpu's staging memory to come back.
const WINDOW: u64 = 64 << 20;

/// Loads `wanted` (name, type) into `store`; what is there stays. A name is a list of [`crate::blocks::Part`]s.
///
/// Errors: a missing tensor, a wrong shape, a read error, [`Error::OutOfMemory`]. The store keeps what was loaded
/// before the error, so that a second attempt goes on from there.
pub async fn load_weights(
    device: &Device,
    checkpoint: &Checkpoint,
    wanted: &[(String, TensorType)],
    store: &mut Store,
    mut options: LoadOptions<'_>,
) -> Result<()> {
    // Every name and shape first: an error should not cost a load.
    let mut plans = Vec::new();
    for (name, ty) in wanted.iter().filter(|(name, _)| store.get(name).is_none()) {
        plans.push((name, ty, sources(checkpoint, name, ty)?));
    }
    let total: u64 = plans.iter().map(|(_, ty, _)| ty.bytes()).sum::<u64>().max(1);
    let (mut done, mut since_flush) = (0u64, 0u64);
    let mut quantizer = options.encoding.map(|to| Quantizer::new(device, to));
    for (name, ty, sources) in plans {
        let mut slices = Vec::new();
        for chunk in chunks(ty, device.caps()) {
            let bytes = crate::graph::chunk_bytes(ty, chunk.rows);
            let buffer = device.buffer(name, bytes, Use::Storage).await?;
            let target = Target { device, buffer: &buffer, ty, rows: chunk.rows };
            target.fill(&Stack { checkpoint, sources: &sources }, chunk.first, quantizer.as_mut()).await?;
            slices.push(Slice::first(buffer, bytes));
            since_flush += bytes;
            if since_flush > WINDOW {
                device.flush().await?;
                since_flush = 0;
            }
        }
        store.put(name, slices);
        done += ty.bytes();
        if let Some(progress) = &mut options.progress {
            progress(done as f32 / total as f32);
        }
    }
    device.flush().await
}

/// A chunk being filled.
struct Target<'t> {
    device: &'t Device,
    buffer: &'t Arc<Buffer>,
    ty: &'t TensorType,
    rows: usize,
}

impl Target<'_> {
    /// Fills the chunk with the stacked rows from `first` on.
    async fn fill(&self, stack: &Stack<'_>, first: usize, quantizer: Option<&mut Quantizer<'_>>) -> Result<()> {
        match self.ty.layout {
            Layout::Panels => {
                // Panels interleave all rows of a chunk, so its values are gathered before they are written; a chunk is
                // at most one binding.
                let (rows, cols) = (self.rows, self.ty.shape[1]);
                let values = stack.numbers(first, rows, cols).await?;
                self.write_panels(&values, rows, cols);
            }
            Layout::Rows => self.write_rows(&stack.numbers(first, self.ty.elements(), 1).await?),
            Layout::Packed(packing) if stack.all_in(packing) => self.copy(stack, packing, first).await?,
            Layout::Packed(packing) => match quantizer.filter(|q| q.makes(packing)) {
                Some(quantizer) => self.quantize(stack, first, quantizer).await?,
                None => {
                    let reason = format!("{} is not kept in that format, and none was asked for", stack.name());
                    return Err(Error::unsupported(self.ty.to_string(), reason));
                }
            },
        }
        Ok(())
    }

    /// Numbers, quantized on the device some rows at a time.
    async fn quantize(&self, stack: &Stack<'_>, first: usize, quantizer: &mut Quantizer<'_>) -> Result<()> {
        let cols = self.ty.shape[1];
        for from in (0..self.rows).step_by(rows_at_once(cols)) {
            let rows = rows_at_once(cols).min(self.rows - from);
            let values = stack.numbers(first + from, rows, cols).await?;
            quantizer.run(&values, rows, cols).await?;
            quantizer.copy(self.buffer, (from, rows, self.rows), cols).await?;
        }
        Ok(())
    }

    /// Packed rows as they are stored: blocks some rows at a time, sections whole.
    async fn copy(&self, stack: &Stack<'_>, packing: Packing, first: usize) -> Result<()> {
        let cols = self.ty.shape[1];
        let Packing::Block(_) = packing else {
            let mut offset = 0;
            for section in 0..packing.sections(self.rows, cols).len() {
                let bytes = stack.section(packing, section, cols).await?;
                self.device.write(self.buffer, offset, &bytes);
                offset += bytes.len().next_multiple_of(4) as u64;
            }
            return Ok(());
        };
        let row = packing.bytes_of_row(cols);
        // In fours, rows are whole words.
        let at_once = (PIECE / row.max(1) / 4 * 4).max(4);
        for from in (0..self.rows).step_by(at_once) {
            let bytes = stack.rows(first + from, at_once.min(self.rows - from), row).await?;
            self.device.write(self.buffer, (from * row) as u64, &bytes);
        }
        Ok(())
    }

    /// Quads of four columns, row after row, panel after panel.
    fn write_panels(&self, values: &[f32], rows: usize, cols: usize) {
        let panel_bytes = rows * 4 * self.ty.dtype.size();
        let panels_at_once = (PIECE / panel_bytes.max(1)).max(1);
        let panels = cols.div_ceil(4);
        for from in (0..panels).step_by(panels_at_once) {
            let to = (from + panels_at_once).min(panels);
            let mut quads = vec![0f32; (to - from) * rows * 4];
            for (row, line) in values.chunks_exact(cols).enumerate() {
                for panel in from..to {
                    let part = &line[panel * 4..(panel * 4 + 4).min(cols)];
                    quads[((panel - from) * rows + row) * 4..][..part.len()].copy_from_slice(part);
                }
            }
            self.write((from * panel_bytes) as u64, &quads);
        }
    }

    fn write_rows(&self, values: &[f32]) {
        for (i, piece) in values.chunks(PIECE / 4).enumerate() {
            self.write((i * (PIECE / 4) * self.ty.dtype.size()) as u64, piece);
        }
    }

    fn write(&self, offset: u64, values: &[f32]) {
        match self.ty.dtype {
            DType::F16 => {
                let bits: Vec<half::f16> = values.iter().map(|v| half::f16::from_f32(*v)).collect();
                self.device.write(self.buffer, offset, bytemuck::cast_slice(&bits));
            }
            DType::BF16 => {
                let bits: Vec<half::bf16> = values.iter().map(|v| half::bf16::from_f32(*v)).collect();
                self.device.write(self.buffer, offset, bytemuck::cast_slice(&bits));
            }
            _ => self.device.write(self.buffer, offset, bytemuck::cast_slice(values)),
        }
    }
}
