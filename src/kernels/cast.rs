//! Cells in another number format.

use super::number::{Number, PowerRounding};
use super::rows::arity;
use super::unit::runs;
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` of any shape, in the device type of `from` -> `y` of that shape in the device type of `to`.
///
/// Floats round to the nearest, ties to even; to integers they go towards zero, and of an integer that is too large the
/// low bits stay. Of integers of more than 24 bits the nearest f32 is what goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// Format of `x`.
    pub from: Number,
    /// Format of `y`.
    pub to: Number,
    /// What is beyond a small float becomes its largest number, rather than infinity or NaN.
    pub saturate: bool,
    /// For powers of two.
    pub rounding: PowerRounding,
}

pub(super) const ENTRY: Entry = Entry { name: "cast", about: "cells in another number format" };

impl Kernel for Cast {
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
        let x = &inputs[0];
        self.from.check(self)?;
        self.to.check(self)?;
        let typed = x.dtype == self.from.dtype() && x.layout == Layout::Rows;
        require(self, typed, || format!("x {x} does not hold {}", self.from.name()))?;
        flat_limit(self, x.elements())?;
        Ok(vec![TensorType::new(self.to.dtype(), &x.shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let cells = io.inputs[0].elements();
        if cells == 0 {
            return Ok(Vec::new());
        }
        let mut files = vec![ENTRY.name];
        let mut overrides = Vec::new();
        if self.from.is_int() && matches!(self.to, Number::Int { .. }) {
            files.push("parts/convert_ints");
            overrides.extend(self.to.int_overrides());
        } else {
            let (decode, decoding) = self.from.decode();
            let (encode, encoding) = self.to.encode(self.saturate, self.rounding);
            files.extend(["parts/convert_numbers", decode]);
            files.extend(encode);
            overrides.extend(decoding.into_iter().chain(encoding));
        }
        let (lanes, steps, groups) = runs(cells, caps);
        overrides.extend([("LANES", lanes.into()), ("STEPS", steps.into())]);
        let params = vec![("cells", cells as u32)];
        Ok(vec![Launch { files, overrides, params, grid: grid_2d(groups, caps)?, chunk: None }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::cast(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let saturate = if self.saturate { " saturating" } else { "" };
        format!("{} to {}{saturate}", self.from.name(), self.to.name())
    }
}
