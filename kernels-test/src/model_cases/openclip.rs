//! The OpenCLIP tower of Qwen-VL and Monkey with its resampler: no class token, projections fused head by head, and in
//! Monkey an adapter for every window.

use super::builder::{Builder, nth};
use super::resamplers::Named;
use super::xcomposer::shrunk;
use omma::blocks::{
    AdapterRows, EncoderFlow, EncoderLayer, LayerAdapters, Linear, LowRank, Mlp, Norm, Part, PatchEmbedding,
    PatchOrder, Resampler, SelfAttention, adapted_layer, bicubic_rows, gather, splice,
};
use omma::graph::ValueId;
use omma::kernels::{Act, Axis, InterpolateRows, Rearrange, TensorType};
use omma::{DType, Error, Result};

const EPS: f32 = 1e-6;
const POSITIONS: &str = "positional_embedding";

/// The tower as its configuration says.
struct Tower {
    patch: PatchEmbedding,
    pre_norm: Norm,
    layers: Vec<EncoderLayer>,
    adapters: Vec<LayerAdapters>,
    resampler: Resampler,
}

/// A batch on its way through the tower: `calls` of the original's forward, each of `batch` pictures of `tokens` rows.
#[derive(Clone, Copy)]
struct Calls {
    calls: usize,
    batch: usize,
    tokens: usize,
}

impl Tower {
    /// `sets`: adapters of every layer.
    fn read(b: &Builder<'_>, sets: usize) -> Result<Self> {
        let (width, heads, patch) = (b.need("width")?, b.need("heads")?, b.need("patch_size")?);
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(b.config().broken("heads", format!("{heads} does not divide {width}")));
        }
        let mlp = (width as f64 * b.config().f64("mlp_ratio", 4.0)?) as usize;
        let rank = |name: &str, default| b.config().usize(&format!("lora_ranks.{name}"), default);
        let ranks = [rank("in_proj", 16)?, rank("out_proj", 16)?, rank("mlp", 32)?];
        let count = b.need("layers")?;
        let queries = b.config().usize("n_queries", 256)?;
        let output = b.need("output_dim")?;
        let named = Named {
            front: "attn_pool.".into(),
            post: String::new(),
            width: output,
            heads: output / 128,
            features: width,
            side: queries.isqrt(),
            eps: EPS,
        };
        Ok(Self {
            patch: PatchEmbedding {
                weight: "conv1.weight".into(),
                bias: None,
                width,
                channels: 3,
                patch,
                dtype: DType::F32.into(),
            },
            pre_norm: norm("ln_pre"),
            layers: (0..count).map(|i| layer(i, width, heads, mlp)).collect(),
            adapters: (0..count).map(|i| adapters(i, (width, heads), ranks, sets)).collect(),
            resampler: named.resampler(),
        })
    }

    /// Rows and columns of patches of a square picture.
    fn side(&self, pixels: usize) -> usize {
        pixels / self.patch.patch
    }

    /// The position table for pictures of `side` x `side` patches.
    fn positions(&self, b: &mut Builder<'_>, side: usize) -> Result<ValueId> {
        let trained = b.weight_shape(POSITIONS)?[0].isqrt();
        let table = b.graph.weight(POSITIONS, TensorType::f32(&[trained * trained, self.patch.width]));
        if trained == side {
            return Ok(table);
        }
        let (index, weight) = bicubic_rows(0, (trained, trained), (side, side));
        let shape = [side * side, 16];
        let index = b.graph.constant_u32("taps", &shape, &index);
        let weight = b.graph.constant_f32("weights", &shape, &weight);
        b.graph.apply(InterpolateRows { taps: 16 }, &[table, index, weight])
    }

    /// Rows with positions -> what leaves the last layer. `sets`: the adapter of every call.
    fn run(&self, b: &mut Builder<'_>, x: ValueId, of: Calls, sets: &[Option<usize>]) -> Result<ValueId> {
        let mut x = self.pre_norm.apply(&mut b.graph, x)?;
        let tokens = of.tokens as u32;
        let spans: Vec<u32> =
            (0..(of.calls * of.batch) as u32).flat_map(|i| [i * tokens, tokens, i * tokens, tokens]).collect();
        let flow = EncoderFlow::new(b.graph.constant_u32("spans", &[spans.len() / 4, 4], &spans));
        let runs: Vec<(usize, Option<usize>)> = sets.iter().map(|set| (of.batch * of.tokens, *set)).collect();
        let count = self.adapters.first().map_or(0, |a| a.qkv.sets.len());
        let rows = AdapterRows::new(&mut b.graph, count, &runs);
        for (i, layer) in self.layers.iter().enumerate() {
            let adapters = rows.as_ref().map(|rows| (&self.adapters[i], rows));
            let (attended, y) =
                b.graph.scoped(&format!("layer.{i}"), |g| adapted_layer(g, layer, x, &flow, adapters))?;
            for call in 0..of.calls {
                sequence_first(b, &nth(&format!("attn{i}"), call), attended, call, of)?;
                sequence_first(b, &nth(&format!("block{i}"), call), y, call, of)?;
            }
            x = y;
        }
        Ok(x)
    }
}

fn norm(name: &str) -> Norm {
    Norm::Layer { name: name.into(), eps: EPS }
}

/// A projection to q, k and v that is stored head by head.
fn fused(name: &str, width: usize, heads: usize) -> Linear {
    let sorted = |tensor: &str| Part::Sorted { name: tensor, parts: 3, unit: width / heads }.to_string();
    let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    Linear {
        weight: sorted(&weight),
        bias: Some(sorted(&bias)),
        n: 3 * width,
        k: width,
        dtype: DType::F32.into(),
        stack: Vec::new(),
    }
}

fn layer(i: usize, width: usize, heads: usize, mlp: usize) -> EncoderLayer {
    let at = |name: &str| format!("transformer.resblocks.{i}.{name}");
    let linear = |name: &str, n, k| Linear::new(&at(name), n, k, true, DType::F32);
    EncoderLayer {
        norm1: norm(&at("ln_1")),
        qkv: fused(&at("attn.in_proj"), width, heads),
        qk_norm: None,
        attention: SelfAttention { heads, kv_heads: heads, head_dim: width / heads, causal: false, window: None },
        out: linear("attn.out_proj", width, width),
        norm2: norm(&at("ln_2")),
        mlp: Mlp::Plain { fc1: linear("mlp.c_fc", mlp, width), act: Act::Gelu, fc2: linear("mlp.c_proj", width, mlp) },
        scales: None,
        windowed: false,
    }
}

fn adapters(i: usize, (width, heads): (usize, usize), ranks: [usize; 3], sets: usize) -> LayerAdapters {
    let low = |name: &str, n: usize, rank: usize, fused: bool| {
        let set = |set: usize| {
            let at = format!("transformer.resblocks.{i}.{name}.{set}");
            let up = format!("{at}.lora_b.weight");
            let sorted = Part::Sorted { name: &up, parts: 3, unit: width / heads };
            let up = if fused { sorted.to_string() } else { up.clone() };
            (format!("{at}.lora_a.weight"), up, format!("{at}.lora_scale"))
        };
        LowRank { sets: (0..sets).map(set).collect(), rank, n, k: width, dtype: DType::F32 }
    };
    LayerAdapters {
        qkv: low("attn.in_proj_lora", 3 * width, ranks[0], true),
        out: low("attn.out_proj_lora", width, ranks[1], false),
        mlp: low("mlp_lora", width, ranks[2], false),
    }
}

/// A stage of one call as \[tokens, batch, width\], if it is wanted.
fn sequence_first(b: &mut Builder<'_>, name: &str, value: ValueId, call: usize, of: Calls) -> Result<()> {
    let first = call * of.batch * of.tokens;
    if !b.wants(name) {
        return Ok(());
    }
    if of.batch == 1 {
        b.stage_rows(name, value, (first, of.tokens));
        return Ok(());
    }
    let width = b.graph.ty(value).cols();
    let axis = |extent: usize, stride: usize| Axis { extent, stride: stride as i64 };
    let axes = vec![axis(of.tokens, width), axis(of.batch, of.tokens * width), axis(width, 1)];
    let shape = vec![of.tokens, of.batch, width];
    let turned = b.graph.apply(Rearrange { base: (first * width) as i64, axes, shape }, &[value])?;
    b.stage(name, turned);
    Ok(())
}

/// Qwen-VL: tower and resampler over square pictures.
pub fn qwen(b: &mut Builder<'_>) -> Result<()> {
    let tower = Tower::read(b, 0)?;
    let (pixels, shape) = b.tensor("images", 4)?;
    let (batch, side) = (shape[0], tower.side(shape[2]));
    let patches = tower.patch.apply(&mut b.graph, pixels, &[], PatchOrder::ROWS)?;
    let positions = tower.positions(b, side)?;
    let tokens = side * side;
    if b.graph.ty(patches).rows() != batch * tokens {
        return Err(Error::malformed("images", format!("{shape:?} are not square")));
    }
    let own: Vec<u32> = (0..(batch * tokens) as u32).collect();
    let place: Vec<u32> = own.iter().map(|row| row % tokens as u32).collect();
    let x = splice(&mut b.graph, patches, patches, &own, Some((positions, &place)))?;
    let x = tower.run(b, x, Calls { calls: 1, batch, tokens }, &[None])?;
    let made = tower.resampler.apply(&mut b.graph, x, &vec![vec![(side, side)]; batch])?;
    b.stage("pool", made.pooled);
    b.stage("out", made.out);
    Ok(())
}

/// Planes \[batch, channels, height, width\] cut into windows row by row: \[windows * batch, channels, side, side\].
fn windows(b: &mut Builder<'_>, pixels: ValueId, (rows, columns): (usize, usize), side: usize) -> Result<ValueId> {
    let shape = b.graph.ty(pixels).shape.clone();
    if shape[2] != rows * side || shape[3] != columns * side {
        return Err(Error::malformed("images", format!("{shape:?} are not {rows}x{columns} windows of {side}")));
    }
    let (batch, channels) = (shape[0], shape[1]);
    let cut = Rearrange::transpose(&[batch, channels, rows, side, columns, side], &[2, 4, 0, 1, 3, 5])?;
    b.graph.apply(cut.shaped(&[rows * columns * batch, channels, side, side]), &[pixels])
}

/// Monkey: every window of a picture with its own adapter, the picture shrunk to one window with none.
pub fn monkey(b: &mut Builder<'_>) -> Result<()> {
    let (side, rows, columns) = (b.need("window")?, b.need("rows")?, b.need("cols")?);
    let count = rows * columns;
    let tower = Tower::read(b, count)?;
    let (pixels, shape) = b.tensor("images", 4)?;
    let batch = shape[0];
    let cut = windows(b, pixels, (rows, columns), side)?;
    let overview = shrunk(b, pixels, side)?;
    let of_window = batch * shape[1] * side;
    b.stage_rows("windows", cut, ((count - 1) * of_window, of_window));
    b.stage("global_view", overview);
    let patches = [cut, overview].map(|planes| tower.patch.apply(&mut b.graph, planes, &[], PatchOrder::ROWS));
    let [cut, overview] = [patches[0].clone()?, patches[1].clone()?];
    let grid = tower.side(side);
    let (tokens, positions) = (grid * grid, tower.positions(b, grid)?);
    // Windows, the overview, and where it is wanted the first window once more, without its adapter.
    let plain = b.wants("window0_without_lora");
    let mut sets: Vec<Option<usize>> = (0..count).map(Some).chain([None]).collect();
    let mut own: Vec<u32> = (0..((count + 1) * batch * tokens) as u32).collect();
    if plain {
        sets.push(None);
        own.extend(0..(batch * tokens) as u32);
    }
    let place: Vec<u32> = own.iter().map(|row| row % tokens as u32).collect();
    let x = splice(&mut b.graph, cut, overview, &own, Some((positions, &place)))?;
    let of = Calls { calls: sets.len(), batch, tokens };
    let x = tower.run(b, x, of, &sets)?;
    let made = tower.resampler.apply(&mut b.graph, x, &vec![vec![(grid, grid)]; sets.len() * batch])?;
    let queries = tower.resampler.queries();
    let each = batch * queries;
    for call in 0..=count {
        b.stage_rows(&nth("pool", call), made.pooled, (call * each, each));
    }
    if plain {
        b.stage_rows("window0_without_lora", made.out, ((count + 1) * each, each));
    }
    let picture = |p: usize| (0..=count).flat_map(move |call| ((call * batch + p) * queries..).take(queries));
    let index: Vec<u32> = (0..batch).flat_map(picture).map(|row| row as u32).collect();
    let merged = gather(&mut b.graph, made.out, &index)?;
    b.stage("merged", merged);
    Ok(())
}
