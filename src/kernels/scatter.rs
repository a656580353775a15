//! Rows combined into the rows of a tensor by number, in place.

use super::gather::Picks;
use super::integer::{IntegerOp, Whole};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// What becomes of a cell that meets a new one.
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
    /// A function of whole numbers of 8 to 64 bits.
    Integer(IntegerOp, Whole),
}

/// `x` \[batches, picks, cols\], `index` u32, `y` \[batches, rows, cols\] -> `y`, updated in place: for every `k` in order
/// `y[b, number of (b, k, c), c]` is combined with `x[b, k, c]`. A number beyond the rows is skipped; the same number
/// may come several times, and every run adds in the same order. Sums and products are made in the type of `y`,
/// those of whole numbers wrap. Replacing moves bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scatter {
    /// Which rows.
    pub picks: Picks,
    /// How they are combined.
    pub combine: Combine,
}

pub(super) const ENTRY: Entry =
    Entry { name: "scatter", about: "rows combined into rows by number, in place: replace, add, mul, max, min" };

impl Combine {
    /// Value of the override `OP`: the number of the function of whole numbers.
    fn code(self) -> f64 {
        let op = match self {
            Self::Replace => return 15.0,
            Self::Add => IntegerOp::Add,
            Self::Mul => IntegerOp::Mul,
            Self::Max => IntegerOp::Max,
            Self::Min => IntegerOp::Min,
            Self::Integer(op, _) => op,
        };
        f64::from(op as u8)
    }
}

impl Scatter {
    /// Shader files, and the cells of a row as they count it.
    fn parts(
        &self,
        dtype: DType,
        caps: &Caps,
        overrides: &mut Vec<(&'static str, f64)>,
    ) -> Result<(Vec<&'static str>, usize)> {
        match self.combine {
            Combine::Integer(_, Whole::Word { bits }) => {
                overrides.push(("BITS", bits.into()));
                let elem = if dtype == DType::I32 { "parts/elem_i32" } else { "parts/elem_u32" };
                Ok((vec![ENTRY.name, elem, "parts/int_word", "parts/fold_ints"], self.picks.cols))
            }
            Combine::Integer(_, Whole::Pair { signed }) => {
                overrides.push(("SIGNED", signed.into()));
                Ok((vec![ENTRY.name, "parts/int_pair", "parts/fold_ints"], self.picks.cols))
            }
            combine => {
                let elem = match dtype {
                    DType::F16 => super::elem_part(dtype, caps)?,
                    DType::U32 => "parts/elem_u32",
                    _ if combine == Combine::Replace => "parts/elem_u32",
                    DType::I32 => "parts/elem_i32",
                    other => super::elem_part(other, caps)?,
                };
                let width = self.picks.width();
                let (size, cell) = super::cell::cell(&[if self.picks.strides[2] == 0 { width } else { 1 }]);
                Ok((vec![ENTRY.name, elem, cell, "parts/fold_cells"], width / size))
            }
        }
    }
}

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
        match self.combine {
            Combine::Replace => {}
            Combine::Integer(_, whole) => {
                whole.check(self, y)?;
                let fits = whole.words() == if self.picks.wide { 2 } else { 1 };
                require(self, fits, || format!("{whole:?} in cells of another width"))?;
            }
            other => require(self, !self.picks.wide, || format!("{other:?} of 64 bits is a function of integers"))?,
        }
        Ok(vec![y.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (&io.inputs[0], &io.inputs[2]);
        if x.elements() == 0 {
            return Ok(Vec::new());
        }
        let lanes = if caps.software { 8 } else { 64.min(caps.max_lanes) };
        let mut overrides = vec![("LANES", f64::from(lanes)), ("OP", self.combine.code())];
        let (files, cols) = self.parts(y.dtype, caps, &mut overrides)?;
        let lines = self.picks.batches * cols;
        // The words of a pair share an index; a whole number of 64 bits is one cell.
        let pair = self.picks.wide && files.contains(&"parts/fold_cells");
        let [ib, ik, ic] = self.picks.strides.map(|s| s as u32);
        Ok(vec![Launch {
            files,
            overrides,
            params: vec![
                ("lines", lines as u32),
                ("rows", self.picks.rows(y.elements()) as u32),
                ("picks", self.picks.picks as u32),
                ("cols", cols as u32),
                ("ib", ib),
                ("ik", ik),
                ("ic", ic),
                ("pair", u32::from(pair)),
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
