//! Functions of two cells, the second operand broadcast.

use super::require;
use super::rows::{activation, arity, by_cell};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// What is applied to each pair of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// `x` from 0 on, else `b x`.
    Prelu,
    /// What the division leaves, with the sign of `x` (C's fmod).
    Rem,
    /// What the floored division leaves, with the sign of `b`.
    Mod,
    /// `x` to the power `b`.
    Pow,
}

impl BinaryOp {
    /// The part that has the function, and its value of the override `OP` there.
    fn code(self) -> (&'static str, u8) {
        match self {
            Self::Rem => ("parts/pair_rest", 0),
            Self::Mod => ("parts/pair_rest", 1),
            Self::Pow => ("parts/pair_power", 0),
            other => ("parts/pair_basic", other as u8),
        }
    }
}

/// `x` \[rows, cols\], `b` -> `y` like `x`. The shape of `b` says how it is broadcast: as many cells as `x`, a row
/// \[cols\], a column \[rows, 1\], or one cell. Both of one element type; computed in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The function.
    pub op: BinaryOp,
}

pub(super) const ENTRY: Entry =
    Entry { name: "binary", about: "x + b, x - b, x * b, x / b, max, min, prelu, rest, power, b broadcast" };

/// How `b` meets `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broadcast {
    Full,
    Row,
    Column,
    Cell,
}

impl Broadcast {
    fn of(x: &TensorType, b: &TensorType) -> Option<Self> {
        match b.elements() {
            n if n == x.elements() => Some(Self::Full),
            1 => Some(Self::Cell),
            n if n == x.cols() && b.cols() == n => Some(Self::Row),
            n if n == x.rows() && b.cols() == 1 => Some(Self::Column),
            _ => None,
        }
    }
}

impl Kernel for Binary {
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
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        activation(self, &inputs[1])?;
        let [x, b] = inputs else { return Ok(Vec::new()) };
        require(self, x.dtype == b.dtype, || format!("x {x} and b {b} have two element types"))?;
        require(self, Broadcast::of(x, b).is_some(), || {
            format!("b {b} is neither like x {x} nor a row, a column or a cell of it")
        })?;
        Ok(vec![x.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, b) = (&io.inputs[0], &io.inputs[1]);
        let Some(broadcast) = Broadcast::of(x, b) else {
            return Err(crate::Error::graph(self.name(), format!("b {b} cannot be broadcast to x {x}")));
        };
        let (rows, cols) = match broadcast {
            Broadcast::Row | Broadcast::Column => (x.rows(), x.cols()),
            Broadcast::Full | Broadcast::Cell => (1, x.elements()),
        };
        let quads = cols.is_multiple_of(4) && matches!(broadcast, Broadcast::Full | Broadcast::Row);
        let b_part = if quads { "parts/b_quads" } else { "parts/b_cells" };
        let (part, code) = self.op.code();
        let mut launch = by_cell(self, x, (rows, cols), caps, &[b_part, part])?;
        // Full is flat: one row.
        let (b_row, b_col) = match broadcast {
            Broadcast::Full | Broadcast::Row => (0, 1),
            Broadcast::Column => (1, 0),
            Broadcast::Cell => (0, 0),
        };
        if part != "parts/pair_power" {
            launch.overrides.push(("OP", code.into()));
        }
        launch.params.extend([("b_row", b_row), ("b_col", b_col)]);
        Ok(vec![launch])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::binary(self.op, &inputs[0], &inputs[1], row)
    }
    fn show(&self) -> String {
        format!("{:?}", self.op).to_lowercase()
    }
}
