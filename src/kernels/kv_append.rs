//! Writing new keys or values into a cache of fixed size.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, cell::cell, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` \[tokens, x_cols\], `slots` u32 \[tokens\], `cache` \[rows, cols\] -> `cache`, updated in place:
/// `cache[slots[t], c] = x[t, x_offset + c]`.
///
/// A slot that is not below `rows` is skipped: padding rows carry `u32::MAX`. The slots that are not skipped must
/// be distinct; of two equal ones either row may win.
#[derive(Debug, Clone, PartialEq)]
pub struct KvAppend {
    /// First column of `x` that is taken.
    pub x_offset: usize,
    /// Columns of the cache.
    pub cols: usize,
}

pub(super) const ENTRY: Entry = Entry { name: "kv_append", about: "writes key or value rows into a cache, in place" };

const LANES: u32 = 64;
/// Cells of a row that one workgroup takes.
const SPAN: usize = 256;

impl Kernel for KvAppend {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "slots", "cache"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["cache"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (x, slots, cache) = (&inputs[0], &inputs[1], &inputs[2]);
        require(self, self.cols > 0 && self.x_offset.saturating_add(self.cols) <= x.cols(), || {
            format!("{} columns from {} are not in x {x}", self.cols, self.x_offset)
        })?;
        require(self, cache.cols() == self.cols && cache.dtype == x.dtype, || {
            format!("cache {cache} does not hold {} columns of x {x}", self.cols)
        })?;
        let listed = slots.dtype == DType::U32 && slots.elements() == x.rows();
        require(self, listed, || format!("slots {slots} do not match x {x}"))?;
        super::flat_limit(self, x.rows().saturating_mul(x.cols()))?;
        super::flat_limit(self, cache.rows().saturating_mul(self.cols))?;
        Ok(vec![cache.clone()])
    }
    fn updates(&self) -> Vec<(usize, usize)> {
        vec![(0, 2)]
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let (size, cell) = cell(&[self.cols, self.x_offset, x.cols()]);
        let cols = self.cols / size;
        let blocks = cols.div_ceil(SPAN);
        Ok(vec![Launch {
            files: vec!["kv_append", elem_part(x.dtype, caps)?, cell],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("tokens", x.rows() as u32),
                ("cols", cols as u32),
                ("blocks", blocks as u32),
                ("x_cols", (x.cols() / size) as u32),
                ("x_offset", (self.x_offset / size) as u32),
                ("rows", io.inputs[2].rows() as u32),
            ],
            grid: grid_2d(x.rows() * blocks, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // The rows that are written, not the whole cache.
        let x = &io.inputs[0];
        let moved = (x.rows() * self.cols * x.dtype.size()) as u64;
        Cost { flops: 0, bytes: 2 * moved + io.inputs[1].bytes() }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::kv_append(&inputs[0], &inputs[1], &inputs[2], self.x_offset, row)
    }
    fn show(&self) -> String {
        format!("offset={} cols={}", self.x_offset, self.cols)
    }
}
