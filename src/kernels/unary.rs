//! Functions of one cell: the activations, and what else vision and language models apply cell by cell.

use super::act::{ACT_PART, Act};
use super::rows::{activation, arity, by_cell};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// What is applied to each cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryOp {
    /// An activation function.
    Act(Act),
    /// `exp(min(x, 88.5))`: no infinities.
    Exp,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x * scale + shift`.
    Affine {
        /// Factor.
        scale: f32,
        /// Addend.
        shift: f32,
    },
    /// `cap * tanh(x / cap)`, for logits (Gemma 2).
    SoftCap {
        /// The bound, above 0.
        cap: f32,
    },
}

/// `x` -> `y` like `x`. Computed in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// The function.
    pub op: UnaryOp,
}

pub(super) const ENTRY: Entry =
    Entry { name: "unary", about: "a function of each cell: activation, exp, tanh, sigmoid, affine, soft cap" };

/// Largest argument of `exp`: its value is within 11 % of the largest f32.
pub(crate) const VALUE_CAP: f32 = 88.5;

impl UnaryOp {
    /// Value of the override `OP`.
    fn code(self) -> f64 {
        match self {
            Self::Act(_) => 0.0,
            Self::Exp => 1.0,
            Self::Tanh => 2.0,
            Self::Sigmoid => 3.0,
            Self::Affine { .. } => 4.0,
            Self::SoftCap { .. } => 5.0,
        }
    }
    fn act(self) -> Option<Act> {
        if let Self::Act(act) = self { Some(act) } else { None }
    }
    /// The params `scale` and `shift`.
    fn numbers(self) -> (f32, f32) {
        match self {
            Self::Affine { scale, shift } => (scale, shift),
            Self::SoftCap { cap } => (cap, 0.0),
            _ => (1.0, 0.0),
        }
    }
}

impl Kernel for Unary {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let mut launch = by_cell(self, x, (1, x.elements()), caps, &[ACT_PART])?;
        launch.overrides.extend([("OP", self.op.code()), ("ACT", Act::code(self.op.act()))]);
        let (scale, shift) = self.op.numbers();
        launch.params.extend([("scale", scale.to_bits()), ("shift", shift.to_bits())]);
        Ok(vec![launch])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::unary(self.op, &inputs[0], row)
    }
    fn show(&self) -> String {
        match self.op {
            UnaryOp::Act(act) => act.name().into(),
            UnaryOp::Exp => "exp".into(),
            UnaryOp::Tanh => "tanh".into(),
            UnaryOp::Sigmoid => "sigmoid".into(),
            UnaryOp::Affine { scale, shift } => format!("affine {scale} {shift}"),
            UnaryOp::SoftCap { cap } => format!("soft_cap {cap}"),
        }
    }
}
