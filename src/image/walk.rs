//! How a pass of a resize walks along a line of samples: the weights of [`Taps`] in the order in which samples are
//! read, so that each sample is loaded once for all outputs that it reaches.
//!
//! A walk is cut into runs of neighbouring outputs, and a run into steps of [`SAMPLES`] neighbouring samples. While it
//! goes, the next outputs of the run that are not finished have a sum each, a *slot*; a step adds its samples, weighted,
//! to all slots, and may then finish the outputs in the first of them. Where more outputs overlap than there are slots
//! (enlarging), either a run ends early and the next one goes back, or all slots are filled, finished, and filled again.

use super::Taps;
use crate::{Error, Result};

/// Samples of a step. They begin at a multiple of it, or are not read at all.
pub const SAMPLES: usize = 4;
/// Counts of slots that kernels have.
pub const SLOTS: [usize; 4] = [5, 6, 7, 8];
/// Words of a step beside its weights: outputs that it finishes, and its first sample.
pub const HEAD: usize = 2;
/// Counts of outputs that a step may finish; the largest stands for all slots.
pub const FINISHED: [usize; 4] = [1, 2, 4, 8];
/// In the place of a first sample: all samples of the step have the colour of the background.
pub const BACKGROUND: i32 = -1;
/// In the place of a first sample: all samples of the step have the colour of what lies beyond the picture.
pub const BEYOND: i32 = -2;

/// Words that a walk may have: 128 MiB, the smallest binding that a device must offer.
const MAX_WORDS: usize = 1 << 25;
/// Weight 1 in fixed point.
const ONE: i32 = 1 << super::PRECISION_BITS;

/// Samples of the picture along a line, and which of them are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples {
    /// Samples of the picture.
    pub size: u32,
    /// Sample of the picture that is the first held.
    pub held: u32,
    /// Sample of the picture from which [`Taps::first`] counts: 0, or minus the padding before it.
    pub origin: i32,
}

/// The tables of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Outputs that have a sum at a time.
    pub slots: usize,
    /// Outputs that a step finishes, one of [`FINISHED`], where it finishes any; fewer at the end of a run only.
    pub most: usize,
    /// Outputs.
    pub outputs: usize,
    /// Weights of all outputs together.
    pub taps: usize,
    /// Of each run: first output, first step, steps, and 0.
    pub runs: Vec<u32>,
    /// Of each step a row of [`Walk::row`] words: for each of its samples the weights of all slots, how many outputs it
    /// finishes, its first sample among those held or [`BACKGROUND`] or [`BEYOND`], then zeros.
    pub steps: Vec<i32>,
}

/// What one output reads of the samples that are held, and the weights of colours.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    first: usize,
    end: usize,
    background: i32,
    beyond: i32,
}

impl Walk {
    /// The walk of `taps` over `samples` whose runs have at most `longest` outputs, with the number of slots that takes
    /// the least work.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for tables beyond 128 MiB.
    pub fn new(taps: &Taps, samples: Samples, longest: usize) -> Result<Self> {
        let reaches: Vec<Reach> = (0..taps.outputs()).map(|o| reach(taps, samples, o)).collect();
        let mut best: Result<Self> = Err(Error::argument("resize", "has no walk"));
        for (slots, most) in SLOTS.into_iter().flat_map(|slots| FINISHED.map(|most| (slots, most))) {
            let walk = Builder::new(taps, samples, &reaches, (slots, most)).runs(longest.max(1));
            let better = match (&walk, &best) {
                (Ok(walk), Ok(best)) => walk.work() < best.work(),
                (_, best) => best.is_err(),
            };
            if better {
                best = walk;
            }
        }
        best
    }
    /// Words of a step with so many slots: whole quads.
    pub const fn row(slots: usize) -> usize {
        (SAMPLES * slots + HEAD).next_multiple_of(4)
    }
    /// Steps.
    pub fn count(&self) -> usize {
        self.steps.len() / Self::row(self.slots)
    }
    /// Samples from the first that is read to the last.
    pub fn reads(&self) -> usize {
        let (weights, rows) = (SAMPLES * self.slots, self.steps.chunks_exact(Self::row(self.slots)));
        let read = rows.filter(|row| row[weights + 1] >= 0 && row[..weights].iter().any(|weight| *weight != 0));
        let (first, last) = read.fold((i32::MAX, -1), |(a, b), row| (a.min(row[weights + 1]), b.max(row[weights + 1])));
        if last < 0 { 0 } else { (last - first) as usize + SAMPLES }
    }
    /// Some steps have samples that are not in the picture.
    pub fn colours(&self) -> bool {
        self.steps.chunks_exact(Self::row(self.slots)).any(|row| row[SAMPLES * self.slots + 1] < 0)
    }
    /// By what a step does, of which a slot is the smaller part, and what finishing costs, which moves all slots. The
    /// proportions are those of lavapipe; they decide between correct walks only.
    fn work(&self) -> usize {
        let words = Self::row(self.slots);
        let finishing = self.steps.chunks_exact(words).filter(|row| row[SAMPLES * self.slots] != 0).count();
        self.count() * (3 * self.slots + 7) + finishing * self.slots
    }
}

fn reach(taps: &Taps, samples: Samples, output: usize) -> Reach {
    let (n, count) = (taps.outputs(), taps.count[output]);
    if count == 0 {
        return Reach { beyond: ONE, ..Reach::default() };
    }
    let mut found = Reach { first: usize::MAX, ..Reach::default() };
    for t in 0..count {
        let at = i64::from(taps.first[output]) + i64::from(t) + i64::from(samples.origin);
        if at < 0 || at >= i64::from(samples.size) {
            found.background += taps.weights[t as usize * n + output];
            continue;
        }
        let held = (at - i64::from(samples.held)).max(0) as usize;
        found.first = found.first.min(held);
        found.end = held + 1;
    }
    if found.end == 0 { Reach { first: 0, ..found } } else { found }
}

struct Builder<'t> {
    taps: &'t Taps,
    samples: Samples,
    reaches: &'t [Reach],
    walk: Walk,
}

impl<'t> Builder<'t> {
    fn new(taps: &'t Taps, samples: Samples, reaches: &'t [Reach], (slots, most): (usize, usize)) -> Self {
        let counts = taps.count.iter().map(|c| *c as usize).sum();
        let walk = Walk { slots, most, outputs: reaches.len(), taps: counts, runs: Vec::new(), steps: Vec::new() };
        Self { taps, samples, reaches, walk }
    }

    fn runs(mut self, longest: usize) -> Result<Walk> {
        let mut first = 0;
        while first < self.reaches.len() {
            let step = self.walk.count();
            let end = self.run(first, (first + longest).min(self.reaches.len()))?;
            let steps = self.walk.count() - step;
            self.walk.runs.extend([first as u32, step as u32, steps as u32, 0]);
            first = end;
        }
        Ok(self.walk)
    }

    /// The steps of the outputs from `next`; where they end, at `end` or before it.
    fn run(&mut self, mut next: usize, mut end: usize) -> Result<usize> {
        let all = self.walk.most == FINISHED[FINISHED.len() - 1];
        while next < end {
            let group = if all { (next + self.walk.slots).min(end) } else { end };
            let reached = self.group(next, group)?;
            if reached < group {
                end = reached;
            }
            next = reached;
        }
        Ok(end)
    }

    /// The steps of the outputs from `next`, all of which are finished; where they end, at `end` or before it.
    fn group(&mut self, mut next: usize, mut end: usize) -> Result<usize> {
        let (mut block, most, reaches) = (0, self.walk.most, self.reaches);
        while next < end {
            let ready = reaches[next..end].iter().take_while(|r| r.end <= block * SAMPLES).count();
            let done = if next + ready < end { ready / most * most } else { ready };
            if done > 0 {
                self.finish(next, done)?;
                next += done;
                continue;
            }
            block = block.max(reaches[next + ready].first / SAMPLES);
            let behind = next + self.walk.slots;
            if behind < end && reaches[behind].end > 0 && reaches[behind].first < (block + 1) * SAMPLES {
                end = behind;
            }
            self.read(next, end, block)?;
            block += 1;
        }
        Ok(end)
    }

    /// A step that reads block `block` for the outputs of the slots from `next`.
    fn read(&mut self, next: usize, end: usize, block: usize) -> Result<()> {
        let (n, slots) = (self.taps.outputs(), self.walk.slots);
        let mut row = self.row((block * SAMPLES) as i32)?;
        for (slot, o) in (next..end.min(next + slots)).enumerate() {
            let reach = self.reaches[o];
            for q in 0..SAMPLES {
                let held = block * SAMPLES + q;
                if held < reach.first || held >= reach.end {
                    continue;
                }
                let at = held as i64 + i64::from(self.samples.held) - i64::from(self.samples.origin);
                let t = (at - i64::from(self.taps.first[o])) as usize;
                row[q * slots + slot] = self.taps.weights[t * n + o];
            }
        }
        self.walk.steps.append(&mut row);
        Ok(())
    }

    /// Finishes `count` outputs from `next`: with the last step, or with steps of colours where they need them.
    fn finish(&mut self, next: usize, count: usize) -> Result<()> {
        let slots = self.walk.slots;
        for from in (next..next + count).step_by(self.walk.most) {
            let to = (from + self.walk.most).min(next + count);
            let mut taken = self.taken();
            for colour in [BACKGROUND, BEYOND] {
                let weight = |r: &Reach| if colour == BACKGROUND { r.background } else { r.beyond };
                if self.reaches[from..to].iter().all(|r| weight(r) == 0) {
                    continue;
                }
                let mut row = self.row(colour)?;
                for (slot, reach) in self.reaches[from..to].iter().enumerate() {
                    row[slot] = weight(reach);
                }
                self.walk.steps.append(&mut row);
                taken = false;
            }
            if taken {
                // It reads something, for nothing.
                let mut row = self.row(0)?;
                self.walk.steps.append(&mut row);
            }
            let head = self.walk.steps.len() - Walk::row(slots) + SAMPLES * slots;
            self.walk.steps[head] = (to - from) as i32;
        }
        Ok(())
    }

    /// The last step finishes outputs already, or is of the run before.
    fn taken(&self) -> bool {
        let before = self.walk.runs.chunks_exact(4).next_back().map_or(0, |run| (run[1] + run[2]) as usize);
        let head = self.walk.steps.len().checked_sub(Walk::row(self.walk.slots) - SAMPLES * self.walk.slots);
        self.walk.count() == before || head.is_some_and(|head| self.walk.steps[head] != 0)
    }

    /// A step without weights that reads from `at`.
    fn row(&self, at: i32) -> Result<Vec<i32>> {
        let (slots, words) = (self.walk.slots, Walk::row(self.walk.slots));
        if self.walk.steps.len() + words > MAX_WORDS {
            return Err(Error::argument("resize", "the filter has too many weights; use a smaller picture"));
        }
        let mut row = vec![0; words];
        row[SAMPLES * slots + 1] = at;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Resample;
    use std::collections::BTreeMap;

    /// What each output is made of: weights by place, those of colours by their negative numbers.
    type Made = Vec<BTreeMap<i64, i64>>;

    fn add(made: &mut BTreeMap<i64, i64>, place: i64, weight: i32) {
        if weight != 0 {
            *made.entry(place).or_default() += i64::from(weight);
        }
    }

    /// Goes along the walk; every output has to be finished once, in order.
    fn walked(walk: &Walk) -> Made {
        let mut made = vec![BTreeMap::new(); walk.outputs];
        let mut next = 0;
        for run in walk.runs.chunks_exact(4) {
            assert_eq!(run[0] as usize, next);
            for step in walk.steps.chunks_exact(Walk::row(walk.slots)).skip(run[1] as usize).take(run[2] as usize) {
                let (finished, at) = (step[SAMPLES * walk.slots] as usize, step[SAMPLES * walk.slots + 1]);
                assert!(at < 0 || at % SAMPLES as i32 == 0);
                for (i, weight) in step[..SAMPLES * walk.slots].iter().enumerate() {
                    let (q, slot) = (i / walk.slots, i % walk.slots);
                    assert!(*weight == 0 || next + slot < walk.outputs);
                    if *weight != 0 {
                        add(&mut made[next + slot], if at < 0 { at.into() } else { i64::from(at) + q as i64 }, *weight);
                    }
                }
                assert!(finished <= walk.most);
                next += finished;
            }
        }
        assert_eq!(next, walk.outputs);
        made
    }

    fn wanted(taps: &Taps, samples: Samples) -> Made {
        let output = |o: usize| {
            let mut made = BTreeMap::new();
            for t in 0..taps.count[o] {
                let at = i64::from(taps.first[o] + t) + i64::from(samples.origin);
                let inside = at >= 0 && at < i64::from(samples.size);
                let place = if inside { at - i64::from(samples.held) } else { BACKGROUND.into() };
                add(&mut made, place, taps.weights[t as usize * taps.outputs() + o]);
            }
            if taps.count[o] == 0 {
                add(&mut made, BEYOND.into(), ONE);
            }
            made
        };
        (0..taps.outputs()).map(output).collect()
    }

    #[test]
    fn every_way_of_walking_gives_the_taps() {
        let filters = [Resample::Nearest, Resample::Lanczos, Resample::Bilinear, Resample::Bicubic, Resample::Box];
        let whole = |size| Samples { size, held: 0, origin: 0 };
        let mut rows = Vec::new();
        for filter in filters {
            for (from, to) in [(1, 1), (1, 9), (9, 1), (50, 50), (157, 56), (61, 200), (640, 71), (300, 200), (90, 31)]
            {
                rows.push((Taps::new(filter, from, to, 0, to).unwrap(), whole(from)));
            }
            // Padded on both sides, and cut beyond the picture.
            let padded = Samples { size: 30, held: 0, origin: -35 };
            rows.push((Taps::new(filter, 100, 56, 0, 56).unwrap(), padded));
            rows.push((Taps::new(filter, 100, 230, 0, 230).unwrap(), padded));
            rows.push((Taps::new(filter, 157, 40, -18, 76).unwrap(), whole(157)));
        }
        for (taps, samples) in &rows {
            let reaches: Vec<Reach> = (0..taps.outputs()).map(|o| reach(taps, *samples, o)).collect();
            let want = wanted(taps, *samples);
            for slots in SLOTS {
                for most in FINISHED {
                    for longest in [1, 7, 64] {
                        let walk = Builder::new(taps, *samples, &reaches, (slots, most)).runs(longest).unwrap();
                        assert_eq!(walked(&walk), want, "{slots} slots, {most} finished, runs of {longest}");
                    }
                }
            }
            let walk = Walk::new(taps, *samples, 64).unwrap();
            assert_eq!(walked(&walk), want);
            // Whole steps around what is read.
            let places = want.iter().flat_map(|made| made.keys()).filter(|place| **place >= 0);
            let (first, last) = places.fold((i64::MAX, -1), |(a, b), place| (a.min(*place), b.max(*place)));
            let steps = SAMPLES as i64;
            let reads = if last < 0 { 0 } else { (last / steps - first / steps + 1) * steps };
            assert_eq!(walk.reads() as i64, reads, "{samples:?}");
        }
        let taps = Taps::new(Resample::Bicubic, 157, 80, 24, 8).unwrap();
        let held = Samples { size: 157, held: 40, origin: 0 };
        assert_eq!(walked(&Walk::new(&taps, held, 64).unwrap()), wanted(&taps, held));
    }
}
