//! The picture side of Llama 3.2 Vision (Mllama): its tower and the projection of its features.

use super::{activation, divided, layer_count};
use crate::Result;
use crate::blocks::{EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention};
use crate::checkpoint::Config;
use crate::kernels::Act;
use crate::models::{Bridge, Connector, Dtypes, FeatureSelect, Positions, Projector, Tiled, VisionTower};

const FRONT: &str = "vision_model";

/// Grids of tiles (rows, columns) that a configuration means when it lists none.
const GRIDS: [[usize; 2]; 8] = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]];

/// Tower and connector by a `vision_config`; features are `features` wide.
pub(super) fn vision(config: &Config, features: usize, dtypes: &dyn Dtypes) -> Result<(VisionTower, Connector)> {
    let layers = Layers::read(config)?;
    let count = layer_count(config, "num_hidden_layers", 32)?;
    let picked = picked(config, count)?;
    let out = layers.width.saturating_mul(1 + picked.len());
    if config.usize("vision_output_dim", 7680)? != out {
        let reason = format!("is not {out}: {} states of {} columns", 1 + picked.len(), layers.width);
        return Err(config.broken("vision_output_dim", reason));
    }
    let global = layer_count(config, "num_global_layers", 8)?;
    let global = (0..global).map(|i| layers.layer("global_transformer", i, true, dtypes)).collect();
    let local = (0..count).map(|i| layers.layer("transformer", i, false, dtypes)).collect();
    let tower = tower(config, &layers, local, tiled(config, picked, global, dtypes)?, dtypes)?;
    let name = "multi_modal_projector";
    let linear = Linear::new(name, features, out, true, dtypes.of(&format!("{name}.weight")));
    let connector = Connector {
        select: FeatureSelect { layers: vec![0], drop_prefix: false },
        bridge: Bridge::Mlp(Projector { norm: None, layers: vec![(linear, None)], act: Act::Gelu }),
    };
    Ok((tower, connector))
}

fn tower(
    config: &Config,
    layers: &Layers,
    local: Vec<EncoderLayer>,
    tiled: Tiled,
    dtypes: &dyn Dtypes,
) -> Result<VisionTower> {
    let (image_size, patch) = (config.usize("image_size", 448)?, config.usize("patch_size", 14)?);
    if patch == 0 || image_size < patch || image_size > 1 << 16 {
        return Err(config.broken("patch_size", format!("patches of {patch} pixels in tiles of {image_size}")));
    }
    // The reference code has no option for these.
    let norm = |name: &str| Some(Norm::Layer { name: format!("{FRONT}.{name}"), eps: 1e-5 });
    let weight = format!("{FRONT}.patch_embedding.weight");
    Ok(VisionTower {
        stage: "vision.",
        patch: PatchEmbedding {
            dtype: dtypes.of(&weight),
            weight,
            bias: None,
            width: layers.width,
            channels: config.usize("num_channels", 3)?,
            patch,
        },
        image_size,
        prefix: vec![format!("{FRONT}.class_embedding")],
        positions: Positions::Tiled(Box::new(tiled)),
        order: PatchOrder::ROWS,
        pre_norm: norm("layernorm_pre"),
        layers: local,
        adapters: Vec::new(),
        post_norm: norm("layernorm_post"),
    })
}

fn tiled(config: &Config, picked: Vec<usize>, global: Vec<EncoderLayer>, dtypes: &dyn Dtypes) -> Result<Tiled> {
    let tiles = config.usize("max_num_tiles", 4)?;
    let path = "supported_aspect_ratios";
    let grids = match config.value().get(path).filter(|list| !list.is_null()) {
        None if tiles != 4 => return Err(config.broken(path, format!("is missing, and there are {tiles} tiles"))),
        None => GRIDS.to_vec(),
        Some(list) => serde_json::from_value::<Vec<[usize; 2]>>(list.clone())
            .map_err(|_| config.broken(path, "should be a list of pairs of whole numbers"))?,
    };
    let fits = |[rows, cols]: &[usize; 2]| rows.checked_mul(*cols).is_some_and(|n| n > 0 && n <= tiles);
    if !(1..=1 << 10).contains(&tiles) || grids.len() > 1 << 16 || !grids.iter().all(fits) {
        return Err(config.broken(path, format!("{} grids of up to {tiles} tiles", grids.len())));
    }
    let table = format!("{FRONT}.gated_positional_embedding.tile_embedding.weight");
    let gated = |name: &str| [format!("{FRONT}.{name}.embedding.weight"), format!("{FRONT}.{name}.gate")];
    let side = config.usize("image_size", 448)? / config.usize("patch_size", 14)?.max(1);
    if side > 1 << 10 {
        return Err(config.broken("image_size", format!("{side} patches a side")));
    }
    Ok(Tiled {
        tiles,
        tokens: side.saturating_mul(side).saturating_add(1),
        grids: grids.into_iter().map(|[rows, cols]| (rows, cols)).collect(),
        table: format!("{FRONT}.gated_positional_embedding.embedding"),
        dtype: dtypes.of(&table).float(),
        tile_table: format!("flat({table})"),
        gate: format!("{FRONT}.gated_positional_embedding.gate"),
        before: gated("pre_tile_positional_embedding"),
        after: gated("post_tile_positional_embedding"),
        global,
        picked,
    })
}

/// Layers whose results stand beside that of the last one, counted from the front.
fn picked(config: &Config, layers: usize) -> Result<Vec<usize>> {
    let path = "intermediate_layers_indices";
    let listed: Vec<i64> = config.list(path)?.unwrap_or_else(|| vec![3, 7, 15, 23, 30]);
    let front = |i: i64| {
        let at = if i < 0 { layers as i64 + i } else { i };
        let inside = (0..layers as i64).contains(&at);
        if inside { Ok(at as usize) } else { Err(config.broken(path, format!("layer {i} of {layers}"))) }
    };
    if listed.is_empty() {
        return Err(config.broken(path, "lists no layer"));
    }
    listed.into_iter().map(front).collect()
}

/// What all layers share.
struct Layers {
    width: usize,
    mlp: usize,
    attention: SelfAttention,
    eps: f32,
    act: Act,
}

impl Layers {
    fn read(config: &Config) -> Result<Self> {
        let width = config.usize("hidden_size", 1280)?;
        // The field is saved under the first name; the second is that of the library's own argument.
        let heads = config.usize("attention_heads", config.usize("num_attention_heads", 16)?)?;
        let head_dim = divided(config, "attention_heads", width, heads)?;
        Ok(Self {
            width,
            mlp: config.usize("intermediate_size", 5120)?,
            attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            eps: config.f64("norm_eps", 1e-5)? as f32,
            act: activation(config, "hidden_act", "gelu")?,
        })
    }

    fn layer(&self, stack: &str, i: usize, gated: bool, dtypes: &dyn Dtypes) -> EncoderLayer {
        let at = format!("{FRONT}.{stack}.layers.{i}");
        let (width, mlp) = (self.width, self.mlp);
        let norm = |name: &str| Norm::Layer { name: format!("{at}.{name}"), eps: self.eps };
        let linear = |name: &str, n, k, bias| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, bias, dtypes.of(&format!("{name}.weight")))
        };
        let qkv = ["q_proj", "k_proj", "v_proj"].map(|p| (format!("{at}.self_attn.{p}"), width, false));
        let dtype = dtypes.of(&format!("{}.weight", qkv[0].0));
        let (fc1, fc2) = (linear("mlp.fc1", mlp, width, true), linear("mlp.fc2", width, mlp, true));
        EncoderLayer {
            norm1: norm("input_layernorm"),
            qkv: Linear::stacked(&qkv, width, dtype),
            attention: self.attention,
            out: linear("self_attn.o_proj", width, width, false),
            norm2: norm("post_attention_layernorm"),
            mlp: Mlp::Plain { fc1, act: self.act, fc2 },
            scales: gated.then(|| ["gate_attn", "gate_ffn"].map(|gate| format!("gate({at}.{gate},{width})"))),
            windowed: false,
            qk_norm: None,
        }
    }
}
