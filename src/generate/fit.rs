//! Choosing what a model's weights, keys and values are kept in, and the context, so that a request fits a number of bytes.

use super::plan::{MemoryPlan, PlanRequest, largest_context, plan_memory};
use super::{ModelFiles, planned_spec};
use crate::checkpoint::Files;
use crate::models::Spec;
use crate::quant::{Block, CacheFormat, Encoding};
use crate::{Caps, DType, Error, Result};

/// What is fixed and what may be chosen.
#[derive(Debug, Clone, Default)]
pub struct FitWish {
    /// The format of weights that was asked for; `None` leaves it open.
    pub weights: Option<Encoding>,
    /// The format of keys and values that was asked for; `None` leaves it open.
    pub kv: Option<CacheFormat>,
    /// Tokens of the context that have to fit; with `None` the largest context of the first formats that hold that of
    /// the request.
    pub context: Option<usize>,
}

/// What was chosen.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// What matrices are turned into; `None`: they stay as they are stored.
    pub weights: Option<Encoding>,
    /// What keys and values are kept in.
    pub kv: CacheFormat,
    /// Tokens of the context.
    pub context: usize,
    /// The plan.
    pub plan: MemoryPlan,
    /// The spec that was planned.
    pub spec: Spec,
    /// Why, for a person: a line for each choice that was passed over or taken.
    pub why: Vec<String>,
}

/// Formats of weights, by rising loss (docs/BENCHMARKS.md has what each is off by).
const WEIGHTS: [Option<Encoding>; 7] = [
    None,
    Some(Encoding::Float(DType::F16)),
    Some(Encoding::Block(Block::Q8_0)),
    Some(Encoding::Block(Block::Q6K)),
    Some(Encoding::Block(Block::Q5_1)),
    Some(Encoding::Block(Block::Q4K)),
    Some(Encoding::Block(Block::Q4_0)),
];

/// Formats of weights by rising loss, and of caches down to q8_0, whose loss is below that of the next weights.
fn choices(wish: &FitWish, compute: DType) -> (Vec<Option<Encoding>>, Vec<CacheFormat>) {
    let weights = if wish.weights.is_some() { vec![wish.weights] } else { WEIGHTS.to_vec() };
    let gentle = |kv: &CacheFormat| kv.words() <= CacheFormat::of(compute).words() && *kv != CacheFormat::Q4_0;
    let caches = match wish.kv {
        Some(kv) => vec![kv],
        None => CacheFormat::ALL.into_iter().filter(gentle).collect(),
    };
    (weights, caches)
}

fn named(request: &PlanRequest) -> String {
    let weights = request.encoding.map_or("as stored", Encoding::name);
    format!("weights {weights}, cache {}, context {}", request.cache_type().format, request.context)
}

/// A request that was planned and does not fit.
struct Tried {
    read: ModelFiles,
    spec: Spec,
    asked: PlanRequest,
    /// Why not.
    error: Error,
    weights: u64,
}

/// The plan of a request, or why it does not fit: it takes more than `limit` bytes, or more than the device binds.
fn attempt(
    (read, spec): (&ModelFiles, &Spec),
    caps: &Caps,
    asked: &PlanRequest,
    limit: u64,
) -> Result<std::result::Result<MemoryPlan, (Error, u64)>> {
    match plan_memory(spec, read.processor.as_ref(), caps, asked) {
        Ok(plan) if plan.bytes.peak <= limit => Ok(Ok(plan)),
        Ok(plan) => {
            let (what, bytes) = ("the plan".to_owned(), plan.bytes.peak);
            let error = Error::OutOfMemory { what, bytes, live: 0, limit: Some(limit) };
            Ok(Err((error, plan.bytes.weights)))
        }
        Err(error @ Error::MissingCapability { .. }) => Ok(Err((error, u64::MAX))),
        Err(error) => Err(error),
    }
}

/// Formats and context for `limit` bytes of GPU buffers, in a fixed order of preference: the formats that lose least
/// and hold the context that is wanted (that of the request, no longer than the model's), with the longest context that
/// then fits; where none hold it, the smallest formats with the longest context that fits. A cache of q4_0 comes after all
/// formats of weights; weights that would take no less than those before them are left out.
///
/// # Errors
/// [`Error::OutOfMemory`] with what the smallest formats need, if they do not fit; those of [`planned_spec`] and
/// [`plan_memory`].
pub async fn fit_memory(
    files: &dyn Files,
    caps: &Caps,
    request: &PlanRequest,
    wish: &FitWish,
    limit: u64,
) -> Result<(ModelFiles, Fitted)> {
    let mut why = Vec::new();
    let mut last: Option<Tried> = None;
    let (formats, caches) = choices(wish, request.compute);
    for weights in formats {
        let (read, spec) = planned_spec(files, weights).await?;
        let longest = spec.decoder.as_ref().map_or(1, |d| d.max_positions).max(1);
        let context = wish.context.unwrap_or(request.context.min(longest));
        for (i, kv) in caches.iter().enumerate() {
            let asked = PlanRequest { encoding: weights, kv: Some(*kv), context, ..request.clone() };
            match attempt((&read, &spec), caps, &asked, limit)? {
                Ok(plan) => return longest_fit((read, spec), caps, (asked, Some(plan)), wish, limit, why),
                Err((_, bytes)) if i == 0 && last.as_ref().is_some_and(|l| bytes >= l.weights) => break,
                Err((error, weights)) => {
                    why.push(format!("{}: {error}", named(&asked)));
                    last = Some(Tried { read: read.clone(), spec: spec.clone(), asked, error, weights });
                }
            }
        }
    }
    let Some(mut last) = last else { return Err(Error::argument("formats", "none to choose from")) };
    if wish.kv.is_none() {
        last.asked.kv = Some(CacheFormat::Q4_0);
        match attempt((&last.read, &last.spec), caps, &last.asked, limit)? {
            Ok(plan) => return longest_fit((last.read, last.spec), caps, (last.asked, Some(plan)), wish, limit, why),
            Err((error, _)) => last.error = error,
        }
        why.push(format!("{}: {}", named(&last.asked), last.error));
    }
    if wish.context.is_some() {
        return Err(last.error);
    }
    longest_fit((last.read, last.spec), caps, (last.asked, None), wish, limit, why)
}

/// The formats of a request with the longest context that fits, or with the one that was asked for and is planned.
fn longest_fit(
    (read, spec): (ModelFiles, Spec),
    caps: &Caps,
    (mut asked, plan): (PlanRequest, Option<MemoryPlan>),
    wish: &FitWish,
    limit: u64,
    mut why: Vec<String>,
) -> Result<(ModelFiles, Fitted)> {
    let (context, plan) = match plan {
        Some(plan) if wish.context.is_some() || spec.decoder.is_none() => (asked.context, plan),
        _ => largest_context(&spec, read.processor.as_ref(), caps, &asked, limit)?,
    };
    asked.context = context;
    why.push(format!("{}: {} bytes, taken", named(&asked), plan.bytes.peak));
    let (weights, kv) = (asked.encoding, asked.cache_type().format);
    Ok((read, Fitted { weights, kv, context, plan, spec, why }))
}
