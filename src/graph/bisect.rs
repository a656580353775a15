//! Bisecting: every step's real inputs through its oracle; the first cell outside its bound is named.

use super::host::decode;
use super::{Plan, Program, Store, ValueId};
use crate::Result;
use crate::gpu::{Device, Slice};
use crate::graph::Pool;
use crate::reference::{Array, Cell};

/// A cell outside its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct BadCell {
    /// Index of the node.
    pub node: usize,
    /// The step's line in the plan.
    pub step: String,
    /// Kernel name.
    pub kernel: String,
    /// Output port.
    pub output: &'static str,
    /// Row and column of the cell.
    pub cell: (usize, usize),
    /// What the device computed.
    pub got: f64,
    /// What the oracle computed from the same inputs.
    pub want: f64,
    /// The error that was allowed.
    pub bound: f64,
}

/// Rows of an output that are compared: all up to this many, else so many spread evenly with first and last.
const ROWS: usize = 64;

/// Runs a program step by step and compares each node with its oracle. `None`: every node is within its bound.
pub async fn bisect(device: &Device, program: &Program, store: &Store, pool: &Pool) -> Result<Option<BadCell>> {
    let plan = program.plan();
    let mut step = 0;
    for node in 0..plan.graph.nodes.len() {
        let inputs = read_all(device, program, store, pool, &plan.graph.nodes[node].inputs).await?;
        let end = step + plan.steps[step..].iter().take_while(|s| s.node == node).count();
        for range in step..end {
            device.submit("bisect", |r| program.record_into(r, range..range + 1)).await?;
        }
        let outputs = read_all(device, program, store, pool, &plan.graph.nodes[node].outputs).await?;
        if let Some(bad) = compare(plan, node, step, &inputs, &outputs) {
            return Ok(Some(bad));
        }
        step = end;
    }
    Ok(None)
}

fn compare(plan: &Plan, node: usize, step: usize, inputs: &[Array], outputs: &[Array]) -> Option<BadCell> {
    let kernel = &plan.graph.nodes[node].kernel;
    let mut worst: Option<(f64, BadCell)> = None;
    for (o, (port, got)) in kernel.outputs().into_iter().zip(outputs).enumerate() {
        let rows = got.rows();
        let stride = rows.div_ceil(ROWS).max(1);
        for row in (0..rows).step_by(stride).chain(rows.checked_sub(1)) {
            for (col, (cell, value)) in kernel.oracle(inputs, o, row).iter().zip(got.row(row)).enumerate() {
                let excess = excess(cell, *value);
                if excess > 1.0 && worst.as_ref().is_none_or(|(w, _)| excess > *w) {
                    let bad = BadCell {
                        node,
                        step: plan.line(step),
                        kernel: kernel.name().to_owned(),
                        output: port,
                        cell: (row, col),
                        got: *value,
                        want: cell.want,
                        bound: cell.bound,
                    };
                    worst = Some((excess, bad));
                }
            }
        }
    }
    worst.map(|(_, bad)| bad)
}

/// Error over bound: above 1 is a failure. A value that is not finite fails where the oracle's is finite, or another;
/// NaN matches NaN.
pub fn excess(cell: &Cell, got: f64) -> f64 {
    if got == cell.want || (got.is_nan() && cell.want.is_nan()) {
        return 0.0;
    }
    let error = (got - cell.want).abs();
    if !error.is_finite() || cell.bound <= 0.0 { f64::INFINITY } else { error / cell.bound }
}

async fn read_all(
    device: &Device,
    program: &Program,
    store: &Store,
    pool: &Pool,
    ids: &[ValueId],
) -> Result<Vec<Array>> {
    let mut arrays = Vec::new();
    for id in ids {
        let ty = program.plan().graph.ty(*id).clone();
        let mut bytes = Vec::new();
        for slice in program.slices(*id, store, pool)? {
            bytes.push(device.read(&slice).await?);
        }
        arrays.push(decode(&ty, &bytes, device.caps())?);
    }
    Ok(arrays)
}

impl Program {
    /// All chunks of a value.
    fn slices(&self, id: ValueId, store: &Store, pool: &Pool) -> Result<Vec<Slice>> {
        let value = &self.plan.graph.values[id.0];
        match store.get(&value.name) {
            Some(chunks) if chunks.len() > 1 => Ok(chunks.to_vec()),
            _ => Ok(vec![self.slice(id, None, store, pool)?]),
        }
    }
}
