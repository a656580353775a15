//! `uhd-paper`: LLaVA-UHD as its paper describes it (thunlp/LLaVA-UHD, `llava-uhd/slice_logic.py` of March 2024). The
//! picture is cut first, at truncated fractions of its own size; slices and overview are then resized to at most as
//! many patches as a square has. One slice needs no overview; there are no separators.

use super::plan::{Area, Features, From, Place, Segment, Tile, TilePlan, refuse};
use super::python::{divide, int};
use crate::Result;
use crate::image::Policy;

/// Settings of the slicer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UhdPaper {
    /// Bound of the ideal number of slices; the grid may have one more.
    pub max: u32,
    /// Side of the square whose patches a slice may have.
    pub size: u32,
    /// Side of a patch.
    pub patch: u32,
    /// Queries of the resampler.
    pub queries: u64,
}

impl Default for UhdPaper {
    fn default() -> Self {
        Self { max: 6, size: 336, patch: 14, queries: 64 }
    }
}

/// A difference of logarithms that no grid reaches.
const FAR: f64 = 1000.0;

impl UhdPaper {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let policy = Policy::UhdPaper { max: None, size: None, patch: None };
        let grid = self.grid(size);
        let (Some(slice), Some(overview)) = (self.patches((width / grid.0, height / grid.1)), self.patches(size))
        else {
            return Err(refuse(policy, size, &format!("too narrow for {} x {} slices", grid.0, grid.1)));
        };
        let pixels = |patches: (u32, u32)| (patches.0.saturating_mul(self.patch), patches.1.saturating_mul(self.patch));
        let features = Features::Queries(self.queries);
        let mut plan = TilePlan::new(policy, size, size);
        plan.grid = Some(grid);
        plan.tiles = boxes(size, grid).map(|area| Tile { area, out: pixels(slice) }).collect();
        if plan.tiles.len() > 1 {
            plan = plan.overview(pixels(overview), Place::Last, From::Picture);
        }
        let order: Vec<Segment> = plan.tile_segments(features).chain(plan.overview_segment(features)).collect();
        plan.finish(features, order)
    }

    /// (columns, rows) whose shape is nearest the picture's, among all with the ideal number of slices, one less
    /// (from 3 on) and one more.
    pub fn grid(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let area = f64::from(self.size) * f64::from(self.size);
        let ideal = (f64::from(width) * f64::from(height) / area).ceil().clamp(1.0, self.max.max(1).into()) as u32;
        let log_ratio = divide(width, height).ln();
        let (mut best, mut least) = ((1, 1), FAR);
        for count in if ideal <= 2 { ideal..=ideal + 1 } else { ideal - 1..=ideal + 1 } {
            for columns in (1..=count).filter(|columns| count % columns == 0) {
                let error = (divide(columns, count / columns).ln() - log_ratio).abs();
                if error < least {
                    (best, least) = ((columns, count / columns), error);
                }
            }
        }
        best
    }

    /// (columns, rows) of patches of a picture's shape, not more than a square of `size` has.
    pub fn patches(&self, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        let side = self.size / self.patch;
        let most = f64::from(side) * f64::from(side);
        let patch = f64::from(self.patch);
        let scale = (most * (patch / f64::from(height)) * (patch / f64::from(width))).sqrt();
        let count = |length: u32| int((scale * f64::from(length) / patch).min(most)).max(1);
        (width > 0 && height > 0).then(|| (count(width), count(height)))
    }
}

/// Row by row, each edge at the truncated fraction of the side.
fn boxes((width, height): (u32, u32), grid: (u32, u32)) -> impl Iterator<Item = Area> {
    let edge = |i: u32, side: u32, parts: u32| (u64::from(i) * u64::from(side) / u64::from(parts)) as u32;
    let cells = (0..grid.1).flat_map(move |row| (0..grid.0).map(move |column| (row, column)));
    cells.map(move |(row, column)| {
        let (x, y) = (edge(column, width, grid.0), edge(row, height, grid.1));
        Area { x, y, width: edge(column + 1, width, grid.0) - x, height: edge(row + 1, height, grid.1) - y }
    })
}
