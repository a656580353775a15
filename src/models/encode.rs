//! The graph that encodes pictures: tower, connector or heads.

use super::assemble::{missing, names};
use super::inputs::TowerInputs;
use super::spec::{
    Bridge, Classifier, Connector, FeatureSelect, HeadRows, Merger, Pooler, Positions, Projector, Spec, VisionTower,
};
use super::tiled::tiled_hidden;
use super::vision::{Hidden, vision_hidden};
use crate::blocks::{Linear, PatchOrder, Perceiver, gather, mean_rows, splice};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, L2Norm, Rearrange, Unary, UnaryOp};
use crate::{DType, Error, Result};
use std::ops::Range;

/// Inputs of a tower -> features for the decoder, class logits or picture embeddings, whichever the
/// model has. All inputs are one ragged batch.
///
/// Reads [`names::PIXELS`] ([`super::pixels_type`]); stores [`names::ENCODED`], [`names::CLASS_LOGITS`] or
/// [`names::IMAGE_EMBEDS`]. With `all`, layers that nothing needs are computed too,
/// for their taps.
pub fn encode_graph(spec: &Spec, inputs: &TowerInputs, all: bool, compute: DType) -> Result<Graph> {
    let tower = spec.vision.as_ref().ok_or_else(|| missing("a picture", spec))?;
    let mut g = Graph::new();
    let chosen = spec.connector.as_ref().and_then(|c| c.select.layers.iter().copied().max());
    let layers = tower.layers.len();
    let needed = match (chosen, &spec.pooler) {
        (Some(deepest), _) => deepest.max(if all { layers } else { 0 }),
        (None, Some(Pooler::FirstNormed)) => layers,
        (None, _) => layers + 1,
    };
    let hidden = g.scoped("vision", |g| match &tower.positions {
        Positions::Tiled(tiled) => tiled_hidden(g, tower, tiled, inputs, compute),
        _ => vision_hidden(g, tower, inputs, needed, compute),
    })?;
    if let Some(connector) = &spec.connector {
        let features = g.scoped("connector", |g| connect(g, tower, connector, &hidden))?;
        g.store(features, names::ENCODED);
    } else if let Some(classifier) = &spec.classifier {
        let logits = g.scoped("classifier", |g| classify(g, tower, classifier, &hidden))?;
        g.store(logits, names::CLASS_LOGITS);
    } else if let Some(pooler) = &spec.pooler {
        let pooled = g.scoped("pooler", |g| pool(g, tower, pooler, &hidden))?;
        let embeds = match &spec.contrast {
            Some(contrast) => g.scoped("projection", |g| embed(g, pooled, contrast.image.as_ref()))?,
            None => pooled,
        };
        g.tap("image_embeds", embeds);
        g.store(embeds, names::IMAGE_EMBEDS);
    }
    Ok(g)
}

fn connect(g: &mut Graph, tower: &VisionTower, connector: &Connector, hidden: &Hidden) -> Result<ValueId> {
    let x = select(g, tower, &connector.select, hidden)?;
    g.tap("vision.selected", x);
    let x = match &connector.bridge {
        Bridge::Mlp(projector) => project(g, projector, x)?,
        Bridge::Merger(merger) => merge(g, tower, merger, x, &hidden.grids)?,
        Bridge::Resampler(resampler) => {
            let sequences: Vec<Vec<(usize, usize)>> = hidden.grids.iter().map(|grid| vec![*grid]).collect();
            resampler.apply(g, x, &sequences)?.out
        }
        Bridge::Perceiver { projection, perceiver } => {
            let projected = projection.apply(g, x)?;
            g.tap("modality_projection", projected);
            resample(g, perceiver, projected, &hidden.kept(0))?
        }
    };
    g.tap("connector", x);
    in_rows(g, tower, x, &hidden.grids)
}

/// Latents of every input over its rows.
fn resample(g: &mut Graph, perceiver: &Perceiver, x: ValueId, kept: &[Vec<usize>]) -> Result<ValueId> {
    let rows: Vec<u32> = kept.iter().flatten().map(|row| *row as u32).collect();
    let context = if rows.len() == g.ty(x).rows() { x } else { gather(g, x, &rows)? };
    let mut start = 0;
    let sequences: Vec<Range<usize>> = kept
        .iter()
        .map(|rows| {
            start += rows.len();
            start - rows.len()..start
        })
        .collect();
    perceiver.apply(g, context, &sequences)
}

/// Patches \[patches of all inputs, width\] -> \[squares of all inputs, features\], in the order of the tower.
fn merge(g: &mut Graph, tower: &VisionTower, merger: &Merger, x: ValueId, grids: &[(usize, usize)]) -> Result<ValueId> {
    let mut x = match &merger.norm {
        Some(norm) => norm.apply(g, x)?,
        None => x,
    };
    let (side, width) = (merger.side, g.ty(x).cols());
    if tower.order.merge != side {
        if tower.order != PatchOrder::ROWS {
            return Err(Error::graph("connector", format!("squares of {side} of {:?}", tower.order)));
        }
        let (mut index, mut start) = (Vec::new(), 0);
        for grid in grids {
            let squares = PatchOrder { merge: side, window: None }.patches(*grid);
            index.extend(squares.into_iter().map(|(row, col)| (start + row * grid.1 + col) as u32));
            start += grid.0 * grid.1;
        }
        x = gather(g, x, &index)?;
    }
    let squares = g.ty(x).rows() / (side * side);
    let mut x = match &merger.merging {
        None => g.reshape(x, &[squares, side * side * width])?,
        Some(layer) => {
            let by_channel = Rearrange::transpose(&[squares, side * side, width], &[0, 2, 1])?;
            let x = g.apply(by_channel, &[x])?;
            let x = g.reshape(x, &[squares, side * side * width])?;
            layer.apply(g, x)?
        }
    };
    g.tap("patch_merger", x);
    x = project(g, &merger.projector, x)?;
    Ok(x)
}

/// Features in the order of windows -> the same row by row.
fn in_rows(g: &mut Graph, tower: &VisionTower, x: ValueId, grids: &[(usize, usize)]) -> Result<ValueId> {
    if tower.order.window.is_none() {
        return Ok(x);
    }
    let mut index = Vec::new();
    for grid in grids {
        let Some((squares, _)) = tower.order.windows(*grid) else { continue };
        let start = index.len();
        index.resize(start + squares.len(), 0);
        for (i, square) in squares.iter().enumerate() {
            index[start + square] = (start + i) as u32;
        }
    }
    if index.is_empty() { Ok(x) } else { gather(g, x, &index) }
}

/// The selected rows of the selected hidden states, side by side.
fn select(g: &mut Graph, tower: &VisionTower, select: &FeatureSelect, hidden: &Hidden) -> Result<ValueId> {
    let first = if select.drop_prefix { tower.prefix.len() } else { 0 };
    let picked: Vec<usize> = hidden.rows.iter().flat_map(|r| r.start + first..r.end).collect();
    let rows = hidden.rows.last().map_or(0, |r| r.end);
    let states: Vec<ValueId> = select.layers.iter().map(|l| hidden.states[*l]).collect();
    let (last, before) = states.split_last().ok_or_else(|| Error::graph("connector", "selects no layer"))?;
    let Some((head, middle)) = before.split_first() else {
        if picked.iter().copied().eq(0..rows) {
            return Ok(*last);
        }
        let index: Vec<u32> = picked.iter().map(|r| *r as u32).collect();
        return gather(g, *last, &index);
    };
    // Columns side by side = rows interleaved, seen with wider rows.
    let mut all = *head;
    for (i, state) in middle.iter().enumerate() {
        let index: Vec<u32> = (0..((i + 2) * rows) as u32).collect();
        all = splice(g, all, *state, &index, None)?;
    }
    let count = states.len();
    let index: Vec<u32> = picked.iter().flat_map(|r| (0..count).map(move |s| (s * rows + r) as u32)).collect();
    let side_by_side = splice(g, all, *last, &index, None)?;
    g.reshape(side_by_side, &[picked.len(), count * tower.patch.width])
}

fn project(g: &mut Graph, projector: &Projector, mut x: ValueId) -> Result<ValueId> {
    if let Some(norm) = &projector.norm {
        x = norm.apply(g, x)?;
    }
    for (i, (layer, norm)) in projector.layers.iter().enumerate() {
        x = layer.apply(g, x)?;
        if let Some(norm) = norm {
            x = norm.apply(g, x)?;
        }
        if i + 1 < projector.layers.len() {
            x = g.apply(Unary { op: UnaryOp::Act(projector.act) }, &[x])?;
        }
    }
    Ok(x)
}

/// The first row of each input beside the mean of its patches.
fn first_and_mean(g: &mut Graph, x: ValueId, prefix: usize, hidden: &Hidden) -> Result<ValueId> {
    let (count, width) = (hidden.rows.len(), g.ty(x).cols());
    let patches: Vec<Range<usize>> = hidden.rows.iter().map(|r| r.start + prefix..r.end).collect();
    let mean = mean_rows(g, x, &patches)?;
    // Two rows after each other are one row of twice the width.
    let rows = g.ty(x).rows();
    let index: Vec<u32> =
        hidden.rows.iter().enumerate().flat_map(|(i, r)| [r.start as u32, (rows + i) as u32]).collect();
    let both = splice(g, x, mean, &index, None)?;
    g.reshape(both, &[count, 2 * width])
}

fn classify(g: &mut Graph, tower: &VisionTower, heads: &Classifier, hidden: &Hidden) -> Result<ValueId> {
    let x = hidden.states[hidden.states.len() - 1];
    let mut sum = None;
    for head in &heads.heads {
        let pooled = match head.rows {
            HeadRows::Prefix(row) => {
                let index: Vec<u32> = hidden.rows.iter().map(|r| (r.start + row) as u32).collect();
                gather(g, x, &index)?
            }
            HeadRows::FirstAndMean => first_and_mean(g, x, tower.prefix.len(), hidden)?,
        };
        let logits = head.layer.apply(g, pooled)?;
        g.tap(&head.stage, logits);
        sum = Some(match sum {
            None => logits,
            Some(sum) => g.apply(Binary { op: BinaryOp::Add }, &[sum, logits])?,
        });
    }
    let sum = sum.ok_or_else(|| Error::graph("classifier", "has no head"))?;
    if heads.heads.len() == 1 {
        return Ok(sum);
    }
    let mean = g.apply(Unary { op: UnaryOp::Affine { scale: 1.0 / heads.heads.len() as f32, shift: 0.0 } }, &[sum])?;
    g.tap("logits", mean);
    Ok(mean)
}

/// The row that stands for each input.
fn pool(g: &mut Graph, tower: &VisionTower, pooler: &Pooler, hidden: &Hidden) -> Result<ValueId> {
    let firsts: Vec<u32> = hidden.rows.iter().map(|r| r.start as u32).collect();
    let last = hidden.states[hidden.states.len() - 1];
    let pooled = match pooler {
        Pooler::FirstNormed => {
            let first = gather(g, last, &firsts)?;
            match &tower.post_norm {
                Some(norm) => norm.apply(g, first)?,
                None => first,
            }
        }
        Pooler::First => gather(g, last, &firsts)?,
        Pooler::Attention(pool) => pool.apply(g, last, &hidden.rows)?,
    };
    g.tap(&format!("{}pooled", tower.stage), pooled);
    Ok(pooled)
}

/// Rows in the common space, of length 1.
pub(super) fn embed(g: &mut Graph, pooled: ValueId, projection: Option<&Linear>) -> Result<ValueId> {
    let projected = match projection {
        Some(layer) => layer.apply(g, pooled)?,
        None => pooled,
    };
    g.apply(L2Norm { eps: 1e-12 }, &[projected])
}
