//! The picture tower as a graph.

use super::spec::VisionTower;
use crate::blocks::{PixelInput, bicubic_rows, class_and_positions, encoder_layer};
use crate::graph::{Graph, ValueId};
use crate::kernels::{InterpolateRows, TensorType};
use crate::{Error, Result};

/// What a tower computes: `states[0]` enters layer 0, `states[i + 1]` leaves layer i.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// Hidden states \[pictures * tokens, width\].
    pub states: Vec<ValueId>,
    /// Rows of one picture.
    pub tokens: usize,
}

/// Adds the tower up to hidden state `deepest` over `pictures` pictures of `size` (height, width) in `pixels`.
pub fn vision_hidden(
    g: &mut Graph,
    tower: &VisionTower,
    pixels: ValueId,
    pictures: usize,
    size: (usize, usize),
    deepest: usize,
) -> Result<Hidden> {
    let stage = tower.stage;
    let x = g.scoped("embed", |g| embed(g, tower, pixels, pictures, size))?;
    g.tap(&format!("{stage}embeddings"), x);
    let x = match &tower.pre_norm {
        Some(norm) => g.scoped("pre_norm", |g| norm.apply(g, x))?,
        None => x,
    };
    g.tap(&format!("{stage}pre_ln"), x);
    let tokens = tower.tokens(size);
    let spans: Vec<u32> =
        (0..pictures).map(|p| (p * tokens) as u32).flat_map(|s| [s, tokens as u32, s, tokens as u32]).collect();
    let spans = g.constant_u32("spans", &[pictures, 4], &spans);
    let mut states = vec![x];
    for (i, layer) in tower.layers.iter().take(deepest).enumerate() {
        let x = states[i];
        let y = g.scoped(&format!("layer.{i}"), |g| encoder_layer(g, layer, x, spans))?;
        g.tap(&format!("{stage}layer.{i}"), y);
        states.push(y);
    }
    Ok(Hidden { states, tokens })
}

fn embed(
    g: &mut Graph,
    tower: &VisionTower,
    pixels: ValueId,
    pictures: usize,
    size: (usize, usize),
) -> Result<ValueId> {
    let (rows, cols) = tower.grid(size);
    if rows == 0 || cols == 0 {
        let reason = format!("a picture of {}x{} holds no patch of {}", size.1, size.0, tower.patch.patch);
        return Err(Error::graph("embed", reason));
    }
    let width = tower.patch.width;
    let patches = tower.patch.apply(g, pixels, PixelInput::Planes)?;
    let dtype = g.ty(patches).dtype;
    let prefix = g.weight(&tower.prefix.join("+"), TensorType::new(dtype, &[tower.prefix.len(), width]));
    let side = tower.image_size / tower.patch.patch;
    let table = g.weight(&tower.positions, TensorType::f32(&[tower.prefix.len() + side * side, width]));
    let positions = if (rows, cols) == (side, side) {
        table
    } else {
        let (index, weight) = bicubic_rows(tower.prefix.len(), (side, side), (rows, cols));
        let tokens = tower.tokens(size);
        let index = g.constant_u32("taps", &[tokens, 16], &index);
        let weight = g.constant_f32("weights", &[tokens, 16], &weight);
        g.apply(InterpolateRows { taps: 16 }, &[table, index, weight])?
    };
    class_and_positions(g, patches, prefix, positions, pictures)
}
