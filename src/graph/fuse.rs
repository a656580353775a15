//! Fusing: named rewrites of a graph. Each leaves values that are kept alone, and has a test that both sides agree.
//!
//! A rewrite merges a node into the one that made its operand, only when nobody else can see the value between: one
//! reader, an intermediate, not kept, not seen under another shape. The merged node stands where the first one stood,
//! so nodes stay in execution order. Which tile a product then runs with is the kernel's business, not decided here.

use super::{Graph, Node, Role, ValueId};
use crate::kernels::{Binary, BinaryOp, Kernel, Layout, MatMul, MatVec, Unary, UnaryOp};
use std::any::Any;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// A rewrite.
#[derive(Debug)]
pub struct Rewrite {
    /// Name, by which it can be switched off.
    pub name: &'static str,
    /// One line on what becomes what.
    pub about: &'static str,
    apply: fn(&mut Graph),
}

/// All rewrites, in the order in which they are applied.
pub static REWRITES: &[Rewrite] = &[
    Rewrite { name: "dead_nodes", about: "nodes whose results nothing reads, stores or keeps go", apply: dead_nodes },
    Rewrite {
        name: "matmul_act",
        about: "matmul, then an activation -> matmul with the activation",
        apply: matmul_act,
    },
    Rewrite {
        name: "matmul_residual",
        about: "matmul, then an addition of the same shape -> matmul with a residual",
        apply: matmul_residual,
    },
    Rewrite {
        name: "matvec",
        about: "matmul of up to 8 rows with a weight in panels or packed -> matvec",
        apply: matvec,
    },
];

/// Which rewrites to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuseOptions {
    /// All of them but those switched off, or none.
    pub enabled: bool,
    /// Bit i: rewrite i is off.
    off: u32,
}

impl Default for FuseOptions {
    fn default() -> Self {
        Self { enabled: true, off: 0 }
    }
}

impl FuseOptions {
    /// No rewrite at all.
    pub fn none() -> Self {
        Self { enabled: false, off: 0 }
    }
    /// These options with the rewrite of that name switched off; a name of none changes nothing.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        let bit = REWRITES.iter().position(|r| r.name == name).map_or(0, |i| 1 << i);
        Self { off: self.off | bit, ..self }
    }
    /// Whether the rewrite of that name is applied.
    pub fn has(&self, name: &str) -> bool {
        let found = REWRITES.iter().position(|r| r.name == name);
        found.is_some_and(|i| self.enabled && self.off & (1 << i) == 0)
    }
}

/// Applies the rewrites. Taps of values that no node makes any more are dropped; kept values are always made.
///
/// What a graph is for has to be stored or kept before: the rest counts as dead.
pub fn fuse(mut graph: Graph, options: &FuseOptions) -> Graph {
    let wanted: Vec<_> = REWRITES.iter().filter(|r| options.has(r.name)).collect();
    for rewrite in &wanted {
        (rewrite.apply)(&mut graph);
    }
    if !wanted.is_empty() {
        drop_taps(&mut graph);
    }
    graph
}

fn is<K: Kernel>(node: &Node) -> Option<&K> {
    let kernel: &dyn Any = &*node.kernel;
    kernel.downcast_ref()
}

/// Who makes and who reads each value, by index of the node.
struct Uses {
    maker: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
    /// Nothing but its readers can see the value.
    hidden: Vec<bool>,
    /// Nodes that were merged into others.
    merged: Vec<bool>,
}

impl Uses {
    fn of(graph: &Graph) -> Self {
        let count = graph.values.len();
        let (mut maker, mut readers) = (vec![None; count], vec![Vec::new(); count]);
        for (i, node) in graph.nodes.iter().enumerate() {
            for id in &node.inputs {
                readers[id.0].push(i);
            }
            for id in &node.outputs {
                maker[id.0] = Some(i);
            }
        }
        let mut hidden: Vec<bool> =
            graph.values.iter().map(|v| v.role == Role::Temp && !v.keep && v.alias.is_none()).collect();
        for value in &graph.values {
            if let Some(root) = value.alias {
                hidden[root.0] = false;
            }
        }
        Self { maker, readers, hidden, merged: vec![false; graph.nodes.len()] }
    }

    /// The only node that reads the result of node `i`, if nothing else can see that result.
    fn follower(&self, graph: &Graph, i: usize) -> Option<usize> {
        let [id] = graph.nodes[i].outputs[..] else { return None };
        match self.readers[id.0][..] {
            [reader] if self.hidden[id.0] && reader > i => Some(reader),
            _ => None,
        }
    }

    /// Node `j` becomes part of node `i`, which computes `kernel` of its operands and `more`.
    fn merge(&mut self, graph: &mut Graph, (i, j): (usize, usize), kernel: impl Kernel, more: Option<ValueId>) {
        let outputs = graph.nodes[j].outputs.clone();
        for id in &outputs {
            self.maker[id.0] = Some(i);
        }
        if let Some(id) = more {
            self.readers[id.0].iter_mut().filter(|r| **r == j).for_each(|r| *r = i);
        }
        let node = &mut graph.nodes[i];
        node.inputs.extend(more);
        (node.kernel, node.outputs) = (Arc::new(kernel), outputs);
        self.merged[j] = true;
    }

    /// Takes the merged nodes out.
    fn finish(self, graph: &mut Graph) {
        let mut merged = self.merged.into_iter();
        graph.nodes.retain(|_| !merged.next().unwrap_or(false));
    }
}

/// Two values with one buffer: reshapes of a value, or the same entry of the store.
fn share(graph: &Graph, a: ValueId, b: ValueId) -> bool {
    let (a, b) = (graph.root(a), graph.root(b));
    let (x, y) = (&graph.values[a.0], &graph.values[b.0]);
    a == b || (x.role == Role::State && y.role == Role::State && x.name == y.name)
}

/// Whether node `i` may do the work of node `j`, so that `extra` is read and j's result is written as early as i:
/// nothing between changes or sees those buffers, and i does not read the buffer that it would write.
fn movable(graph: &Graph, (i, j): (usize, usize), extra: Option<ValueId>) -> bool {
    let results = &graph.nodes[j].outputs;
    let writes = |id: &ValueId| results.iter().any(|r| share(graph, *r, *id));
    let changed = |id: &ValueId| extra.is_some_and(|e| share(graph, e, *id));
    let own = graph.nodes[i].inputs.iter().chain(extra.as_ref()).any(writes);
    let between = graph.nodes[i + 1..j].iter();
    let disturbs = |n: &Node| n.outputs.iter().any(changed) || n.inputs.iter().chain(&n.outputs).any(writes);
    !own && !between.into_iter().any(disturbs)
}

fn matmul_act(graph: &mut Graph) {
    let mut uses = Uses::of(graph);
    for i in 0..graph.nodes.len() {
        let Some(MatMul { bias, act: None, residual: false }) = is::<MatMul>(&graph.nodes[i]).cloned() else {
            continue;
        };
        let Some(j) = uses.follower(graph, i) else { continue };
        let Some(Unary { op: UnaryOp::Act(act) }) = is::<Unary>(&graph.nodes[j]).cloned() else { continue };
        if movable(graph, (i, j), None) {
            uses.merge(graph, (i, j), MatMul { bias, act: Some(act), residual: false }, None);
        }
    }
    uses.finish(graph);
}

fn matmul_residual(graph: &mut Graph) {
    let mut uses = Uses::of(graph);
    for i in 0..graph.nodes.len() {
        let Some(product @ MatMul { residual: false, .. }) = is::<MatMul>(&graph.nodes[i]).cloned() else { continue };
        let Some(j) = uses.follower(graph, i) else { continue };
        let Some(Binary { op: BinaryOp::Add }) = is::<Binary>(&graph.nodes[j]) else { continue };
        let ([y], [a, b]) = (&graph.nodes[i].outputs[..], &graph.nodes[j].inputs[..]) else { continue };
        let other = if a == y { *b } else { *a };
        // Made by an earlier node, or there from the start.
        let early = uses.maker[graph.root(other).0].is_none_or(|made| made < i);
        if early && graph.ty(other) == graph.ty(*y) && movable(graph, (i, j), Some(other)) {
            uses.merge(graph, (i, j), MatMul { residual: true, ..product }, Some(other));
        }
    }
    uses.finish(graph);
}

/// A decode step is bound by reading the weights; `matvec` is made for that.
fn matvec(graph: &mut Graph) {
    for i in 0..graph.nodes.len() {
        let Some(MatMul { bias, act, residual }) = is::<MatMul>(&graph.nodes[i]).cloned() else { continue };
        let (x, w) = (graph.ty(graph.nodes[i].inputs[0]), graph.ty(graph.nodes[i].inputs[1]));
        if x.rows() <= MatVec::MOST_ROWS && matches!(w.layout, Layout::Panels | Layout::Packed(_)) {
            graph.nodes[i].kernel = Arc::new(MatVec { bias, act, residual });
        }
    }
}

fn dead_nodes(graph: &mut Graph) {
    let mut needed: Vec<bool> = graph.values.iter().map(|v| v.role != Role::Temp).collect();
    for (i, value) in graph.values.iter().enumerate() {
        if value.keep {
            needed[graph.root(ValueId(i)).0] = true;
        }
    }
    let mut live = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        live[i] = node.outputs.iter().any(|id| needed[graph.root(*id).0]);
        if live[i] {
            node.inputs.iter().for_each(|id| needed[graph.root(*id).0] = true);
        }
    }
    let mut live = live.into_iter();
    graph.nodes.retain(|_| live.next().unwrap_or(true));
}

/// A tap of an intermediate that no node makes would name bytes of something else.
fn drop_taps(graph: &mut Graph) {
    let maker = Uses::of(graph).maker;
    let mut taps = std::mem::take(&mut graph.taps);
    taps.retain(|(_, id)| {
        let root = graph.root(*id);
        graph.values[root.0].role != Role::Temp || maker[root.0].is_some()
    });
    graph.taps = taps;
}
