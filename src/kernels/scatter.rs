//! Rows combined into the rows of a tensor by number, in place.

use super::gather::Picks;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// What becomes of a cell that meets a new one. Its number is the value of the override `COMBINE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// The new cell.
    Replace,
    /// The sum.
    Add,
    /// The product.
    Mul,
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

/// `x` \[batches, picks, cols\], `index` u32, `y` \[batches, rows, cols\] -> `y`, updated in place: for every `k` in order
/// `y[b, number of (b, k, c), c]` is combined with `x[b, k, c]`. A number beyond the rows is skipped; the same number
/// may come several times, and every run adds in the same order. Sums and products are made in the type of `y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scatter {
    /// Which rows.
    pub picks: Picks,
    /// How they are combined.
    pub combine: Combine,
}

pub(super) const ENTRY: Entry =
    Entry { name: "scatter", about: "rows combined into rows by number, in place: replace, add, mul, max, min" };

impl Kernel for Scatter {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "index", "y"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn updates(&self) -> Vec<(usize, usize)> {
        vec![(0, 2)]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let (x, index, y) = (&inputs[0], &inputs[1], &inputs[2]);
        self.picks.check(self, y, x, index)?;
        let moved = self.combine == Combine::Replace;
        require(self, moved || !self.picks.wide, || format!("{:?} of 64-bit numbers is not there", self.combine))?;
        Ok(vec![y.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (&io.inputs[0], &io.inputs[2]);
        if x.elements() == 0 {
            return Ok(Vec::new());
        }
        let elem = match y.dtype {
            DType::F16 => super::elem_part(DType::F16, caps)?,
            _ if self.combine == Combine::Replace => "parts/elem_u32",
            DType::I32 => "parts/elem_i32",
            DType::U32 => "parts/elem_u32",
            other => super::elem_part(other, caps)?,
        };
        let width = self.picks.width();
        let (size, cell) = super::cell::cell(&[if self.picks.strides[2] == 0 { width } else { 1 }]);
        let cols = width / size;
        let lines = self.picks.batches * cols;
        let lanes = if caps.software { 8 } else { 64.min(caps.max_lanes) };
        let [ib, ik, ic] = self.picks.strides.map(|s| s as u32);
        Ok(vec![Launch {
            files: vec![ENTRY.name, elem, cell],
            overrides: vec![("LANES", lanes.into()), ("COMBINE", f64::from(self.combine as u8))],
            params: vec![
                ("lines", lines as u32),
                ("rows", self.picks.rows(y.elements()) as u32),
                ("picks", self.picks.picks as u32),
                ("cols", cols as u32),
                ("ib", ib),
                ("ik", ik),
                ("ic", ic),
                ("pair", u32::from(self.picks.wide)),
            ],
            grid: grid_2d(lines.div_ceil(lanes as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // The cells that are combined: read, their partners read, the results written.
        let accesses = if self.combine == Combine::Replace { 2 } else { 3 };
        Cost { flops: 0, bytes: accesses * io.inputs[0].bytes() + io.inputs[1].bytes() }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::scatter(self, &inputs[0], &inputs[1], &inputs[2], row)
    }
    fn show(&self) -> String {
        format!("{} {}", format!("{:?}", self.combine).to_lowercase(), self.picks.text())
    }
}
