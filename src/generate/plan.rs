//! Planning a request before anything is allocated: memory, work and steps of the programs that a [`Session`] would
//! run, as a pure function of the model's [`Spec`] and the device's [`Caps`].
//!
//! It builds the very graphs and plans of a session and walks through its allocations in their order, so that the
//! peak is that of the ledger. What the driver adds (alignment, pipelines) and wgpu's own staging of uploads (at
//! most some 64 MB while weights are loaded) are not the engine's buffers and are not in it.
//!
//! [`Session`]: super::Session

mod tally;

use super::encoding::result_name;
use super::model::weight_list;
use super::parts::{groups, prompt_parts, prompt_rows};
use super::pictures::{PICTURE, PLANES, host_type, picture_graph, planes_type};
use super::quantizer::quantizing_bytes;
use crate::blocks::{CacheType, Part};
use crate::graph::{FuseOptions, Graph, Plan, fuse, stored_bytes};
use crate::image::Policy;
use crate::image::tiles::{Input, Processor, TilePlan, Wish};
use crate::kernels::{AttentionDecode, Cost, Io, Layout, TensorType, chunks};
use crate::models::{
    Assembly, DecodeShape, PrefillShape, Spec, TowerInputs, cross_graph, decode_graph, encode_graph, features_graph,
    names, pixels_type, prefill_graph, score_graph, text_graph,
};
use crate::quant::{CacheFormat, Encoding};
use crate::{Caps, DType, Error, Result};
use tally::Tally;

/// What is to be planned.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// Width and height of the pictures of one prompt, as they are decoded.
    pub pictures: Vec<(u32, u32)>,
    /// How they are cut; `auto` as the checkpoint says.
    pub policy: Policy,
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
    /// What keys and values are kept in; `None`: as the activations are.
    pub kv: Option<CacheFormat>,
    /// Rewrites of the graphs.
    pub fuse: bool,
    /// What matrices are turned into when they are loaded.
    pub encoding: Option<Encoding>,
}

impl Default for PlanRequest {
    fn default() -> Self {
        Self {
            pictures: Vec::new(),
            policy: Policy::Auto,
            prompt_tokens: 32,
            batch: 1,
            context: 2048,
            max_new: 256,
            compute: DType::F32,
            kv: None,
            fuse: true,
            encoding: None,
        }
    }
}

impl PlanRequest {
    /// What keys and values are kept in.
    pub fn cache_type(&self) -> CacheType {
        let own = CacheType::of(self.compute);
        CacheType { format: self.kv.unwrap_or(own.format), ..own }
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
    /// `picture`, `encode`, `features`, `text`, `score`, `prefill` or `decode`.
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
    /// Matrices that the format of [`PlanRequest::encoding`] cannot hold; they stay floats.
    pub unpacked: usize,
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

/// Plans a request. Without `processor` a picture is resized to the square that the tower was trained on.
///
/// Errors: [`Error::PromptTooLong`] where prompt and pictures do not fit the context, [`Error::MissingCapability`]
/// where an activation exceeds the device's limits, those of building the graphs.
pub fn plan_memory(
    spec: &Spec,
    processor: Option<&Processor>,
    caps: &Caps,
    request: &PlanRequest,
) -> Result<MemoryPlan> {
    let weights = weight_list(spec, request.compute)?;
    let mut walk = Walk::new(spec, caps, request, weights.iter().map(|(_, ty)| stored_bytes(ty, caps)).sum());
    walk.memory.passing(request.encoding.map_or(0, |to| quantizing_bytes(to, &weights)));
    walk.pictures(processor)?;
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
        unpacked: match request.encoding.and_then(Encoding::packing) {
            Some(_) => weights.iter().filter(|(_, ty)| ty.layout == Layout::Panels).count(),
            None => 0,
        },
    })
}

/// Elements of a stacked weight that no checkpoint holds.
fn zeros(name: &str) -> u64 {
    let count = |part: &Part<'_>| if let Part::Zeros(count) = part { *count as u64 } else { 0 };
    Part::parse(name).unwrap_or_default().iter().map(count).sum()
}

/// The largest context whose peak is at most `limit` bytes, with its plan.
///
/// Errors: [`Error::OutOfMemory`] with what the smallest context needs, if that does not fit; those of
/// [`plan_memory`].
pub fn largest_context(
    spec: &Spec,
    processor: Option<&Processor>,
    caps: &Caps,
    request: &PlanRequest,
    limit: u64,
) -> Result<(usize, MemoryPlan)> {
    let at = |context| plan_memory(spec, processor, caps, &PlanRequest { context, ..request.clone() });
    let longest = spec.decoder.as_ref().map_or(1, |d| d.max_positions).max(1);
    let prompt = planned_image_tokens(spec, processor, request)? + request.prompt_tokens;
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

/// The ways of the pictures into the model.
fn picture_plans(
    spec: &Spec,
    processor: Option<&Processor>,
    request: &PlanRequest,
) -> Result<Vec<(TilePlan, Vec<Input>)>> {
    let Some(tower) = &spec.vision else { return Ok(Vec::new()) };
    let own = match processor {
        Some(processor) => processor.clone(),
        None => Processor::squeezed(tower.image_size as u32, tower.patch.patch as u32)?,
    };
    let wish = Wish { policy: request.policy, ..Wish::default() };
    request.pictures.iter().map(|(width, height)| own.plan(*width, *height, &wish)).collect()
}

fn planned_inputs(plans: &[(TilePlan, Vec<Input>)]) -> TowerInputs {
    TowerInputs::of(plans.iter().map(|(plan, inputs)| (plan, inputs.as_slice())))
}

/// Tokens that all pictures of a prompt take in it; for a model without a decoder, rows of the tower.
///
/// Errors: a picture size that cannot be preprocessed.
pub fn planned_image_tokens(spec: &Spec, processor: Option<&Processor>, request: &PlanRequest) -> Result<usize> {
    let plans = picture_plans(spec, processor, request)?;
    if spec.decoder.as_ref().is_some_and(|d| d.cross.is_some()) {
        return Ok(plans.len());
    }
    if spec.connector.is_some() {
        return Ok(plans.iter().map(|(plan, _)| plan.tokens.total as usize).sum());
    }
    let tokens = |size: &(usize, usize)| spec.vision.as_ref().map_or(0, |tower| tower.tokens(*size));
    Ok(planned_inputs(&plans).sizes.iter().map(tokens).sum())
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
        let memory = Tally::new(caps, weights);
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
    fn pictures(&mut self, processor: Option<&Processor>) -> Result<()> {
        let plans = picture_plans(self.spec, processor, self.request)?;
        if plans.is_empty() {
            return Ok(());
        }
        let inputs = planned_inputs(&plans);
        self.memory.ensure(names::PIXELS, &TensorType::new(self.request.compute, &[inputs.values(3)]));
        for (i, (plan, inputs)) in plans.iter().enumerate() {
            self.preprocess(plan, inputs, i == 0)?;
        }
        self.image_rows = planned_image_tokens(self.spec, processor, self.request)?;
        self.encode(&inputs)
    }

    /// One picture: its buffers and programs are let go at the end.
    fn preprocess(&mut self, plan: &TilePlan, inputs: &[Input], listed: bool) -> Result<()> {
        let ty = host_type(plan.size);
        let chunked = chunks(&ty, self.caps).len() > 1;
        self.memory.ensure(PICTURE, &ty);
        let largest = inputs.iter().map(|input| planes_type(input, self.request.compute)).max_by_key(TensorType::bytes);
        if let Some(largest) = largest {
            self.memory.ensure(PLANES, &largest);
        }
        let mut own = 0;
        for (i, input) in inputs.iter().enumerate() {
            let graph = picture_graph(input, ty.clone(), (false, chunked), (self.request.compute, self.caps.software))?;
            let graph = Plan::new(graph, self.caps)?;
            self.memory.grow(&graph.slots);
            own += graph.own_bytes(self.caps);
            self.memory.passing(own);
            self.stage("preprocess", graph.cost());
            if listed && i == 0 {
                self.programs.push(PlannedProgram { name: "picture", plan: graph, runs: inputs.len() });
            }
        }
        self.memory.release(PICTURE);
        self.memory.release(PLANES);
        Ok(())
    }

    fn encode(&mut self, inputs: &TowerInputs) -> Result<()> {
        let (spec, compute) = (self.spec, self.request.compute);
        let assembly = spec.connector.as_ref().map(|_| Assembly::new(spec, inputs)).transpose()?;
        let width = spec.decoder.as_ref().map_or(0, |d| d.width);
        if let Some(assembly) = &assembly {
            let name = if assembly.is_identity() { names::FEATURES } else { names::ROWS };
            self.memory.ensure(name, &TensorType::new(compute, &[assembly.features(), width]));
        }
        let parts: Vec<_> = groups(spec, self.caps, inputs, compute).into_iter().map(|r| inputs.part(r)).collect();
        if parts.len() > 1 {
            // The next group's planes are made while those of the last are still bound.
            let mut bytes: Vec<usize> = parts.iter().map(|p| pixels_type(&p.sizes, 3, compute).elements()).collect();
            bytes.sort_unstable();
            let two: usize = bytes.iter().rev().take(2).sum();
            self.memory.ensure("pixels of a group", &TensorType::new(compute, &[two]));
        }
        let mut known: Vec<(&TowerInputs, usize)> = Vec::new();
        for part in &parts {
            let index = match known.iter().find(|(other, _)| *other == part) {
                Some((_, index)) => *index,
                None => {
                    let runs = parts.iter().filter(|other| *other == part).count();
                    self.program("encode", encode_graph(spec, part, false, compute)?, None, runs)?;
                    known.push((part, self.programs.len() - 1));
                    self.programs.len() - 1
                }
            };
            for stage in crate::graph::stage_costs(&self.programs[index].plan) {
                self.stage(&stage.stage, stage.cost);
            }
        }
        self.memory.release("pixels of a group");
        match assembly {
            Some(assembly) if !assembly.is_identity() => {
                self.program("features", features_graph(spec, &assembly, compute)?, None, 1)?;
            }
            None if parts.len() > 1 => {
                let name = result_name(spec);
                let one = self.programs.last().and_then(|p| p.plan.graph.states().find(|(state, _)| *state == name));
                let cols = one.map_or(0, |(_, ty)| ty.cols());
                let count = inputs.sizes.len();
                self.memory.ensure("results of all groups", &TensorType::new(compute, &[count, cols]));
            }
            _ => {}
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

    /// Feature rows among the tokens of a prompt, and those beside it that cross-attention layers see, whose keys and
    /// values are made here.
    fn crossed(&mut self, batch: usize) -> Result<(usize, usize)> {
        let (spec, request) = (self.spec, self.request);
        let Some(cross) = spec.decoder.as_ref().and_then(|d| d.cross) else { return Ok((self.image_rows, 0)) };
        let rows = request.pictures.len() * cross.tiles * cross.tile_rows;
        if rows > 0 {
            let graph = cross_graph(spec, rows, (batch, rows), request.cache_type())?;
            let cost = self.program("cross", graph, None, 1)?.cost();
            self.stage("llm", cost);
        }
        Ok((0, rows))
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
        let (feature_rows, cross_rows) = self.crossed(cache.0)?;
        let prefill = |shape: &PrefillShape| prefill_graph(spec, shape, request.cache_type());
        let fit = spec.decoder.as_ref().map_or(usize::MAX, |d| prompt_rows(d, self.caps, request.compute, false));
        for ranges in prompt_parts(&lens, fit) {
            let lens = ranges.iter().map(ExactSizeIterator::len).collect();
            let (max_new, all_logits) = (request.max_new, false);
            let shape = PrefillShape { lens, feature_rows, cache, max_new, all_logits, cross_rows };
            let tight = prefill(&PrefillShape { cache: (cache.0, tokens), ..shape.clone() })?;
            let cost = self.program("prefill", prefill(&shape)?, Some(tight), 1)?.cost();
            self.stage("llm", cost);
        }
        self.memory.passing(4 * cache.0 as u64);
        let heads = spec.decoder.as_ref().and_then(|d| d.layers.first()).map_or(1, |l| l.heads());
        let splits = AttentionDecode::splits_for(cache.0, heads, cache.1);
        let decode = |cache| {
            let shape = DecodeShape { cache, max_new: request.max_new, splits, cross_rows };
            decode_graph(spec, &shape, request.cache_type())
        };
        // Four readback buffers for tokens in flight.
        self.memory.own += 4 * 8 * cache.0 as u64;
        let tight = decode((cache.0, tokens + 1))?;
        self.decode_token = self.program("decode", decode(cache)?, Some(tight), request.max_new)?.cost();
        Ok(())
    }
}
