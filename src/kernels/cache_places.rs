//! Where the newest rows of sequences of different lengths stand in their caches.

use super::sight::REACH;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `lens` u32 or i32 \[sequences\] -> `spans` u32 \[sequences, 4\] for [`Attention`](super::Attention), `positions` u32
/// \[sequences, queries\] for [`Rope`](super::Rope), `slots` u32 \[sequences, heads, queries\] for
/// [`KvAppend`](super::KvAppend) into a cache \[sequences, heads, rows, ..\].
///
/// Sequence s ends after `end = lens[s] + plus` rows, of which the last `queries` are new: new row i stands at
/// `p = end - queries + i`. A negative p is position 0. A slot whose p is not in the cache is `u32::MAX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlaces {
    /// New rows of each sequence.
    pub queries: usize,
    /// Blocks of rows that a sequence has in the cache: its heads, or 1.
    pub heads: usize,
    /// Rows of a block of the cache.
    pub rows: usize,
    /// Rows of q from sequence to sequence.
    pub q_step: usize,
    /// Added to each length.
    pub plus: i32,
    /// Slots start over at the end of the cache.
    pub wrap: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "cache_places", about: "spans, positions and cache slots of new rows, from lengths" };

const LANES: u32 = 64;

impl Kernel for CachePlaces {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["lens"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["spans", "positions", "slots"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let lens = &inputs[0];
        let sequences = lens.elements();
        let listed = matches!(lens.dtype, DType::U32 | DType::I32) && sequences > 0;
        require(self, listed, || format!("lens {lens} are not u32 or i32 of some sequences"))?;
        let reach = REACH as usize;
        let small = [self.queries, self.rows, self.plus.unsigned_abs() as usize].iter().all(|n| *n < reach);
        let some = self.queries.min(self.heads).min(self.rows) > 0;
        let product = |factors: [usize; 3]| factors.iter().try_fold(1usize, |n, f| n.checked_mul(*f));
        let sizes =
            [[sequences, self.heads, self.queries], [sequences, self.heads, self.rows], [sequences, self.q_step, 1]];
        let counted = sizes.into_iter().all(|f| product(f).is_some_and(|n| n <= 1 << 31));
        require(self, small && some && counted, || {
            format!("{self:?} of {sequences} sequences is too large, or empty")
        })?;
        Ok(vec![
            TensorType::u32(&[sequences, 4]),
            TensorType::u32(&[sequences, self.queries]),
            TensorType::u32(&[sequences, self.heads, self.queries]),
        ])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        Ok(vec![Launch {
            files: vec![ENTRY.name],
            overrides: vec![("LANES", LANES.into()), ("WRAP", f64::from(u8::from(self.wrap)))],
            params: vec![
                ("sequences", io.inputs[0].elements() as u32),
                ("queries", self.queries as u32),
                ("heads", self.heads as u32),
                ("rows", self.rows as u32),
                ("q_step", self.q_step as u32),
                ("plus", self.plus as u32),
            ],
            grid: grid_2d(io.outputs[2].elements().div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::cache_places(self, &inputs[0], output, row)
    }
    fn show(&self) -> String {
        let Self { queries, heads, rows, plus, .. } = self;
        format!("queries={queries} heads={heads} rows={rows} plus={plus}{}", if self.wrap { " wrap" } else { "" })
    }
}
