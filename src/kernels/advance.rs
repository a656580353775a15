//! Preparing the next decode step on the GPU, after sampling.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `ids` u32 \[rows\] and, all u32 and updated in place, `tokens`, `positions`, `lens`, `slots`, `steps` \[rows\],
/// `seen` \[rows, seen_cols\], `history` \[rows, max_new\] -> the seven that are updated.
///
/// The id becomes the row's token, is written into `history` at the row's step (nowhere once that is full) and
/// marked in `seen`; the step grows by one. While `lens < max_len`, position, length and slot grow by one; after
/// that the slot becomes `u32::MAX`, which [`super::KvAppend`] skips. A slot of `u32::MAX` stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Advance {
    /// Slots of a row in the cache.
    pub max_len: usize,
}

pub(super) const ENTRY: Entry = Entry { name: "advance", about: "state of the next decode step, in place" };

const LANES: u32 = 64;

impl Kernel for Advance {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["ids", "tokens", "positions", "lens", "slots", "steps", "seen", "history"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["tokens", "positions", "lens", "slots", "steps", "seen", "history"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let ids = &inputs[0];
        let rows = ids.elements();
        for (state, name) in inputs.iter().zip(self.inputs()).take(6) {
            require(self, *state == TensorType::u32(&[rows]), || format!("{name} {state} does not match ids {ids}"))?;
        }
        for (state, name) in inputs.iter().zip(self.inputs()).skip(6) {
            let matches = *state == TensorType::u32(&[rows, state.cols()]);
            require(self, matches, || format!("{name} {state} does not match ids {ids}"))?;
            super::flat_limit(self, state.elements())?;
        }
        require(self, u32::try_from(self.max_len).is_ok(), || format!("max_len {} is beyond u32", self.max_len))?;
        Ok(inputs[1..].to_vec())
    }
    fn updates(&self) -> Vec<(usize, usize)> {
        (0..7).map(|output| (output, output + 1)).collect()
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let rows = io.inputs[0].elements();
        Ok(vec![Launch {
            files: vec!["advance"],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("rows", rows as u32),
                ("max_len", self.max_len as u32),
                ("seen_cols", io.inputs[6].cols() as u32),
                ("max_new", io.inputs[7].cols() as u32),
            ],
            grid: grid_2d(rows.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // A handful of words a row, whatever the sizes of `seen` and `history`.
        Cost { flops: 0, bytes: io.inputs[0].elements() as u64 * 4 * 14 }
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::advance(inputs, self.max_len, output, row)
    }
    fn show(&self) -> String {
        format!("max_len={}", self.max_len)
    }
}
