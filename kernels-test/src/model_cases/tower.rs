//! CLIP towers over pictures of several sizes at once, and decoders over one sequence, with their stages.

use super::builder::{Builder, nth};
use omma::blocks::{
    Flow, Grid, KvCache, PixelInput, bicubic_rows, class_and_positions, decoder_layer, encoder_layer, rope_table,
    splice,
};
use omma::graph::ValueId;
use omma::kernels::{EmbedTokens, InterpolateRows, TensorType};
use omma::models::{Decoder, VisionTower};
use omma::{DType, Error, Result};

/// A picture among the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rows {
    /// First row.
    pub first: usize,
    /// Rows.
    pub count: usize,
}

/// Positions of a picture of `grid` patches, followed by zeros up to `rows` patches.
pub fn positions(b: &mut Builder<'_>, tower: &VisionTower, grid: Grid, rows: usize) -> Result<ValueId> {
    let (prefix, side) = (tower.prefix.len(), tower.image_size / tower.patch.patch);
    let table = b.graph.weight(&tower.positions, TensorType::f32(&[prefix + side * side, tower.patch.width]));
    if grid == (side, side) && rows == side * side {
        return Ok(table);
    }
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

/// Pixels \[pictures, channels, height, width\] -> rows with class token and `positions`.
pub fn embedded(b: &mut Builder<'_>, tower: &VisionTower, pixels: ValueId, positions: ValueId) -> Result<ValueId> {
    let pictures = b.graph.ty(pixels).shape[0];
    let patches = tower.patch.apply(&mut b.graph, pixels, PixelInput::Planes)?;
    let prefix = TensorType::f32(&[tower.prefix.len(), tower.patch.width]);
    let prefix = b.graph.weight(&tower.prefix.join("+"), prefix);
    class_and_positions(&mut b.graph, patches, prefix, positions, pictures)
}

/// All rows, one picture after the other, and where each picture is.
pub fn joined(b: &mut Builder<'_>, pictures: &[ValueId]) -> Result<(ValueId, Vec<Rows>)> {
    let mut all: Option<ValueId> = None;
    let (mut places, mut first) = (Vec::new(), 0);
    for picture in pictures {
        let count = b.graph.ty(*picture).rows();
        places.push(Rows { first, count });
        first += count;
        let index: Vec<u32> = (0..first as u32).collect();
        all = Some(match all {
            None => *picture,
            Some(all) => splice(&mut b.graph, all, *picture, &index, None)?,
        });
    }
    let all = all.ok_or_else(|| Error::argument("pictures", "there are none"))?;
    Ok((all, places))
}

/// The layers of a tower up to hidden state `deepest`, all pictures at once; hidden state `deepest`. Stages are called
/// `front` + `layer.i`, with `_1`, `_2`, .. for later pictures; those that are wanted are made, however deep.
pub fn layers(
    b: &mut Builder<'_>,
    tower: &VisionTower,
    (x, places): (ValueId, &[Rows]),
    deepest: usize,
    front: &str,
) -> Result<ValueId> {
    let flat = |p: &Rows| [p.first, p.count, p.first, p.count].map(|n| n as u32);
    let spans: Vec<u32> = places.iter().flat_map(flat).collect();
    let spans = b.graph.constant_u32("spans", &[places.len(), 4], &spans);
    let mut x = match &tower.pre_norm {
        Some(norm) => norm.apply(&mut b.graph, x)?,
        None => x,
    };
    let mut chosen = x;
    let stage = |i: usize, picture: usize| nth(&format!("{front}layer.{i}"), picture);
    for (i, layer) in tower.layers.iter().enumerate() {
        if i >= deepest && !(i..tower.layers.len()).any(|i| b.wants(&stage(i, 0))) {
            break;
        }
        x = b.graph.scoped(&format!("layer.{i}"), |g| encoder_layer(g, layer, x, spans))?;
        for (picture, rows) in places.iter().enumerate() {
            b.stage_rows(&stage(i, picture), x, (rows.first, rows.count));
        }
        if i + 1 == deepest {
            chosen = x;
        }
    }
    Ok(chosen)
}

/// Rows of the token table.
pub fn tokens(b: &mut Builder<'_>, decoder: &Decoder, ids: &[u32]) -> Result<ValueId> {
    let ids = b.graph.constant_u32("ids", &[ids.len()], ids);
    let table = TensorType::panels(decoder.dtype, decoder.vocab, decoder.width);
    let table = b.graph.weight(&decoder.table, table);
    b.graph.apply(EmbedTokens { dtype: DType::F32 }, &[ids, table])
}

/// A decoder over one sequence from its start: logits of every row. Layers are the stages `front` + `layer.i`.
pub fn decoded(b: &mut Builder<'_>, decoder: &Decoder, mut x: ValueId, front: &str) -> Result<ValueId> {
    let rows = b.graph.ty(x).rows();
    let cols = decoder.rope.rotary_dim;
    let own: Vec<u32> = (0..rows as u32).collect();
    let g = &mut b.graph;
    let own = g.constant_u32("rows", &[rows], &own);
    let flow = Flow {
        table: g.constant_f32("rope", &[rows, cols], &rope_table(&decoder.rope, rows)),
        positions: own,
        slots: own,
        rope: decoder.rope.clone(),
        cache: KvCache { batch: 1, max_len: rows, dtype: DType::F32 },
        spans: Some(g.constant_u32("spans", &[1, 4], &[0, rows as u32, 0, rows as u32])),
        lens: None,
        splits: 1,
    };
    for (i, layer) in decoder.layers.iter().enumerate() {
        x = b.graph.scoped(&format!("llm.layer.{i}"), |g| decoder_layer(g, layer, i, x, &flow))?;
        b.stage(&format!("{front}layer.{i}"), x);
    }
    let normed = decoder.norm.apply(&mut b.graph, x)?;
    decoder.head.apply(&mut b.graph, normed)
}
