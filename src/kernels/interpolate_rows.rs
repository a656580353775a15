//! Weighted sums of table rows by a plan of indices and weights.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, cell::cell, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `table` f32 \[rows, cols\], `index` u32 \[tokens, taps\], `weight` f32 \[tokens, taps\] -> `y` f32
/// \[tokens, cols\]: `y[t] = sum_j weight[t, j] * table[index[t, j]]`.
///
/// Any separable resampling of a position table is such a plan (bicubic: 16 taps). Indices are clamped.
#[derive(Debug, Clone, PartialEq)]
pub struct InterpolateRows {
    /// Rows that make one output row.
    pub taps: usize,
}

pub(super) const ENTRY: Entry = Entry { name: "interpolate_rows", about: "weighted sums of table rows by a plan" };

const LANES: u32 = 64;
/// Cells of a row that one workgroup takes.
const SPAN: usize = 256;

impl Kernel for InterpolateRows {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["table", "index", "weight"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (table, index, weight) = (&inputs[0], &inputs[1], &inputs[2]);
        require(self, table.dtype == DType::F32 && table.elements() > 0, || format!("table {table} is not f32 rows"))?;
        let listed = index.dtype == DType::U32 && index.cols() == self.taps && self.taps > 0;
        require(self, listed, || format!("index {index} does not list {} taps", self.taps))?;
        let weighed = weight.dtype == DType::F32 && weight.shape == index.shape;
        require(self, weighed, || format!("weight {weight} does not match index {index}"))?;
        super::flat_limit(self, index.rows().saturating_mul(table.cols()))?;
        super::flat_limit(self, index.elements())?;
        Ok(vec![TensorType::f32(&[index.rows(), table.cols()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let table = &io.inputs[0];
        let (size, cell) = cell(&[table.cols()]);
        let (tokens, cols) = (io.outputs[0].rows(), table.cols() / size);
        let blocks = cols.div_ceil(SPAN);
        Ok(vec![Launch {
            files: vec!["interpolate_rows", elem_part(table.dtype, caps)?, cell],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("tokens", tokens as u32),
                ("cols", cols as u32),
                ("blocks", blocks as u32),
                ("taps", self.taps as u32),
                ("rows", table.rows() as u32),
            ],
            grid: grid_2d(tokens * blocks, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::interpolate_rows(&inputs[0], &inputs[1], &inputs[2], row)
    }
    fn show(&self) -> String {
        format!("taps={}", self.taps)
    }
}
