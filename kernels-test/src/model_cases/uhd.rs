//! LLaVA-UHD: as released (slices of any shape, resampler by regions, decoder), and the tower and resampler of the paper.

use super::builder::{Builder, nth};
use super::resamplers::{Named, grid};
use super::tower::{decoded, embedded, joined, layers, positions, tokens};
use omma::blocks::{Grid, Reach, Resampler, gather, splice};
use omma::checkpoint::Config;
use omma::graph::ValueId;
use omma::models::{Spec, UniformDtype, VisionTower, read_spec};
use omma::{DType, Error, Result};
use serde_json::{Value, json};

/// Added to the variance by the resampler's norms.
const EPS: f32 = 1e-6;

/// A section of config.json as that of a transformers model.
fn section(b: &Builder<'_>, name: &str, model_type: &str) -> Result<Value> {
    let found = b.config().section(name)?.ok_or_else(|| b.config().broken(name, "is not there"))?;
    let mut value = found.value().clone();
    value["model_type"] = model_type.into();
    Ok(value)
}

fn family(b: &Builder<'_>, config: Value) -> Result<Spec> {
    read_spec(&Config::of_value(b.config().file(), config)?, &UniformDtype(DType::F32))
}

fn no(what: &str) -> Error {
    Error::unsupported("config.json", format!("the family gives no {what}"))
}

/// Hidden state that `mm_vision_select_layer` names, counted from the front.
fn selected(b: &Builder<'_>, tower: &VisionTower) -> Result<usize> {
    const FIELD: &str = "mm_vision_select_layer";
    let states = tower.layers.len() as i64 + 1;
    let chosen = b.config().optional::<i64>(FIELD)?.unwrap_or(-2);
    let at = if chosen < 0 { states + chosen } else { chosen };
    if (0..states).contains(&at) { Ok(at as usize) } else { Err(b.config().broken(FIELD, format!("is {chosen}"))) }
}

/// Rows of the patches, without the class token.
fn patches(b: &mut Builder<'_>, x: ValueId, pictures: &[super::tower::Rows], prefix: usize) -> Result<ValueId> {
    let rows = pictures.iter().flat_map(|p| p.first + prefix..p.first + p.count);
    let index: Vec<u32> = rows.map(|row| row as u32).collect();
    gather(&mut b.graph, x, &index)
}

/// LLaVA-UHD as released, from pixels and ids to logits.
pub fn whole(b: &mut Builder<'_>) -> Result<()> {
    let (vision, text) = (section(b, "vision", "clip_vision_model")?, section(b, "text", "llama")?);
    let spec = family(b, json!({ "model_type": "llava", "vision_config": vision, "text_config": text }))?;
    b.checkpoint = b.checkpoint.canonical(spec.scheme)?;
    let tower = spec.vision.ok_or_else(|| no("tower"))?;
    let decoder = spec.decoder.ok_or_else(|| no("decoder"))?;
    let mut names: Vec<String> =
        (0..).map(|i| format!("slice_{i}")).take_while(|n| b.input_shape(n).is_some()).collect();
    let slices = names.len();
    names.push("source".into());
    let (mut pictures, mut grids) = (Vec::new(), Vec::new());
    for (i, name) in names.iter().enumerate() {
        let [channels, height, width] = b.input_shape(name).unwrap_or_default()[..] else {
            return Err(Error::malformed(name, "is not there as [channels, height, width]"));
        };
        let pixels = b.input(name, &[1, channels, height, width])?;
        let own = tower.grid((height, width));
        let table = positions(b, &tower, own, own.0 * own.1)?;
        let rows = embedded(b, &tower, pixels, table)?;
        b.stage(&nth("vision.embed", i), rows);
        pictures.push(rows);
        grids.push(own);
    }
    let (x, places) = joined(b, &pictures)?;
    let deepest = selected(b, &tower)?;
    let x = layers(b, &tower, (x, &places), deepest, "vision.")?;
    let x = patches(b, x, &places, tower.prefix.len())?;
    let resampler = released(b, tower.patch.width, decoder.width)?;
    let sequences: Vec<Vec<Grid>> = grids.iter().map(|grid| vec![*grid]).collect();
    let features = resampler.apply(&mut b.graph, x, &sequences)?.out;
    let queries = resampler.queries();
    for picture in 0..names.len() {
        b.stage_rows(&nth("connector", picture), features, (picture * queries, queries));
    }
    let order = sequence(b, slices, queries)?;
    let ids: Vec<u32> =
        order.iter().filter_map(|row| if let Row::Token(id) = row { Some(*id) } else { None }).collect();
    let text = tokens(b, &decoder, &ids)?;
    let mut next = 0..ids.len() as u32;
    let place = |row: &Row| match row {
        Row::Token(_) => next.next().unwrap_or_default(),
        Row::Feature(at) => (ids.len() + at) as u32,
    };
    let index: Vec<u32> = order.iter().map(place).collect();
    let x = splice(&mut b.graph, text, features, &index, None)?;
    b.stage("inputs_embeds", x);
    let logits = decoded(b, &decoder, x, "llm.")?;
    b.stage("logits", logits);
    Ok(())
}

fn released(b: &Builder<'_>, features: usize, width: usize) -> Result<Resampler> {
    // The family's names: `model.` in front is the decoder's.
    let front = "language_model.model.mm_projector.".to_owned();
    let side = b.need("grid_size")?;
    let named = Named { post: front.clone(), front, width, heads: width / 128, features, side, eps: EPS };
    Ok(Resampler { reach: Reach::Region, ..named.resampler() })
}

/// A row of the decoder's input.
enum Row {
    Token(u32),
    Feature(usize),
}

/// Text with the slices, a separator behind each, and the overview in the place of the picture's id.
fn sequence(b: &Builder<'_>, slices: usize, queries: usize) -> Result<Vec<Row>> {
    let image = b.config().optional::<i64>("image_token_index")?.unwrap_or(-200);
    let separator = |name: &str, default| b.config().usize(&format!("separators.{name}"), default);
    let (comma, newline) = (separator("comma", 29_892)? as u32, separator("newline", 13)? as u32);
    let columns = if slices == 0 { 1 } else { grid(b, "plan.grid")?.0.max(1) };
    let shape = b.input_shape("input_ids").unwrap_or_default();
    if shape.first() != Some(&1) {
        return Err(Error::unsupported(format!("input_ids {shape:?}"), "one sequence is"));
    }
    let mut rows = Vec::new();
    for id in b.ints("input_ids")? {
        if *id != image {
            rows.push(Row::Token(u32::try_from(*id).map_err(|_| Error::malformed("input_ids", format!("{id}")))?));
            continue;
        }
        for slice in 0..=slices {
            rows.extend((slice * queries..).take(queries).map(Row::Feature));
            if slice < slices {
                rows.push(Row::Token(if (slice + 1).is_multiple_of(columns) { newline } else { comma }));
            }
        }
    }
    Ok(rows)
}

/// The paper's tower over one square tile whose first patches hold the picture, and its resampler.
pub fn paper(b: &mut Builder<'_>) -> Result<()> {
    let vision = section(b, "vision", "clip_vision_model")?;
    let spec = family(b, json!({ "model_type": "clip", "vision_config": vision }))?;
    b.checkpoint = b.checkpoint.canonical(spec.scheme)?;
    let tower = spec.vision.ok_or_else(|| no("tower"))?;
    let (pixels, shape) = b.tensor("pixel_values", 4)?;
    let tile = tower.grid((shape[2], shape[3]));
    let own = (b.need("patches.height")?, b.need("patches.width")?);
    let table = positions(b, &tower, own, tile.0 * tile.1)?;
    let x = embedded(b, &tower, pixels, table)?;
    b.stage("embed", x);
    let count = tower.prefix.len() + tile.0 * tile.1;
    let places: Vec<_> = (0..shape[0]).map(|i| super::tower::Rows { first: i * count, count }).collect();
    let deepest = selected(b, &tower)?;
    let x = batch_layers(b, &tower, (x, &places), deepest)?;
    let x = patches(b, x, &places, tower.prefix.len())?;
    let width = b.need("embed_dim")?;
    let front = "mm_projector.".to_owned();
    let named = Named {
        post: front.clone(),
        front,
        width,
        heads: b.need("num_heads")?,
        features: tower.patch.width,
        side: b.need("grid_size")?,
        eps: EPS,
    };
    let made = named.resampler().apply(&mut b.graph, x, &vec![vec![tile]; shape[0]])?;
    b.stage("resampler_key_pos", made.key_positions);
    b.stage("resampler", made.out);
    Ok(())
}

/// [`layers`] of a batch whose stages hold all pictures.
fn batch_layers(
    b: &mut Builder<'_>,
    tower: &VisionTower,
    (x, places): (ValueId, &[super::tower::Rows]),
    deepest: usize,
) -> Result<ValueId> {
    let chosen = layers(b, tower, (x, places), deepest, "")?;
    let rows = places.iter().map(|p| p.count).sum();
    for i in 0..tower.layers.len() {
        b.whole_rows(&format!("layer.{i}"), rows);
    }
    Ok(chosen)
}
