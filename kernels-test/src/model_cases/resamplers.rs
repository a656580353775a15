//! Resamplers as single modules.

use super::builder::Builder;
use omma::blocks::{CrossAttention, KeyPositions, Linear, Norm, Part, Reach, Resampler};
use omma::{DType, Result};

/// The names that Qwen's resampler has in the codes that took it over.
pub struct Named {
    /// Before every name: `""` or `attn_pool.`.
    pub front: String,
    /// Before `ln_post` and `proj`, which some codes keep outside.
    pub post: String,
    /// Width of the queries.
    pub width: usize,
    /// Heads.
    pub heads: usize,
    /// Width of the features.
    pub features: usize,
    /// Rows and columns of the queries.
    pub side: usize,
    /// Added to the variance by all norms.
    pub eps: f32,
}

impl Named {
    /// Positions by interpolation, queries that see all keys.
    pub fn resampler(&self) -> Resampler {
        let Self { front, post, width, heads, features, side, eps } = self;
        let norm = |front: &str, name: &str| Norm::Layer { name: format!("{front}{name}"), eps: *eps };
        let project =
            (features != width).then(|| Linear::new(&format!("{front}kv_proj"), *width, *features, false, DType::F32));
        let proj = format!("{post}proj");
        let weight = Part::Transposed(&proj).to_string();
        Resampler {
            query: format!("{front}query"),
            positions: Some(format!("{front}pos_embed")),
            side: *side,
            kv_proj: project,
            norm_q: norm(front, "ln_q"),
            norm_kv: norm(front, "ln_kv"),
            attention: CrossAttention::torch(&format!("{front}attn"), *width, *heads, DType::F32),
            post: Some(norm(post, "ln_post")),
            proj: Some(Linear {
                weight,
                bias: None,
                n: *width,
                k: *width,
                dtype: DType::F32.into(),
                stack: Vec::new(),
            }),
            key_positions: KeyPositions::Interpolated,
            reach: Reach::Whole,
            residual: false,
        }
    }
}

/// MiniCPM-V 2.0's resampler over a batch of maps of one size; `adaptive`: the keys' positions are a table of their own.
pub fn minicpm(b: &mut Builder<'_>) -> Result<()> {
    let width = b.need("embed_dim")?;
    let named = Named {
        front: String::new(),
        post: String::new(),
        width,
        heads: b.need("num_heads")?,
        features: b.config().usize("kv_dim", width)?,
        side: b.need("grid_size")?,
        eps: 1e-6,
    };
    let adaptive = b.config().bool("adaptive", false)?;
    let key_positions = if adaptive { KeyPositions::Fresh } else { KeyPositions::Interpolated };
    let resampler = Resampler { key_positions, ..named.resampler() };
    let grid = grid(b, "tgt_size")?;
    let shape = b.input_shape("x").unwrap_or_default().to_vec();
    let batch = shape.first().copied().unwrap_or(0);
    let x = b.input("x", &[batch * grid.0 * grid.1, named.features])?;
    let made = resampler.apply(&mut b.graph, x, &vec![vec![grid]; batch])?;
    b.stage("key_pos", made.key_positions);
    b.stage("out", made.out);
    Ok(())
}

/// A pair of counts in config.json.
pub fn grid(b: &Builder<'_>, path: &str) -> Result<(usize, usize)> {
    match b.config().list::<usize>(path)?.as_deref() {
        Some([first, second]) => Ok((*first, *second)),
        _ => Err(b.config().broken(path, "should be two counts")),
    }
}
