//! Integer matrix products, and the packing of their operands.

use super::rows::arity;
use super::unit::runs;
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` i32 or u32 \[.., cols\], the low 8 bits of each cell -> `y` u32 \[.., ceil(cols / 4)\], four to a word, the first in
/// the low bits, rows padded with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackBytes;

/// How many of something there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    /// One for all rows or columns.
    One,
    /// One a row or column.
    Line,
    /// One a row or column of each matrix of the batch.
    BatchLine,
}

/// `x` u32 \[.., rows, words\], `w` u32 \[cols, words\] or \[.., cols, words\] with the leading axes of `x`, both packed four
/// to a word along k; `x_zero` and `w_zero` i32 or u32; with `scaled` also `x_scale` f32 \[1 or batch * rows\] and `w_scale`
/// f32 \[1 or cols\] -> `y` \[.., rows, cols\], i32: the sums of `(x - x_zero) * (w - w_zero)`, exact in 32 bits; scaled f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMulInt {
    /// Numbers along k.
    pub inner: usize,
    /// `x` is signed.
    pub x_signed: bool,
    /// `w` is signed.
    pub w_signed: bool,
    /// Zero points of `x`: `[1]`, `[rows]`, `[batch, rows]`.
    pub x_zero: Each,
    /// Zero points of `w`: `[1]`, `[cols]`, `[batch, cols]`.
    pub w_zero: Each,
    /// Sums are scaled.
    pub scaled: bool,
}

pub(super) const PACK: Entry = Entry { name: "pack_bytes", about: "integers of 8 bits, four to a word" };
pub(super) const MATMUL: Entry = Entry {
    name: "matmul_int",
    about: "product of 8-bit integers with zero points, summed in 32 bits, scaled if asked",
};

/// Rows and columns of a tile.
const TILE: usize = 32;

impl Kernel for PackBytes {
    fn name(&self) -> &'static str {
        PACK.name
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
        let words = matches!(x.dtype, DType::I32 | DType::U32) && x.layout == Layout::Rows && x.cols() > 0;
        require(self, words, || format!("x {x} is not filled rows of i32 or u32"))?;
        flat_limit(self, x.elements())?;
        let mut shape = x.shape.clone();
        match shape.last_mut() {
            Some(last) => *last = x.cols().div_ceil(4),
            None => shape.push(1),
        }
        Ok(vec![TensorType::u32(&shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        if x.elements() == 0 {
            return Ok(Vec::new());
        }
        let (lanes, steps, groups) = runs(io.outputs[0].elements(), caps);
        Ok(vec![Launch {
            files: vec![PACK.name],
            overrides: vec![("LANES", lanes.into()), ("STEPS", steps.into())],
            params: vec![("rows", x.rows() as u32), ("cols", x.cols() as u32)],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::pack_bytes(&inputs[0], row)
    }
}

impl MatMulInt {
    /// Batch, rows, columns.
    fn extents(io: &[TensorType]) -> (usize, usize, usize) {
        let (x, w) = (&io[0].shape, &io[1].shape);
        let rows = x[x.len() - 2];
        (x[..x.len() - 2].iter().product(), rows, w[w.len() - 2])
    }
    fn zeros(each: Each, batch: usize, lines: usize) -> usize {
        match each {
            Each::One => 1,
            Each::Line => lines,
            Each::BatchLine => batch * lines,
        }
    }
    /// Steps from batch to batch and from line to line.
    fn steps(each: Each, lines: usize) -> (u32, u32) {
        match each {
            Each::One => (0, 0),
            Each::Line => (0, 1),
            Each::BatchLine => (lines as u32, 1),
        }
    }
}

impl Kernel for MatMulInt {
    fn name(&self) -> &'static str {
        MATMUL.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut ports = vec!["x", "w", "x_zero", "w_zero"];
        if self.scaled {
            ports.extend(["x_scale", "w_scale"]);
        }
        ports
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let (x, w) = (&inputs[0], &inputs[1]);
        let words = self.inner.div_ceil(4);
        let matrix = |t: &TensorType| {
            t.dtype == DType::U32 && t.layout == Layout::Rows && t.shape.len() >= 2 && t.cols() == words
        };
        let filled = matrix(x) && matrix(w) && x.elements() > 0 && w.elements() > 0;
        require(self, filled, || format!("x {x} and w {w} are not filled u32 [.., {words}]"))?;
        let (batch, rows, cols) = Self::extents(inputs);
        let lead = |t: &TensorType| t.shape[..t.shape.len() - 2].to_vec();
        require(self, w.shape.len() == 2 || lead(w) == lead(x), || format!("w {w} has not the batch of x {x}"))?;
        flat_limit(self, x.elements().max(w.elements()))?;
        flat_limit(self, batch.saturating_mul(rows).saturating_mul(cols))?;
        for (zero, each, lines) in [(&inputs[2], self.x_zero, rows), (&inputs[3], self.w_zero, cols)] {
            let count = Self::zeros(each, batch, lines);
            let fits = matches!(zero.dtype, DType::I32 | DType::U32) && zero.elements() == count;
            require(self, fits, || format!("zero points {zero} should be {count} of i32 or u32"))?;
        }
        if self.scaled {
            for (scale, count) in [(&inputs[4], batch * rows), (&inputs[5], cols)] {
                let fits = scale.dtype == DType::F32 && matches!(scale.elements(), n if n == 1 || n == count);
                require(self, fits, || format!("scales {scale} should be f32[1] or f32[{count}]"))?;
            }
        }
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = cols;
        }
        Ok(vec![TensorType::new(if self.scaled { DType::F32 } else { DType::I32 }, &shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (batch, rows, cols) = Self::extents(io.inputs);
        let w = &io.inputs[1];
        let flag = |on: bool| f64::from(u8::from(on));
        let mut overrides = vec![("X_SIGNED", flag(self.x_signed)), ("W_SIGNED", flag(self.w_signed))];
        if self.scaled {
            overrides.push(("X_SCALES", io.inputs[4].elements() as f64));
            overrides.push(("W_SCALES", io.inputs[5].elements() as f64));
        }
        let w_step = if w.shape.len() == 2 { 0 } else { cols * w.cols() };
        let (x_zero, w_zero) = (Self::steps(self.x_zero, rows), Self::steps(self.w_zero, cols));
        Ok(vec![Launch {
            files: vec![MATMUL.name, if self.scaled { "parts/out_scaled" } else { "parts/out_int" }],
            overrides,
            params: vec![
                ("batch", batch as u32),
                ("rows", rows as u32),
                ("cols", cols as u32),
                ("inner", self.inner as u32),
                ("w_step", w_step as u32),
                ("x_zero_batch", x_zero.0),
                ("x_zero_step", x_zero.1),
                ("w_zero_batch", w_zero.0),
                ("w_zero_step", w_zero.1),
            ],
            grid: grid_2d(batch * rows.div_ceil(TILE) * cols.div_ceil(TILE), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, io.outputs[0].elements() as u64 * self.inner as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::matmul_int(self, inputs, row)
    }
    fn show(&self) -> String {
        let sign = |signed| if signed { "i8" } else { "u8" };
        let scaled = if self.scaled { " scaled" } else { "" };
        format!("{} x {} k={}{scaled}", sign(self.x_signed), sign(self.w_signed), self.inner)
    }
}
