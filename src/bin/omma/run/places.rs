//! What goes with the tokens of a case besides their ids: positions on three axes, and the tiles that they see.

use super::inputs::{Inputs, Ints};
use omma::generate::{Model, Sequence};
use omma::models::{Sight, grid_positions, tile_sight};
use omma::{Error, Result};

/// Adds them to the sequences; `places` are the padded places of their tokens in rows of `width`.
pub fn place(
    model: &Model,
    inputs: &mut Inputs,
    sequences: &mut [Sequence],
    (places, width): (&[Vec<usize>], usize),
) -> Result<()> {
    let Some(decoder) = &model.spec.decoder else { return Ok(()) };
    if decoder.rope.sections.is_some() {
        positions(model, inputs, sequences, (places, width))?;
    }
    match decoder.cross {
        Some(cross) if inputs.made => seen(model, inputs, sequences, (width, cross.tiles)),
        Some(_) => stored_sight(inputs, sequences, (places, width)),
        None => Ok(()),
    }
}

/// Positions from the grids of the pictures, and `position_ids` \[3, sequences, width\] with 1 where there is no token.
fn positions(
    model: &Model,
    inputs: &mut Inputs,
    sequences: &mut [Sequence],
    (places, width): (&[Vec<usize>], usize),
) -> Result<()> {
    let image = model.spec.image_token;
    let merge = model.spec.vision.as_ref().map_or(1, |tower| tower.order.merge.max(1));
    let words = inputs.ints.get("image_grid_thw").map(|grids| grids.values.clone()).unwrap_or_default();
    let mut grids = words.chunks_exact(3).map(|g| [g[0] as usize, g[1] as usize / merge, g[2] as usize / merge]);
    let mut ids = vec![1i64; 3 * sequences.len() * width];
    let batch = sequences.len();
    for (b, sequence) in sequences.iter_mut().enumerate() {
        let (mut pictures, mut at) = (Vec::new(), 0);
        while let Some(next) = sequence.ids[at..].iter().position(|id| Some(*id) == image) {
            let grid = grids.next().ok_or_else(|| Error::argument("image_grid_thw", "holds too few pictures"))?;
            pictures.push((at + next, grid));
            at = (at + next + grid.iter().product::<usize>().max(1)).min(sequence.ids.len());
        }
        let list = grid_positions(0, sequence.ids.len(), &pictures);
        for (place, position) in places[b].iter().zip(&list) {
            for (axis, p) in position.iter().enumerate() {
                ids[(axis * batch + b) * width + place] = i64::from(*p);
            }
        }
        sequence.positions = Some(list);
    }
    inputs.ints.insert("position_ids".into(), Ints { shape: vec![3, batch, width], values: ids });
    Ok(())
}

/// Sight by `cross_attention_mask` \[sequences, width, pictures, tiles\].
fn stored_sight(inputs: &Inputs, sequences: &mut [Sequence], (places, width): (&[Vec<usize>], usize)) -> Result<()> {
    let Some(mask) = inputs.ints.get("cross_attention_mask") else { return Ok(()) };
    let tiles: usize = mask.shape.iter().skip(2).product();
    if mask.values.len() != sequences.len() * width * tiles {
        return Err(Error::argument("cross_attention_mask", format!("has shape {:?}", mask.shape)));
    }
    for (b, sequence) in sequences.iter_mut().enumerate() {
        let row = |place: &usize| mask.values[(b * width + place) * tiles..][..tiles].iter().map(|flag| *flag != 0);
        sequence.sight = Some(Sight { tiles, flags: places[b].iter().flat_map(row).collect() });
    }
    Ok(())
}

/// Sight of sequences whose pictures follow one another, and the mask that the processor would have made of it.
fn seen(model: &Model, inputs: &mut Inputs, sequences: &mut [Sequence], (width, tiles): (usize, usize)) -> Result<()> {
    let Some(filled) = inputs.ints.get("aspect_ratio_mask") else { return Ok(()) };
    let counts = filled.values.chunks_exact(tiles.max(1)).map(|picture| picture.iter().filter(|f| **f != 0).count());
    let mut counts = counts.collect::<Vec<_>>().into_iter();
    for sequence in sequences.iter_mut() {
        let stands = |(_, id): &(usize, &u32)| Some(**id) == model.spec.image_token;
        let pictures: Vec<(usize, usize)> =
            sequence.ids.iter().enumerate().filter(stands).map(|(at, _)| (at, counts.next().unwrap_or(0))).collect();
        sequence.sight = Some(tile_sight(sequence.ids.len(), &pictures, tiles));
    }
    if let [Sequence { sight: Some(sight), .. }] = sequences {
        let shape = vec![1, width, sight.tiles / tiles.max(1), tiles];
        let values = sight.flags.iter().map(|flag| i64::from(*flag)).collect();
        inputs.ints.insert("cross_attention_mask".into(), Ints { shape, values });
    }
    Ok(())
}
