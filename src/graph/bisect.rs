//! Bisecting: every step's real inputs through its oracle; the first cell outside its bound is named.

use super::record::{StepRecord, read_operands};
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
    pub output: String,
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

/// The rows of an output that are compared.
pub(super) fn rows_compared(rows: usize) -> Vec<usize> {
    let stride = rows.div_ceil(ROWS).max(1);
    let mut list: Vec<usize> = (0..rows).step_by(stride).chain(rows.checked_sub(1)).collect();
    list.dedup();
    list
}

/// Runs a program step by step and compares each node with its oracle. `None`: every node is within its bound; else
/// the first that is not, with what it takes to run it again.
pub async fn bisect(device: &Device, program: &Program, store: &Store, pool: &Pool) -> Result<Option<Box<StepRecord>>> {
    let plan = program.plan();
    let mut step = 0;
    for node in 0..plan.graph.nodes.len() {
        let buffers = (store, pool);
        let (pieces, inputs) = read_operands(device, program, buffers, &plan.graph.nodes[node].inputs).await?;
        let end = step + plan.steps[step..].iter().take_while(|s| s.node == node).count();
        for range in step..end {
            device.submit("bisect", |r| program.record_into(r, range..range + 1)).await?;
        }
        let (_, outputs) = read_operands(device, program, buffers, &plan.graph.nodes[node].outputs).await?;
        if let Some(bad) = compare(plan, node, step, &inputs, &outputs) {
            return Ok(Some(Box::new(StepRecord::new(device, plan, bad, (&pieces, &inputs), &outputs)?)));
        }
        step = end;
    }
    Ok(None)
}

fn compare(plan: &Plan, node: usize, step: usize, inputs: &[Array], outputs: &[Array]) -> Option<BadCell> {
    let kernel = &plan.graph.nodes[node].kernel;
    let mut worst: Option<(f64, BadCell)> = None;
    for (o, (port, got)) in kernel.outputs().into_iter().zip(outputs).enumerate() {
        for row in rows_compared(got.rows()) {
            for (col, (cell, value)) in kernel.oracle(inputs, o, row).iter().zip(got.row(row)).enumerate() {
                let excess = excess(cell, *value);
                if excess > 1.0 && worst.as_ref().is_none_or(|(w, _)| excess > *w) {
                    let bad = BadCell {
                        node,
                        step: plan.line(step),
                        kernel: kernel.name().to_owned(),
                        output: port.to_owned(),
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

impl Program {
    /// All chunks of a value.
    pub(super) fn slices(&self, id: ValueId, store: &Store, pool: &Pool) -> Result<Vec<Slice>> {
        let value = &self.plan.graph.values[id.0];
        match store.get(&value.name) {
            Some(chunks) if chunks.len() > 1 => Ok(chunks.to_vec()),
            _ => Ok(vec![self.slice(id, None, store, pool)?]),
        }
    }
}
