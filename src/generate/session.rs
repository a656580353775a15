//! A session: programs, caches and state of one conversation or batch over a shared model.

use super::cross::CrossState;
use super::prompt::History;
use super::{Model, PictureCache, Programs};
use crate::Result;
use crate::blocks::CacheType;
use crate::gpu::{Cancel, Device, Reading, Slice, SubmissionIndex};
use crate::graph::{FuseOptions, RunOptions, Store};
use crate::models::Sight;
use crate::quant::CacheFormat;
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
    /// Most tokens of a prompt that go through the decoder at once; `None`: as many as fit a binding, which is what
    /// [`super::plan_memory`] reckons with. Fewer take less memory and more time.
    pub prompt_rows: Option<usize>,
    /// What keys and values are kept in; `None`: as the activations are.
    pub kv: Option<CacheFormat>,
    /// Where encoded pictures are kept to be asked about again; sessions may share it.
    pub pictures: Option<Arc<PictureCache>>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            batch: 1,
            context: 2048,
            max_new: 256,
            run: RunOptions::default(),
            fuse: true,
            prompt_rows: None,
            kv: None,
            pictures: None,
        }
    }
}

/// A sequence's new tokens, and where pictures stand in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    /// Token ids; those of picture tokens count but are not read.
    pub ids: Vec<u32>,
    /// Positions in `ids` that take the next feature rows, ascending.
    pub pictures: Vec<usize>,
    /// Rotary positions (time, row, column) of the tokens, below the session's context; `None`: all three count on from
    /// the largest so far.
    pub positions: Option<Vec<[u32; 3]>>,
    /// What the tokens see of features that stand beside the prompt (cross-attention); `None`: what the last token of
    /// the sequence sees.
    pub sight: Option<Sight>,
}

impl Sequence {
    /// Tokens with feature rows among them, at positions that count on.
    pub fn new(ids: Vec<u32>, pictures: Vec<usize>) -> Self {
        Self { ids, pictures, ..Self::default() }
    }
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
    /// The rotary position that follows each token in the cache, by sequence.
    pub(super) next: Vec<Vec<u32>>,
    pub(super) feature_rows: usize,
    pub(super) cross_state: CrossState,
    /// Whether the rotary table of this context is on the device.
    pub(super) rotary: bool,
    /// The length of prompts that it is made for, where that scales the frequencies.
    pub(super) rotary_length: Option<usize>,
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
        let (next, cross_state) = (vec![Vec::new(); options.batch], CrossState::default());
        Self {
            model,
            options,
            store,
            programs,
            past,
            next,
            feature_rows: 0,
            cross_state,
            rotary: false,
            rotary_length: None,
            staging,
            flying,
            histories,
        }
    }
    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
    /// Cancels this session's work at its next piece.
    pub fn cancel(&self) -> &Cancel {
        &self.options.run.cancel
    }
    /// What its keys and values are kept in.
    pub(super) fn cache_type(&self) -> CacheType {
        let own = CacheType::of(self.model.compute);
        CacheType { format: self.options.kv.unwrap_or(own.format), ..own }
    }
    /// Tokens in the cache, by sequence.
    pub fn past(&self) -> &[usize] {
        &self.past
    }
    /// Forgets the conversation; the buffers stay.
    pub fn reset(&mut self) {
        self.past.fill(0);
        self.next.fill(Vec::new());
        self.feature_rows = 0;
        self.cross_state = CrossState::default();
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
            self.next[sequence].truncate(*own);
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
}
