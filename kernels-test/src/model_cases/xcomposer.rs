//! InternLM-XComposer2.5's token layout: tiles and the overview as patches, two by two in one token, with learned vectors
//! behind rows and between the two maps.

use super::builder::{Builder, Stage};
use super::resamplers::grid;
use omma::blocks::{Linear, gather, splice};
use omma::graph::ValueId;
use omma::image::tiles::{FeatureMap, Mark, Of, Segment, TokenRow, token_rows};
use omma::image::{AxisTaps, Coordinates, Interpolation, Rounding, Sampling};
use omma::kernels::{Places, Pool, PoolOp, Rearrange, Resample, TensorType, Window, Windows};
use omma::{DType, Error, Result};

/// Side of a patch of the tower, in pixels.
const PATCH: usize = 14;
const TOWER: &str = "vision_tower.proj";

/// The picture is `low` enlarged by the nearest pixel to `grid` tiles; the tower is a linear map of patch means.
pub fn tokens(b: &mut Builder<'_>) -> Result<()> {
    let (tile, (rows, columns)) = (b.need("tile")?, grid(b, "grid")?);
    if tile == 0 || !tile.is_multiple_of(2 * PATCH) || rows * columns == 0 {
        return Err(b.config().broken("tile", format!("{tile} is not made of pairs of patches of {PATCH}")));
    }
    let (low, _) = b.tensor("low", 4)?;
    let picture = enlarged(b, low, (rows * tile, columns * tile))?;
    let overview = shrunk(b, picture, tile)?;
    let tiles = tiled(b, picture, (rows, columns), tile)?;
    let side = tile / (2 * PATCH);
    let (overview, tiles) = (features(b, overview, side)?, features(b, tiles, side)?);
    let all = laid_out(b, overview, tiles, (rows, columns), side)?;
    let length = b.graph.ty(all).rows();
    b.stage("tokens", all);
    b.stage_of("length", Stage::Ints(vec![length as i64]));
    Ok(())
}

fn along(b: &mut Builder<'_>, x: ValueId, axis: usize, taps: &AxisTaps) -> Result<ValueId> {
    let places = taps.first.len();
    let first = b.graph.constant_u32("first", &[places], &taps.first);
    let count = b.graph.constant_u32("count", &[places], &taps.count);
    let weights = b.graph.constant_f32("weights", &[taps.width, places], &taps.weights);
    b.graph.apply(Resample { axis, outside: 0.0 }, &[x, first, count, weights])
}

fn enlarged(b: &mut Builder<'_>, low: ValueId, (height, width): (usize, usize)) -> Result<ValueId> {
    let nearest = Sampling {
        interpolation: Interpolation::Nearest(Rounding::Floor),
        coordinates: Coordinates::Asymmetric,
        antialias: false,
        exclude_outside: false,
    };
    let shape = b.graph.ty(low).shape.clone();
    let wide = along(b, low, 3, &nearest.taps(shape[3], width, None)?)?;
    along(b, wide, 2, &nearest.taps(shape[2], height, None)?)
}

/// `F.interpolate(mode='bicubic')` to a square.
pub fn shrunk(b: &mut Builder<'_>, picture: ValueId, side: usize) -> Result<ValueId> {
    let shape = b.graph.ty(picture).shape.clone();
    let narrow = along(b, picture, 3, &Sampling::torch(shape[3], side, true, false, false)?)?;
    along(b, narrow, 2, &Sampling::torch(shape[2], side, true, false, false)?)
}

/// Planes cut into tiles row by row.
fn tiled(b: &mut Builder<'_>, picture: ValueId, (rows, columns): (usize, usize), tile: usize) -> Result<ValueId> {
    let channels = b.graph.ty(picture).shape[1];
    let cut = Rearrange::transpose(&[channels, rows, tile, columns, tile], &[1, 3, 0, 2, 4])?;
    b.graph.apply(cut.shaped(&[rows * columns, channels, tile, tile]), &[picture])
}

/// Mean colours of patches through the linear map, the four patches of a token side by side: \[tokens, 4 width\].
fn features(b: &mut Builder<'_>, planes: ValueId, side: usize) -> Result<ValueId> {
    let window = Window::planar(PATCH, PATCH).stride(PATCH);
    let mean = Pool {
        op: PoolOp::Average { count_padding: false },
        windows: Windows::Sliding { window, ceil: false },
        places: Places::None,
    };
    let means = b.graph.apply(mean, &[planes])?;
    let shape = b.graph.ty(means).shape.clone();
    let patches = shape[0] * shape[2] * shape[3];
    let rows = Rearrange::transpose(&shape, &[0, 2, 3, 1])?.shaped(&[patches, shape[1]]);
    let rows = b.graph.apply(rows, &[means])?;
    let width = b.weight_shape(&format!("{TOWER}.weight"))?[0];
    let mapped = Linear::new(TOWER, width, shape[1], true, DType::F32).apply(&mut b.graph, rows)?;
    let patch = |tile: usize, y: usize, x: usize| (tile * 4 * side * side + y * 2 * side + x) as u32;
    let token = |t: usize| (t / (side * side), t / side % side, t % side);
    let four = |(tile, y, x): (usize, usize, usize)| {
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| patch(tile, 2 * y + dy, 2 * x + dx))
    };
    let count = patches / 4;
    let index: Vec<u32> = (0..count).flat_map(|t| four(token(t))).collect();
    let gathered = gather(&mut b.graph, mapped, &index)?;
    b.graph.reshape(gathered, &[count, 4 * width])
}

/// The overview's map, a vector, the map of all tiles.
fn laid_out(
    b: &mut Builder<'_>,
    overview: ValueId,
    tiles: ValueId,
    (rows, columns): (usize, usize),
    side: usize,
) -> Result<ValueId> {
    const ROW_END: &str = "sub_GN";
    const BETWEEN: &str = "glb_GN";
    let width = b.graph.ty(tiles).cols();
    let end = || Some(Mark::vector(ROW_END));
    let count = |n: usize| u32::try_from(n).map_err(|_| Error::argument("grid", "is too large"));
    let (full, own) = ((count(columns * side)?, count(rows * side)?), count(side)?);
    let order = [
        Segment::Map(FeatureMap::whole(Of::Overview, (own, own), end())),
        Segment::Mark(Mark::vector(BETWEEN)),
        Segment::Map(FeatureMap::whole(Of::Tiles, full, end())),
    ];
    let all: Vec<u32> = (0..((1 + rows * columns) * side * side) as u32).collect();
    let features = splice(&mut b.graph, overview, tiles, &all, None)?;
    let vectors = b.graph.weight(&format!("{ROW_END}+{BETWEEN}"), TensorType::f32(&[2, width]));
    let rows_of = (side * side) as u64;
    let mut index = Vec::new();
    for token in token_rows(&order, (count(columns)?, count(rows)?))? {
        index.push(match token {
            TokenRow::Overview(at) => at as u32,
            TokenRow::Tile { tile, at } => ((tile as u64 + 1) * rows_of + at) as u32,
            TokenRow::Mark(name) => all.len() as u32 + u32::from(name == BETWEEN),
        });
    }
    splice(&mut b.graph, features, vectors, &index, None)
}
