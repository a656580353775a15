//! LLaVA-UHD's tables: interpolated positions of the tower, positions and regions of the resampler, pooled regions.

use super::builder::{Builder, Stage};
use omma::blocks::{Grid, bicubic_rows, equal_regions, region_rows, region_shape, sincos_rows};
use omma::graph::ValueId;
use omma::kernels::{InterpolateRows, TensorType};
use omma::{Error, Result};

const TABLE: &str = "position_embedding.weight";

/// A stage's name: `what.HxW` or `what.HxWxC`.
fn extents(name: &str) -> Option<(&str, Vec<usize>)> {
    let (what, sizes) = name.split_once('.')?;
    Some((what, sizes.split('x').map(str::parse).collect::<Result<_, _>>().ok()?))
}

/// Whatever stages are wanted, by their names.
pub fn positions(b: &mut Builder<'_>) -> Result<()> {
    let (side, channels) = (b.need("table")?, b.need("channels")?);
    let queries = b.need("grid_size")?;
    // A square of sines and cosines whose width only its stage tells.
    let width = |(_, sizes): (&str, Vec<usize>)| sizes.get(2).copied();
    let width = b.wanted().iter().filter_map(|s| extents(&s.name)).find_map(width);
    for stage in b.wanted() {
        let unknown = || Error::unsupported(format!("stage {}", stage.name), "no table of that name");
        let (what, sizes) = extents(&stage.name).ok_or_else(unknown)?;
        let grid = match sizes[..] {
            [rows, columns] | [rows, columns, _] => (rows, columns),
            _ => return Err(unknown()),
        };
        match (what, sizes.get(2)) {
            ("sincos", Some(width)) => {
                b.stage_of(&stage.name, Stage::Floats(sincos_rows(*width, grid)?));
            }
            ("sincos", None) => {
                let width = width.or(stage.shape.last().copied()).ok_or_else(unknown)?;
                let table = sincos_rows(width, (queries, queries))?;
                let table = b.graph.constant_f32("sincos", &[queries * queries, width], &table);
                let value = interpolated(b, table, (0, queries), grid)?;
                b.stage(&stage.name, value);
            }
            ("clip", None) => {
                let table = b.graph.weight(TABLE, TensorType::f32(&[1 + side * side, channels]));
                let value = interpolated(b, table, (1, side), grid)?;
                b.stage(&stage.name, value);
            }
            ("pool_size", None) => {
                let (rows, columns) = region_shape(grid)?;
                b.stage_of(&stage.name, Stage::Ints(vec![rows as i64, columns as i64]));
            }
            ("boxes", None) => {
                let regions = equal_regions(grid, queries)?;
                let boxes = regions.into_iter().flat_map(|[x1, y1, x2, y2]| [0.0, x1, y1, x2, y2]).collect();
                b.stage_of(&stage.name, Stage::Floats(boxes));
            }
            ("pooled", None) => {
                let map = b.input(&format!("map.{}x{}", grid.0, grid.1), &[grid.0 * grid.1, channels])?;
                let value = pooled(b, map, grid, queries)?;
                b.stage(&stage.name, value);
            }
            _ => return Err(unknown()),
        }
    }
    Ok(())
}

fn interpolated(b: &mut Builder<'_>, table: ValueId, (prefix, side): (usize, usize), to: Grid) -> Result<ValueId> {
    let (index, weight) = bicubic_rows(prefix, (side, side), to);
    let shape = [prefix + to.0 * to.1, 16];
    let (index, weight) =
        (b.graph.constant_u32("taps", &shape, &index), b.graph.constant_f32("weights", &shape, &weight));
    b.graph.apply(InterpolateRows { taps: 16 }, &[table, index, weight])
}

fn pooled(b: &mut Builder<'_>, map: ValueId, grid: Grid, queries: usize) -> Result<ValueId> {
    let plan = region_rows(&[(grid, equal_regions(grid, queries)?, region_shape(grid)?)]);
    let shape = [plan.index.len() / plan.taps, plan.taps];
    let index = b.graph.constant_u32("taps", &shape, &plan.index);
    let weight = b.graph.constant_f32("weights", &shape, &plan.weight);
    b.graph.apply(InterpolateRows { taps: plan.taps }, &[map, index, weight])
}
