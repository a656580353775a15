//! CLIP towers with their stages by picture, and decoders over one sequence.

use super::builder::{Builder, nth};
use omma::blocks::{
    CacheType, EncoderFlow, Flow, Grid, KvCache, apply_layer, bicubic_rows, encoder_layer, log_scaled, rope_table,
    splice,
};
use omma::graph::ValueId;
use omma::kernels::{EmbedTokens, InterpolateRows, TensorType};
use omma::models::{Decoder, Positions, TowerInputs, VisionTower, names, vision_hidden};
use omma::{DType, Error, Result};
use std::ops::Range;

/// Hidden state `deepest` of a tower, and the rows of each picture in it.
pub struct Hidden {
    /// The hidden state.
    pub state: ValueId,
    /// Rows of each picture, those of its prefix first.
    pub rows: Vec<Range<usize>>,
}

impl Hidden {
    /// Rows of the patches, without the prefix.
    pub fn patches(&self, b: &mut Builder<'_>, tower: &VisionTower) -> Result<ValueId> {
        let prefix = tower.prefix.len();
        let rows = self.rows.iter().flat_map(|rows| rows.start + prefix..rows.end);
        let index: Vec<u32> = rows.map(|row| row as u32).collect();
        omma::blocks::gather(&mut b.graph, self.state, &index)
    }
}

/// How many layers the stages `name(i)` ask for, and hidden state `chosen`.
fn depth(b: &Builder<'_>, tower: &VisionTower, chosen: usize, name: impl Fn(usize) -> String) -> usize {
    let deepest = (0..tower.layers.len()).rev().find(|i| b.wants(&name(*i)));
    deepest.map_or(chosen, |i| (i + 1).max(chosen))
}

/// A tower over pictures of any sizes, the inputs `pictures`, each \[channels, height, width\]. Stages are `vision.embed`
/// and `vision.layer.i` of the first picture, the same with `_1`, `_2`, .. of the others.
pub fn ragged(b: &mut Builder<'_>, tower: &VisionTower, pictures: &[String], chosen: usize) -> Result<Hidden> {
    let (mut sizes, mut pixels) = (Vec::new(), Vec::new());
    for name in pictures {
        let (shape, values) = b.floats(name)?;
        match *shape {
            [channels, height, width] if channels == tower.patch.channels => sizes.push((height, width)),
            _ => return Err(Error::malformed(name, format!("{shape:?} is not [channels, height, width]"))),
        }
        pixels.extend(values);
    }
    b.upload(names::PIXELS, pixels);
    let stage = |i: usize| format!("vision.layer.{i}");
    let deepest = depth(b, tower, chosen, stage);
    let inputs = TowerInputs { sizes, ..TowerInputs::default() };
    let hidden = vision_hidden(&mut b.graph, tower, &inputs, deepest, DType::F32)?;
    let embedded = b.graph.taps.iter().find(|(name, _)| name == "vision.embeddings").map(|(_, value)| *value);
    for (picture, rows) in hidden.rows.iter().enumerate() {
        let part = (rows.start, rows.len());
        if let Some(embedded) = embedded {
            b.stage_rows(&nth("vision.embed", picture), embedded, part);
        }
        for (i, state) in hidden.states.iter().skip(1).enumerate() {
            b.stage_rows(&nth(&stage(i), picture), *state, part);
        }
    }
    Ok(Hidden { state: hidden.states[chosen], rows: hidden.rows })
}

/// A tower over square tiles whose first patches hold a picture of `grid` patches, the rest being black and without a
/// position: LLaVA-UHD's paper. Stages are `embed` and `layer.i`.
pub fn packed(b: &mut Builder<'_>, tower: &VisionTower, grid: Grid, chosen: usize) -> Result<(Hidden, Grid)> {
    let (pixels, shape) = b.tensor("pixel_values", 4)?;
    let tile = tower.grid((shape[2], shape[3]));
    let (batch, each, prefix) = (shape[0], tile.0 * tile.1, tower.prefix.len());
    let patches = tower.patch.apply(&mut b.graph, pixels, &vec![(shape[2], shape[3]); batch], tower.order)?;
    let special = b.graph.weight(&tower.prefix.join("+"), TensorType::f32(&[prefix, tower.patch.width]));
    let table = padded_positions(b, tower, grid, each)?;
    let (mut index, mut place) = (Vec::new(), Vec::new());
    for tile in 0..batch {
        index.extend((0..prefix).map(|i| (batch * each + i) as u32));
        index.extend((tile * each..).take(each).map(|row| row as u32));
        place.extend(0..(prefix + each) as u32);
    }
    let mut x = splice(&mut b.graph, patches, special, &index, Some((table, &place)))?;
    b.stage("embed", x);
    if let Some(norm) = &tower.pre_norm {
        x = norm.apply(&mut b.graph, x)?;
    }
    let rows: Vec<Range<usize>> = (0..batch).map(|i| i * (prefix + each)..(i + 1) * (prefix + each)).collect();
    let spans: Vec<u32> =
        rows.iter().flat_map(|r| [r.start, r.len(), r.start, r.len()]).map(|word| word as u32).collect();
    let flow = EncoderFlow::new(b.graph.constant_u32("spans", &[batch, 4], &spans));
    let stage = |i: usize| format!("layer.{i}");
    let mut states = vec![x];
    for (i, layer) in tower.layers.iter().take(depth(b, tower, chosen, stage)).enumerate() {
        let y = b.graph.scoped(&stage(i), |g| encoder_layer(g, layer, states[i], &flow))?;
        b.stage(&stage(i), y);
        states.push(y);
    }
    Ok((Hidden { state: states[chosen], rows }, tile))
}

/// Positions interpolated to a grid, followed by zeros up to `rows` patches.
fn padded_positions(b: &mut Builder<'_>, tower: &VisionTower, grid: Grid, rows: usize) -> Result<ValueId> {
    let Positions::Table(name) = &tower.positions else {
        return Err(Error::argument("patches", "are padded for towers with a table of positions"));
    };
    let (prefix, side) = (tower.prefix.len(), tower.image_size / tower.patch.patch);
    let table = b.graph.weight(name, TensorType::f32(&[prefix + side * side, tower.patch.width]));
    let (mut index, mut weight) = bicubic_rows(prefix, (side, side), grid);
    let shape = [prefix + rows, 16];
    if index.len() > shape[0] * 16 {
        return Err(Error::argument("patches", format!("{}x{} are more than {rows}", grid.0, grid.1)));
    }
    index.resize(shape[0] * 16, 0);
    weight.resize(shape[0] * 16, 0.0);
    let index = b.graph.constant_u32("taps", &shape, &index);
    let weight = b.graph.constant_f32("weights", &shape, &weight);
    b.graph.apply(InterpolateRows { taps: 16 }, &[table, index, weight])
}

/// Rows of the token table.
pub fn tokens(b: &mut Builder<'_>, decoder: &Decoder, ids: &[u32]) -> Result<ValueId> {
    let ids = b.graph.constant_u32("ids", &[ids.len()], ids);
    let table = TensorType::panels(decoder.dtype.float(), decoder.vocab, decoder.width);
    let table = b.graph.weight(&decoder.table, table);
    b.graph.apply(EmbedTokens { dtype: DType::F32 }, &[ids, table])
}

/// How a decoder is run.
pub struct Run<'n> {
    /// Sequences of one length.
    pub sequences: usize,
    /// Names of its layers' stages.
    pub stage: &'n dyn Fn(usize) -> String,
}

/// A decoder over sequences from their start: what leaves its last norm, and logits of every row.
pub fn decoded(b: &mut Builder<'_>, decoder: &Decoder, mut x: ValueId, run: &Run<'_>) -> Result<(ValueId, ValueId)> {
    let rows = b.graph.ty(x).rows();
    let len = rows / run.sequences.max(1);
    let own: Vec<u32> = (0..rows as u32).collect();
    let places: Vec<u32> = own.iter().map(|row| row % len.max(1) as u32).collect();
    let spans: Vec<u32> = (0..run.sequences).flat_map(|i| [i * len, len, i * len, len]).map(|n| n as u32).collect();
    let g = &mut b.graph;
    let ty = [len, decoder.rope.rotary_dim];
    let table = rope_table(&decoder.rope, len);
    let scaled = decoder.log_base.map(|base| log_scaled(&table, decoder.rope.rotary_dim, base));
    let flow = Flow {
        table: g.constant_f32("rope", &ty, &table),
        query_table: scaled.map(|table| g.constant_f32("rope.query", &ty, &table)),
        positions: g.constant_u32("places", &[rows], &places),
        pair_axis: None,
        slots: g.constant_u32("rows", &[rows], &own),
        rope: decoder.rope.clone(),
        cache: KvCache { batch: run.sequences, max_len: len, ty: CacheType::of(DType::F32) },
        spans: Some(g.constant_u32("spans", &[run.sequences, 4], &spans)),
        lens: None,
        splits: 1,
        cross: None,
    };
    for (i, layer) in decoder.layers.iter().enumerate() {
        x = b.graph.scoped(&format!("llm.layer.{i}"), |g| apply_layer(g, layer, i, x, &flow))?;
        b.stage(&(run.stage)(i), x);
    }
    let normed = decoder.norm.apply(&mut b.graph, x)?;
    Ok((normed, decoder.head.apply(&mut b.graph, normed)?))
}
