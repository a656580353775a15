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

/// Formats of weights, by rising loss.
const WEIGHTS: [Option<Encoding>; 5] = [
    None,
    Some(Encoding::Float(DType::F16)),
    Some(Encoding::Block(Block::Q8_0)),
    Some(Encoding::Block(Block::Q5_1)),
    Some(Encoding::Block(Block::Q4_0)),
];

/// Formats by rising loss: weights, and with each of them caches down to q8_0, whose loss is below that of the next
/// weights; q4_0 for keys and values comes last of all.
fn choices(wish: &FitWish, compute: DType) -> Vec<(Option<Encoding>, Vec<CacheFormat>)> {
    let weights = if wish.weights.is_some() { vec![wish.weights] } else { WEIGHTS.to_vec() };
    let gentle = |kv: &CacheFormat| kv.words() <= CacheFormat::of(compute).words() && *kv != CacheFormat::Q4_0;
    let caches: Vec<CacheFormat> = match wish.kv {
        Some(kv) => vec![kv],
        None => CacheFormat::ALL.into_iter().filter(gentle).collect(),
    };
    let mut all: Vec<_> = weights.into_iter().map(|weights| (weights, caches.clone())).collect();
    if let (None, Some((_, last))) = (wish.kv, all.last_mut()) {
        last.push(CacheFormat::Q4_0);
    }
    all
}

fn named(request: &PlanRequest) -> String {
    let weights = request.encoding.map_or("as stored", Encoding::name);
    format!("weights {weights}, cache {}, context {}", request.cache_type().format, request.context)
}

/// Formats and context for `limit` bytes of GPU buffers, in a fixed order of preference: the formats that lose least
/// and hold the context that is wanted (that of the request, no longer than the model's), with the longest context that
/// then fits; where none hold it, the smallest formats with the longest context that fits.
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
    let mut last = None;
    for (weights, caches) in choices(wish, request.compute) {
        let (read, spec) = planned_spec(files, weights).await?;
        let longest = spec.decoder.as_ref().map_or(1, |d| d.max_positions).max(1);
        let context = wish.context.unwrap_or(request.context.min(longest));
        for kv in caches {
            let asked = PlanRequest { encoding: weights, kv: Some(kv), context, ..request.clone() };
            let plan = match plan_memory(&spec, read.processor.as_ref(), caps, &asked) {
                Ok(plan) => plan,
                // A tensor over what the device binds: a smaller format may fit.
                Err(error @ Error::MissingCapability { .. }) => {
                    why.push(format!("{}: {error}", named(&asked)));
                    last = Some((asked, Err(error)));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let peak = plan.bytes.peak;
            if peak <= limit {
                why.push(format!("{}: {peak} bytes, taken", named(&asked)));
                return longest_fit((read, spec), caps, (asked, Some(plan)), wish, limit, why);
            }
            why.push(format!("{}: {peak} bytes, too many", named(&asked)));
            last = Some((asked, Ok(peak)));
        }
    }
    match last {
        // The smallest formats, with a context that fits.
        Some((asked, _)) if wish.context.is_none() => {
            let planned = planned_spec(files, asked.encoding).await?;
            longest_fit(planned, caps, (asked, None), wish, limit, why)
        }
        Some((asked, Ok(bytes))) => Err(Error::OutOfMemory { what: named(&asked), bytes, live: 0, limit: Some(limit) }),
        Some((_, Err(error))) => Err(error),
        None => Err(Error::argument("formats", "none to choose from")),
    }
}

/// The formats of a request with the longest context that fits, or with the one that was asked for and is planned.
fn longest_fit(
    (read, spec): (ModelFiles, Spec),
    caps: &Caps,
    (asked, plan): (PlanRequest, Option<MemoryPlan>),
    wish: &FitWish,
    limit: u64,
    mut why: Vec<String>,
) -> Result<(ModelFiles, Fitted)> {
    let (context, plan) = match plan {
        Some(plan) if wish.context.is_some() || spec.decoder.is_none() => (asked.context, plan),
        _ => largest_context(&spec, read.processor.as_ref(), caps, &asked, limit)?,
    };
    if context != asked.context {
        why.push(format!("context {context}: {} bytes, the longest that fits", plan.bytes.peak));
    }
    let (weights, kv) = (asked.encoding, asked.cache_type().format);
    Ok((read, Fitted { weights, kv, context, plan, spec, why }))
}
