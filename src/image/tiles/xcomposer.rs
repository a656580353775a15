//! `xcomposer` (InternLM-XComposer2.5) and `xcomposer-4khd` (InternLM-XComposer2-4KHD), from `ixc_utils.py` of
//! InternLM/InternLM-XComposer: as many tiles along the longer side as the bound allows, the other side as the shape
//! asks, white up to whole tiles. The overview first, one learned vector, then the map of tiles; a learned vector ends
//! every row of both; the overview is made of the normalised canvas.

use super::plan::{FeatureMap, Features, From, Mark, Of, Place, Segment, TilePlan};
use super::python::{ceil, divide, int};
use crate::Result;
use crate::image::{Policy, Window};

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XComposer {
    /// Side of a tile and of the overview.
    pub tile: u32,
    /// Most tiles.
    pub max: u32,
    /// Side of the square of pixels that becomes one token: patches of 14, merged two by two.
    pub step: u32,
    /// Not more tiles along the longer side than it needs (2.5); otherwise small pictures are enlarged to the bound.
    pub enough: bool,
    /// The picture in the middle of the padding (4KHD); otherwise at the edge.
    pub centred: bool,
}

impl Default for XComposer {
    /// XComposer2.5.
    fn default() -> Self {
        Self { tile: 560, max: 25, step: 28, enough: true, centred: false }
    }
}

impl XComposer {
    /// XComposer2-4KHD.
    pub fn khd4() -> Self {
        Self { tile: 336, max: 16, step: 28, enough: false, centred: true }
    }

    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let policy = if self.centred { Policy::XComposer4Khd } else { Policy::XComposer };
        // Upright pictures are transposed and back.
        let upright = width < height;
        let turn = |(a, b): (u32, u32)| if upright { (b, a) } else { (a, b) };
        let (long, short) = turn((width, height));
        let resized = self.resized(divide(long, short), long);
        let rows = ceil(divide(resized.1, self.tile));
        let padding = rows.saturating_mul(self.tile) - resized.1;
        let before = if self.centred { padding / 2 } else { 0 };
        let mut plan = TilePlan::new(policy, (width, height), turn(resized));
        let (x, y) = turn((0, before));
        let (canvas_width, canvas_height) = turn((resized.0, resized.1 + padding));
        plan.canvas = Window { x: -(x as i32), y: -(y as i32), width: canvas_width, height: canvas_height };
        plan.beyond = [255; 3];
        let grid = turn((resized.0 / self.tile, rows));
        let out = (self.tile, self.tile);
        let plan = plan.cut(grid, out).overview(out, Place::First, From::Normalized);
        let side = self.tile / self.step;
        let row_end = || Some(Mark::vector("sub_GN"));
        let order = vec![
            Segment::Map(FeatureMap::whole(Of::Overview, (side, side), row_end())),
            Segment::Mark(Mark::vector("glb_GN")),
            Segment::Map(FeatureMap::whole(Of::Tiles, (grid.0 * side, grid.1 * side), row_end())),
        ];
        plan.finish(Features::Squares(self.step), order)
    }

    /// Size for a picture that lies on its side: `long` over the other side is `ratio`.
    fn resized(&self, ratio: f64, long: u32) -> (u32, u32) {
        let fits = |scale: u32| f64::from(scale) * (f64::from(scale) / ratio).ceil() <= f64::from(self.max);
        let mut scale = (1..).take_while(|scale| fits(*scale)).last().unwrap_or(0);
        if self.enough {
            scale = scale.min(ceil(divide(long, self.tile)));
        }
        let width = scale * self.tile;
        (width, int(f64::from(width) / ratio))
    }
}
