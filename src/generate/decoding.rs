//! The decoding half of a session: prompts into the cache, tokens out of it.

use super::cross::sight_part;
use super::parts::{prompt_parts, prompt_rows};
use super::stages::{Stage, Wanted, merge_rows, read_taps, tap_names};
use super::{Sequence, Session, Step};
use crate::blocks::{RopeScaling, log_scaled, rope_table_for};
use crate::gpu::{Slice, Use};
use crate::graph::{StepRecord, bisect};
use crate::kernels::{AttentionDecode, SampleSettings};
use crate::models::{DecodeShape, PrefillShape, decode_graph, names, prefill_graph};
use crate::{Error, Result};
use std::ops::Range;

/// Decode steps that may be in flight.
const IN_FLIGHT: usize = 4;

/// What goes through the decoder at once: some tokens of every sequence.
pub(super) struct Part {
    pub sequences: Vec<Sequence>,
    /// Of each sequence, the feature row that its first picture token takes.
    features: Vec<usize>,
}

impl Part {
    /// The tokens `ranges` of the sequences. Feature rows are counted over all tokens of one sequence after the other.
    fn of(sequences: &[Sequence], ranges: &[Range<usize>]) -> Self {
        let (mut own, mut features, mut taken) = (Vec::new(), Vec::new(), 0);
        for (sequence, range) in sequences.iter().zip(ranges) {
            let before = sequence.pictures.iter().filter(|at| **at < range.start).count();
            let inside = sequence.pictures.iter().filter(|at| range.contains(at)).map(|at| at - range.start);
            let ids = sequence.ids.get(range.clone()).unwrap_or_default().to_vec();
            let positions = sequence.positions.as_ref().and_then(|all| all.get(range.clone())).map(<[_]>::to_vec);
            let sight = sequence.sight.as_ref().map(|sight| sight_part(sight, range.clone()));
            own.push(Sequence { ids, pictures: inside.collect(), positions, sight });
            features.push(taken + before);
            taken += sequence.pictures.len();
        }
        Self { sequences: own, features }
    }
}

impl Session {
    pub(super) fn write(&self, name: &str, words: &[u32]) -> Result<()> {
        self.store.write(&self.model.device, name, bytemuck::cast_slice(words))
    }

    /// Appends prompts to the cache and samples the first new token of each. With `all_logits` the logits of every
    /// row are a stage. Prompts whose activations would not fit a binding of the device go in parts.
    pub async fn prefill(
        &mut self,
        sequences: &[Sequence],
        settings: &[SampleSettings],
        seen: &[Vec<u32>],
        all_logits: bool,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Stage>> {
        self.check_prompt(sequences)?;
        let decoder = self.model.spec.decoder.as_ref().ok_or_else(|| Error::unsupported("a prompt", "no decoder"))?;
        let lens: Vec<usize> = sequences.iter().map(|s| s.ids.len()).collect();
        let (caps, compute) = (self.model.device.caps(), self.model.compute);
        let fit = prompt_rows(decoder, caps, compute, all_logits).min(self.options.prompt_rows.unwrap_or(usize::MAX));
        let parts = prompt_parts(&lens, fit.max(1));
        self.take_features(sequences).await?;
        self.take_length(&lens);
        let before = self.past.clone();
        let mut stages = Vec::new();
        for ranges in &parts {
            let part = Part::of(sequences, ranges);
            let rows = part.sequences.iter().map(|s| s.ids.len()).sum::<usize>();
            match self.prefill_part(&part, settings, seen, all_logits, wanted).await {
                Ok(more) => merge_rows(&mut stages, more, rows),
                Err(error) => {
                    // What is in the cache beyond `past` is never read.
                    for (b, past) in before.into_iter().enumerate() {
                        self.truncate(b, past);
                    }
                    return Err(error);
                }
            }
        }
        self.feature_rows = 0;
        Ok(stages)
    }

    /// Whether prompts of `length` tokens want other rotary frequencies than those of what is in the cache.
    pub(super) fn turned_otherwise(&self, length: usize) -> bool {
        let rope = self.model.spec.decoder.as_ref().map(|decoder| &decoder.rope);
        rope.zip(self.rotary_length).is_some_and(|(rope, own)| !rope.alike(own, length))
    }

    /// Notes the length by which rotary frequencies are scaled: that of the longest prompt of a session's first prefill.
    fn take_length(&mut self, lens: &[usize]) {
        let Some(decoder) = &self.model.spec.decoder else { return };
        if !matches!(decoder.rope.scaling, RopeScaling::Steps { .. }) || self.past.iter().any(|past| *past > 0) {
            return;
        }
        let length = lens.iter().copied().max().unwrap_or(1);
        self.rotary &= self.rotary_length.is_some_and(|own| decoder.rope.alike(own, length));
        self.rotary_length = Some(length);
    }

    async fn prefill_part(
        &mut self,
        part: &Part,
        settings: &[SampleSettings],
        seen: &[Vec<u32>],
        all_logits: bool,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Stage>> {
        let (device, model, kv) = (self.device(), self.model.clone(), self.cache_type());
        let shape = self.prefill_shape(&part.sequences, all_logits);
        let build = |shape: &PrefillShape| prefill_graph(&model.spec, shape, kv);
        let taps = tap_names(wanted, || build(&PrefillShape { all_logits, ..shape.clone() }))?;
        let graph = || {
            let mut g = build(&shape)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        let key = format!("prefill {shape:?} {taps:?}");
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        self.write_prompt(part)?;
        self.write_sight(part)?;
        self.write_sampling(&part.sequences, settings, seen).await?;
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        let stages = read_taps(&device, program, &self.store, &self.programs.pool, &taps).await?;
        for (b, sequence) in part.sequences.iter().enumerate() {
            self.past[b] += sequence.ids.len();
            let places = self.places(b, sequence);
            let mut next = self.next_position(b);
            self.next[b].extend(places.into_iter().map(|place| {
                next = place.into_iter().fold(next, |next, p| next.max(p + 1));
                next
            }));
        }
        Ok(stages)
    }

    fn prefill_shape(&self, sequences: &[Sequence], all_logits: bool) -> PrefillShape {
        let pictures = sequences.iter().any(|s| !s.pictures.is_empty());
        PrefillShape {
            lens: sequences.iter().map(|s| s.ids.len()).collect(),
            feature_rows: if pictures { self.feature_rows } else { 0 },
            cache: (self.options.batch, self.options.context),
            max_new: self.options.max_new,
            all_logits,
            cross_rows: self.cross_state.rows,
        }
    }

    /// The rotary position of the next token of a sequence.
    fn next_position(&self, b: usize) -> u32 {
        self.next[b].last().copied().unwrap_or(0)
    }

    /// Rotary positions of a sequence's new tokens.
    fn places(&self, b: usize, sequence: &Sequence) -> Vec<[u32; 3]> {
        let first = self.next_position(b);
        let own = || (first..).take(sequence.ids.len()).map(|p| [p; 3]).collect();
        sequence.positions.clone().unwrap_or_else(own)
    }

    fn check_prompt(&self, sequences: &[Sequence]) -> Result<()> {
        if sequences.len() != self.options.batch {
            let reason = format!("{} for a session of {}", sequences.len(), self.options.batch);
            return Err(Error::argument("prompts", reason));
        }
        self.check_sight(sequences)?;
        let slots: usize = sequences.iter().map(|s| s.pictures.len()).sum();
        if slots != 0 && slots != self.feature_rows {
            let reason = format!("{slots} picture tokens for {} feature rows", self.feature_rows);
            return Err(Error::argument("prompt", reason));
        }
        for (past, sequence) in self.past.iter().zip(sequences) {
            let tokens = past + sequence.ids.len();
            if sequence.ids.is_empty() {
                return Err(Error::argument("prompt", "is empty, and the tokenizer adds no first token"));
            }
            if tokens > self.options.context {
                return Err(Error::PromptTooLong { tokens, context: self.options.context });
            }
            let Some(positions) = &sequence.positions else { continue };
            let inside = positions.iter().flatten().all(|p| (*p as usize) < self.options.context);
            if positions.len() != sequence.ids.len() || !inside {
                let reason = format!("are not {} below {}", sequence.ids.len(), self.options.context);
                return Err(Error::argument("positions", reason));
            }
        }
        Ok(())
    }

    /// Ids, positions, slots, spans, last rows and picture rows of a prefill.
    fn write_prompt(&self, part: &Part) -> Result<()> {
        let sequences = &part.sequences;
        let rows: usize = sequences.iter().map(|s| s.ids.len()).sum();
        let (mut ids, mut positions, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        let (mut spans, mut last, mut splice) = (Vec::new(), Vec::new(), Vec::new());
        for (b, sequence) in sequences.iter().enumerate() {
            let (start, past, n) = (ids.len() as u32, self.past[b], sequence.ids.len());
            let base = b * self.options.context;
            ids.extend(&sequence.ids);
            positions.extend(self.places(b, sequence));
            slots.extend((past..past + n).map(|p| (base + p) as u32));
            spans.extend([start, n as u32, base as u32, (past + n) as u32]);
            last.push(start + n as u32 - 1);
            splice.extend((0..n as u32).map(|i| start + i));
            for (i, at) in sequence.pictures.iter().enumerate() {
                splice[start as usize + at] = (rows + part.features[b] + i) as u32;
            }
        }
        self.write(names::IDS, &ids)?;
        let axes = if self.model.spec.decoder.as_ref().is_some_and(|d| d.rope.sections.is_some()) { 3 } else { 1 };
        let positions: Vec<u32> =
            (0..axes).flat_map(|axis| positions.iter().map(move |p: &[u32; 3]| p[axis])).collect();
        self.write(names::POSITIONS, &positions)?;
        self.write(names::SLOTS, &slots)?;
        self.write(names::SPANS, &spans)?;
        self.write(names::LAST, &last)?;
        if sequences.iter().any(|s| !s.pictures.is_empty()) {
            self.write(names::SPLICE, &splice)?;
        }
        Ok(())
    }

    /// State of sampling and of the first decode step, as `advance` expects it before the first token.
    async fn write_sampling(
        &mut self,
        sequences: &[Sequence],
        settings: &[SampleSettings],
        seen: &[Vec<u32>],
    ) -> Result<()> {
        let decoder = self.model.spec.decoder.as_ref().ok_or_else(|| Error::unsupported("a prompt", "no decoder"))?;
        let context = self.options.context;
        if !self.rotary {
            let length = self.rotary_length.unwrap_or(context);
            let table = rope_table_for(&decoder.rope, context, length);
            self.store.write(&self.model.device, names::ROPE, bytemuck::cast_slice(&table))?;
            if let Some(base) = decoder.log_base {
                let table = log_scaled(&table, decoder.rope.rotary_dim, base);
                self.store.write(&self.model.device, names::QUERY_ROPE, bytemuck::cast_slice(&table))?;
            }
            self.rotary = true;
        }
        let (mut position, mut len, mut slot) = (Vec::new(), Vec::new(), Vec::new());
        for (b, sequence) in sequences.iter().enumerate() {
            let end = self.past[b] + sequence.ids.len();
            let largest = self.places(b, sequence).into_iter().flatten().max().unwrap_or(0);
            position.push(largest.max(self.next_position(b).saturating_sub(1)));
            len.push(end as u32);
            slot.push((b * context + end - 1) as u32);
        }
        let words = decoder.vocab.div_ceil(32);
        let mut bits = vec![0u32; words * sequences.len()];
        for (row, ids) in seen.iter().enumerate() {
            for id in ids.iter().filter(|id| (**id as usize) < decoder.vocab) {
                bits[row * words + *id as usize / 32] |= 1 << (id % 32);
            }
        }
        let mut all = Vec::new();
        for b in 0..sequences.len() {
            all.extend(settings.get(b).or(settings.last()).cloned().unwrap_or_default().words()?);
        }
        self.write(names::POSITION, &position)?;
        self.write(names::LEN, &len)?;
        self.write(names::SLOT, &slot)?;
        self.write(names::STEP, &vec![0; sequences.len()])?;
        self.write(names::SEEN, &bits)?;
        self.write(names::SETTINGS, &all)
    }

    /// Reads the tokens that the prefill or the last decode step chose.
    pub async fn chosen(&mut self, logits: bool) -> Result<Step> {
        let device = self.device();
        let batch = self.options.batch;
        let ids = device.read(&trimmed(self.store.slice(names::CHOSEN)?, batch)).await?;
        let logprobs = device.read(&trimmed(self.store.slice(names::LOGPROB)?, batch)).await?;
        let vocab = self.model.spec.decoder.as_ref().map_or(0, |d| d.vocab);
        let logits = if logits { self.read(names::LOGITS, &[batch, vocab]).await? } else { Vec::new() };
        Ok(Step { ids: words(&ids), logprobs: words(&logprobs).into_iter().map(f32::from_bits).collect(), logits })
    }

    /// Replaces the token that the next decode step takes for some sequences: padding of finished ones.
    pub fn force_tokens(&self, tokens: &[(usize, u32)]) -> Result<()> {
        let slice = self.store.slice(names::TOKEN)?;
        for (row, token) in tokens {
            self.model.device.write(&slice.buffer, slice.offset + 4 * *row as u64, &token.to_le_bytes());
        }
        Ok(())
    }

    /// Runs the program that was used last again, step by step, each against its oracle. What it updates in place
    /// (caches, sampling state) advances once more.
    ///
    /// Returns the first step outside its bound.
    pub async fn bisect(&self) -> Result<Option<Box<StepRecord>>> {
        bisect(&self.device(), self.programs.newest()?, &self.store, &self.programs.pool).await
    }

    /// Submits one decode step: one submit, no allocation, no bind group. Its tokens arrive through
    /// [`Session::arrived`].
    pub async fn decode(&mut self) -> Result<()> {
        self.options.run.cancel.check()?;
        let (device, model, kv) = (self.device(), self.model.clone(), self.cache_type());
        // A sequence that is full stays as it is, on the GPU too, while others go on.
        if self.past.iter().all(|p| *p >= self.options.context) {
            return Err(Error::PromptTooLong { tokens: self.options.context + 1, context: self.options.context });
        }
        let cache = (self.options.batch, self.options.context);
        let heads = model.spec.decoder.as_ref().and_then(|d| d.layers.first()).map_or(1, |l| l.heads());
        let splits = AttentionDecode::splits_for(cache.0, heads, cache.1);
        let cross_rows = self.cross_state.rows;
        let shape = DecodeShape { cache, max_new: self.options.max_new, splits, cross_rows };
        let graph = || decode_graph(&model.spec, &shape, kv);
        if self.flying.len() >= IN_FLIGHT {
            return Err(Error::argument("decode", format!("{IN_FLIGHT} steps are in flight; take one with `arrived`")));
        }
        while self.staging.len() < IN_FLIGHT {
            self.staging.push(Slice::whole(device.buffer("tokens", 8 * cache.0 as u64, Use::Readback).await?));
        }
        let chosen = trimmed(self.store.slice(names::CHOSEN)?, cache.0);
        let logprob = trimmed(self.store.slice(names::LOGPROB)?, cache.0);
        self.programs.prepare(&device, &mut self.store, &format!("decode {cross_rows}"), graph).await?;
        self.write_step_sight()?;
        let program = self.programs.newest()?;
        let staging = self.staging[0].clone();
        let second = Slice { offset: 4 * cache.0 as u64, ..staging.clone() };
        let submission = device.submit_now("decode", |r| {
            program.record_into(r, 0..program.steps());
            r.copy(&chosen, &staging, 4 * cache.0 as u64);
            r.copy(&logprob, &second, 4 * cache.0 as u64);
        })?;
        self.staging.rotate_left(1);
        self.flying.push_back((device.begin_read(staging.buffer, 8 * cache.0 as u64), submission));
        for b in 0..self.past.len() {
            if self.past[b] < self.options.context {
                self.past[b] += 1;
                let next = self.next_position(b) + 1;
                self.next[b].push(next);
            }
        }
        Ok(())
    }
    /// Steps that were submitted and not yet taken with [`Session::arrived`].
    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }
    /// Waits for the oldest decode step in flight.
    pub async fn arrived(&mut self) -> Result<Option<Step>> {
        let Some((reading, submission)) = self.flying.pop_front() else { return Ok(None) };
        let device = self.device();
        let bytes = device.finish_read(reading, submission).await?;
        let all = words(&bytes);
        let (ids, logprobs) = all.split_at(self.options.batch);
        let logprobs = logprobs.iter().map(|w| f32::from_bits(*w)).collect();
        Ok(Some(Step { ids: ids.to_vec(), logprobs, logits: Vec::new() }))
    }
}

pub(super) fn trimmed(slice: &Slice, words: usize) -> Slice {
    Slice { bytes: 4 * words as u64, ..slice.clone() }
}

pub(super) fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
