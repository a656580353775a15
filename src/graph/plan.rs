//! Planning: launches of every node and slots of every intermediate, from types and capabilities alone.

use super::{Graph, Role, ValueId};
use crate::kernels::{Cost, Io, Launch, TensorType, chunks};
use crate::{Caps, Error, Result};

/// Where a value's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Slot of the pool.
    Slot(usize),
    /// Store entry of the value's name.
    Store,
    /// A buffer of the program with contents known at planning.
    Const,
}

/// One dispatch of a plan.
#[derive(Debug, Clone)]
pub struct Step {
    /// Node it belongs to.
    pub node: usize,
    /// The dispatch.
    pub launch: Launch,
    /// Work of the node, on its first dispatch; zero on the others.
    pub cost: Cost,
}

/// A graph with every decision made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The graph, fused.
    pub graph: Graph,
    /// Dispatches in order.
    pub steps: Vec<Step>,
    /// Place of every value.
    pub places: Vec<Place>,
    /// Bytes of the slots.
    pub slots: Vec<u64>,
}

impl Plan {
    /// Plans a graph for a device with these capabilities.
    ///
    /// Errors: a node whose kernel needs what the device lacks, or an activation over its limits.
    pub fn new(graph: Graph, caps: &Caps) -> Result<Self> {
        let mut steps = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let (inputs, outputs) = graph.io(node);
            let io = Io { inputs: &inputs, outputs: &outputs };
            check_sizes(&graph, index, caps)?;
            let launches = node.kernel.launch(&io, caps)?;
            let mut cost = node.kernel.cost(&io);
            for launch in launches {
                steps.push(Step { node: index, launch, cost });
                cost = Cost::default();
            }
        }
        let (places, slots) = assign(&graph);
        Ok(Self { graph, steps, places, slots })
    }
    /// Work of all steps.
    pub fn cost(&self) -> Cost {
        let add = |a: Cost, s: &Step| Cost { flops: a.flops + s.cost.flops, bytes: a.bytes + s.cost.bytes };
        self.steps.iter().fold(Cost::default(), add)
    }
    /// Bytes of the program's own buffers: constants, and the params of all steps.
    pub fn own_bytes(&self, caps: &Caps) -> u64 {
        let constants = self.graph.values.iter().filter(|v| matches!(v.role, Role::Const(_)));
        constants.map(|v| v.ty.bytes()).sum::<u64>() + self.params_bytes(caps)
    }
    /// Bytes of the params buffer: one aligned piece a step.
    pub fn params_bytes(&self, caps: &Caps) -> u64 {
        let piece = |s: &Step| (s.launch.params.len() as u64 * 4).max(16).next_multiple_of(caps.align.max(16));
        self.steps.iter().map(piece).sum::<u64>().max(16)
    }
    /// Bytes of the largest weight or activation.
    pub fn largest_tensor(&self) -> u64 {
        self.graph.values.iter().map(|v| v.ty.bytes()).max().unwrap_or(0)
    }
}

/// Only weights are kept in chunks; any other operand has to fit a binding.
fn check_sizes(graph: &Graph, node: usize, caps: &Caps) -> Result<()> {
    let node = &graph.nodes[node];
    let limit = caps.max_binding.min(caps.max_buffer);
    for id in node.inputs.iter().chain(&node.outputs) {
        let value = &graph.values[id.0];
        if value.role != Role::Weight && value.ty.bytes() > limit {
            return Err(Error::MissingCapability {
                what: format!("{} ({}), value {}", node.label, node.kernel.name(), value.ty),
                needs: format!("a binding of {} bytes", value.ty.bytes()),
                has: format!("{limit} bytes; use fewer tiles at once, a shorter prompt or a smaller context"),
            });
        }
    }
    Ok(())
}

/// Node after which a value is needed no more; `usize::MAX` if it is kept.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().chain(&node.outputs) {
            last[graph.root(*id).0] = index;
        }
    }
    for (i, value) in graph.values.iter().enumerate() {
        if value.keep {
            last[graph.root(ValueId(i)).0] = usize::MAX;
        }
    }
    last
}

/// Slots by liveness: a value takes the free slot whose size fits best, and gives it back after its last use.
/// Operands of one node never share a slot, so no dispatch reads and writes one buffer.
fn assign(graph: &Graph) -> (Vec<Place>, Vec<u64>) {
    let last = last_uses(graph);
    let initial = |role: &Role| match role {
        Role::Const(_) => Place::Const,
        _ => Place::Store,
    };
    let mut places: Vec<Place> = graph.values.iter().map(|v| initial(&v.role)).collect();
    let (mut slots, mut free): (Vec<u64>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut live: Vec<(ValueId, usize)> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in &node.outputs {
            let value = &graph.values[id.0];
            if value.role != Role::Temp {
                continue;
            }
            let bytes = value.ty.bytes();
            let slot = take_slot(&mut slots, &mut free, bytes);
            places[id.0] = Place::Slot(slot);
            live.push((*id, slot));
        }
        live.retain(|(id, slot)| {
            let ended = last[id.0] <= index;
            if ended {
                free.push(*slot);
            }
            !ended
        });
    }
    for (i, value) in graph.values.iter().enumerate() {
        if let Some(root) = value.alias {
            places[i] = places[root.0].clone();
        }
    }
    (places, slots)
}

/// The smallest free slot that is large enough, else the largest free one grown, else a new one.
fn take_slot(slots: &mut Vec<u64>, free: &mut Vec<usize>, bytes: u64) -> usize {
    let fit = free.iter().copied().filter(|s| slots[*s] >= bytes).min_by_key(|s| slots[*s]);
    let best = fit.or_else(|| free.iter().copied().max_by_key(|s| slots[*s]));
    match best {
        Some(slot) => {
            free.retain(|s| *s != slot);
            slots[slot] = slots[slot].max(bytes);
            slot
        }
        None => {
            slots.push(bytes);
            slots.len() - 1
        }
    }
}

/// Bytes that a weight takes on a device: the sum of its chunks.
pub(crate) fn stored_bytes(ty: &TensorType, caps: &Caps) -> u64 {
    chunks(ty, caps).iter().map(|c| chunk_bytes(ty, c.rows)).sum()
}

/// Bytes of a chunk of `rows` rows.
pub(crate) fn chunk_bytes(ty: &TensorType, rows: usize) -> u64 {
    (rows as u64 * ty.row_bytes() as u64).next_multiple_of(4).max(4)
}
