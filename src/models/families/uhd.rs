//! Resamplers of LLaVA-UHD (Guo et al. 2024): a square of learned queries for every slice, in place of LLaVA's projector.

use super::resampler::Stored;
use crate::Result;
use crate::blocks::{Reach, Resampler};
use crate::checkpoint::schemes::VISION_LANGUAGE;
use crate::checkpoint::{Config, Rule, Scheme, rule};
use crate::models::Dtypes;

const PROJECTOR: &str = "multi_modal_projector";

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
    let stored = Stored {
        at: PROJECTOR,
        post: &format!("{PROJECTOR}.ln_post"),
        proj: &format!("{PROJECTOR}.proj"),
        queries: ("mm_resampler_queries", queries),
        features,
        width: ("hidden_size", width),
    };
    Ok(Some(Resampler { reach, ..stored.read(config, dtypes)? }))
}
