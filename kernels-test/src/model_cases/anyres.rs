//! LLaVA-NeXT's merge: features of tiles put together as the tiling plan orders them, spliced into the text.

use super::builder::Builder;
use omma::blocks::{gather, splice};
use omma::graph::ValueId;
use omma::image::tiles::{AnyRes, Tiling, TokenRow, Unpad};
use omma::kernels::{EmbedTokens, TensorType};
use omma::{DType, Error, Result};

/// Stands for the picture in LLaVA's own ids.
const IMAGE: i64 = -200;
const TABLE: &str = "model.embed_tokens.weight";
const NEWLINE: &str = "model.image_newline";

/// How `mm_patch_merge_type` of LLaVA lays features out.
#[derive(Clone, Copy, PartialEq)]
enum Merge {
    /// All tiles one after the other.
    Flat,
    /// The overview, then the map of all tiles.
    Spatial,
    /// The map cut to the picture, a learned vector behind each row.
    Unpad,
}

/// Every stage `merge.i` is the input of the decoder for picture `i` of the configuration.
pub fn merge(b: &mut Builder<'_>) -> Result<()> {
    for stage in b.wanted() {
        let unknown = || Error::unsupported(format!("stage {}", stage.name), "flat.i, spatial.i, spatial_unpad.i are");
        let (merge, picture) = stage.name.split_once('.').ok_or_else(unknown)?;
        let merge = match merge {
            "flat" => Merge::Flat,
            "spatial" => Merge::Spatial,
            "spatial_unpad" => Merge::Unpad,
            _ => return Err(unknown()),
        };
        let picture: usize = picture.parse().map_err(|_| unknown())?;
        let rows = picture_rows(b, picture, merge)?;
        let embeds = spliced(b, rows)?;
        b.stage(&stage.name, embeds);
    }
    Ok(())
}

/// The rows that stand for picture `i`.
fn picture_rows(b: &mut Builder<'_>, i: usize, merge: Merge) -> Result<ValueId> {
    let name = format!("features_{i}");
    let [inputs, 1, each, width] = b.input_shape(&name).unwrap_or_default()[..] else {
        return Err(Error::malformed(name, "is not [tiles, 1, features, width]"));
    };
    let features = b.input(&name, &[inputs * each, width])?;
    let rows = (inputs * each) as u32;
    let newline = |index: &mut Vec<u32>| index.extend((merge == Merge::Unpad).then_some(rows));
    let mut index = Vec::new();
    if merge == Merge::Flat || inputs == 1 {
        index.extend(0..rows);
        if inputs == 1 {
            newline(&mut index);
        }
    } else {
        let tiling = tiling(b, merge)?;
        let (columns, lines) = size(b, i)?;
        let plan = tiling.plan(columns, lines)?;
        if plan.tiles.len() + 1 != inputs {
            let reason = format!("features of {inputs} inputs for {} tiles and the overview", plan.tiles.len());
            return Err(Error::malformed(name, reason));
        }
        let row = |input: usize, at: u64| (input * each) as u32 + at as u32;
        for token in plan.token_rows()? {
            index.push(match token {
                TokenRow::Overview(at) => row(plan.input_of(None), at),
                TokenRow::Tile { tile, at } => row(plan.input_of(Some(tile)), at),
                TokenRow::Mark(_) => rows,
            });
        }
    }
    if merge == Merge::Unpad {
        let newline = b.graph.weight(NEWLINE, TensorType::f32(&[1, width]));
        splice(&mut b.graph, features, newline, &index, None)
    } else {
        gather(&mut b.graph, features, &index)
    }
}

/// Ids with the picture's rows in the place of its id.
fn spliced(b: &mut Builder<'_>, picture: ValueId) -> Result<ValueId> {
    let ids = b.ints("input_ids")?;
    let shape = b.weight_shape(TABLE)?;
    let [vocab, width] = shape[..] else { return Err(Error::malformed(TABLE, "is not [vocab, width]")) };
    let known: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).unwrap_or(0)).collect();
    let known = b.graph.constant_u32("ids", &[ids.len()], &known);
    let table = b.graph.weight(TABLE, TensorType::panels(DType::F32, vocab, width));
    let tokens = b.graph.apply(EmbedTokens { dtype: DType::F32 }, &[known, table])?;
    let (first, count) = (ids.len() as u32, b.graph.ty(picture).rows() as u32);
    let mut index = Vec::new();
    for (i, id) in ids.iter().enumerate() {
        if *id == IMAGE { index.extend(first..first + count) } else { index.push(i as u32) }
    }
    splice(&mut b.graph, tokens, picture, &index, None)
}

/// Width and height of picture `i`.
fn size(b: &Builder<'_>, i: usize) -> Result<(u32, u32)> {
    let plan = b.config().list::<serde_json::Value>("plan")?.unwrap_or_default();
    let pair = plan.get(i).and_then(|p| pair(&p["image_size"]));
    pair.ok_or_else(|| b.config().broken(&format!("plan[{i}].image_size"), "should be width and height"))
}

fn pair(value: &serde_json::Value) -> Option<(u32, u32)> {
    let [first, second] = value.as_array()?.as_slice() else { return None };
    Some((u32::try_from(first.as_u64()?).ok()?, u32::try_from(second.as_u64()?).ok()?))
}

fn tiling(b: &Builder<'_>, merge: Merge) -> Result<Tiling> {
    let (tile, side) = (b.need("tile")? as u32, b.need("patches_per_side")? as u32);
    let listed = b.config().list::<serde_json::Value>("image_grid_pinpoints")?.unwrap_or_default();
    let canvases: Option<Vec<(u32, u32)>> = listed.iter().map(pair).collect();
    let canvases = canvases.ok_or_else(|| b.config().broken("image_grid_pinpoints", "should be pairs"))?;
    let (unpad, newline) = if merge == Merge::Unpad { (Unpad::Truncated, true) } else { (Unpad::Keep, false) };
    if side == 0 || tile / (tile / side).max(1) != side {
        return Err(b.config().broken("tile", format!("{tile} is not {side} patches wide")));
    }
    Tiling::AnyRes(AnyRes { tile, patch: tile / side, canvases, unpad, newline, max: None }).checked()
}
