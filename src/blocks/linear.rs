//! Linear layers. Several that read the same input are one matrix: their weights are stacked at loading.

use crate::graph::{Graph, ValueId};
use crate::kernels::{Act, Binary, BinaryOp, MatMul, TensorType, Unary, UnaryOp};
use crate::{DType, Result};

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
    /// Element type that the weight is kept in.
    pub dtype: DType,
}

impl Linear {
    /// The layer `name` with `name.weight` and, with `bias`, `name.bias`.
    pub fn new(name: &str, n: usize, k: usize, bias: bool, dtype: DType) -> Self {
        let bias = bias.then(|| format!("{name}.bias"));
        Self { weight: format!("{name}.weight"), bias, n, k, dtype }
    }
    /// Layers `(name, width, has bias)` stacked in this order.
    pub fn stacked(layers: &[(String, usize, bool)], k: usize, dtype: DType) -> Self {
        let weights: Vec<String> = layers.iter().map(|(name, ..)| format!("{name}.weight")).collect();
        let bias_of = |(name, n, bias): &(String, usize, bool)| {
            if *bias { format!("{name}.bias") } else { format!("zeros({n})") }
        };
        let any = layers.iter().any(|(.., bias)| *bias);
        let bias = any.then(|| layers.iter().map(bias_of).collect::<Vec<_>>().join("+"));
        Self { weight: weights.join("+"), bias, n: layers.iter().map(|(_, n, _)| n).sum(), k, dtype }
    }
    /// `x` \[rows, k\] -> \[rows, n\].
    pub fn apply(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let w = g.weight(&self.weight, TensorType::panels(self.dtype, self.n, self.k));
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
