//! Arithmetic of whole numbers, of 8 to 64 bits.

use super::unit::{by_item, movable};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// A function of two whole numbers. Its number is the value of the override `OP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IntegerOp {
    Add,
    Sub,
    Mul,
    /// Towards 0; by 0 it is not defined.
    Div,
    /// What `Div` leaves, with the sign of `x`.
    Rem,
    /// What the floored division leaves, with the sign of `b`.
    Mod,
    /// `x` to the power `b`; of a negative `b` that of `1 / x`, cut to a whole number.
    Pow,
    Max,
    Min,
    And,
    Or,
    Xor,
    /// Up by `b` bits; all bits or more, or a negative count, leave 0.
    ShiftUp,
    /// Down by `b` bits, the sign kept.
    ShiftDown,
}

/// How whole numbers are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// One a word, signed in i32 tensors and unsigned in u32; narrower ones than 32 bits wrap as they do.
    Word {
        /// 1 to 32.
        bits: u32,
    },
    /// 64 bits as a last axis of two u32 words, the low one first.
    Pair {
        /// In two's complement.
        signed: bool,
    },
}

impl Whole {
    /// Words of a number.
    pub(super) fn words(self) -> usize {
        if matches!(self, Self::Pair { .. }) { 2 } else { 1 }
    }
    /// Whether tensors of this type can hold the numbers.
    pub(super) fn check(self, kernel: &dyn Kernel, ty: &TensorType) -> Result<()> {
        movable(kernel, ty)?;
        match self {
            Self::Word { bits } => {
                let fits = matches!(ty.dtype, DType::I32 | DType::U32) && (1..=32).contains(&bits);
                require(kernel, fits, || format!("{ty} does not hold whole numbers of {bits} bits"))
            }
            Self::Pair { .. } => {
                let fits = ty.dtype == DType::U32 && ty.cols() == 2 && !ty.shape.is_empty();
                require(kernel, fits, || format!("{ty} has no last axis of two u32 words"))
            }
        }
    }
}

/// `x`, `b` of one type and shape -> `y` like them: `y[i] = x[i] op b[i]`, wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integer {
    /// The function.
    pub op: IntegerOp,
    /// The numbers.
    pub whole: Whole,
}

pub(super) const ENTRY: Entry =
    Entry { name: "integer", about: "whole numbers of 8 to 64 bits: arithmetic, powers, bits, shifts, max, min" };

impl Kernel for Integer {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "b"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let (x, b) = (&inputs[0], &inputs[1]);
        self.whole.check(self, x)?;
        require(self, x == b, || format!("x {x} and b {b} differ"))?;
        Ok(vec![x.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let op = ("OP", f64::from(self.op as u8));
        let items = x.elements() / self.whole.words();
        match self.whole {
            Whole::Word { bits } => {
                let elem = if x.dtype == DType::I32 { "parts/elem_i32" } else { "parts/elem_u32" };
                by_item(vec![ENTRY.name, elem, "parts/int_word"], &[op, ("BITS", bits.into())], items, caps)
            }
            Whole::Pair { signed } => {
                by_item(vec![ENTRY.name, "parts/int_pair"], &[op, ("SIGNED", signed.into())], items, caps)
            }
        }
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::integer(self, &inputs[0], &inputs[1], row)
    }
    fn show(&self) -> String {
        let whole = match self.whole {
            Whole::Word { bits } => format!("{bits}"),
            Whole::Pair { signed } => (if signed { "i64" } else { "u64" }).into(),
        };
        format!("{:?} {whole}", self.op).to_lowercase()
    }
}
