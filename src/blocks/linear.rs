//! Linear layers. Several that read the same input are one matrix: their weights are stacked at loading.

use super::Part;
use crate::graph::{Graph, ValueId};
use crate::kernels::{Act, Binary, BinaryOp, Concat, MatMul, TensorType, Unary, UnaryOp, WeightFormat};
use crate::{Error, Result};

/// A linear layer `y = x w^T + b`, or several stacked.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Weight tensor; `a+b` stacks the rows of a and b (see [`super::Part`]).
    pub weight: String,
    /// Bias tensor, stacked likewise; `zeros(n)` stands for a missing one.
    pub bias: Option<String>,
    /// Output width.
    pub n: usize,
    /// Input width.
    pub k: usize,
    /// What the weight is kept in.
    pub dtype: WeightFormat,
    /// Rows of each stacked matrix, and what it is kept in. Where these formats are no one matrix, each is a product of its
    /// own. Empty for a single layer.
    pub stack: Vec<(usize, WeightFormat)>,
}

impl Linear {
    /// The layer `name` with `name.weight` and, with `bias`, `name.bias`.
    pub fn new(name: &str, n: usize, k: usize, bias: bool, dtype: impl Into<WeightFormat>) -> Self {
        let bias = bias.then(|| format!("{name}.bias"));
        Self { weight: format!("{name}.weight"), bias, n, k, dtype: dtype.into(), stack: Vec::new() }
    }
    /// Layers `(name, width, has bias)` stacked in this order.
    pub fn stacked(layers: &[(String, usize, bool)], k: usize, dtype: impl Into<WeightFormat>) -> Self {
        let weights: Vec<String> = layers.iter().map(|(name, ..)| format!("{name}.weight")).collect();
        let bias_of = |(name, n, bias): &(String, usize, bool)| {
            if *bias { format!("{name}.bias") } else { format!("zeros({n})") }
        };
        let any = layers.iter().any(|(.., bias)| *bias);
        let bias = any.then(|| layers.iter().map(bias_of).collect::<Vec<_>>().join("+"));
        let dtype = dtype.into();
        let stack: Vec<_> = layers.iter().map(|(_, n, _)| (*n, dtype)).collect();
        let n = stack.iter().map(|(n, _)| n).sum();
        Self { weight: weights.join("+"), bias, n, k, dtype, stack }
    }
    /// Names of the stacked weights.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        self.weight.split('+')
    }
    /// Takes what each stacked matrix is kept in from the checkpoint.
    pub fn settle(&mut self, format: impl Fn(&str) -> WeightFormat) {
        for ((_, kept), part) in self.stack.iter_mut().zip(self.weight.split('+')) {
            if let Ok([Part::Tensor(name)]) = Part::parse(part).as_deref() {
                *kept = format(name);
            }
        }
    }
    /// Whether the stacked matrices cannot be one.
    fn apart(&self) -> bool {
        let first = self.dtype.packing(self.n, self.k);
        let stacks = |n: usize| first.is_none_or(|packing| packing.stacks(n, self.k));
        let as_one = |(n, kept): &(usize, WeightFormat)| {
            kept.packing(*n, self.k) == first && kept.float() == self.dtype.float() && stacks(*n)
        };
        self.stack.len() > 1 && !self.stack.iter().all(as_one)
    }
    /// The products of the stacked matrices side by side.
    fn apply_apart(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let mut bias = self.bias.iter().flat_map(|bias| bias.split('+'));
        let mut all = None;
        for ((n, dtype), weight) in self.stack.iter().zip(self.weights()) {
            // zeros(n) stands for a missing one.
            let bias = bias.next().filter(|bias| !bias.starts_with("zeros(")).map(str::to_owned);
            let weight = weight.to_owned();
            let one = Self { weight, bias, n: *n, k: self.k, dtype: *dtype, stack: Vec::new() }.apply(g, x)?;
            all = Some(match all {
                None => one,
                Some(before) => g.apply(Concat { axis: g.ty(one).shape.len() - 1 }, &[before, one])?,
            });
        }
        all.ok_or_else(|| Error::graph(&self.weight, "stacks nothing"))
    }
    /// `x` \[rows, k\] -> \[rows, n\].
    pub fn apply(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        if self.apart() {
            return self.apply_apart(g, x);
        }
        let w = g.weight(&self.weight, TensorType::weight(self.dtype, self.n, self.k));
        let mut inputs = vec![x, w];
        if let Some(bias) = &self.bias {
            inputs.push(g.weight(bias, TensorType::f32(&[self.n])));
        }
        g.apply(MatMul { bias: self.bias.is_some(), act: None, residual: false }, &inputs)
    }
    /// `residual + apply(x)`.
    pub fn apply_add(&self, g: &mut Graph, x: ValueId, residual: ValueId) -> Result<ValueId> {
        let y = self.apply(g, x)?;
        g.apply(Binary { op: BinaryOp::Add }, &[y, residual])
    }
}

/// `second(act(first(x)))`.
pub fn two_layer(g: &mut Graph, x: ValueId, first: &Linear, act: Act, second: &Linear) -> Result<ValueId> {
    let hidden = first.apply(g, x)?;
    let hidden = g.apply(Unary { op: UnaryOp::Act(act) }, &[hidden])?;
    second.apply(g, hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Block, Packing};

    #[test]
    fn matrices_of_several_formats_are_products_of_their_own() {
        let names = ["a", "b", "c"].map(|name| (name.to_owned(), 8, name == "b"));
        let mut layer = Linear::stacked(&names, 256, WeightFormat::Packed(Packing::Block(Block::Q4K)));
        let build = |layer: &Linear| {
            let mut g = Graph::new();
            let x = g.state("x", TensorType::f32(&[3, 256]));
            let y = layer.apply(&mut g, x).unwrap();
            assert_eq!(g.ty(y).shape, [3, 24]);
            let nodes: Vec<&str> = g.nodes.iter().map(|n| n.kernel.name()).collect();
            (nodes.join(" "), g.weights().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(build(&layer).0, "matmul");
        let six = WeightFormat::Packed(Packing::Block(Block::Q6K));
        let four = layer.dtype;
        layer.settle(|name| if name == "c.weight" { six } else { four });
        let (nodes, weights) = build(&layer);
        assert_eq!(nodes, "matmul matmul concat matmul concat");
        assert_eq!(weights, ["a.weight", "b.weight", "b.bias", "c.weight"]);
    }
}
