//! The tensors in which the original processors hand pictures to their models, from and to planes of the tower's inputs.

use super::case::Sample;
use super::inputs::{Inputs, Ints};
use super::{batches, layouts};
use omma::generate::{Model, Pixels};
use omma::image::tiles::{Processor, Tiling, Wish};
use omma::models::{Positions, Tiled, TowerInputs, VisionTower, inputs_of};
use omma::{Error, Result};

/// Planes of the tower's inputs, one after the other.
pub struct Planes {
    /// Normalised values, \[channels, height, width\] of each input.
    pub values: Vec<f32>,
    /// Sizes, and plans where the features are put in another order.
    pub inputs: TowerInputs,
}

pub fn wrong(shape: &[usize], reason: &str) -> Error {
    Error::argument("pixel_values", format!("has shape {shape:?}; {reason}"))
}

/// Planes from the stored tensors; `None` without any.
pub fn stored(model: &Model, inputs: &Inputs) -> Result<Option<Planes>> {
    if let (Some((shape, values)), Some(tower)) = (inputs.floats.get("image_patches"), &model.spec.vision) {
        return layouts::from_pixels(tower, shape, values).map(Some);
    }
    let Some((shape, values)) = inputs.floats.get("pixel_values") else { return Ok(None) };
    if let Some(tower) = model.spec.vision.as_ref().filter(|tower| tower.order.merge > 1) {
        return layouts::from_patches(tower, inputs, shape, values).map(Some);
    }
    if let (6, Some(tiled)) = (shape[..].len(), tiled(model)) {
        let processor = model.files.processor.as_ref().ok_or_else(|| wrong(shape, "there is no processor"))?;
        let plan = |width, height| Ok(processor.plan(width, height, &Wish::default())?.0);
        return layouts::from_tiles(tiled, inputs, (shape, values), plan).map(Some);
    }
    match (shape[..].len(), tiling(model)) {
        (4, Some(Tiling::Pixtral(_))) => layouts::from_filled(inputs, shape, values).map(Some),
        (5, Some(Tiling::Idefics2(_) | Tiling::Idefics3(_))) => batches::stored(inputs, shape, values).map(Some),
        (4, Some(Tiling::Monkey(_))) => windows(model, shape, values).map(Some),
        (1, Some(Tiling::MiniCpmV(_))) => slices(model, inputs, shape, values).map(Some),
        (5, Some(Tiling::AnyRes(_))) => tiles_of_pictures(model, inputs, shape, values).map(Some),
        (4, _) => {
            let size = (shape[2], shape[3]);
            Ok(Some(Planes { values: values.clone(), inputs: TowerInputs::same(size, shape[0]) }))
        }
        _ => Err(wrong(shape, "[pictures, 3, height, width] is known for this model")),
    }
}

fn tiled(model: &Model) -> Option<&Tiled> {
    match &model.spec.vision {
        Some(VisionTower { positions: Positions::Tiled(tiled), .. }) => Some(tiled),
        _ => None,
    }
}

fn tiling(model: &Model) -> Option<&Tiling> {
    model.files.processor.as_ref().map(|p| &p.tiling)
}

/// LLaVA-NeXT and its kin: \[pictures, most tiles, 3, side, side\], the rest of a picture's tiles filled with zeros.
fn tiles_of_pictures(model: &Model, inputs: &Inputs, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let (most, size) = (shape[1], (shape[3], shape[4]));
    let each = shape[2] * size.0 * size.1;
    let processor = model.files.processor.as_ref().ok_or_else(|| wrong(shape, "there is no processor"))?;
    let (mut all, mut tower) = (Vec::new(), TowerInputs::default());
    for (picture, (height, width)) in sizes(inputs, shape)?.into_iter().enumerate() {
        let (plan, _) = processor.plan(width, height, &Wish::default())?;
        let count = inputs_of(&plan);
        if count > most || picture >= shape[0] {
            return Err(wrong(shape, &format!("{width}x{height} pixels become {count} inputs")));
        }
        all.extend_from_slice(&values[picture * most * each..][..count * each]);
        tower.sizes.extend(vec![size; count]);
        tower.plans.push(plan);
    }
    Ok(Planes { values: all, inputs: tower })
}

/// Monkey: \[windows of all pictures, the whole of each behind its windows, 3, side, side\].
fn windows(model: &Model, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let mut tower = TowerInputs { sizes: vec![(shape[2], shape[3]); shape[0]], ..TowerInputs::default() };
    // Every picture is squeezed to one size.
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let plan = processor(model, shape)?.plan(side(shape[3]), side(shape[2]), &Wish::default())?.0;
    if !shape[0].is_multiple_of(inputs_of(&plan)) {
        return Err(wrong(shape, &format!("a picture becomes {} inputs", inputs_of(&plan))));
    }
    let pictures = shape[0] / inputs_of(&plan);
    tower.plans = vec![plan; pictures];
    Ok(Planes { values: values.to_vec(), inputs: tower })
}

/// MiniCPM-V: the planes of all slices one after the other, and image_sizes.
fn slices(model: &Model, inputs: &Inputs, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let mut tower = TowerInputs::default();
    for (height, width) in sizes(inputs, shape)? {
        let (plan, ways) = processor(model, shape)?.plan(width, height, &Wish::default())?;
        tower.sizes.extend(ways.iter().map(|way| (way.size().1 as usize, way.size().0 as usize)));
        tower.plans.push(plan);
    }
    if tower.values(3) != values.len() {
        return Err(wrong(shape, &format!("slices of these pictures have {} values", tower.values(3))));
    }
    Ok(Planes { values: values.to_vec(), inputs: tower })
}

fn processor<'m>(model: &'m Model, shape: &[usize]) -> Result<&'m Processor> {
    model.files.processor.as_ref().ok_or_else(|| wrong(shape, "there is no processor"))
}

/// (height, width) of every picture.
fn sizes(inputs: &Inputs, shape: &[usize]) -> Result<Vec<(u32, u32)>> {
    let list = inputs.ints.get("image_sizes").ok_or_else(|| wrong(shape, "image_sizes is missing"))?;
    Ok(list.values.chunks_exact(2).map(|pair| (pair[0] as u32, pair[1] as u32)).collect())
}

/// What the original processor would have made of the pictures: pixel_values, and the tensors that go with them. `planes`
/// are those of all inputs.
pub fn made(model: &Model, sample: &Sample, pictures: &[Pixels], planes: &[f32], inputs: &mut Inputs) -> Result<()> {
    let sizes = || pictures.iter().flat_map(|p| &p.inputs).map(|i| (i.size().1 as usize, i.size().0 as usize));
    let tower = model.spec.vision.as_ref();
    if let Some(tower) = tower.filter(|tower| tower.order.merge > 1) {
        layouts::to_patches(tower, &sizes().collect::<Vec<_>>(), planes, inputs);
        return Ok(());
    }
    if let (Some(Tiling::Fuyu(_)), Some(tower)) = (tiling(model), tower) {
        layouts::to_pixels(tower, &sizes().collect::<Vec<_>>(), planes, inputs);
        return Ok(());
    }
    if let Some(tiled) = tiled(model) {
        return layouts::to_tiles(tiled, pictures, planes, inputs);
    }
    if let (Some(Tiling::Pixtral(_)), Some(tower)) = (tiling(model), tower) {
        layouts::to_filled(&sizes().collect::<Vec<_>>(), tower.patch.channels, planes, inputs);
        return Ok(());
    }
    if let Some(Tiling::Idefics2(_) | Tiling::Idefics3(_)) = tiling(model) {
        let own = |prompt: &String| prompt.matches(model.files.image_text.as_str()).count();
        batches::made(&sample.prompts.iter().map(own).collect::<Vec<_>>(), pictures, planes, inputs);
        return Ok(());
    }
    if let Some(Tiling::MiniCpmV(_)) = tiling(model) {
        let sizes = pictures.iter().flat_map(|p| [i64::from(p.plan.size.1), i64::from(p.plan.size.0)]).collect();
        inputs.ints.insert("image_sizes".into(), Ints { shape: vec![pictures.len(), 2], values: sizes });
        inputs.floats.insert("pixel_values".into(), (vec![planes.len()], planes.to_vec()));
        return Ok(());
    }
    let each: Vec<usize> = pictures.iter().map(|p| p.inputs.iter().map(|i| area(i.size())).sum()).collect();
    let mut shape = vec![pictures.iter().map(|p| p.inputs.len()).sum()];
    let mut values = planes.to_vec();
    if let Some(Tiling::AnyRes(_)) = tiling(model) {
        // Pictures with fewer tiles are filled up.
        let (longest, mut from) = (each.iter().copied().max().unwrap_or(0), 0);
        values.clear();
        for count in &each {
            values.extend_from_slice(&planes[from..from + count]);
            values.resize(values.len() + longest - count, 0.0);
            from += count;
        }
        shape = vec![pictures.len(), pictures.iter().map(|p| p.inputs.len()).max().unwrap_or(0)];
        let sizes = pictures.iter().flat_map(|p| [i64::from(p.plan.size.1), i64::from(p.plan.size.0)]).collect();
        inputs.ints.insert("image_sizes".into(), Ints { shape: vec![pictures.len(), 2], values: sizes });
    }
    if let Some((width, height)) = pictures.iter().flat_map(|p| &p.inputs).map(|i| i.size()).next() {
        shape.extend([3, height as usize, width as usize]);
    }
    // A case states the shape that its processor gives; ours is taken where the two have as many values.
    let stated = sample.input_shapes.get("pixel_values").filter(|s| s.iter().product::<usize>() == values.len());
    inputs.floats.insert("pixel_values".into(), (stated.cloned().unwrap_or(shape), values));
    Ok(())
}

fn area((width, height): (u32, u32)) -> usize {
    3 * width as usize * height as usize
}
