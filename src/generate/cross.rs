//! Features that a decoder attends to by layers of their own: their keys and values, made once before a prompt, and
//! what the rows of prompts and steps see of them.

use super::decoding::Part;
use super::{Sequence, Session};
use crate::models::{Cross, Sight, cross_graph, names};
use crate::{Error, Result};

/// What a session holds of its pictures' features.
#[derive(Debug, Clone, Default)]
pub(super) struct CrossState {
    /// Feature rows that each sequence has room for; 0 without pictures.
    pub rows: usize,
    /// Feature rows of each sequence.
    pub lens: Vec<usize>,
    /// Tiles that the last token of each sequence sees.
    pub last: Vec<Vec<bool>>,
    /// Whether the decode program has been told of them.
    pub told: bool,
}

/// Words of the buffers that a program over some rows reads.
#[derive(Debug, Default, PartialEq)]
struct Words {
    spans: Vec<u32>,
    sight: Vec<u32>,
    seen: Vec<u32>,
}

impl CrossState {
    /// The flags of a sequence's new tokens: as given, else those of the token before.
    fn flags<'a>(&'a self, b: usize, sequence: &'a Sequence, token: usize) -> &'a [bool] {
        let last = self.last.get(b).map_or(&[][..], Vec::as_slice);
        sequence.sight.as_ref().map_or(last, |sight| sight.row(token))
    }

    /// What the rows of a program see: `lens[b]` rows of sequence b, each with the flags that `flags` gives it. A row
    /// that sees no tile attends to all of them, as the original does, and passes by the MLP.
    fn words<'a>(&self, lens: &[usize], tile: usize, flags: impl Fn(usize, usize) -> &'a [bool]) -> Words {
        let (all, longest) = (lens.iter().sum::<usize>(), lens.iter().copied().max().unwrap_or(0));
        let tiles = self.rows / tile.max(1);
        let mut words = Words { sight: vec![0; lens.len() * longest * tiles], ..Words::default() };
        let mut row = 0;
        for (b, len) in lens.iter().enumerate() {
            let keys = self.lens.get(b).copied().unwrap_or(0);
            words.spans.extend([row, *len, b * self.rows, keys].map(|n| n as u32));
            for i in 0..*len {
                let flags = flags(b, i);
                let any = flags.contains(&true) && keys > 0;
                let at = (b * longest + i) * tiles;
                for (word, t) in words.sight[at..at + tiles].iter_mut().zip(0..keys / tile.max(1)) {
                    *word = u32::from(!any || flags.get(t).copied().unwrap_or(false));
                }
                words.seen.push(if any { row } else { all + row } as u32);
                row += 1;
            }
        }
        words
    }
}

impl Session {
    fn cross(&self) -> Option<Cross> {
        self.model.spec.decoder.as_ref().and_then(|d| d.cross)
    }

    /// Checks what sequences see against the features that there are.
    pub(super) fn check_sight(&self, sequences: &[Sequence]) -> Result<()> {
        let Some(cross) = self.cross() else {
            return match sequences.iter().any(|s| s.sight.is_some()) {
                true => Err(Error::argument("prompt", "sees tiles, and the decoder has no cross-attention")),
                false => Ok(()),
            };
        };
        let mut rows = 0;
        for (b, sequence) in sequences.iter().enumerate() {
            let tiles = sequence.sight.as_ref().map_or(0, |s| s.tiles);
            let whole = sequence.sight.as_ref().is_none_or(|s| s.flags.len() == s.tiles * sequence.ids.len());
            if !whole {
                return Err(Error::argument("prompt", "has not a flag for each token and tile"));
            }
            let held = self.cross_state.lens.get(b).copied().unwrap_or(0);
            if self.feature_rows == 0 && tiles > 0 && tiles * cross.tile_rows != held {
                let reason = format!("{tiles} tiles of {} rows for {held} feature rows", cross.tile_rows);
                return Err(Error::argument("prompt", reason));
            }
            rows += tiles * cross.tile_rows;
        }
        if self.feature_rows != 0 && rows != self.feature_rows {
            let reason = format!("sees {rows} feature rows of {}", self.feature_rows);
            return Err(Error::argument("prompt", reason));
        }
        Ok(())
    }

    /// Keys and values of new features, in place of those that the session had.
    pub(super) async fn take_features(&mut self, sequences: &[Sequence]) -> Result<()> {
        let (Some(cross), true) = (self.cross(), self.feature_rows > 0) else { return Ok(()) };
        let (device, model, kv) = (self.device(), self.model.clone(), self.cache_type());
        let tiles = sequences.iter().map(|s| s.sight.as_ref().map_or(0, |sight| sight.tiles));
        let lens: Vec<usize> = tiles.map(|tiles| tiles * cross.tile_rows).collect();
        let rows = lens.iter().copied().max().unwrap_or(0);
        let (features, room) = (self.feature_rows, (self.options.batch, rows));
        let graph = || cross_graph(&model.spec, features, room, kv);
        let key = format!("cross {features} {room:?}");
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let slots = lens.iter().enumerate().flat_map(|(b, len)| (0..*len).map(move |i| (b * rows + i) as u32));
        self.write(names::CROSS_SLOTS, &slots.collect::<Vec<_>>())?;
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        self.programs.newest()?.run(&device, &self.options.run).await?;
        self.cross_state = CrossState { rows, last: vec![Vec::new(); lens.len()], lens, told: false };
        Ok(())
    }

    /// What the rows of a part of a prompt see.
    pub(super) fn write_sight(&mut self, part: &Part) -> Result<()> {
        let (Some(cross), true) = (self.cross(), self.cross_state.rows > 0) else { return Ok(()) };
        let (state, sequences) = (&self.cross_state, &part.sequences);
        let lens: Vec<usize> = sequences.iter().map(|s| s.ids.len()).collect();
        let words = state.words(&lens, cross.tile_rows, |b, i| state.flags(b, &sequences[b], i));
        self.write(names::CROSS_SPANS, &words.spans)?;
        self.write(names::CROSS_SIGHT, &words.sight)?;
        self.write(names::CROSS_SEEN, &words.seen)?;
        let last = sequences.iter().enumerate().map(|(b, s)| state.flags(b, s, s.ids.len().saturating_sub(1)).to_vec());
        (self.cross_state.last, self.cross_state.told) = (last.collect(), false);
        Ok(())
    }

    /// What the next steps see: the tiles of the last token.
    pub(super) fn write_step_sight(&mut self) -> Result<()> {
        let state = &self.cross_state;
        let (Some(cross), true) = (self.cross(), state.rows > 0 && !state.told) else { return Ok(()) };
        let words = state.words(&vec![1; self.options.batch], cross.tile_rows, |b, _| &state.last[b]);
        self.write(names::DECODE_CROSS_SPANS, &words.spans)?;
        self.write(names::DECODE_CROSS_SIGHT, &words.sight)?;
        self.write(names::DECODE_CROSS_SEEN, &words.seen)?;
        self.cross_state.told = true;
        Ok(())
    }
}

/// The flags of some tokens of a sequence.
pub(super) fn sight_part(sight: &Sight, tokens: std::ops::Range<usize>) -> Sight {
    let flags = sight.flags.get(tokens.start * sight.tiles..tokens.end * sight.tiles).unwrap_or_default();
    Sight { tiles: sight.tiles, flags: flags.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_tile_attend_to_all_and_pass_by() {
        let state = CrossState { rows: 6, lens: vec![6, 4], ..CrossState::default() };
        let flags = [vec![[false; 3], [true, false, true]], vec![[false, true, false]]];
        let words = state.words(&[2, 1], 2, |b, i| &flags[b][i]);
        assert_eq!(words.spans, [0, 2, 0, 6, 2, 1, 6, 4]);
        assert_eq!(words.sight, [1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0], "the longest sequence's rows");
        assert_eq!(words.seen, [3, 1, 2]);
        let none = CrossState { rows: 6, lens: vec![6, 0], ..CrossState::default() };
        assert_eq!(none.words(&[1, 1], 2, |_, _| &[][..]).seen, [2, 3], "a sequence without a picture");
    }
}
