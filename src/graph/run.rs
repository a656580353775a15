//! Replaying a program: recording into an encoder, or running it in pieces of bounded time.

use super::{Plan, Program};
use crate::gpu::{Cancel, CommandEncoder, Device, Recorder};
use crate::{Error, Result};
use std::ops::Range;

/// How a program is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Most work of one submit: flops plus 8 x bytes. Bounds the time that the device is busy with one piece.
    pub piece: u64,
    /// Pieces that may be in flight before the engine waits for the oldest.
    pub in_flight: usize,
    /// Checked between pieces.
    pub cancel: Cancel,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { piece: 4_000_000_000, in_flight: 2, cancel: Cancel::default() }
    }
}

impl Plan {
    /// Cuts the steps into pieces of at most `piece` work each (one step at least).
    pub fn pieces(&self, piece: u64) -> Vec<Range<usize>> {
        let (mut pieces, mut first, mut work) = (Vec::new(), 0, 0u64);
        for (i, step) in self.steps.iter().enumerate() {
            let more = step.cost.flops + 8 * step.cost.bytes;
            if i > first && work.saturating_add(more) > piece {
                pieces.push(first..i);
                (first, work) = (i, 0);
            }
            work = work.saturating_add(more);
        }
        if first < self.steps.len() {
            pieces.push(first..self.steps.len());
        }
        pieces
    }
}

impl Program {
    /// Number of dispatches.
    pub fn steps(&self) -> usize {
        self.bound.len()
    }
    /// Records the dispatches of `range` into an encoder, which may be the host's.
    pub fn record(&self, encoder: &mut CommandEncoder, range: Range<usize>) {
        self.record_into(&mut Recorder::new(encoder), range);
    }
    pub(crate) fn record_into(&self, recorder: &mut Recorder<'_>, range: Range<usize>) {
        let steps = self.bound[range.clone()].iter().zip(&self.plan.steps[range]);
        recorder.pass("omma", steps.map(|(b, s)| (&*b.pipeline, b.groups.as_slice(), s.launch.grid)));
    }
    /// [`Plan::pieces`] of its plan.
    pub fn pieces(&self, piece: u64) -> Vec<Range<usize>> {
        self.plan.pieces(piece)
    }
    /// Runs all steps, piece by piece. Returns when the last piece is submitted; results are ordered after it.
    ///
    /// Errors: [`Error::Cancelled`] between two pieces, [`Error::DeviceLost`], what the device reports.
    pub async fn run(&self, device: &Device, options: &RunOptions) -> Result<()> {
        self.run_with(device, options, |_| {}).await
    }
    /// [`Program::run`], telling `progress` the share of the work that was submitted, from 0 to 1.
    pub async fn run_with(&self, device: &Device, options: &RunOptions, mut progress: impl FnMut(f32)) -> Result<()> {
        let mut flying = std::collections::VecDeque::new();
        let pieces = self.pieces(options.piece);
        let count = pieces.len().max(1) as f32;
        for (i, piece) in pieces.into_iter().enumerate() {
            options.cancel.check()?;
            flying.push_back(device.submit("omma", |r| self.record_into(r, piece)).await?);
            if flying.len() > options.in_flight
                && let Some(oldest) = flying.pop_front()
            {
                device.block(Some(oldest))?;
            }
            progress((i + 1) as f32 / count);
        }
        Ok(())
    }
    /// The value of a tap.
    pub fn tap(&self, name: &str) -> Result<super::ValueId> {
        let taps = &self.plan.graph.taps;
        let found = taps.iter().find(|(n, _)| n == name);
        found.map(|(_, id)| *id).ok_or_else(|| Error::graph(name, "is no stage of this program"))
    }
}
