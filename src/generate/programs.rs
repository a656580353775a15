//! Programs by shape, sharing one pool of slots. The least recently used ones are let go.

use crate::gpu::Device;
use crate::graph::{FuseOptions, Graph, Plan, Pool, Program, Store, fuse};
use crate::{Error, Result};
use std::collections::VecDeque;

/// Programs kept for another run of the same shape.
const KEPT: usize = 8;

/// A cache of programs.
#[derive(Debug, Default)]
pub struct Programs {
    programs: VecDeque<(String, Program)>,
    /// Slots of all programs.
    pub pool: Pool,
    /// Rewrites of the graphs.
    pub fuse: FuseOptions,
}

impl Programs {
    /// Makes the program of `key` the newest, built from `graph` on first use. The store gains buffers for states
    /// that it lacks.
    pub async fn prepare(
        &mut self,
        device: &Device,
        store: &mut Store,
        key: &str,
        graph: impl FnOnce() -> Result<Graph>,
    ) -> Result<()> {
        let found = self.programs.iter().position(|(k, _)| k == key);
        let (name, mut program) = match found.and_then(|i| self.programs.remove(i)) {
            Some(kept) => kept,
            None => {
                let plan = Plan::new(fuse(graph()?, &self.fuse), device.caps())?;
                for (name, ty) in plan.graph.states() {
                    store.ensure(device, name, ty).await?;
                }
                (key.to_owned(), Program::build(device, plan, store, &mut self.pool).await?)
            }
        };
        program.refresh(device, store, &self.pool).await?;
        self.programs.push_front((name, program));
        self.programs.truncate(KEPT);
        Ok(())
    }
    /// The program that was used last.
    pub fn newest(&self) -> Result<&Program> {
        let newest = self.programs.front().map(|(_, program)| program);
        newest.ok_or_else(|| Error::graph("programs", "none was prepared"))
    }
    /// Forgets all programs: buffers of the store were replaced.
    pub fn clear(&mut self) {
        self.programs.clear();
    }
}
