//! LLaVA-UHD: as released (slices of any shape, resampler by regions, decoder), and the tower and resampler of the paper.

use super::builder::{Builder, nth};
use super::resamplers::{Named, grid};
use super::tower::{Run, decoded, packed, ragged, tokens};
use omma::blocks::{Grid, Reach, Resampler, splice};
use omma::checkpoint::Config;
use omma::image::tiles::{Tiling, Uhd};
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
    let chosen = selected(b, &tower)?;
    let hidden = ragged(b, &tower, &names, chosen)?;
    let x = hidden.patches(b, &tower)?;
    let grid = |name: &String| match b.input_shape(name) {
        Some([_, height, width]) => vec![tower.grid((*height, *width))],
        _ => Vec::new(),
    };
    let sequences: Vec<Vec<Grid>> = names.iter().map(grid).collect();
    let resampler = released(b, tower.patch.width, decoder.width)?;
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
    let run = Run { sequences: 1, stage: &|i| format!("llm.layer.{i}") };
    let logits = decoded(b, &decoder, x, &run)?.1;
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

/// Slices of a row: as the configuration's plan has them, if it is a plan of that many; else as the picture is planned.
fn columns(b: &Builder<'_>, slices: usize) -> Result<usize> {
    if slices == 0 {
        return Ok(1);
    }
    if let Ok((columns, rows)) = grid(b, "plan.grid")
        && columns * rows == slices
    {
        return Ok(columns);
    }
    let uhd = Uhd::default();
    let count = |path: &str, default: u32| b.config().usize(path, default as usize).map(|n| n as u32);
    let (max, size) = (count("max_slice_nums", uhd.max)?, count("scale_resolution", uhd.size)?);
    let patch = count("vision.patch_size", uhd.patch)?;
    let (width, height) = b.picture_size(0)?;
    let plan = Tiling::Uhd(Uhd { max, size, patch, ..uhd }).checked()?.plan(width, height)?;
    match plan.grid {
        Some((columns, rows)) if (columns * rows) as usize == slices => Ok(columns as usize),
        _ => Err(Error::malformed("inputs", format!("{slices} slices; the picture is planned as {:?}", plan.grid))),
    }
}

/// Text with the slices, a separator behind each, and the overview in the place of the picture's id.
fn sequence(b: &Builder<'_>, slices: usize, queries: usize) -> Result<Vec<Row>> {
    let image = b.config().optional::<i64>("image_token_index")?.unwrap_or(-200);
    let separator = |name: &str, default| b.config().usize(&format!("separators.{name}"), default);
    let (comma, newline) = (separator("comma", 29_892)? as u32, separator("newline", 13)? as u32);
    let columns = columns(b, slices)?;
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
    let own = (b.need("patches.height")?, b.need("patches.width")?);
    let chosen = selected(b, &tower)?;
    let (hidden, tile) = packed(b, &tower, own, chosen)?;
    let x = hidden.patches(b, &tower)?;
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
    let made = named.resampler().apply(&mut b.graph, x, &vec![vec![tile]; hidden.rows.len()])?;
    b.stage("resampler_key_pos", made.key_positions);
    b.stage("resampler", made.out);
    Ok(())
}
