//! Comparisons, and choosing by them.

use super::integer::Whole;
use super::unit::{by_item, movable};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// In which orders two cells have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    /// `x` below `b`.
    pub below: bool,
    /// `x` equal to `b`.
    pub equal: bool,
    /// `x` above `b`.
    pub above: bool,
    /// One of them is NaN.
    pub neither: bool,
}

impl Orders {
    /// Value of the override `WANTED`.
    fn mask(self) -> u32 {
        let bits = [self.below, self.equal, self.above, self.neither].map(u32::from);
        bits[0] | bits[1] << 1 | bits[2] << 2 | bits[3] << 3
    }
}

/// `x`, `b` of one type and shape -> `y` u32, 1 where a pair of cells is in one of the wanted orders, else 0. f32, i32
/// and u32; with `pair` numbers of 64 bits as a last axis of two u32 words, which `y` lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The orders.
    pub wanted: Orders,
    /// Numbers of 64 bits: signed or not.
    pub pair: Option<bool>,
}

pub(super) const ENTRY: Entry = Entry { name: "compare", about: "0 or 1: less, equal, greater, NaN, or any of them" };

impl Compare {
    fn words(&self) -> usize {
        if self.pair.is_some() { 2 } else { 1 }
    }
}

impl Kernel for Compare {
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
        movable(self, x)?;
        require(self, x == b, || format!("x {x} and b {b} differ"))?;
        require(self, x.dtype != DType::F16, || format!("{x} is not f32, i32 or u32"))?;
        let Some(signed) = self.pair else { return Ok(vec![TensorType::u32(&x.shape)]) };
        Whole::Pair { signed }.check(self, x)?;
        Ok(vec![TensorType::u32(&x.shape[..x.shape.len().saturating_sub(1)])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let wanted = ("WANTED", self.wanted.mask().into());
        let signed = |signed: bool| ("SIGNED", signed.into());
        let items = x.elements() / self.words();
        match (self.pair, x.dtype) {
            (Some(s), _) => {
                by_item(vec![ENTRY.name, "parts/unit_pair", "parts/order_pair"], &[wanted, signed(s)], items, caps)
            }
            (None, DType::F32) => {
                by_item(vec![ENTRY.name, "parts/unit_word", "parts/order_float"], &[wanted], items, caps)
            }
            (None, dtype) => {
                let overrides = [wanted, signed(dtype == DType::I32)];
                by_item(vec![ENTRY.name, "parts/unit_word", "parts/order_int"], &overrides, items, caps)
            }
        }
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::compare(self, &inputs[0], &inputs[1], row)
    }
    fn show(&self) -> String {
        let Orders { below, equal, above, neither } = self.wanted;
        let names = [(below, "<"), (equal, "="), (above, ">"), (neither, "nan")];
        names.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name).collect()
    }
}

/// `condition` u32, `x`, `b` of one shape -> `y` like `x`: `x` where the condition is not 0, else `b`. With `pair`
/// cells are a last axis of two u32 words, which the condition lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Cells are two words.
    pub pair: bool,
}

pub(super) const SELECT: Entry = Entry { name: "select", about: "a cell of one of two tensors, by a condition" };

impl Kernel for Select {
    fn name(&self) -> &'static str {
        SELECT.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["condition", "x", "b"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let (condition, x, b) = (&inputs[0], &inputs[1], &inputs[2]);
        movable(self, x)?;
        require(self, x == b && x.dtype.size() == 4, || format!("x {x} and b {b} differ, or are not of words"))?;
        let words = if self.pair { 2 } else { 1 };
        let matches = condition.dtype == DType::U32 && condition.elements() * words == x.elements();
        require(self, matches, || format!("condition {condition} does not match x {x}"))?;
        Ok(vec![x.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let unit = if self.pair { "parts/unit_pair" } else { "parts/unit_word" };
        by_item(vec![SELECT.name, unit], &[], io.inputs[0].elements(), caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::select(&inputs[0], &inputs[1], &inputs[2], self.pair, row)
    }
    fn show(&self) -> String {
        if self.pair { "pair".into() } else { String::new() }
    }
}
