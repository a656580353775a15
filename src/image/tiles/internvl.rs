//! `internvl`: InternVL's dynamic tiling (transformers' `got_ocr2` image processor): the picture is squeezed to the grid
//! of square tiles whose shape is nearest its own; of equally near ones the larger while the picture has at least half
//! its pixels. The overview comes last, and only where there is more than one tile.

use super::plan::{Features, From, Mark, Place, Segment, TilePlan};
use super::python::divide;
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InternVl {
    /// Size (width, height) of a tile.
    pub tile: (u32, u32),
    /// Fewest tiles.
    pub min: u32,
    /// Most tiles.
    pub max: u32,
    /// Tokens of a tile and of the overview.
    pub features: Features,
}

impl Default for InternVl {
    /// 448 pixels, patches of 14 merged two by two: 256 tokens.
    fn default() -> Self {
        Self { tile: (448, 448), min: 1, max: 12, features: Features::Squares(28) }
    }
}

impl InternVl {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let grid = self.grid((width, height));
        let resized = (self.tile.0 * grid.0, self.tile.1 * grid.1);
        let mut plan = TilePlan::new(Policy::InternVl, (width, height), resized).cut(grid, self.tile);
        if plan.tiles.len() > 1 {
            plan = plan.overview(self.tile, Place::Last, From::Picture);
        }
        let mut order = vec![Segment::Mark(Mark::token("<img>"))];
        order.extend(plan.tile_segments(self.features).chain(plan.overview_segment(self.features)));
        order.push(Segment::Mark(Mark::token("</img>")));
        plan.finish(self.features, order)
    }

    /// (columns, rows).
    fn grid(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let ratio = divide(width, height);
        let area = f64::from(width) * f64::from(height);
        let tile = 0.5 * f64::from(self.tile.1) * f64::from(self.tile.0);
        let mut grids: Vec<(u32, u32)> =
            (1..=self.max).flat_map(|columns| (1..=self.max / columns).map(move |rows| (columns, rows))).collect();
        grids.retain(|(columns, rows)| columns * rows >= self.min);
        grids.sort_by_key(|(columns, rows)| columns * rows);
        let (mut best, mut least) = ((1, 1), f64::INFINITY);
        for (columns, rows) in grids {
            let far = (ratio - divide(columns, rows)).abs();
            let filled = area > tile * f64::from(columns) * f64::from(rows);
            if far < least || (far == least && filled) {
                (best, least) = ((columns, rows), far);
            }
        }
        best
    }
}
