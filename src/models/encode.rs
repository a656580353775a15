//! The graph that encodes pictures: tower, connector or heads.

use super::assemble::{missing, names};
use super::inputs::TowerInputs;
use super::spec::{Bridge, Classifier, Connector, Contrast, FeatureSelect, Merger, Projector, Spec, VisionTower};
use super::vision::{Hidden, vision_hidden};
use crate::blocks::{PatchOrder, gather, splice};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, L2Norm, Rearrange, Unary, UnaryOp};
use crate::{DType, Error, Result};

/// Inputs of a tower -> features for the decoder, class logits or picture embeddings, whichever the
/// model has. All inputs are one ragged batch.
///
/// Reads [`names::PIXELS`] ([`super::pixels_type`]); stores [`names::ENCODED`], [`names::CLASS_LOGITS`] or
/// [`names::IMAGE_EMBEDS`]. With `all`, layers that nothing needs are computed too,
/// for their taps.
pub fn encode_graph(spec: &Spec, inputs: &TowerInputs, all: bool, compute: DType) -> Result<Graph> {
    let tower = spec.vision.as_ref().ok_or_else(|| missing("a picture", spec))?;
    let mut g = Graph::new();
    let needed = match &spec.connector {
        Some(connector) if !all => connector.select.layers.iter().copied().max().unwrap_or(0),
        _ => tower.layers.len(),
    };
    let hidden = g.scoped("vision", |g| vision_hidden(g, tower, &inputs.sizes, needed, compute))?;
    if let Some(connector) = &spec.connector {
        let features = g.scoped("connector", |g| connect(g, tower, connector, &hidden))?;
        g.store(features, names::ENCODED);
    } else if let Some(classifier) = &spec.classifier {
        let logits = g.scoped("classifier", |g| classify(g, tower, classifier, &hidden))?;
        g.store(logits, names::CLASS_LOGITS);
    } else if let Some(contrast) = &spec.contrast {
        let embeds = g.scoped("projection", |g| project_images(g, contrast, &hidden))?;
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
    };
    g.tap("connector", x);
    in_rows(g, tower, x, &hidden.grids)
}

/// Patches \[patches of all inputs, width\] -> \[squares of all inputs, features\], in the order of the tower.
fn merge(g: &mut Graph, tower: &VisionTower, merger: &Merger, x: ValueId, grids: &[(usize, usize)]) -> Result<ValueId> {
    let mut x = merger.norm.apply(g, x)?;
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
    let mut index = Vec::new();
    for grid in grids {
        let Some((squares, _)) = tower.order.windows(*grid) else { return Ok(x) };
        let start = index.len();
        index.resize(start + squares.len(), 0);
        for (i, square) in squares.iter().enumerate() {
            index[start + square] = (start + i) as u32;
        }
    }
    gather(g, x, &index)
}

/// The selected rows of the selected hidden states, side by side.
fn select(g: &mut Graph, tower: &VisionTower, select: &FeatureSelect, hidden: &Hidden) -> Result<ValueId> {
    let first = if select.drop_prefix { tower.prefix.len() } else { 0 };
    let rows = hidden.rows.last().map_or(0, |r| r.end);
    let picked: Vec<usize> = hidden.rows.iter().flat_map(|r| r.start + first..r.end).collect();
    let states: Vec<ValueId> = select.layers.iter().map(|l| hidden.states[*l]).collect();
    let (last, before) = states.split_last().ok_or_else(|| Error::graph("connector", "selects no layer"))?;
    let Some((head, middle)) = before.split_first() else {
        if picked.len() == rows {
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

fn final_norm(g: &mut Graph, tower: &VisionTower, hidden: &Hidden) -> Result<ValueId> {
    let x = hidden.states[hidden.states.len() - 1];
    match &tower.post_norm {
        Some(norm) => norm.apply(g, x),
        None => Ok(x),
    }
}

fn classify(g: &mut Graph, tower: &VisionTower, heads: &Classifier, hidden: &Hidden) -> Result<ValueId> {
    let x = final_norm(g, tower, hidden)?;
    g.tap("last_hidden_state", x);
    let mut sum = None;
    for (stage, row, layer) in &heads.heads {
        let index: Vec<u32> = hidden.rows.iter().map(|r| (r.start + row) as u32).collect();
        let pooled = gather(g, x, &index)?;
        let logits = layer.apply(g, pooled)?;
        g.tap(stage, logits);
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

fn project_images(g: &mut Graph, contrast: &Contrast, hidden: &Hidden) -> Result<ValueId> {
    let index: Vec<u32> = hidden.rows.iter().map(|r| r.start as u32).collect();
    let class = gather(g, hidden.states[hidden.states.len() - 1], &index)?;
    let pooled = contrast.image_norm.apply(g, class)?;
    g.tap("vision.pooled", pooled);
    let projected = contrast.image.apply(g, pooled)?;
    let embeds = g.apply(L2Norm { eps: 1e-12 }, &[projected])?;
    g.tap("image_embeds", embeds);
    Ok(embeds)
}
