//! A session: programs, caches and state of one conversation or batch over a shared model.

use super::prompt::History;
use super::{Model, Programs};
use crate::Result;
use crate::gpu::{Cancel, Device, Reading, Slice, SubmissionIndex};
use crate::graph::{FuseOptions, RunOptions, Store};
use std::collections::VecDeque;
use std::sync::Arc;

/// Sizes of a session, fixed when it begins: no buffer grows while it generates.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Sequences that are generated side by side.
    pub batch: usize,
    /// Tokens that a sequence may have, answer included.
    pub context: usize,
    /// New tokens that one answer may have.
    pub max_new: usize,
    /// Pieces and cancelling.
    pub run: RunOptions,
    /// Rewrites of the graphs.
    pub fuse: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { batch: 1, context: 2048, max_new: 256, run: RunOptions::default(), fuse: true }
    }
}

/// A sequence's new tokens, and where pictures stand in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    /// Token ids; those of picture tokens count but are not read.
    pub ids: Vec<u32>,
    /// Positions in `ids` that take the next feature rows, ascending.
    pub pictures: Vec<usize>,
}

/// Results of one decode step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Chosen id of every sequence.
    pub ids: Vec<u32>,
    /// Log-probability of it under the raw logits.
    pub logprobs: Vec<f32>,
    /// Raw logits \[batch, vocab\], if asked for.
    pub logits: Vec<f32>,
}

/// A session. Send; used by one task at a time.
pub struct Session {
    pub(super) model: Arc<Model>,
    pub(super) options: SessionOptions,
    pub(super) store: Store,
    pub(super) programs: Programs,
    /// Tokens of every sequence that are in the cache.
    pub(super) past: Vec<usize>,
    pub(super) feature_rows: usize,
    pub(super) staging: Vec<Slice>,
    pub(super) flying: VecDeque<(Reading, SubmissionIndex)>,
    /// What was said, for turns through [`Session::answer`].
    pub(super) histories: Vec<History>,
}

impl Session {
    /// A session over a model's weights. Nothing is allocated before the first program.
    pub fn new(model: Arc<Model>, options: SessionOptions) -> Self {
        let store = model.weights.clone();
        let mut programs = Programs::default();
        if !options.fuse {
            programs.fuse = FuseOptions::none();
        }
        let past = vec![0; options.batch];
        let histories = vec![History::default(); options.batch];
        let (staging, flying) = (Vec::new(), VecDeque::new());
        Self { model, options, store, programs, past, feature_rows: 0, staging, flying, histories }
    }
    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
    /// Cancels this session's work at its next piece.
    pub fn cancel(&self) -> &Cancel {
        &self.options.run.cancel
    }
    /// Tokens in the cache, by sequence.
    pub fn past(&self) -> &[usize] {
        &self.past
    }
    /// Forgets the conversation; the buffers stay.
    pub fn reset(&mut self) {
        self.past.fill(0);
        self.feature_rows = 0;
        // Their readbacks may still be mapped: the next step takes new ones.
        self.flying.clear();
        self.staging.clear();
        self.histories.fill(History::default());
    }
    /// Sizes.
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }
    /// Takes tokens of a sequence out of the cache, down to `past` of them.
    pub fn truncate(&mut self, sequence: usize, past: usize) {
        if let Some(own) = self.past.get_mut(sequence) {
            *own = past.min(*own);
        }
    }
    /// Waits for the decode steps in flight and forgets their tokens.
    pub async fn settle(&mut self) -> Result<()> {
        while let Some((reading, submission)) = self.flying.pop_front() {
            if let Err(error) = self.model.device.finish_read(reading, submission).await {
                // Staging that may still be mapped is not used again.
                self.flying.clear();
                self.staging.clear();
                return Err(error);
            }
        }
        Ok(())
    }
    pub(super) fn device(&self) -> Device {
        self.model.device.clone()
    }
<<<<<<< HEAD
=======

    /// Preprocesses pictures on the GPU; returns their height and width.
    pub async fn preprocess(&mut self, pictures: &[Pixels]) -> Result<(usize, usize)> {
        let (device, run) = (self.device(), self.options.run.clone());
        preprocess(&device, &mut self.store, &mut self.programs, pictures, &run).await
    }
    /// Takes normalised planes \[pictures, channels, height, width\] from the host instead.
    pub async fn set_pixels(&mut self, values: &[f32], shape: &[usize]) -> Result<()> {
        let device = self.device();
        self.store.ensure(&device, names::PIXELS, &TensorType::f32(shape)).await?;
        self.store.write(&device, names::PIXELS, bytemuck::cast_slice(values))
    }
    /// The planes that the last preprocessing made.
    pub async fn pixels(&self, pictures: usize, size: (usize, usize)) -> Result<Vec<f32>> {
        let ty = TensorType::f32(&[pictures, 3, size.0, size.1]);
        read_f32(&self.device(), &self.store, names::PIXELS, &ty).await
    }

    /// Encodes the pictures in [`names::PIXELS`]. Features for a decoder are kept in [`names::FEATURES`] for the next
    /// prefill; returns the stages asked for.
    ///
    /// Pictures that would not fit the device's limits at once are encoded in groups.
    pub async fn encode(&mut self, pictures: usize, size: (usize, usize), wanted: Wanted<'_>) -> Result<Vec<Stage>> {
        let all = self.store.slice(names::PIXELS)?.clone();
        let group = group_size(&self.model, size).min(pictures).max(1);
        let mut stages: Vec<Stage> = Vec::new();
        let mut result = Ok(());
        for first in (0..pictures).step_by(group) {
            let count = group.min(pictures - first);
            result = self.encode_group(&all, first..first + count, pictures, size, wanted, &mut stages).await;
            if result.is_err() {
                break;
            }
        }
        // After an error too: a second attempt finds the planes where they were.
        if group < pictures {
            self.store.put(names::PIXELS, vec![all]);
        }
        result.map(|()| stages)
    }

    /// Encodes the pictures `range` of `pictures`, whose planes are all in `all`.
    async fn encode_group(
        &mut self,
        all: &Slice,
        range: Range<usize>,
        pictures: usize,
        size: (usize, usize),
        wanted: Wanted<'_>,
        stages: &mut Vec<Stage>,
    ) -> Result<()> {
        let (device, model) = (self.device(), self.model.clone());
        let (first, count) = (range.start, range.len());
        if count < pictures {
            let plane_bytes = TensorType::f32(&[3, size.0, size.1]).bytes();
            self.take_planes(all, first as u64 * plane_bytes, count, size).await?;
        }
        let taps = tap_names(wanted, || encode_graph(&model.spec, 1, size, true, model.compute))?;
        let key = format!("encode {count} {size:?} {taps:?}");
        let graph = || {
            let mut g = encode_graph(&model.spec, count, size, !taps.is_empty(), model.compute)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        let read = read_taps(&device, program, &self.store, &self.programs.pool, &taps).await?;
        merge_stages(stages, read);
        if model.spec.connector.is_some() {
            self.collect_features(first, count, pictures).await?;
        }
        Ok(())
    }

    /// Binds one group's planes as the pixels of the next program.
    async fn take_planes(&mut self, all: &Slice, offset: u64, count: usize, size: (usize, usize)) -> Result<()> {
        let device = self.device();
        let ty = TensorType::f32(&[count, 3, size.0, size.1]);
        let part = device.buffer(names::PIXELS, ty.bytes(), Use::Storage).await?;
        let (from, to) = (Slice { offset: all.offset + offset, ..all.clone() }, Slice::whole(part));
        device.submit("pixels", |r| r.copy(&from, &to, ty.bytes())).await?;
        self.store.put(names::PIXELS, vec![to]);
        Ok(())
    }

    /// Appends a group's features to those of the request.
    async fn collect_features(&mut self, first: usize, count: usize, pictures: usize) -> Result<()> {
        let device = self.device();
        let width = self.model.spec.decoder.as_ref().map_or(0, |d| d.width);
        let encoded = self.store.slice(names::ENCODED)?.clone();
        let row = width * self.model.compute.size();
        let rows = features_of(&self.programs, count)?;
        let ty = TensorType::new(self.model.compute, &[pictures * rows, width]);
        self.store.ensure(&device, names::FEATURES, &ty).await?;
        let target = self.store.slice(names::FEATURES)?.clone();
        let to = Slice { offset: target.offset + (first * rows * row) as u64, ..target };
        let bytes = (count * rows * row) as u64;
        device.submit("features", |r| r.copy(&encoded, &to, bytes)).await?;
        self.feature_rows = pictures * rows;
        Ok(())
    }

    /// Rows of features that wait for a prefill.
    pub fn feature_rows(&self) -> usize {
        self.feature_rows
    }
    /// The features as a slice of a buffer on the device: `[rows, width of the decoder]`.
    pub fn features(&self) -> Result<&Slice> {
        self.store.slice(names::FEATURES)
    }
    /// A result that a program stored under one of [`names`], as f32.
    pub async fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        read_f32(&self.device(), &self.store, name, &TensorType::new(self.model.compute, shape)).await
    }

    /// Encodes texts (CLIP); returns the stages asked for. Results in [`names::TEXT_EMBEDS`].
    pub async fn encode_texts(&mut self, texts: &[Vec<u32>], wanted: Wanted<'_>) -> Result<Vec<Stage>> {
        let (device, model) = (self.device(), self.model.clone());
        let tower =
            model.spec.text.as_ref().ok_or_else(|| Error::unsupported("a text", "the model has no text tower"))?;
        let lens: Vec<usize> = texts.iter().map(Vec::len).collect();
        if let Some(len) = lens.iter().find(|l| **l > tower.max_positions || **l == 0) {
            return Err(Error::PromptTooLong { tokens: *len, context: tower.max_positions });
        }
        let taps = tap_names(wanted, || text_graph(&model.spec, &[1], model.compute))?;
        let graph = || {
            let mut g = text_graph(&model.spec, &lens, model.compute)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        let key = format!("text {lens:?} {taps:?}");
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let ids: Vec<u32> = texts.concat();
        let positions: Vec<u32> = lens.iter().flat_map(|l| 0..*l as u32).collect();
        let mut start = 0;
        let mut last = Vec::new();
        for text in texts {
            last.push(start + tower.pooling.row(text) as u32);
            start += text.len() as u32;
        }
        self.write(names::IDS, &ids)?;
        self.write(names::POSITIONS, &positions)?;
        self.write(names::LAST, &last)?;
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        read_taps(&device, program, &self.store, &self.programs.pool, &taps).await
    }

    /// Scores of the encoded pictures and texts, `[pictures, texts]`.
    pub async fn score(&mut self, pictures: usize, texts: usize) -> Result<Vec<f32>> {
        let (device, model) = (self.device(), self.model.clone());
        let graph = || score_graph(&model.spec, pictures, texts, model.compute);
        self.programs.prepare(&device, &mut self.store, &format!("score {pictures} {texts}"), graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        self.read(names::SCORES, &[pictures, texts]).await
    }

    fn write(&self, name: &str, words: &[u32]) -> Result<()> {
        self.store.write(&self.model.device, name, bytemuck::cast_slice(words))
    }

    /// Appends prompts to the cache and samples the first new token of each. With `all_logits` the logits of every
    /// row are a stage.
    pub async fn prefill(
        &mut self,
        sequences: &[Sequence],
        settings: &[SampleSettings],
        seen: &[Vec<u32>],
        all_logits: bool,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Stage>> {
        let (device, model) = (self.device(), self.model.clone());
        self.check_prompt(sequences)?;
        let shape = self.prefill_shape(sequences, all_logits);
        let build = |shape: &PrefillShape| prefill_graph(&model.spec, shape, model.compute, model.kv);
        let taps = tap_names(wanted, || build(&PrefillShape { all_logits, ..shape.clone() }))?;
        let graph = || {
            let mut g = build(&shape)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        let key = format!("prefill {shape:?} {taps:?}");
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        self.write_prompt(sequences)?;
        self.write_sampling(sequences, settings, seen).await?;
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        let stages = read_taps(&device, program, &self.store, &self.programs.pool, &taps).await?;
        for (past, sequence) in self.past.iter_mut().zip(sequences) {
            *past += sequence.ids.len();
        }
        self.feature_rows = 0;
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
        }
    }

    fn check_prompt(&self, sequences: &[Sequence]) -> Result<()> {
        if sequences.len() != self.options.batch {
            let reason = format!("{} for a session of {}", sequences.len(), self.options.batch);
            return Err(Error::argument("prompts", reason));
        }
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
        }
        Ok(())
    }

    /// Ids, positions, slots, spans, last rows and picture rows of a prefill.
    fn write_prompt(&self, sequences: &[Sequence]) -> Result<()> {
        let rows: usize = sequences.iter().map(|s| s.ids.len()).sum();
        let (mut ids, mut positions, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        let (mut spans, mut last, mut splice) = (Vec::new(), Vec::new(), Vec::new());
        let mut feature = rows as u32;
        for (b, sequence) in sequences.iter().enumerate() {
            let (start, past, n) = (ids.len() as u32, self.past[b], sequence.ids.len());
            let base = b * self.options.context;
            ids.extend(&sequence.ids);
            positions.extend((past..past + n).map(|p| p as u32));
            slots.extend((past..past + n).map(|p| (base + p) as u32));
            spans.extend([start, n as u32, base as u32, (past + n) as u32]);
            last.push(start + n as u32 - 1);
            splice.extend((0..n as u32).map(|i| start + i));
            for at in &sequence.pictures {
                splice[start as usize + at] = feature;
                feature += 1;
            }
        }
        self.write(names::IDS, &ids)?;
        self.write(names::POSITIONS, &positions)?;
        self.write(names::SLOTS, &slots)?;
        self.write(names::SPANS, &spans)?;
        self.write(names::LAST, &last)?;
        if self.store.get(names::SPLICE).is_some_and(|_| feature > rows as u32) {
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
        let table = rope_table(&decoder.rope, context);
        self.store.write(&self.model.device, names::ROPE, bytemuck::cast_slice(&table))?;
        let (mut position, mut len, mut slot) = (Vec::new(), Vec::new(), Vec::new());
        for (b, sequence) in sequences.iter().enumerate() {
            let end = self.past[b] + sequence.ids.len();
            position.push(end as u32 - 1);
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

    /// Submits one decode step: one submit, no allocation, no bind group. Its tokens arrive through
    /// [`Session::arrived`].
    pub async fn decode(&mut self) -> Result<()> {
        self.options.run.cancel.check()?;
        let (device, model) = (self.device(), self.model.clone());
        if let Some(past) = self.past.iter().find(|p| **p >= self.options.context) {
            return Err(Error::PromptTooLong { tokens: past + 1, context: self.options.context });
        }
        let cache = (self.options.batch, self.options.context);
        let heads = model.spec.decoder.as_ref().and_then(|d| d.layers.first()).map_or(1, |l| l.attention.heads);
        let splits = AttentionDecode::splits_for(cache.0, heads, cache.1);
        let shape = DecodeShape { cache, max_new: self.options.max_new, splits };
        let graph = || decode_graph(&model.spec, &shape, model.compute, model.kv);
        if self.flying.len() >= IN_FLIGHT {
            return Err(Error::argument("decode", format!("{IN_FLIGHT} steps are in flight; take one with `arrived`")));
        }
        while self.staging.len() < IN_FLIGHT {
            self.staging.push(Slice::whole(device.buffer("tokens", 8 * cache.0 as u64, Use::Readback).await?));
        }
        let chosen = trimmed(self.store.slice(names::CHOSEN)?, cache.0);
        let logprob = trimmed(self.store.slice(names::LOGPROB)?, cache.0);
        self.programs.prepare(&device, &mut self.store, "decode", graph).await?;
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
        for past in &mut self.past {
            *past += 1;
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

fn trimmed(slice: &Slice, words: usize) -> Slice {
    Slice { bytes: 4 * words as u64, ..slice.clone() }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

async fn read_f32(device: &Device, store: &Store, name: &str, ty: &TensorType) -> Result<Vec<f32>> {
    let slice = store.slice(name)?;
    let bytes = device.read(&Slice { bytes: ty.bytes().min(slice.bytes), ..slice.clone() }).await?;
    Ok(decode(ty, &[bytes], device.caps())?.data.iter().map(|v| *v as f32).collect())
}

/// Names of the taps of a graph that are wanted.
fn tap_names(wanted: Wanted<'_>, graph: impl FnOnce() -> Result<crate::graph::Graph>) -> Result<Vec<String>> {
    if !wanted("") {
        return Ok(Vec::new());
    }
    Ok(graph()?.taps.into_iter().map(|(name, _)| name).filter(|name| wanted(name)).collect())
}

async fn read_taps(
    device: &Device,
    program: &Program,
    store: &Store,
    pool: &Pool,
    taps: &[String],
) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for name in taps {
        let id = program.tap(name)?;
        let ty = program.plan().graph.ty(id).clone();
        let bytes = device.read(&program.output(id, store, pool)?).await?;
        let values = decode(&ty, &[bytes], device.caps())?.data.iter().map(|v| *v as f32).collect();
        stages.push(Stage { name: name.clone(), shape: ty.shape, values });
    }
    Ok(stages)
}

fn merge_stages(all: &mut Vec<Stage>, more: Vec<Stage>) {
    for stage in more {
        match all.iter_mut().find(|s| s.name == stage.name) {
            Some(first) => {
                first.shape[0] += stage.shape[0];
                first.values.extend(stage.values);
            }
            None => all.push(stage),
        }
    }
}

/// Feature rows of one picture, from the encode program that ran last.
fn features_of(programs: &Programs, pictures: usize) -> Result<usize> {
    let program = programs.newest()?;
    let id = program.tap("connector")?;
    Ok(program.plan().graph.ty(id).rows() / pictures.max(1))
}

/// Pictures that the tower can take at once within the device's largest binding.
pub(super) fn group_size(model: &Model, size: (usize, usize)) -> usize {
    let Some(tower) = &model.spec.vision else { return 1 };
    let widest = tower.layers.iter().map(|l| l.qkv.n.max(l.fc1.n)).max().unwrap_or(1);
    let features =
        model.spec.connector.as_ref().map_or(0, |c| c.layers.iter().map(|(l, _)| l.n.max(l.k)).max().unwrap_or(0));
    let width = widest
        .max(features)
        .max(tower.patch.width * model.spec.connector.as_ref().map_or(1, |c| c.select.layers.len()));
    let rows = tower.tokens(size).max(1);
    let caps = model.device.caps();
    (caps.max_binding.min(caps.max_buffer) / (rows * width * 4) as u64).clamp(1, 1 << 16) as usize
>>>>>>> embed
}
