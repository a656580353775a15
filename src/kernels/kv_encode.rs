//! Writing new keys or values into a cache of another type than theirs.

use super::cached::packed_format;
use super::rows::arity;
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, elem_part, flat_limit, grid_2d, require};
use crate::quant::CacheFormat;
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` \[tokens, x_cols\], `slots` u32 \[tokens\], `cache` \[rows, cols\] packed in the format -> `y`, the cache updated
/// in place: row `slots[t]` becomes `x[t, x_offset ..]`, rounded as [`CacheFormat::encoding`] does.
///
/// A slot that is not below `rows` is skipped: padding rows carry `u32::MAX`. The slots that are not skipped must
/// be distinct.
#[derive(Debug, Clone, PartialEq)]
pub struct KvEncode {
    /// Format of the cache.
    pub format: CacheFormat,
    /// First column of `x` that is taken.
    pub x_offset: usize,
    /// Columns of the cache.
    pub cols: usize,
}

pub(super) const ENTRY: Entry =
    Entry { name: "kv_encode", about: "writes key or value rows into a cache of another format, in place" };

const LANES: usize = 64;

impl Kernel for KvEncode {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "slots", "cache"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let (x, slots, cache) = (&inputs[0], &inputs[1], &inputs[2]);
        let taken = self.cols > 0 && self.x_offset.checked_add(self.cols).is_some_and(|end| end <= x.cols());
        require(self, taken && x.layout == Layout::Rows, || {
            format!("{} columns from {} are not in x {x}", self.cols, self.x_offset)
        })?;
        let packed = packed_format(cache) == Some(self.format) && cache.shape.len() == 2 && cache.cols() == self.cols;
        require(self, packed, || format!("cache {cache} is not {} columns of {}", self.cols, self.format))?;
        let listed = slots.dtype == DType::U32 && slots.elements() == x.rows();
        require(self, listed, || format!("slots {slots} do not match x {x}"))?;
        flat_limit(self, x.rows().saturating_mul(x.cols().next_multiple_of(CacheFormat::UNIT)))?;
        flat_limit(self, cache.rows().saturating_mul(self.cols.next_multiple_of(CacheFormat::UNIT)))?;
        Ok(vec![cache.clone()])
    }
    fn updates(&self) -> Vec<(usize, usize)> {
        vec![(0, 2)]
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let units = self.cols.div_ceil(CacheFormat::UNIT);
        let keep = match self.format {
            CacheFormat::F32 => "parts/keep_f32",
            CacheFormat::F16 => "parts/keep_f16",
            CacheFormat::Q8_0 => "parts/keep_q8_0",
            CacheFormat::Q4_0 => "parts/keep_q4_0",
        };
        Ok(vec![Launch {
            files: vec![ENTRY.name, elem_part(x.dtype, caps)?, keep, "parts/stream_words"],
            overrides: vec![("LANES", LANES as f64)],
            params: vec![
                ("tokens", x.rows() as u32),
                ("cols", self.cols as u32),
                ("units", units as u32),
                ("x_cols", x.cols() as u32),
                ("x_offset", self.x_offset as u32),
                ("rows", io.inputs[2].rows() as u32),
            ],
            grid: grid_2d((x.rows() * units).div_ceil(LANES), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // The rows that are written, not the whole cache.
        let (x, cache) = (&io.inputs[0], &io.inputs[2]);
        let row = self.cols * x.dtype.size() + cache.row_bytes();
        Cost { flops: 0, bytes: (x.rows() * row) as u64 + io.inputs[1].bytes() }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::kv_encode(self.format.encoding(), [&inputs[0], &inputs[1], &inputs[2]], self.x_offset, row)
    }
    fn show(&self) -> String {
        format!("to {} offset={} cols={}", self.format, self.x_offset, self.cols)
    }
}
