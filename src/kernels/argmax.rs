//! Index of the largest value of every row.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\] -> `ids` u32 \[rows\]; of equal values the lowest index, as torch gives on the CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct Argmax;

pub(super) const ENTRY: Entry = Entry { name: "argmax", about: "index of the largest value, by row" };

/// Powers of two; few long rows are usual, so the lanes of one row are many.
const LANES: std::ops::RangeInclusive<usize> = 32..=256;

impl Kernel for Argmax {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["ids"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let x = &inputs[0];
        require(self, x.cols() > 0, || format!("x {x} has no columns"))?;
        super::flat_limit(self, x.elements())?;
        Ok(vec![TensorType::u32(&[x.rows()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let lanes = x.cols().next_power_of_two().clamp(*LANES.start(), *LANES.end());
        Ok(vec![Launch {
            files: vec!["argmax", elem_part(x.dtype, caps)?, "parts/best_shared"],
            overrides: vec![("LANES", lanes as f64)],
            params: vec![("rows", x.rows() as u32), ("cols", x.cols() as u32)],
            grid: grid_2d(x.rows(), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, _row: usize) -> Vec<Cell> {
        reference::argmax(&inputs[0])
    }
}
