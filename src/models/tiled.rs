//! A tower in which the tiles of a picture see each other (Llama 3.2 Vision): positions by tile and aspect ratio behind
//! gates, one stack of layers, then a gated one, and the hidden states of some layers beside the result.

use super::assemble::names;
use super::inputs::TowerInputs;
use super::spec::{Tiled, VisionTower};
use super::vision::{Hidden, pixels_type};
use crate::blocks::{EncoderFlow, EncoderLayer, PatchOrder, encoder_layer, gather, splice};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, Concat, EmbedTokens, Rearrange, TensorType, Unary, UnaryOp};
use crate::{DType, Error, Result};
use std::ops::Range;

/// Rows of a picture are multiples of this a tile: zero rows after its tokens fill them up.
const MULTIPLE: usize = 8;

/// Where the rows of a picture stand. Tokens come tile by tile, the picture's own tiles first, then those that it does
/// not fill; then the zero rows of all tiles. So the rows that the others see without limit are one run.
struct Picture {
    /// Id of its aspect ratio: rows of the tables.
    ratio: usize,
    /// Tiles that it fills.
    filled: usize,
    /// Its first row.
    start: usize,
}

/// Counts that all pictures share.
struct Shape {
    /// Tiles of a picture.
    tiles: usize,
    /// Tokens of a tile, the class row first.
    tokens: usize,
    /// Zero rows of a tile.
    zeros: usize,
}

impl Shape {
    /// Rows of a picture without its zero rows.
    fn whole(&self) -> usize {
        self.tiles * self.tokens
    }
    /// Rows of a picture.
    fn rows(&self) -> usize {
        self.tiles * (self.tokens + self.zeros)
    }
}

/// The tower over the tiles of pictures in [`names::PIXELS`]. The one hidden state has, of each picture, the tokens of all tiles that it has room for, as
/// wide as the result and the picked states together.
///
/// # Errors
/// [`Error::Unsupported`] for pictures that are no grid of tiles which the tower has positions for.
pub(super) fn tiled_hidden(
    g: &mut Graph,
    tower: &VisionTower,
    tiled: &Tiled,
    inputs: &TowerInputs,
    compute: DType,
) -> Result<Hidden> {
    let tokens = tower.tokens((tower.image_size, tower.image_size));
    let shape = Shape { tiles: tiled.tiles, tokens, zeros: tokens.next_multiple_of(MULTIPLE) - tokens };
    let pictures = pictures(tower, tiled, &shape, inputs)?;
    let pixels = g.state(names::PIXELS, pixels_type(&inputs.sizes, tower.patch.channels, compute));
    let x = g.scoped("embed", |g| {
        let patches = tower.patch.apply(g, pixels, &inputs.sizes, PatchOrder::ROWS)?;
        embed(g, tower, tiled, patches, (&shape, &pictures))
    })?;
    let x = match &tower.pre_norm {
        Some(norm) => g.scoped("pre_norm", |g| norm.apply(g, x))?,
        None => x,
    };
    let x = g.scoped("embed", |g| with_zeros(g, x, (&shape, &pictures)))?;
    let spans = spans(&shape, &pictures);
    let flow = EncoderFlow::new(g.constant_u32("spans", &[spans.len() / 4, 4], &spans));
    let order = tile_order(&shape, &pictures);
    let states = stack(g, &tower.layers, x, &flow, (&format!("{}layer", tower.stage), &order))?;
    let mut x = states.last().copied().unwrap_or(x);
    if let Some(norm) = &tower.post_norm {
        x = g.scoped("post_norm", |g| norm.apply(g, x))?;
    }
    let x = g.scoped("tiles", |g| {
        let table = tile_table(g, tiled, &tiled.after, (tower.patch.width, compute))?;
        let place: Vec<u32> = pictures.iter().flat_map(|p| by_row(&shape, p, tiled.tiles)).collect();
        let added = gather(g, table, &place)?;
        g.apply(Binary { op: BinaryOp::Add }, &[x, added])
    })?;
    let global = stack(g, &tiled.global, x, &flow, (&format!("{}global", tower.stage), &order))?;
    let last = global.last().copied().unwrap_or(x);
    let output = g.scoped("output", |g| output(g, tiled, last, &states, (&shape, &pictures)))?;
    g.tap(&format!("{}output", tower.stage), output);
    let rows = (0..pictures.len()).map(|i| i * shape.whole()..(i + 1) * shape.whole()).collect();
    Ok(Hidden { states: vec![output], rows, grids: Vec::new(), filled: Vec::new() })
}

fn pictures(tower: &VisionTower, tiled: &Tiled, shape: &Shape, inputs: &TowerInputs) -> Result<Vec<Picture>> {
    let side = tower.image_size;
    let mut pictures = Vec::new();
    for (i, range) in inputs.pictures().into_iter().enumerate() {
        let grid = inputs.plans.get(i).and_then(|plan| plan.grid);
        let grid = grid.map_or((1, 1), |(cols, rows)| (rows as usize, cols as usize));
        let known = tiled.grids.iter().position(|known| *known == grid);
        let tiles = inputs.sizes.get(range).unwrap_or_default();
        let whole = tiles.len() == grid.0 * grid.1 && tiles.iter().all(|size| *size == (side, side));
        let Some(ratio) = known.filter(|_| whole) else {
            let what = format!("a picture of {} inputs as {}x{} tiles", tiles.len(), grid.0, grid.1);
            let reason = format!("tiles of {side}x{side} in the grids of supported_aspect_ratios are supported");
            return Err(Error::unsupported(what, reason));
        };
        pictures.push(Picture { ratio: ratio + 1, filled: tiles.len(), start: i * shape.rows() });
    }
    Ok(pictures)
}

/// Of each row of a picture its tile's row in a table of `tiles` rows a ratio.
fn by_row(shape: &Shape, picture: &Picture, tiles: usize) -> Vec<u32> {
    let at = |tile: usize| (picture.ratio * tiles + tile) as u32;
    let tokens = (0..shape.whole()).map(|row| at(row / shape.tokens));
    tokens.chain((0..shape.tiles * shape.zeros).map(|row| at(row / shape.zeros))).collect()
}

/// Tokens of all tiles, without the zero rows: patches with the positions of their tiles, class rows, positions of tokens.
/// Tiles that are not filled are black: no pixels, and patches without biases.
fn embed(
    g: &mut Graph,
    tower: &VisionTower,
    tiled: &Tiled,
    patches: ValueId,
    (shape, pictures): (&Shape, &[Picture]),
) -> Result<ValueId> {
    let (dtype, width, special) = (g.ty(patches).dtype, tower.patch.width, tower.prefix.len());
    let table = tile_table(g, tiled, &tiled.before, (width, dtype))?;
    let (inner, table_rows) = (shape.tokens - special, g.ty(table).rows());
    let place: Vec<u32> = pictures
        .iter()
        .flat_map(|p| (0..p.filled * inner).map(|i| (p.ratio * shape.tiles + i / inner) as u32))
        .collect();
    let added = gather(g, table, &place)?;
    let patches = g.apply(Binary { op: BinaryOp::Add }, &[patches, added])?;
    let all = g.ty(patches).rows();
    let prefix = g.weight(&tower.prefix.join("+"), TensorType::new(dtype, &[special, width]));
    let rest: Vec<u32> = (0..(table_rows + special) as u32).collect();
    let rest = splice(g, table, prefix, &rest, None)?;
    let (mut index, mut patch) = (Vec::new(), 0);
    for picture in pictures {
        for tile in 0..shape.tiles {
            index.extend((0..special).map(|i| (all + table_rows + i) as u32));
            if tile < picture.filled {
                index.extend((patch..patch + inner).map(|i| i as u32));
                patch += inner;
            } else {
                index.extend(vec![(all + picture.ratio * shape.tiles + tile) as u32; inner]);
            }
        }
    }
    let x = splice(g, patches, rest, &index, None)?;
    let added = token_positions(g, tiled, (width, dtype), (shape, pictures))?;
    added.into_iter().try_fold(x, |x, added| g.apply(Binary { op: BinaryOp::Add }, &[x, added]))
}

/// `(1 - tanh gate) * table[token]` and `tanh gate * tile_table[ratio, tile, token]` of every token.
fn token_positions(
    g: &mut Graph,
    tiled: &Tiled,
    (width, dtype): (usize, DType),
    (shape, pictures): (&Shape, &[Picture]),
) -> Result<[ValueId; 2]> {
    let gate = g.weight(&tiled.gate, TensorType::new(dtype, &[1]));
    let open = g.apply(Unary { op: UnaryOp::Tanh }, &[gate])?;
    let closed = g.apply(Unary { op: UnaryOp::Affine { scale: -1.0, shift: 1.0 } }, &[open])?;
    let table = g.weight(&tiled.table, TensorType::new(dtype, &[shape.tokens, width]));
    let table = g.apply(Binary { op: BinaryOp::Mul }, &[table, closed])?;
    let token: Vec<u32> = (0..pictures.len() * shape.whole()).map(|row| (row % shape.tokens) as u32).collect();
    let own = gather(g, table, &token)?;
    let ratios = tiled.grids.len() + 1;
    let table = TensorType::panels(tiled.dtype, ratios * shape.whole(), width);
    let table = g.weight(&tiled.tile_table, table);
    let ids: Vec<u32> =
        pictures.iter().flat_map(|p| (0..shape.whole()).map(|row| (p.ratio * shape.whole() + row) as u32)).collect();
    let ids = g.constant_u32("ids", &[ids.len()], &ids);
    let tiles = g.apply(EmbedTokens { dtype }, &[ids, table])?;
    Ok([own, g.apply(Binary { op: BinaryOp::Mul }, &[tiles, open])?])
}

/// `tanh gate * table`, a row for each ratio and tile.
fn tile_table(g: &mut Graph, tiled: &Tiled, names: &[String; 2], (width, dtype): (usize, DType)) -> Result<ValueId> {
    let table = TensorType::new(dtype, &[(tiled.grids.len() + 1) * tiled.tiles, width]);
    let table = g.weight(&names[0], table);
    let gate = g.weight(&names[1], TensorType::new(dtype, &[1]));
    let gate = g.apply(Unary { op: UnaryOp::Tanh }, &[gate])?;
    g.apply(Binary { op: BinaryOp::Mul }, &[table, gate])
}

/// The zero rows after each picture's tokens.
fn with_zeros(g: &mut Graph, x: ValueId, (shape, pictures): (&Shape, &[Picture])) -> Result<ValueId> {
    if shape.zeros == 0 {
        return Ok(x);
    }
    let rows = g.ty(x).rows();
    let first = gather(g, x, &[0])?;
    let zero = g.apply(Unary { op: UnaryOp::Affine { scale: 0.0, shift: 0.0 } }, &[first])?;
    let of = |i: usize| {
        let own = (i * shape.whole()..(i + 1) * shape.whole()).map(|row| row as u32);
        own.chain(vec![rows as u32; shape.tiles * shape.zeros])
    };
    let index: Vec<u32> = (0..pictures.len()).flat_map(of).collect();
    splice(g, x, zero, &index, None)
}

/// Tokens of filled tiles see all rows of their picture; all others see those tokens only.
fn spans(shape: &Shape, pictures: &[Picture]) -> Vec<u32> {
    let mut words = Vec::new();
    for p in pictures {
        let (filled, rows) = (p.filled * shape.tokens, shape.rows());
        words.extend([p.start, filled, p.start, rows]);
        if filled < rows {
            words.extend([p.start + filled, rows - filled, p.start, filled]);
        }
    }
    words.into_iter().map(|word| word as u32).collect()
}

/// The rows of all pictures tile by tile, each tile's zero rows behind its tokens: the order of dumps.
fn tile_order(shape: &Shape, pictures: &[Picture]) -> Vec<u32> {
    let tile = |start: usize, tile: usize| {
        let tokens = start + tile * shape.tokens;
        let zeros = start + shape.whole() + tile * shape.zeros;
        let rows: [Range<usize>; 2] = [tokens..tokens + shape.tokens, zeros..zeros + shape.zeros];
        rows.into_iter().flatten().map(|row| row as u32)
    };
    pictures.iter().flat_map(|p| (0..shape.tiles).flat_map(move |t| tile(p.start, t))).collect()
}

/// What leaves each layer.
fn stack(
    g: &mut Graph,
    layers: &[EncoderLayer],
    mut x: ValueId,
    flow: &EncoderFlow,
    (stage, order): (&str, &[u32]),
) -> Result<Vec<ValueId>> {
    let mut states = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        x = g.scoped(&format!("{stage}.{i}"), |g| encoder_layer(g, layer, x, flow))?;
        let tapped = gather(g, x, order)?;
        g.tap(&format!("{stage}.{i}"), tapped);
        states.push(x);
    }
    Ok(states)
}

/// The result beside the picked states, whose columns alternate: \[width, states\].
fn output(
    g: &mut Graph,
    tiled: &Tiled,
    last: ValueId,
    states: &[ValueId],
    (shape, pictures): (&Shape, &[Picture]),
) -> Result<ValueId> {
    let (whole, width) = (shape.whole(), g.ty(last).cols());
    let kept: Vec<u32> = pictures.iter().flat_map(|p| (p.start..p.start + whole).map(|row| row as u32)).collect();
    let last = gather(g, last, &kept)?;
    let mut picked = None;
    for i in &tiled.picked {
        let state = states.get(*i).ok_or_else(|| Error::graph("output", format!("layer {i} of {}", states.len())))?;
        let state = gather(g, *state, &kept)?;
        picked = Some(match picked {
            None => state,
            Some(before) => g.apply(Concat { axis: 1 }, &[before, state])?,
        });
    }
    let Some(mut picked) = picked else { return Ok(last) };
    if tiled.picked.len() > 1 {
        let (rows, count) = (kept.len(), tiled.picked.len());
        let columns = Rearrange::transpose(&[rows, count, width], &[0, 2, 1])?;
        let alternating = g.apply(columns, &[picked])?;
        picked = g.reshape(alternating, &[rows, width * count])?;
    }
    g.apply(Concat { axis: 1 }, &[last, picked])
}
