//! The resampler of Qwen-VL (Bai et al. 2023), which LLaVA-UHD and MiniCPM-V took over under the same names.

use crate::Result;
use crate::blocks::{CrossAttention, KeyPositions, Linear, Norm, Part, Reach, Resampler};
use crate::checkpoint::Config;
use crate::models::Dtypes;

/// Added to the variance by its norms.
const EPS: f32 = 1e-6;
/// Width of a head.
const HEAD: usize = 128;

/// Where a resampler lies in a checkpoint, and its shape.
pub(super) struct Stored<'n> {
    /// Before `query`, `pos_embed`, `kv_proj`, `ln_q`, `ln_kv` and `attn`.
    pub at: &'n str,
    /// The norm behind the attention.
    pub post: &'n str,
    /// The matrix behind that, stored `[k, n]`.
    pub proj: &'n str,
    /// Queries, and the key of the configuration that says so.
    pub queries: (&'n str, usize),
    /// Width of a feature.
    pub features: usize,
    /// Width of a query, and the key of the configuration that says so.
    pub width: (&'n str, usize),
}

impl Stored<'_> {
    /// Queries with positions, interpolated for keys, that see all of a map of features.
    ///
    /// # Errors
    /// Where queries form no square up to 64 x 64 or heads do not fill the width.
    pub fn read(&self, config: &Config, dtypes: &dyn Dtypes) -> Result<Resampler> {
        let (side, (key, width)) = (square(config, self.queries)?, self.width);
        if width < HEAD || !width.is_multiple_of(HEAD) {
            return Err(config.broken(key, format!("{width} is not made of heads of {HEAD}")));
        }
        let at = |name: &str| format!("{}.{name}", self.at);
        let norm = |name: String| Norm::Layer { name, eps: EPS };
        let kv_proj = Linear::new(&at("kv_proj"), width, self.features, false, dtypes.of(&at("kv_proj.weight")));
        let weight = Part::Transposed(self.proj).to_string();
        Ok(Resampler {
            query: at("query"),
            positions: Some(at("pos_embed")),
            side,
            kv_proj: (self.features != width).then_some(kv_proj),
            norm_q: norm(at("ln_q")),
            norm_kv: norm(at("ln_kv")),
            attention: CrossAttention::torch(&at("attn"), width, width / HEAD, dtypes.of(&at("attn.in_proj_weight"))),
            post: Some(norm(self.post.to_owned())),
            proj: Some(Linear {
                weight,
                bias: None,
                n: width,
                k: width,
                dtype: dtypes.of(self.proj),
                stack: Vec::new(),
            }),
            key_positions: KeyPositions::Interpolated,
            reach: Reach::Whole,
            residual: false,
        })
    }
}

/// The side of the square that a number of queries forms.
pub(super) fn square(config: &Config, (key, queries): (&str, usize)) -> Result<usize> {
    let side = (1..=64).find(|side| side * side == queries);
    side.ok_or_else(|| config.broken(key, format!("{queries} is no square up to 4096")))
}
