//! The picture tower as a graph: all inputs of a request as one ragged batch.

use super::interpolate::{bicubic_rows, same_rows};
use super::names;
use super::spec::{Positions, VisionTower};
use crate::blocks::{EncoderFlow, encoder_layer, splice};
use crate::graph::{Graph, ValueId};
use crate::kernels::{InterpolateRows, TensorType};
use crate::{DType, Error, Result};
use std::ops::Range;

/// What a tower computes: `states[0]` enters layer 0, `states[i + 1]` leaves layer i.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// Hidden states \[rows of all inputs, width\].
    pub states: Vec<ValueId>,
    /// Rows of each input, those of its prefix first.
    pub rows: Vec<Range<usize>>,
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

/// Adds the tower up to hidden state `deepest` over inputs of these sizes (height, width) in [`names::PIXELS`].
///
/// # Errors
/// [`Error::Graph`] for an input that holds no patch.
pub fn vision_hidden(
    g: &mut Graph,
    tower: &VisionTower,
    inputs: &[(usize, usize)],
    deepest: usize,
    compute: DType,
) -> Result<Hidden> {
    let grids = grids(tower, inputs)?;
    let stage = tower.stage;
    let x = g.scoped("embed", |g| {
        let pixels = g.state(names::PIXELS, pixels_type(inputs, tower.patch.channels, compute));
        let patches = tower.patch.apply(g, pixels, inputs)?;
        embed(g, tower, patches, &grids)
    })?;
    g.tap(&format!("{stage}embeddings"), x);
    let x = match &tower.pre_norm {
        Some(norm) => g.scoped("pre_norm", |g| norm.apply(g, x))?,
        None => x,
    };
    g.tap(&format!("{stage}pre_ln"), x);
    let mut rows = Vec::new();
    for grid in &grids {
        let start = rows.last().map_or(0, |r: &Range<usize>| r.end);
        rows.push(start..start + tower.prefix.len() + grid.0 * grid.1);
    }
    let spans: Vec<u32> =
        rows.iter().flat_map(|r| [r.start, r.len(), r.start, r.len()]).map(|word| word as u32).collect();
    let flow = EncoderFlow::new(g.constant_u32("spans", &[rows.len(), 4], &spans));
    let mut states = vec![x];
    for (i, layer) in tower.layers.iter().take(deepest).enumerate() {
        let x = states[i];
        let y = g.scoped(&format!("layer.{i}"), |g| encoder_layer(g, layer, x, &flow))?;
        g.tap(&format!("{stage}layer.{i}"), y);
        states.push(y);
    }
    Ok(Hidden { states, rows })
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
        grid => Ok(grid),
    };
    inputs.iter().map(grid).collect()
}

/// Prefix rows before the patches of every input, and positions added to all of them.
fn embed(g: &mut Graph, tower: &VisionTower, patches: ValueId, grids: &[(usize, usize)]) -> Result<ValueId> {
    let (width, special, all) = (tower.patch.width, tower.prefix.len(), g.ty(patches).rows());
    let (table, starts) = positions(g, tower, grids)?;
    let (mut index, mut place, mut patch) = (Vec::new(), Vec::new(), 0);
    for (grid, start) in grids.iter().zip(&starts) {
        index.extend((0..special).map(|i| (all + i) as u32));
        index.extend((0..grid.0 * grid.1).map(|i| (patch + i) as u32));
        place.extend((0..special + grid.0 * grid.1).map(|i| (start + i) as u32));
        patch += grid.0 * grid.1;
    }
    let prefix = match special {
        0 => patches,
        _ => g.weight(&tower.prefix.join("+"), TensorType::new(g.ty(patches).dtype, &[special, width])),
    };
    splice(g, patches, prefix, &index, Some((table, &place)))
}

/// A table of positions for these grids, and where in it each grid starts with its prefix.
fn positions(g: &mut Graph, tower: &VisionTower, grids: &[(usize, usize)]) -> Result<(ValueId, Vec<usize>)> {
    let Positions::Table(name) = &tower.positions;
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
