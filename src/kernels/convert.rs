//! Numbers from one type to another.

use super::unit::{by_item, movable};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// A type of numbers as the device holds it. Its number is the value of the overrides `SOURCE` and `RESULT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordType {
    /// f32.
    F32,
    /// i32.
    I32,
    /// u32.
    U32,
    /// 64 bits in two's complement, as a last axis of two u32 words, the low one first.
    I64,
    /// 64 bits without sign, likewise.
    U64,
}

impl WordType {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::I32 => DType::I32,
            Self::U32 | Self::I64 | Self::U64 => DType::U32,
        }
    }
    fn pair(self) -> bool {
        matches!(self, Self::I64 | Self::U64)
    }
}

/// `x` of `source` -> `y` of `result`, of the same shape but for the axis of words. A float is cut towards 0 and held
/// in the range of 64 bits, NaN becomes 0; whole numbers wrap to `bits`; a float is the nearest one, ties to even.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convert {
    /// Type of `x`.
    pub source: WordType,
    /// Type of `y`.
    pub result: WordType,
    /// Width of a result that is held in a word, 1 to 32.
    pub bits: u32,
}

pub(super) const ENTRY: Entry =
    Entry { name: "convert", about: "numbers between f32 and whole numbers of up to 64 bits" };

impl Kernel for Convert {
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
        super::rows::arity(self, inputs)?;
        let x = &inputs[0];
        movable(self, x)?;
        let paired = !self.source.pair() || x.shape.last() == Some(&2);
        let typed = x.dtype == self.source.dtype() && paired && (1..=32).contains(&self.bits);
        require(self, typed, || format!("{x} is not of {:?}, or {} no width", self.source, self.bits))?;
        let same = self.source == WordType::F32 && self.result == WordType::F32;
        require(self, !same, || "f32 to f32 would be cut to whole numbers".into())?;
        let mut shape = x.shape.clone();
        if self.source.pair() {
            shape.pop();
        }
        if self.result.pair() {
            shape.push(2);
        }
        let y = TensorType::new(self.result.dtype(), &shape);
        movable(self, &y)?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let items = io.inputs[0].elements() / if self.source.pair() { 2 } else { 1 };
        let types = [("SOURCE", f64::from(self.source as u8)), ("RESULT", f64::from(self.result as u8))];
        let [source, result] = types;
        by_item(vec![ENTRY.name], &[source, result, ("BITS", self.bits.into())], items, caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::convert(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        format!("{:?} to {:?} {}", self.source, self.result, self.bits).to_lowercase()
    }
}
