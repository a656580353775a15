//! Gated linear units (Shazeer 2020): `y = act(gate) * up`.

use super::act::{ACT_PART, Act};
use super::require;
use super::rows::{activation, arity, by_cell};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `packed`: `x` \[rows, 2 cols\], gate first, then up -> `y` \[rows, cols\]; else `x` (the gate) \[rows, cols\] and `b`
/// (up) like it -> `y` like `x`. Computed in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Glu {
    /// Applied to the gate.
    pub act: Act,
    /// Whether gate and up lie side by side in one matrix.
    pub packed: bool,
}

pub(super) const ENTRY: Entry = Entry { name: "glu", about: "act(gate) * up, of one matrix or two" };

impl Kernel for Glu {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        if self.packed { vec!["x"] } else { vec!["x", "b"] }
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        let mut y = inputs[0].clone();
        if self.packed {
            let fits = y.cols().is_multiple_of(2) && !y.shape.is_empty();
            require(self, fits, || format!("x {} has no two halves", inputs[0]))?;
            y.shape.pop();
            y.shape.push(inputs[0].cols() / 2);
        } else {
            require(self, inputs[1] == inputs[0], || format!("up {} is not like the gate {}", inputs[1], inputs[0]))?;
        }
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let y = &io.outputs[0];
        let quads = if y.cols().is_multiple_of(4) { "parts/b_quads" } else { "parts/b_cells" };
        let parts = [ACT_PART, if self.packed { "parts/glu_packed" } else { "parts/glu_split" }, quads];
        let parts = if self.packed { &parts[..2] } else { &parts[..] };
        let mut launch = by_cell(self, y, (y.rows(), y.cols()), caps, parts)?;
        launch.overrides.push(("ACT", Act::code(Some(self.act))));
        launch.params.extend([("b_row", y.cols() as u32), ("b_col", 1)]);
        Ok(vec![launch])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::glu(self.act, &inputs[0], inputs.get(1), row)
    }
    fn show(&self) -> String {
        format!("{}{}", self.act.name(), if self.packed { " packed" } else { "" })
    }
}
