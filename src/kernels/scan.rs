//! Running sums and products along an axis.

use super::axis::{Around, line_lanes, number, number_part};
use super::rows::arity;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// What a scan combines its cells by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ScanOp {
    Sum,
    Product,
}

/// `x` (f32, f16, i32 or u32) -> `y` like `x`: each cell the sum or product of the cells up to it along `axis`.
/// Integers wrap.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Sum or product.
    pub op: ScanOp,
    /// The axis, 0 the slowest.
    pub axis: usize,
    /// Leaves the cell itself out; the first is 0 or 1.
    pub exclusive: bool,
    /// Runs from the end of the axis.
    pub reverse: bool,
}

pub(super) const ENTRY: Entry = Entry { name: "scan", about: "running sum or product along an axis" };

impl Kernel for Scan {
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
        number(self, &inputs[0])?;
        Around::checked(self, &inputs[0], self.axis)?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let around = Around::checked(self, x, self.axis)?;
        let (lanes, cols) = line_lanes(&around, caps);
        Ok(vec![Launch {
            files: vec![ENTRY.name, number_part(x.dtype, caps)?],
            overrides: vec![
                ("LANES", lanes.into()),
                ("COLS", cols.into()),
                ("OP", f64::from(self.op as u8)),
                ("EXCLUSIVE", f64::from(u8::from(self.exclusive))),
                ("REVERSE", f64::from(u8::from(self.reverse))),
            ],
            params: around.params(),
            grid: grid_2d(around.lines().div_ceil(cols as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::scan(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let words = [(" exclusive", self.exclusive), (" reverse", self.reverse)];
        let words: String = words.iter().filter(|w| w.1).map(|w| w.0).collect();
        format!("{} axis={}{words}", format!("{:?}", self.op).to_lowercase(), self.axis)
    }
}
