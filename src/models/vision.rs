//! The picture tower as a graph: all inputs of a request as one ragged batch.

use super::inputs::TowerInputs;
use super::names;
use super::spec::{Positions, VisionTower};
use crate::blocks::{
    AdapterRows, EncoderFlow, EncoderRope, Grid, adapted_layer, bicubic_rows, encoder_layer, gather, resampled_rows,
    same_rows, splice,
};
use crate::graph::{Graph, ValueId};
use crate::kernels::{InterpolateRows, Rearrange, TensorType, Unary, UnaryOp};
use crate::{DType, Error, Result};
use std::ops::Range;

/// What a tower computes: `states[0]` enters layer 0, `states[i + 1]` leaves layer i; one more leaves the last norm.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// Hidden states \[rows of all inputs, width\].
    pub states: Vec<ValueId>,
    /// Rows of each input, those of its prefix first.
    pub rows: Vec<Range<usize>>,
    /// (rows, columns) of patches of each input.
    pub grids: Vec<(usize, usize)>,
    /// The same of the part of each input that is no padding.
    pub filled: Vec<(usize, usize)>,
}

impl Hidden {
    /// Rows of the patches that are no padding, those of each input.
    pub fn kept(&self, prefix: usize) -> Vec<Vec<usize>> {
        let kept = |i: usize| {
            let (first, grid, filled) = (self.rows[i].start + prefix, self.grids[i], self.filled[i]);
            let places = (0..filled.0).flat_map(|row| (0..filled.1).map(move |col| (row, col)));
            places.map(|(row, col)| first + row * grid.1 + col).collect()
        };
        (0..self.rows.len().min(self.grids.len()).min(self.filled.len())).map(kept).collect()
    }
}

/// Normalised pixels of inputs of these sizes (height, width), as the store holds them: planes one after the other.
pub fn pixels_type(inputs: &[(usize, usize)], channels: usize, compute: DType) -> TensorType {
    match inputs {
        [first, rest @ ..] if rest.iter().all(|size| size == first) => {
            TensorType::new(compute, &[inputs.len(), channels, first.0, first.1])
        }
        _ => TensorType::new(compute, &[inputs.iter().map(|(h, w)| channels * h * w).sum()]),
    }
}

/// Adds the tower up to hidden state `deepest` (one beyond the last layer for the last norm) over the inputs in
/// [`names::PIXELS`]. The rows of padding see the picture and are not seen.
///
/// # Errors
/// [`Error::Graph`] for an input that holds no patch, and for padding where the tower's positions cannot tell.
pub fn vision_hidden(
    g: &mut Graph,
    tower: &VisionTower,
    inputs: &TowerInputs,
    deepest: usize,
    compute: DType,
) -> Result<Hidden> {
    let sizes = &inputs.sizes;
    let (grids, filled) = (grids(tower, sizes)?, grids(tower, inputs.pictured())?);
    check_padding(tower, &grids, &filled)?;
    let stage = tower.stage;
    let x = g.scoped("embed", |g| {
        let pixels = g.state(names::PIXELS, pixels_type(sizes, tower.patch.channels, compute));
        let patches = tower.patch.apply(g, pixels, sizes, tower.order)?;
        g.tap(&format!("{stage}patch_embed"), patches);
        if tower.order.merge == 1 {
            tap_maps(g, tower, patches, &grids)?;
        }
        embed(g, tower, patches, [&grids, &filled])
    })?;
    g.tap(&format!("{stage}embeddings"), x);
    let x = match &tower.pre_norm {
        Some(norm) => g.scoped("pre_norm", |g| norm.apply(g, x))?,
        None => x,
    };
    g.tap(&format!("{stage}pre_ln"), x);
    let mut rows = Vec::new();
    for size in sizes {
        let start = rows.last().map_or(0, |r: &Range<usize>| r.end);
        rows.push(start..start + tower.tokens(*size));
    }
    let mut flow = flow(g, tower, &grids, &rows);
    if grids != filled {
        flow.seen = Some(seen(g, &grids, &filled));
    }
    let adapted = adapter_rows(g, tower, inputs, &rows)?;
    let mut states = vec![x];
    for (i, layer) in tower.layers.iter().take(deepest).enumerate() {
        let x = states[i];
        let y = g.scoped(&format!("layer.{i}"), |g| match (&adapted, tower.adapters.get(i)) {
            (Some(rows), Some(adapters)) => Ok(adapted_layer(g, layer, x, &flow, Some((adapters, rows)))?.1),
            _ => encoder_layer(g, layer, x, &flow),
        })?;
        // Some codes call them blocks.
        g.tap(&format!("{stage}layer.{i}"), y);
        g.tap(&format!("{stage}block.{i}"), y);
        states.push(y);
    }
    if deepest > tower.layers.len() {
        let mut x = states[tower.layers.len()];
        if let Some(norm) = &tower.post_norm {
            x = g.scoped("post_norm", |g| norm.apply(g, x))?;
        }
        g.tap(&format!("{stage}last_hidden_state"), x);
        states.push(x);
    }
    Ok(Hidden { states, rows, grids, filled })
}

/// Which rows take which set of adapters: a tile of a picture that of its place.
fn adapter_rows(
    g: &mut Graph,
    tower: &VisionTower,
    inputs: &TowerInputs,
    rows: &[Range<usize>],
) -> Result<Option<AdapterRows>> {
    let Some(first) = tower.adapters.first() else { return Ok(None) };
    let sets = first.qkv.sets.len();
    let tiles = inputs.tiles();
    if let Some(tile) = tiles.iter().flatten().find(|tile| **tile >= sets) {
        let reason = format!("the tower has adapters for {sets}");
        return Err(Error::unsupported(format!("tile {} of a picture", tile + 1), reason));
    }
    let runs: Vec<_> = rows.iter().map(ExactSizeIterator::len).zip(tiles).collect();
    Ok(AdapterRows::new(g, sets, &runs))
}

/// What the layers share: sequences, windows, rotary positions.
fn flow(g: &mut Graph, tower: &VisionTower, grids: &[(usize, usize)], rows: &[Range<usize>]) -> EncoderFlow {
    let spans = |g: &mut Graph, name: &str, parts: &[Range<usize>]| {
        let words = parts.iter().flat_map(|r| [r.start, r.len(), r.start, r.len()]);
        let words: Vec<u32> = words.map(|word| word as u32).collect();
        g.constant_u32(name, &[parts.len(), 4], &words)
    };
    let mut flow = EncoderFlow::new(spans(g, "spans", rows));
    let (mut parts, square) = (Vec::new(), tower.order.merge * tower.order.merge);
    for (grid, range) in grids.iter().zip(rows) {
        let Some((_, sizes)) = tower.order.windows(*grid) else { continue };
        let mut start = range.start;
        for squares in sizes {
            parts.push(start..start + squares * square);
            start += squares * square;
        }
    }
    flow.windows = (!parts.is_empty()).then(|| spans(g, "windows", &parts));
    if let Positions::Rotary(rope) = &tower.positions {
        let largest = grids.iter().fold((0, 0), |most, grid| (most.0.max(grid.0), most.1.max(grid.1)));
        let places: Vec<u32> = grids
            .iter()
            .flat_map(|grid| ordered(tower, *grid))
            .map(|(row, col)| (row * largest.1 + col) as u32)
            .collect();
        let table = g.constant_f32("rope", &[largest.0 * largest.1, rope.head_dim], &rope.table(largest));
        let positions = g.constant_u32("places", &[places.len()], &places);
        flow.rope = Some(EncoderRope { table, positions, interleaved: rope.interleaved });
    }
    flow
}

/// Padding is known where patches run row by row and have no rows before them.
fn check_padding(tower: &VisionTower, grids: &[(usize, usize)], filled: &[(usize, usize)]) -> Result<()> {
    let known = matches!(tower.positions, Positions::Fractions(_)) && tower.prefix.is_empty();
    let inside = grids.iter().zip(filled).all(|(grid, part)| part.0 <= grid.0 && part.1 <= grid.1);
    if grids.len() != filled.len() || !inside || (grids != filled && !known) {
        return Err(Error::graph("embed", "padding in inputs of a tower that cannot tell it from a picture"));
    }
    Ok(())
}

/// 1 for every patch that is no padding.
fn seen(g: &mut Graph, grids: &[(usize, usize)], filled: &[(usize, usize)]) -> ValueId {
    let mut marks = Vec::new();
    for (grid, part) in grids.iter().zip(filled) {
        marks.extend((0..grid.0 * grid.1).map(|i| u32::from(i / grid.1 < part.0 && i % grid.1 < part.1)));
    }
    g.constant_u32("seen", &[marks.len()], &marks)
}

/// (row, column) of the patches of a grid in the order of the tower's layers.
fn ordered(tower: &VisionTower, grid: (usize, usize)) -> Vec<(usize, usize)> {
    let patches = tower.order.patches(grid);
    let square = tower.order.merge * tower.order.merge;
    match tower.order.windows(grid) {
        None => patches,
        Some((squares, _)) => squares.iter().flat_map(|s| patches[s * square..(s + 1) * square].to_vec()).collect(),
    }
}

/// The patches as maps of their channels, as convolutions write them; inputs of less than the largest extents are
/// followed by zeros.
fn tap_maps(g: &mut Graph, tower: &VisionTower, patches: ValueId, grids: &[(usize, usize)]) -> Result<()> {
    let (width, all) = (tower.patch.width, g.ty(patches).rows());
    let (rows, cols) = grids.iter().fold((0, 0), |most, grid| (most.0.max(grid.0), most.1.max(grid.1)));
    let mut x = patches;
    if grids.iter().any(|grid| *grid != (rows, cols)) {
        let first = gather(g, patches, &[0])?;
        let zeros = g.apply(Unary { op: UnaryOp::Affine { scale: 0.0, shift: 0.0 } }, &[first])?;
        let (mut index, mut start) = (Vec::new(), 0);
        for grid in grids {
            let at = |row: usize, col: usize| {
                if row < grid.0 && col < grid.1 { start + row * grid.1 + col } else { all }
            };
            index.extend((0..rows * cols).map(|i| at(i / cols, i % cols) as u32));
            start += grid.0 * grid.1;
        }
        x = splice(g, patches, zeros, &index, None)?;
    }
    let map = Rearrange::transpose(&[grids.len(), rows * cols, width], &[0, 2, 1])?;
    let map = g.apply(map, &[x])?;
    g.tap(&format!("{}patch_conv", tower.stage), map);
    Ok(())
}

/// (rows, columns) of patches of every input.
fn grids(tower: &VisionTower, inputs: &[(usize, usize)]) -> Result<Vec<(usize, usize)>> {
    if inputs.is_empty() {
        return Err(Error::graph("embed", "no inputs"));
    }
    let grid = |size: &(usize, usize)| match tower.grid(*size) {
        (0, _) | (_, 0) => {
            let reason = format!("a picture of {}x{} holds no patch of {}", size.1, size.0, tower.patch.patch);
            Err(Error::graph("embed", reason))
        }
        (rows, cols) if rows % tower.order.merge != 0 || cols % tower.order.merge != 0 => {
            let reason = format!("{rows}x{cols} patches are no whole squares of {}", tower.order.merge);
            Err(Error::graph("embed", reason))
        }
        grid => Ok(grid),
    };
    inputs.iter().map(grid).collect()
}

/// Prefix rows before the patches of every input, and positions added to all of them; windows brought together.
fn embed(g: &mut Graph, tower: &VisionTower, patches: ValueId, [grids, filled]: [&[Grid]; 2]) -> Result<ValueId> {
    let (width, special, all) = (tower.patch.width, tower.prefix.len(), g.ty(patches).rows());
    let (mut index, mut patch) = (Vec::new(), 0);
    let square = tower.order.merge * tower.order.merge;
    for grid in grids {
        index.extend((0..special).map(|i| (all + i) as u32));
        match tower.order.windows(*grid) {
            None => index.extend((0..grid.0 * grid.1).map(|i| (patch + i) as u32)),
            Some((squares, _)) => {
                index.extend(squares.iter().flat_map(|s| (0..square).map(move |i| (patch + s * square + i) as u32)));
            }
        }
        patch += grid.0 * grid.1;
    }
    let prefix = match special {
        0 => patches,
        _ => g.weight(&tower.prefix.join("+"), TensorType::new(g.ty(patches).dtype, &[special, width])),
    };
    let (table, place) = match &tower.positions {
        Positions::Rotary(_) | Positions::None => {
            let moved = index.iter().enumerate().any(|(i, from)| i != *from as usize);
            return if moved { splice(g, patches, prefix, &index, None) } else { Ok(patches) };
        }
        Positions::Tiled(_) => return Err(Error::graph("embed", "tiles that see each other are no ragged batch")),
        Positions::Resampled(name) => resampled(g, tower, name, grids)?,
        Positions::Fractions(name) => fractions(g, tower, name, [grids, filled])?,
        Positions::Table(name) => {
            let (table, starts) = positions(g, tower, name, grids)?;
            let placed = |(grid, start): (&(usize, usize), &usize)| {
                let start = *start;
                (start..start + special + grid.0 * grid.1).map(|row| row as u32)
            };
            (table, grids.iter().zip(&starts).flat_map(placed).collect())
        }
    };
    splice(g, patches, prefix, &index, Some((table, &place)))
}

/// The table of positions, and for every patch the row of its place as a part of the picture; padding has row 0.
fn fractions(
    g: &mut Graph,
    tower: &VisionTower,
    name: &str,
    [grids, filled]: [&[Grid]; 2],
) -> Result<(ValueId, Vec<u32>)> {
    if !tower.prefix.is_empty() {
        return Err(Error::graph("embed", "rows before the patches have no place in a picture"));
    }
    let side = tower.image_size / tower.patch.patch;
    let table = g.weight(name, TensorType::f32(&[side * side, tower.patch.width]));
    let mut place = Vec::new();
    for (grid, part) in grids.iter().zip(filled) {
        for (row, col) in ordered(tower, *grid) {
            let inside = row < part.0 && col < part.1;
            place.push(if inside { (row * side / part.0 * side + col * side / part.1) as u32 } else { 0 });
        }
    }
    Ok((table, place))
}

/// The table of positions resampled to every different grid, and for every row the row of its place.
fn resampled(g: &mut Graph, tower: &VisionTower, name: &str, grids: &[Grid]) -> Result<(ValueId, Vec<u32>)> {
    let (special, side) = (tower.prefix.len(), tower.image_size / tower.patch.patch);
    let table = g.weight(name, TensorType::f32(&[special + side * side, tower.patch.width]));
    let (mut different, mut starts, mut rows) = (Vec::<Grid>::new(), Vec::new(), 0);
    let mut place = Vec::new();
    for grid in grids {
        let at = different.iter().position(|known| known == grid).unwrap_or_else(|| {
            different.push(*grid);
            starts.push(rows);
            rows += special + grid.0 * grid.1;
            different.len() - 1
        });
        let patch = |(row, col): (usize, usize)| special + row * grid.1 + col;
        let own = (0..special).chain(ordered(tower, *grid).into_iter().map(patch));
        place.extend(own.map(|row| (starts[at] + row) as u32));
    }
    if different == [(side, side)] {
        return Ok((table, place));
    }
    let planned = resampled_rows(special, (side, side), &different)?;
    let index = g.constant_u32("taps", &[rows, planned.taps], &planned.index);
    let weight = g.constant_f32("weights", &[rows, planned.taps], &planned.weight);
    Ok((g.apply(InterpolateRows { taps: planned.taps }, &[table, index, weight])?, place))
}

/// A table of positions for these grids, and where in it each grid starts with its prefix.
fn positions(
    g: &mut Graph,
    tower: &VisionTower,
    name: &str,
    grids: &[(usize, usize)],
) -> Result<(ValueId, Vec<usize>)> {
    let (special, side) = (tower.prefix.len(), tower.image_size / tower.patch.patch);
    let table = g.weight(name, TensorType::f32(&[special + side * side, tower.patch.width]));
    if grids.iter().all(|grid| *grid == (side, side)) {
        return Ok((table, vec![0; grids.len()]));
    }
    // Each distinct grid once.
    let (mut known, mut starts) = (Vec::<((usize, usize), usize)>::new(), Vec::new());
    let (mut index, mut weight) = (Vec::new(), Vec::new());
    for grid in grids {
        let found = known.iter().find(|(other, _)| other == grid).map(|(_, start)| *start);
        starts.push(found.unwrap_or(index.len() / 16));
        if found.is_none() {
            known.push((*grid, index.len() / 16));
            let trained = *grid == (side, side);
            let taps =
                if trained { same_rows(special + side * side) } else { bicubic_rows(special, (side, side), *grid) };
            index.extend(taps.0);
            weight.extend(taps.1);
        }
    }
    let rows = index.len() / 16;
    let index = g.constant_u32("taps", &[rows, 16], &index);
    let weight = g.constant_f32("weights", &[rows, 16], &weight);
    Ok((g.apply(InterpolateRows { taps: 16 }, &[table, index, weight])?, starts))
}
