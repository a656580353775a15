//! Numbers into packed weights on the device, some rows at a time.

use crate::gpu::{Buffer, Device, Slice};
use crate::graph::{Graph, Plan, Pool, Program, RunOptions, Store, ValueId};
use crate::kernels::{Layout, QuantizeBlocks, TensorType};
use crate::quant::{Encoding, Packing};
use crate::{Error, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// Host bytes of numbers that are quantized at a time.
const PIECE: usize = 8 << 20;
/// Store names of what a program reads and writes.
const NUMBERS: &str = "quantize.x";
const PACKED: &str = "quantize.y";

/// Rows of `k` numbers that are quantized at a time: whole words in every layout.
pub(super) fn rows_at_once(k: usize) -> usize {
    (PIECE / 4 / k.max(1) / 4 * 4).max(4)
}

/// The graph that quantizes `[n, k]`, and what it makes.
pub(super) fn quantize_graph(to: Encoding, n: usize, k: usize) -> Result<(Graph, ValueId)> {
    let mut g = Graph::new();
    let x = g.state(NUMBERS, TensorType::f32(&[n, k]));
    let y = g.apply(QuantizeBlocks { to }, &[x])?;
    g.store(y, PACKED);
    Ok((g, y))
}

/// Bytes of GPU buffers beside the weights while `weights` are quantized.
pub(super) fn quantizing_bytes(to: Encoding, weights: &[(String, TensorType)]) -> u64 {
    let Some(packing) = to.packing() else { return 0 };
    let (mut numbers, mut packed) = (0, 0);
    for (_, ty) in weights.iter().filter(|(_, ty)| ty.layout == Layout::Packed(packing)) {
        let (n, k) = (ty.rows().min(rows_at_once(ty.cols())), ty.cols());
        numbers = numbers.max(4 * (n * k) as u64);
        packed = packed.max(packing.bytes(n, k));
    }
    numbers + packed
}

/// Programs that quantize, by shape. They share their buffers.
pub(super) struct Quantizer<'d> {
    device: &'d Device,
    to: Encoding,
    store: Store,
    pool: Pool,
    programs: HashMap<(usize, usize), Program>,
}

impl<'d> Quantizer<'d> {
    /// Allocates nothing yet.
    pub(super) fn new(device: &'d Device, to: Encoding) -> Self {
        Self { device, to, store: Store::new(), pool: Pool::new(), programs: HashMap::new() }
    }

    /// Whether it makes this layout.
    pub(super) fn makes(&self, packing: Packing) -> bool {
        self.to.packing() == Some(packing)
    }

    /// Quantizes `values` \[n, k\], at most [`rows_at_once`] rows.
    pub(super) async fn run(&mut self, values: &[f32], n: usize, k: usize) -> Result<()> {
        if !self.programs.contains_key(&(n, k)) {
            let (graph, _) = quantize_graph(self.to, n, k)?;
            let plan = Plan::new(graph, self.device.caps())?;
            for (name, ty) in plan.graph.states() {
                self.store.ensure(self.device, name, ty).await?;
            }
            let program = Program::build(self.device, plan, &self.store, &mut self.pool).await?;
            self.programs.insert((n, k), program);
        }
        let missing = || Error::graph("quantize", "has no program");
        let program = self.programs.get_mut(&(n, k)).ok_or_else(missing)?;
        program.refresh(self.device, &self.store, &self.pool).await?;
        self.store.write(self.device, NUMBERS, bytemuck::cast_slice(values))?;
        program.run(self.device, &RunOptions::default()).await
    }

    /// Copies what [`Quantizer::run`] made of `n` rows into rows `first ..` of a weight `[all, k]`; `first` is a multiple
    /// of 4.
    pub(super) async fn copy(
        &self,
        target: &Arc<Buffer>,
        (first, n, all): (usize, usize, usize),
        k: usize,
    ) -> Result<()> {
        let packing = self.to.packing().ok_or_else(|| Error::graph("quantize", "makes no layout"))?;
        let made = self.store.slice(PACKED)?.clone();
        let copies = section_copies(packing, (first, n, all), k);
        self.device
            .submit("quantize", |recorder| {
                for (from, to, bytes) in &copies {
                    let from = Slice { offset: made.offset + from, ..made.clone() };
                    let to = Slice { buffer: target.clone(), offset: *to, bytes: *bytes };
                    recorder.copy(&from, &to, *bytes);
                }
            })
            .await
            .map(|_| ())
    }

    /// The bytes that [`Quantizer::run`] made of `[n, k]`, section after section.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) async fn read(&self, n: usize, k: usize) -> Result<Vec<u8>> {
        let packing = self.to.packing().ok_or_else(|| Error::graph("quantize", "makes no layout"))?;
        let made = self.store.slice(PACKED)?;
        self.device.read(&Slice { bytes: packing.bytes(n, k), ..made.clone() }).await
    }
}

/// Where the sections of rows `first .. first + n` lie: `(in a weight of these rows, in one of all rows, bytes)`.
pub(super) fn section_copies(
    packing: Packing,
    (first, n, all): (usize, usize, usize),
    k: usize,
) -> Vec<(u64, u64, u64)> {
    let (own, before, whole) = (packing.sections(n, k), packing.sections(first, k), packing.sections(all, k));
    let (mut from, mut to, mut copies) = (0, 0, Vec::new());
    for (section, bytes) in own.iter().enumerate() {
        let words = bytes.next_multiple_of(4) as u64;
        // A table of codes is the same for all rows.
        let shared = matches!(packing, Packing::Table4 { .. }) && section == 2;
        let skipped = if shared { 0 } else { before[section] as u64 };
        copies.push((from, to + skipped, words));
        from += words;
        to += whole[section].next_multiple_of(4) as u64;
    }
    copies
}
