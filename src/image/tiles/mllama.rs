//! `mllama`: Llama 3.2 Vision (transformers' image processor): of all grids of tiles the one that enlarges the picture
//! least, otherwise the one that shrinks it least, then the smallest; the picture in its upper left corner, black
//! around it. The features do not enter the sequence: the language model attends to them.

use super::plan::{Features, Segment, TilePlan};
use super::python::{divide, int};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mllama {
    /// Side of a tile.
    pub tile: u32,
    /// Most tiles.
    pub max: u32,
    /// Side of a patch; the class token is kept.
    pub patch: u32,
}

impl Default for Mllama {
    fn default() -> Self {
        Self { tile: 560, max: 4, patch: 14 }
    }
}

impl Mllama {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let grid = self.grid(size);
        let canvas = (grid.0 * self.tile, grid.1 * self.tile);
        let mut plan = TilePlan::new(Policy::Mllama, size, self.fitted(size, canvas));
        (plan.canvas.width, plan.canvas.height) = canvas;
        let plan = plan.cut(grid, (self.tile, self.tile));
        let features = Features::SquaresAndClass(self.patch);
        let order: Vec<Segment> = plan.tile_segments(features).collect();
        plan.finish(features, order)
    }

    /// (columns, rows).
    fn grid(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let scale = |(columns, rows): (u32, u32)| {
            let by_height = divide(rows * self.tile, height);
            let by_width = divide(columns * self.tile, width);
            if by_width > by_height { by_height } else { by_width }
        };
        let all = || (1..=self.max).flat_map(|rows| (1..=self.max / rows).map(move |columns| (columns, rows)));
        let larger = all().map(scale).filter(|s| *s >= 1.0).fold(f64::INFINITY, f64::min);
        let smaller = all().map(scale).filter(|s| *s < 1.0).fold(0.0, f64::max);
        let chosen = if larger.is_finite() { larger } else { smaller };
        // The first of the smallest: `min_by_key` keeps the first of equals.
        all().filter(|grid| scale(*grid) == chosen).min_by_key(|(columns, rows)| columns * rows).unwrap_or((1, 1))
    }

    /// Size on the canvas: not below a tile where the canvas allows, at least one pixel.
    fn fitted(&self, (width, height): (u32, u32), canvas: (u32, u32)) -> (u32, u32) {
        let target = (width.clamp(self.tile, canvas.0), height.clamp(self.tile, canvas.1));
        let (by_width, by_height) = (divide(target.0, width), divide(target.1, height));
        if by_width < by_height {
            (target.0, int(f64::from(height) * by_width).max(1).min(target.1))
        } else {
            (int(f64::from(width) * by_height).max(1).min(target.0), target.1)
        }
    }
}
