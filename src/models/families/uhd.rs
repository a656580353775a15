//! Resamplers of LLaVA-UHD (Guo et al. 2024): a square of learned queries for every slice, in place of LLaVA's projector.

use crate::Result;
use crate::blocks::{CrossAttention, KeyPositions, Linear, Norm, Part, Reach, Resampler};
use crate::checkpoint::schemes::VISION_LANGUAGE;
use crate::checkpoint::{Config, Rule, Scheme, rule};
use crate::models::Dtypes;

const PROJECTOR: &str = "multi_modal_projector";
/// Added to the variance by all norms.
const EPS: f32 = 1e-6;
/// Width of a head.
const HEAD: usize = 128;

const NAMES: &[Rule] = &[rule("model.mm_projector.", "multi_modal_projector.")];
/// Tensor names of checkpoints with a resampler.
pub(super) const SCHEME: &Scheme = &[NAMES, VISION_LANGUAGE[0], VISION_LANGUAGE[1]];

/// The resampler that `mm_projector_type` names, `None` for another kind of projector: `adapt_spatial_resampler_v1` and
/// `uhd_v1_query64` of the released code, whose 144 or 64 queries see a region of the slice each, and `resampler`, the
/// paper's, whose `mm_resampler_queries` (64) queries see all of it.
pub(super) fn resampler(
    config: &Config,
    features: usize,
    width: usize,
    dtypes: &dyn Dtypes,
) -> Result<Option<Resampler>> {
    let (queries, reach) = match config.string("mm_projector_type", "linear")?.as_str() {
        "adapt_spatial_resampler_v1" => (144, Reach::Region),
        "uhd_v1_query64" => (64, Reach::Region),
        "resampler" => (config.usize("mm_resampler_queries", 64)?, Reach::Whole),
        _ => return Ok(None),
    };
    let side = (1..=64).find(|side| side * side == queries);
    let side =
        side.ok_or_else(|| config.broken("mm_resampler_queries", format!("{queries} is no square up to 4096")))?;
    if width < HEAD || !width.is_multiple_of(HEAD) {
        return Err(config.broken("hidden_size", format!("{width} is not made of heads of {HEAD}")));
    }
    let norm = |name: &str| Norm::Layer { name: format!("{PROJECTOR}.{name}"), eps: EPS };
    let of = |name: &str| dtypes.of(&format!("{PROJECTOR}.{name}"));
    let kv_proj = Linear::new(&format!("{PROJECTOR}.kv_proj"), width, features, false, of("kv_proj.weight"));
    let proj = format!("{PROJECTOR}.proj");
    let weight = Part::Transposed(&proj).to_string();
    Ok(Some(Resampler {
        query: format!("{PROJECTOR}.query"),
        positions: Some(format!("{PROJECTOR}.pos_embed")),
        side,
        kv_proj: (features != width).then_some(kv_proj),
        norm_q: norm("ln_q"),
        norm_kv: norm("ln_kv"),
        attention: CrossAttention::torch(&format!("{PROJECTOR}.attn"), width, width / HEAD, of("attn.in_proj_weight")),
        post: Some(norm("ln_post")),
        proj: Some(Linear { weight, bias: None, n: width, k: width, dtype: of("proj"), stack: Vec::new() }),
        key_positions: KeyPositions::Interpolated,
        reach,
        residual: false,
    }))
}
