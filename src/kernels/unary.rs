//! Functions of one cell: activations, exponentials, rounding, and what else models apply cell by cell.

use super::act::{ACT_PART, Act};
use super::rows::{activation, arity, by_cell};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// What is applied to each cell. NaN stays NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryOp {
    /// An activation function.
    Act(Act),
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
    /// The error function.
    Erf,
    /// `x / (1 + exp(-beta x))` (Ramachandran et al. 2017).
    Swish {
        /// Steepness.
        beta: f32,
    },
    /// `exp(x)`.
    Exp,
    /// `positive x` above 0, else `negative (exp(inner x) - 1)`: ELU, CELU, SELU.
    Elu {
        /// Slope above 0.
        positive: f32,
        /// Factor below 0.
        negative: f32,
        /// Factor of x in the exponent.
        inner: f32,
    },
    /// `log(1 + exp(x))`.
    Softplus,
    /// The natural logarithm.
    Log,
    /// The square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `x tanh(log(1 + exp(x)))` (Misra 2019).
    Mish,
    /// The absolute value.
    Abs,
    /// `-x`.
    Neg,
    /// -1, 0 or 1.
    Sign,
    /// The largest whole number that is not above.
    Floor,
    /// The smallest whole number that is not below.
    Ceil,
    /// The nearest whole number, halves to even.
    Round,
    /// `x` from 0 on, else `slope x`.
    LeakyRelu {
        /// Slope below 0.
        slope: f32,
    },
    /// `slope x + shift`, held between 0 and 1.
    HardSigmoid {
        /// Factor.
        slope: f32,
        /// Addend.
        shift: f32,
    },
    /// `x` times the hard sigmoid (Howard et al. 2019: 1/6 and 1/2).
    HardSwish {
        /// Factor.
        slope: f32,
        /// Addend.
        shift: f32,
    },
    /// `x` above `bound`, else `below`.
    Threshold {
        /// The bound.
        bound: f32,
        /// What other cells become.
        below: f32,
    },
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x + bias` below `-bound`, `x - bias` above `bound`, else 0.
    Shrink {
        /// The bound.
        bound: f32,
        /// What is taken off.
        bias: f32,
    },
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
}

/// `x` -> `y` like `x`. Computed in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// The function.
    pub op: UnaryOp,
}

pub(super) const ENTRY: Entry =
    Entry { name: "unary", about: "a function of each cell: activations, exp, log, roots, rounding, sin, cos, affine" };

impl UnaryOp {
    /// The part that has the function, and its value of the override `OP` there.
    fn code(self) -> (&'static str, u8) {
        let (act, exp, piece) = ("parts/map_act", "parts/map_exp", "parts/map_piece");
        match self {
            Self::Act(_) => (act, 0),
            Self::Tanh => (act, 1),
            Self::Sigmoid => (act, 2),
            Self::Affine { .. } => (act, 3),
            Self::SoftCap { .. } => (act, 4),
            Self::Erf => (act, 5),
            Self::Swish { .. } => (act, 6),
            Self::Exp => (exp, 0),
            Self::Elu { .. } => (exp, 1),
            Self::Softplus => (exp, 2),
            Self::Log => (exp, 3),
            Self::Sqrt => (exp, 4),
            Self::Reciprocal => (exp, 5),
            Self::Mish => (exp, 6),
            Self::Abs => (piece, 0),
            Self::Neg => (piece, 1),
            Self::Sign => (piece, 2),
            Self::Floor => (piece, 3),
            Self::Ceil => (piece, 4),
            Self::Round => (piece, 5),
            Self::LeakyRelu { .. } => (piece, 6),
            Self::HardSigmoid { .. } => (piece, 7),
            Self::HardSwish { .. } => (piece, 8),
            Self::Threshold { .. } => (piece, 9),
            Self::Softsign => (piece, 10),
            Self::Shrink { .. } => (piece, 11),
            Self::Sin => (piece, 12),
            Self::Cos => (piece, 13),
        }
    }
    fn act(self) -> Option<Act> {
        if let Self::Act(act) = self { Some(act) } else { None }
    }
    /// The params `a`, `b` and `c`.
    fn numbers(self) -> [f32; 3] {
        match self {
            Self::Affine { scale, shift } => [scale, shift, 0.0],
            Self::SoftCap { cap } => [cap, 0.0, 0.0],
            Self::Swish { beta } => [beta, 0.0, 0.0],
            Self::Elu { positive, negative, inner } => [positive, negative, inner],
            Self::LeakyRelu { slope } => [slope, 0.0, 0.0],
            Self::HardSigmoid { slope, shift } | Self::HardSwish { slope, shift } => [slope, shift, 0.0],
            Self::Threshold { bound, below } => [bound, below, 0.0],
            Self::Shrink { bound, bias } => [bound, bias, 0.0],
            _ => [0.0; 3],
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
        let (part, code) = self.op.code();
        let acts = part == "parts/map_act";
        let parts = if acts { &[part, ACT_PART][..] } else { &[part] };
        let mut launch = by_cell(self, x, (1, x.elements()), caps, parts)?;
        launch.overrides.push(("OP", code.into()));
        if acts {
            launch.overrides.push(("ACT", Act::code(self.op.act())));
        }
        let names = ["a", "b", "c"].into_iter().zip(self.op.numbers());
        launch.params.extend(names.map(|(name, number)| (name, number.to_bits())));
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
            UnaryOp::Affine { scale, shift } => format!("affine {scale} {shift}"),
            UnaryOp::SoftCap { cap } => format!("soft_cap {cap}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}
