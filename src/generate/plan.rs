//! Planning a request before anything is allocated: memory, work and steps of the programs that a [`Session`] would
//! run, as a pure function of the model's [`Spec`] and the device's [`Caps`].
//!
//! It builds the very graphs and plans of a session and walks through its allocations in their order, so that the
//! peak is that of the ledger. What the driver adds (alignment, pipelines) and wgpu's own staging of uploads (at
//! most some 64 MB while weights are loaded) are not the engine's buffers and are not in it.
//!
//! [`Session`]: super::Session

use super::encoding::result_name;
use super::model::weight_list;
use super::parts::{group_size, prompt_parts, prompt_rows};
use super::pictures::{PICTURE, PLANES, picture_graph};
use super::quantizer::quantizing_bytes;
use crate::blocks::cache_names;
use crate::graph::{FuseOptions, Graph, Plan, fuse, stored_bytes};
use crate::image::{Plan as PicturePlan, Policy, Preprocess};
use crate::kernels::{AttentionDecode, Cost, Io, TensorType, chunks};
use crate::models::{
    DecodeShape, PrefillShape, Spec, decode_graph, encode_graph, names, prefill_graph, score_graph, text_graph,
};
use crate::quant::Encoding;
use crate::{Caps, DType, Error, Result};
use std::collections::BTreeMap;

/// What is to be planned.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// Width and height of the pictures of one prompt, as they are decoded.
    pub pictures: Vec<(u32, u32)>,
    /// Tokens of the prompt, or of each text of a model without a decoder, beside those of its pictures.
    pub prompt_tokens: usize,
    /// Sequences side by side.
    pub batch: usize,
    /// Tokens that a sequence may have, answer included.
    pub context: usize,
    /// New tokens that one answer may have.
    pub max_new: usize,
    /// Type of activations.
    pub compute: DType,
    /// Type of the cache.
    pub kv: DType,
    /// Rewrites of the graphs.
    pub fuse: bool,
    /// What matrices are turned into when they are loaded.
    pub encoding: Option<Encoding>,
}

impl Default for PlanRequest {
    fn default() -> Self {
        Self {
            pictures: Vec::new(),
            prompt_tokens: 32,
            batch: 1,
            context: 2048,
            max_new: 256,
            compute: DType::F32,
            kv: DType::F32,
            fuse: true,
            encoding: None,
        }
    }
}

/// Bytes of GPU buffers by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlannedBytes {
    /// Tensors of the checkpoint.
    pub weights: u64,
    /// Intermediates, shared by all programs.
    pub slots: u64,
    /// Keys and values.
    pub kv: u64,
    /// Pictures, inputs, results, constants, params and readback.
    pub staging: u64,
    /// Largest sum of what is live at one time.
    pub peak: u64,
}

/// A program of the request.
#[derive(Debug, Clone)]
pub struct PlannedProgram {
    /// `picture`, `encode`, `text`, `score`, `prefill` or `decode`.
    pub name: &'static str,
    /// Its plan.
    pub plan: Plan,
    /// How often it runs for the request: groups of pictures for `encode`, tokens for `decode`.
    pub runs: usize,
}

/// A request, planned.
#[derive(Debug, Clone)]
pub struct MemoryPlan {
    /// Elements of all tensors that are loaded.
    pub parameters: u64,
    /// Buffers.
    pub bytes: PlannedBytes,
    /// Work up to the first new token by stage: `vision`, `connector`, `llm` or what the model has. The convention
    /// is that of [`Cost`].
    pub stages: Vec<(String, Cost)>,
    /// Work of the first further token of every sequence.
    pub decode_token: Cost,
    /// Rows that the pictures of a prompt take in it; for a model without a decoder, rows of the tower.
    pub image_tokens: usize,
    /// Programs in the order of their runs.
    pub programs: Vec<PlannedProgram>,
    /// Bytes of the largest weight or activation.
    pub largest_tensor: u64,
}

impl MemoryPlan {
    /// Work up to the first new token.
    pub fn total(&self) -> Cost {
        self.stages.iter().fold(Cost::default(), |a, (_, c)| sum(a, *c))
    }
}

fn sum(a: Cost, b: Cost) -> Cost {
    Cost { flops: a.flops + b.flops, bytes: a.bytes + b.bytes }
}

/// Plans a request. Without `preprocess` a picture is resized to the square that the tower was trained on.
///
/// Errors: [`Error::PromptTooLong`] where prompt and pictures do not fit the context, [`Error::MissingCapability`]
/// where an activation exceeds the device's limits, those of building the graphs.
pub fn plan_memory(
    spec: &Spec,
    preprocess: Option<&Preprocess>,
    caps: &Caps,
    request: &PlanRequest,
) -> Result<MemoryPlan> {
    let weights = weight_list(spec, request.compute, request.kv)?;
    let mut walk = Walk::new(spec, caps, request, weights.iter().map(|(_, ty)| stored_bytes(ty, caps)).sum());
    walk.memory.passing(request.encoding.map_or(0, |to| quantizing_bytes(to, &weights)));
    walk.pictures(preprocess)?;
    if spec.decoder.is_some() {
        walk.generate()?;
    } else if spec.text.is_some() {
        walk.texts()?;
    }
    let largest = weights.iter().map(|(_, ty)| ty.bytes()).max().unwrap_or(0);
    let largest = walk.programs.iter().map(|p| p.plan.largest_tensor()).fold(largest, u64::max);
    Ok(MemoryPlan {
        parameters: weights.iter().map(|(name, ty)| ty.elements() as u64 - zeros(name)).sum(),
        bytes: walk.memory.bytes(spec.decoder.as_ref().map_or(0, |d| d.layers.len())),
        stages: walk.stages,
        decode_token: walk.decode_token,
        image_tokens: walk.image_rows,
        programs: walk.programs,
        largest_tensor: largest,
    })
}

/// Elements of a stacked weight that no checkpoint holds.
fn zeros(name: &str) -> u64 {
    let count = |part: &str| part.strip_prefix("zeros(")?.strip_suffix(')')?.parse::<u64>().ok();
    name.split('+').filter_map(count).sum()
}

/// The largest context whose peak is at most `limit` bytes, with its plan.
///
/// Errors: [`Error::OutOfMemory`] with what the smallest context needs, if that does not fit; those of
/// [`plan_memory`].
pub fn largest_context(
    spec: &Spec,
    preprocess: Option<&Preprocess>,
    caps: &Caps,
    request: &PlanRequest,
    limit: u64,
) -> Result<(usize, MemoryPlan)> {
    let at = |context| plan_memory(spec, preprocess, caps, &PlanRequest { context, ..request.clone() });
    let longest = spec.decoder.as_ref().map_or(1, |d| d.max_positions).max(1);
    let prompt = planned_image_tokens(spec, preprocess, request)? + request.prompt_tokens;
    let smallest = if spec.decoder.is_some() { (prompt + request.max_new).max(1) } else { 1 };
    let first = at(smallest)?;
    if first.bytes.peak > limit {
        let what = format!("a context of {smallest} tokens");
        return Err(Error::OutOfMemory { what, bytes: first.bytes.peak, live: 0, limit: Some(limit) });
    }
    // Between a context that fits and one that does not (or that the device refuses).
    let (mut best, mut fits, mut over) = (first, smallest, longest.max(smallest) + 1);
    while over - fits > 1 {
        let middle = fits + (over - fits) / 2;
        match at(middle) {
            Ok(plan) if plan.bytes.peak <= limit => (best, fits) = (plan, middle),
            Ok(_) | Err(Error::MissingCapability { .. }) => over = middle,
            Err(error) => return Err(error),
        }
    }
    Ok((fits, best))
}

/// The way of a picture into the model.
fn picture_plan(spec: &Spec, preprocess: Option<&Preprocess>, (width, height): (u32, u32)) -> Result<PicturePlan> {
    let side = spec.vision.as_ref().map_or(0, |tower| tower.image_size as u32);
    match preprocess {
        Some(preprocess) => preprocess.plan(width, height, Policy::Auto, None),
        None => {
            let any = Preprocess::read(None, None, Some("ViTImageProcessor"))?;
            any.plan(width, height, Policy::None, Some((side, side)))
        }
    }
}

/// Rows that all pictures of a prompt take in it; for a model without a decoder, rows of the tower.
///
/// Errors: a picture size that cannot be preprocessed.
pub fn planned_image_tokens(spec: &Spec, preprocess: Option<&Preprocess>, request: &PlanRequest) -> Result<usize> {
    let Some(tower) = &spec.vision else { return Ok(0) };
    let dropped = match &spec.connector {
        Some(connector) if connector.select.drop_prefix => tower.prefix.len(),
        _ => 0,
    };
    let mut rows = 0;
    for size in &request.pictures {
        let (width, height) = picture_plan(spec, preprocess, *size)?.output();
        rows += tower.tokens((height as usize, width as usize)) - dropped;
    }
    Ok(rows)
}

/// A session's steps, walked through.
struct Walk<'w> {
    spec: &'w Spec,
    caps: &'w Caps,
    request: &'w PlanRequest,
    memory: Tally<'w>,
    stages: Vec<(String, Cost)>,
    decode_token: Cost,
    image_rows: usize,
    programs: Vec<PlannedProgram>,
}

impl<'w> Walk<'w> {
    fn new(spec: &'w Spec, caps: &'w Caps, request: &'w PlanRequest, weights: u64) -> Self {
        let memory =
            Tally { caps, weights, states: BTreeMap::new(), pool: Vec::new(), own: 0, passing: 0, peak: weights };
        let (stages, programs) = (Vec::new(), Vec::new());
        Self { spec, caps, request, memory, stages, decode_token: Cost::default(), image_rows: 0, programs }
    }

    fn rewrites(&self) -> FuseOptions {
        if self.request.fuse { FuseOptions::default() } else { FuseOptions::none() }
    }

    /// Replaces a plan's costs by those of the same program over caches that hold what they will hold when it runs:
    /// types alone know only how much a cache could hold.
    fn tighten(&self, plan: &mut Plan, tight: Graph) {
        let tight = fuse(tight, &self.rewrites());
        let mut last = usize::MAX;
        for step in &mut plan.steps {
            if let Some(node) = tight.nodes.get(step.node).filter(|_| step.node != last) {
                let (inputs, outputs) = tight.io(node);
                step.cost = node.kernel.cost(&Io { inputs: &inputs, outputs: &outputs });
            }
            last = step.node;
        }
    }

    /// A program's buffers, as `Programs::prepare` makes them. It stays.
    fn program(&mut self, name: &'static str, graph: Graph, tight: Option<Graph>, runs: usize) -> Result<&Plan> {
        let mut plan = Plan::new(fuse(graph, &self.rewrites()), self.caps)?;
        for (name, ty) in plan.graph.states() {
            self.memory.ensure(name, ty);
        }
        self.memory.grow(&plan.slots);
        self.memory.own += plan.own_bytes(self.caps);
        self.memory.note(0);
        if let Some(tight) = tight {
            self.tighten(&mut plan, tight);
        }
        self.programs.push(PlannedProgram { name, plan, runs });
        Ok(&self.programs[self.programs.len() - 1].plan)
    }

    fn stage(&mut self, name: &str, cost: Cost) {
        match self.stages.iter_mut().find(|(n, _)| n == name) {
            Some((_, all)) => *all = sum(*all, cost),
            None => self.stages.push((name.to_owned(), cost)),
        }
    }

    /// Preprocessing and encoding.
    fn pictures(&mut self, preprocess: Option<&Preprocess>) -> Result<()> {
        let count = self.request.pictures.len();
        if count == 0 {
            return Ok(());
        }
        let mut size = (0, 0);
        for (i, picture) in self.request.pictures.iter().enumerate() {
            let plan = picture_plan(self.spec, preprocess, *picture)?;
            let (width, height) = plan.output();
            if i > 0 && (height as usize, width as usize) != size {
                return Err(Error::argument("pictures", "of one batch must have one size after preprocessing"));
            }
            size = (height as usize, width as usize);
            self.memory.ensure(names::PIXELS, &TensorType::f32(&[count, 3, size.0, size.1]));
            self.preprocess(&plan, size, i == 0)?;
        }
        self.image_rows = planned_image_tokens(self.spec, preprocess, self.request)?;
        self.encode(count, size)
    }

    /// One picture: its buffers and program are let go at the end.
    fn preprocess(&mut self, plan: &PicturePlan, size: (usize, usize), listed: bool) -> Result<()> {
        let ty = TensorType::u32(&[plan.source.1 as usize, plan.source.0 as usize]);
        let planes = TensorType::f32(&[3, size.0, size.1]);
        let chunked = chunks(&ty, self.caps).len() > 1;
        let graph = Plan::new(picture_graph(plan, ty.clone(), false, chunked)?, self.caps)?;
        self.memory.ensure(PICTURE, &ty);
        self.memory.ensure(PLANES, &planes);
        self.memory.grow(&graph.slots);
        self.memory.passing(graph.own_bytes(self.caps));
        self.memory.release(PICTURE);
        self.memory.release(PLANES);
        self.stage("preprocess", graph.cost());
        if listed {
            self.programs.push(PlannedProgram { name: "picture", plan: graph, runs: self.request.pictures.len() });
        }
        Ok(())
    }

    fn encode(&mut self, count: usize, size: (usize, usize)) -> Result<()> {
        let (spec, compute) = (self.spec, self.request.compute);
        let group = group_size(spec, self.caps, size).clamp(1, count);
        let runs = count.div_ceil(group);
        if runs > 1 {
            // The next group's planes are made while those of the last are still bound.
            let part = TensorType::f32(&[2 * group, 3, size.0, size.1]);
            self.memory.ensure("pixels of a group", &part);
        }
        let plan = self.program("encode", encode_graph(spec, group, size, false, compute)?, None, runs)?;
        let stages = crate::graph::stage_costs(plan);
        for stage in stages {
            // A last group that is smaller costs less: work is by picture.
            let share = |n: u64| (u128::from(n) * count as u128 / group as u128) as u64;
            self.stage(&stage.stage, Cost { flops: share(stage.cost.flops), bytes: share(stage.cost.bytes) });
        }
        if let (Some(_), Some(decoder)) = (&spec.connector, &spec.decoder) {
            self.memory.ensure(names::FEATURES, &TensorType::new(compute, &[self.image_rows, decoder.width]));
        }
        self.memory.release("pixels of a group");
        if runs > 1 && spec.connector.is_none() {
            let name = result_name(spec);
            let one = self.programs.last().and_then(|p| p.plan.graph.states().find(|(state, _)| *state == name));
            let cols = one.map_or(0, |(_, ty)| ty.cols());
            self.memory.ensure("results of all groups", &TensorType::new(compute, &[count, cols]));
        }
        Ok(())
    }

    /// Texts and scores of a model of the CLIP kind.
    fn texts(&mut self) -> Result<()> {
        let (spec, request) = (self.spec, self.request);
        let lens = vec![request.prompt_tokens.max(1); request.batch.max(1)];
        let limit = spec.text.as_ref().map_or(0, |tower| tower.max_positions);
        if lens[0] > limit {
            return Err(Error::PromptTooLong { tokens: lens[0], context: limit });
        }
        let cost = self.program("text", text_graph(spec, &lens, request.compute)?, None, 1)?.cost();
        self.stage("text", cost);
        if !request.pictures.is_empty() {
            let graph = score_graph(spec, request.pictures.len(), lens.len(), request.compute)?;
            let cost = self.program("score", graph, None, 1)?.cost();
            self.stage("score", cost);
        }
        Ok(())
    }

    /// Prefill, decode, and what comes back of them.
    fn generate(&mut self) -> Result<()> {
        let (spec, request) = (self.spec, self.request);
        let tokens = self.image_rows + request.prompt_tokens;
        if tokens == 0 || tokens > request.context {
            return Err(Error::PromptTooLong { tokens, context: request.context });
        }
        let cache = (request.batch.max(1), request.context);
        // Sequences of a batch share the pictures' rows evenly only in number; the first one takes them here.
        let mut lens = vec![request.prompt_tokens.max(1); cache.0];
        lens[0] = tokens;
        let prefill = |shape: &PrefillShape| prefill_graph(spec, shape, request.compute, request.kv);
        let fit = spec.decoder.as_ref().map_or(usize::MAX, |d| prompt_rows(d, self.caps, request.compute, false));
        for ranges in prompt_parts(&lens, fit) {
            let lens = ranges.iter().map(ExactSizeIterator::len).collect();
            let (max_new, all_logits) = (request.max_new, false);
            let shape = PrefillShape { lens, feature_rows: self.image_rows, cache, max_new, all_logits };
            let tight = prefill(&PrefillShape { cache: (cache.0, tokens), ..shape.clone() })?;
            let cost = self.program("prefill", prefill(&shape)?, Some(tight), 1)?.cost();
            self.stage("llm", cost);
        }
        self.memory.passing(4 * cache.0 as u64);
        let heads = spec.decoder.as_ref().and_then(|d| d.layers.first()).map_or(1, |l| l.attention.heads);
        let splits = AttentionDecode::splits_for(cache.0, heads, cache.1);
        let decode = |cache| {
            let shape = DecodeShape { cache, max_new: request.max_new, splits };
            decode_graph(spec, &shape, request.compute, request.kv)
        };
        // Four readback buffers for tokens in flight.
        self.memory.own += 4 * 8 * cache.0 as u64;
        let tight = decode((cache.0, tokens + 1))?;
        self.decode_token = self.program("decode", decode(cache)?, Some(tight), request.max_new)?.cost();
        Ok(())
    }
}

/// Live bytes, as the ledger of a device would count them.
struct Tally<'t> {
    caps: &'t Caps,
    weights: u64,
    states: BTreeMap<String, u64>,
    pool: Vec<u64>,
    own: u64,
    /// Most bytes of buffers that are live for one operation only.
    passing: u64,
    peak: u64,
}

impl Tally<'_> {
    fn live(&self) -> u64 {
        self.weights + self.states.values().sum::<u64>() + self.pool.iter().sum::<u64>() + self.own
    }
    fn note(&mut self, more: u64) {
        self.peak = self.peak.max(self.live() + more);
    }
    fn passing(&mut self, bytes: u64) {
        self.passing = self.passing.max(bytes);
        self.note(bytes);
    }
    /// As `Store::ensure`: a larger buffer is made before the smaller one is let go.
    fn ensure(&mut self, name: &str, ty: &TensorType) {
        if self.states.get(name).is_some_and(|bytes| *bytes >= ty.bytes()) {
            return;
        }
        let bytes = stored_bytes(ty, self.caps);
        self.note(bytes);
        self.states.insert(name.to_owned(), bytes);
    }
    /// Lets a buffer go; its bytes count as those of an operation.
    fn release(&mut self, name: &str) {
        if let Some(bytes) = self.states.remove(name) {
            self.passing = self.passing.max(bytes);
        }
    }
    /// As `Pool::grow`.
    fn grow(&mut self, slots: &[u64]) {
        for (i, bytes) in slots.iter().enumerate() {
            if self.pool.get(i).is_some_and(|have| have >= bytes) {
                continue;
            }
            self.note(*bytes);
            if i < self.pool.len() { self.pool[i] = *bytes } else { self.pool.push(*bytes) }
        }
    }
    fn bytes(&self, layers: usize) -> PlannedBytes {
        let kv = (0..layers).flat_map(cache_names).filter_map(|name| self.states.get(&name)).sum();
        let states = self.states.values().sum::<u64>() - kv;
        let slots = self.pool.iter().sum();
        PlannedBytes { weights: self.weights, slots, kv, staging: states + self.own + self.passing, peak: self.peak }
    }
}
