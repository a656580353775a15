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

/// Host bytes that are converted at a time.
const PIECE: usize = 8 << 20;
/// Host bytes of the rows of a matrix that are gathered before they are put into panels.
const GATHER: usize = 128 << 20;
/// Bytes written before the engine waits for wgpu's staging memory to come back. With what is gathered and converted, and
/// wgpu's copy of it, a load holds some 300 MB of host memory, whatever the size of the model and of its tensors.
const WINDOW: u64 = 64 << 20;

/// Counts what is written, and waits when a window is full.
struct Feed<'d> {
    device: &'d Device,
    flying: u64,
}

impl Feed<'_> {
    async fn write(&mut self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.device.write(buffer, offset, bytes);
        self.note(bytes.len()).await
    }
    async fn note(&mut self, bytes: usize) -> Result<()> {
        self.flying += bytes as u64;
        if self.flying > WINDOW {
            self.device.flush().await?;
            self.flying = 0;
        }
        Ok(())
    }
}

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
    let (mut done, mut feed) = (0u64, Feed { device, flying: 0 });
    let mut quantizer = options.encoding.map(|to| Quantizer::new(device, to));
    for (name, ty, sources) in plans {
        let mut slices = Vec::new();
        for chunk in chunks(ty, device.caps()) {
            let bytes = crate::graph::chunk_bytes(ty, chunk.rows);
            let buffer = device.buffer(name, bytes, Use::Storage).await?;
            let target = Target { buffer: &buffer, ty, rows: chunk.rows };
            let stack = Stack { checkpoint, sources: &sources };
            target.fill(&stack, chunk.first, quantizer.as_mut(), &mut feed).await?;
            slices.push(Slice::first(buffer, bytes));
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
    buffer: &'t Arc<Buffer>,
    ty: &'t TensorType,
    rows: usize,
}

impl Target<'_> {
    /// Fills the chunk with the stacked rows from `first` on.
    async fn fill(
        &self,
        stack: &Stack<'_>,
        first: usize,
        quantizer: Option<&mut Quantizer<'_>>,
        feed: &mut Feed<'_>,
    ) -> Result<()> {
        match self.ty.layout {
            Layout::Panels => {
                let cols = self.ty.shape[1];
                let at_once = (GATHER / 4 / cols.max(1)).max(1);
                for from in (0..self.rows).step_by(at_once) {
                    let rows = at_once.min(self.rows - from);
                    let values = stack.numbers(first + from, rows, cols).await?;
                    self.write_panels(&values, (from, rows), feed).await?;
                }
                Ok(())
            }
            Layout::Rows => {
                for from in (0..self.ty.elements()).step_by(PIECE / 4) {
                    let count = (PIECE / 4).min(self.ty.elements() - from);
                    let values = stack.numbers(first + from, count, 1).await?;
                    self.write((from * self.ty.dtype.size()) as u64, &values, feed).await?;
                }
                Ok(())
            }
            Layout::Packed(packing) if stack.all_in(packing) => self.copy(stack, packing, first, feed).await,
            Layout::Packed(packing) => match quantizer.filter(|q| q.makes(packing)) {
                Some(quantizer) => self.quantize(stack, first, quantizer, feed).await,
                None => {
                    let reason = format!("{} is not kept in that format, and none was asked for", stack.name());
                    Err(Error::unsupported(self.ty.to_string(), reason))
                }
            },
        }
    }

    /// Numbers, quantized on the device some rows at a time.
    async fn quantize(
        &self,
        stack: &Stack<'_>,
        first: usize,
        quantizer: &mut Quantizer<'_>,
        feed: &mut Feed<'_>,
    ) -> Result<()> {
        let cols = self.ty.shape[1];
        for from in (0..self.rows).step_by(rows_at_once(cols)) {
            let rows = rows_at_once(cols).min(self.rows - from);
            let values = stack.numbers(first + from, rows, cols).await?;
            quantizer.run(&values, rows, cols).await?;
            quantizer.copy(self.buffer, (from, rows, self.rows), cols).await?;
            feed.note(4 * values.len()).await?;
        }
        Ok(())
    }

    /// Packed rows as they are stored: blocks some rows at a time, sections some bytes at a time.
    async fn copy(&self, stack: &Stack<'_>, packing: Packing, first: usize, feed: &mut Feed<'_>) -> Result<()> {
        let cols = self.ty.shape[1];
        let Packing::Block(_) = packing else {
            let mut begin = 0;
            for section in 0..packing.sections(self.rows, cols).len() {
                let (mut pieces, mut end) = (stack.section(packing, section, cols).await?, begin);
                while let Some(bytes) = pieces.next(PIECE).await? {
                    feed.write(self.buffer, end, &bytes).await?;
                    end += bytes.len().next_multiple_of(4) as u64;
                }
                begin = end;
            }
            return Ok(());
        };
        let row = packing.bytes_of_row(cols);
        // In fours, rows are whole words.
        let at_once = (PIECE / row.max(1) / 4 * 4).max(4);
        for from in (0..self.rows).step_by(at_once) {
            let bytes = stack.rows(first + from, at_once.min(self.rows - from), row).await?;
            feed.write(self.buffer, (from * row) as u64, &bytes).await?;
        }
        Ok(())
    }

    /// Rows `first .. first + rows` as quads of four columns, row after row, panel after panel. Panels hold all rows of the
    /// chunk: some of the rows are a piece of each.
    async fn write_panels(&self, values: &[f32], (first, rows): (usize, usize), feed: &mut Feed<'_>) -> Result<()> {
        let cols = self.ty.shape[1];
        let quad_bytes = 4 * self.ty.dtype.size();
        let whole = rows == self.rows;
        let panels_at_once = if whole { (PIECE / (rows * quad_bytes).max(1)).max(1) } else { 1 };
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
            self.write(((from * self.rows + first) * quad_bytes) as u64, &quads, feed).await?;
        }
        Ok(())
    }

    async fn write(&self, offset: u64, values: &[f32], feed: &mut Feed<'_>) -> Result<()> {
        match self.ty.dtype {
            DType::F16 => {
                let bits: Vec<half::f16> = values.iter().map(|v| half::f16::from_f32(*v)).collect();
                feed.write(self.buffer, offset, bytemuck::cast_slice(&bits)).await
            }
            DType::BF16 => {
                let bits: Vec<half::bf16> = values.iter().map(|v| half::bf16::from_f32(*v)).collect();
                feed.write(self.buffer, offset, bytemuck::cast_slice(&bits)).await
            }
            _ => feed.write(self.buffer, offset, bytemuck::cast_slice(values)).await,
        }
    }
}
