//! A plan bound to a device: pipelines, bind groups and params are made once; running only records.

use super::{Place, Plan, Role, Store, ValueId};
use crate::gpu::{BindGroup, Buffer, Device, Pipeline, Slice, Use};
use crate::{Error, Result};
use std::sync::Arc;

/// Slots shared by all programs of a session, each as large as the largest program needs.
#[derive(Debug, Default)]
pub struct Pool {
    slots: Vec<Arc<Buffer>>,
    generation: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }
    /// Grows to at least these sizes. Programs bound before have to be bound again if a slot moved.
    pub async fn grow(&mut self, device: &Device, sizes: &[u64]) -> Result<()> {
        for (i, bytes) in sizes.iter().enumerate() {
            if self.slots.get(i).is_some_and(|s| s.bytes() >= *bytes) {
                continue;
            }
            let slot = device.buffer("slot", *bytes, Use::Storage).await?;
            self.generation += 1;
            if i < self.slots.len() { self.slots[i] = slot } else { self.slots.push(slot) }
        }
        Ok(())
    }
    /// The slots, so that a test can fill them before a run.
    pub fn slots(&self) -> &[Arc<Buffer>] {
        &self.slots
    }
    /// Bytes of all slots.
    pub fn bytes(&self) -> u64 {
        self.slots.iter().map(|s| s.bytes()).sum()
    }
}

#[derive(Debug)]
pub(super) struct Bound {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) groups: Vec<BindGroup>,
}

/// A plan with its pipelines and bind groups on a device.
#[derive(Debug)]
pub struct Program {
    pub(super) plan: Plan,
    pub(super) bound: Vec<Bound>,
    constants: Vec<(ValueId, Arc<Buffer>)>,
    generation: (u64, u64),
}

impl Program {
    /// Compiles, allocates constants and params, and binds. The store must hold every weight and state.
    pub async fn build(device: &Device, plan: Plan, store: &Store, pool: &mut Pool) -> Result<Self> {
        let launches: Vec<_> = plan.steps.iter().map(|s| &s.launch).collect();
        device.pipelines(&launches).await?;
        pool.grow(device, &plan.slots).await?;
        let mut constants = Vec::new();
        for (i, value) in plan.graph.values.iter().enumerate() {
            if let Role::Const(bytes) = &value.role {
                constants.push((ValueId(i), device.buffer_with(&value.name, bytes).await?));
            }
        }
        let mut program = Self { plan, bound: Vec::new(), constants, generation: (0, 0) };
        program.bind(device, store, pool).await?;
        Ok(program)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Binds again if the pool or the store has changed since; call before a run of a program that shares its pool.
    pub async fn refresh(&mut self, device: &Device, store: &Store, pool: &Pool) -> Result<()> {
        if self.generation == (pool.generation, store.generation) {
            Ok(())
        } else {
            self.bind(device, store, pool).await
        }
    }

    async fn bind(&mut self, device: &Device, store: &Store, pool: &Pool) -> Result<()> {
        let align = device.caps().align.max(16);
        let params = device.buffer("params", self.plan.params_bytes(device.caps()), Use::Uniform).await?;
        let mut bytes = vec![0; params.bytes() as usize];
        let mut bound = Vec::new();
        let mut offset = 0;
        for step in &self.plan.steps {
            let pipeline = device.pipeline(&step.launch).await?;
            pipeline.check_params(&step.launch)?;
            let words: Vec<u32> = step.launch.params.iter().map(|(_, word)| *word).collect();
            let size = (words.len() as u64 * 4).max(16);
            bytes[offset as usize..][..words.len() * 4].copy_from_slice(bytemuck::cast_slice(&words));
            let mut slices = vec![("params", Slice { buffer: params.clone(), offset, bytes: size })];
            slices.extend(self.operands(step.node, step.launch.chunk, store, pool)?);
            let groups = device.bind(&pipeline, step.launch.files[0], &slices).await?;
            bound.push(Bound { pipeline, groups });
            offset += size.next_multiple_of(align);
        }
        device.write(&params, 0, &bytes);
        (self.bound, self.generation) = (bound, (pool.generation, store.generation));
        Ok(())
    }

    /// Slices of a node's operands by port name.
    fn operands(
        &self,
        node: usize,
        chunk: Option<(usize, usize)>,
        store: &Store,
        pool: &Pool,
    ) -> Result<Vec<(&'static str, Slice)>> {
        let node = &self.plan.graph.nodes[node];
        let mut slices = Vec::new();
        // Outputs first: an operand updated in place is bound under the output's name only.
        let inputs = node.kernel.inputs();
        for (port, id) in node.kernel.outputs().into_iter().zip(&node.outputs) {
            slices.push((port, self.slice(*id, None, store, pool)?));
        }
        for (i, (port, id)) in inputs.into_iter().zip(&node.inputs).enumerate() {
            let chunk = chunk.filter(|(input, _)| *input == i).map(|(_, chunk)| chunk);
            slices.push((port, self.slice(*id, chunk, store, pool)?));
        }
        Ok(slices)
    }

    /// Where a value's bytes are; `chunk` picks one of several.
    pub(super) fn slice(&self, id: ValueId, chunk: Option<usize>, store: &Store, pool: &Pool) -> Result<Slice> {
        let value = &self.plan.graph.values[id.0];
        let bytes = value.ty.bytes();
        match self.plan.places[id.0] {
            Place::Slot(slot) => Ok(Slice::first(pool.slots[slot].clone(), bytes)),
            Place::Const => {
                let found = self.constants.iter().find(|(v, _)| *v == id);
                let (_, buffer) = found.ok_or_else(|| Error::graph(&value.name, "has no contents"))?;
                Ok(Slice::first(buffer.clone(), bytes))
            }
            Place::Store => {
                let chunks = store.get(&value.name).ok_or_else(|| Error::graph(&value.name, "is not in the store"))?;
                let slice = match chunk {
                    Some(chunk) => chunks.get(chunk),
                    None if chunks.len() == 1 => chunks.first(),
                    None => None,
                };
                let slice = slice.ok_or_else(|| Error::graph(&value.name, "chunks do not match the launch"))?;
                if chunks.len() == 1 && slice.bytes < bytes {
                    let reason = format!("has {} bytes in the store, {} needs {bytes}", slice.bytes, value.ty);
                    return Err(Error::graph(&value.name, reason));
                }
                let bytes = if chunks.len() == 1 { bytes } else { slice.bytes };
                Ok(Slice { bytes, ..slice.clone() })
            }
        }
    }

    /// The slice of a value that can be read after a run: kept, or in the store.
    pub fn output(&self, id: ValueId, store: &Store, pool: &Pool) -> Result<Slice> {
        let value = &self.plan.graph.values[id.0];
        if value.role == Role::Temp && !value.keep {
            return Err(Error::graph(&value.name, "is not kept after the run"));
        }
        let mut slice = self.slice(id, None, store, pool)?;
        slice.bytes = slice.bytes.min(value.ty.bytes());
        Ok(slice)
    }
}
