//! `monkey`: Monkey (Yuliang-Liu/Monkey, `monkey_model/visual.py`): the picture is squeezed to a square of four windows,
//! the windows go row by row, each through the tower with its own low-rank weights, and the whole comes last, shrunk
//! from the normalised pixels.
//!
//! A picture that is already made of whole windows, up to the 896x1344 of the paper, keeps its size; pixels that fill
//! no window are dropped, as the source's `sliding_window` drops them.

use super::plan::{Features, From, Place, Segment, TilePlan};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Monkey {
    /// Side of a window and of the overview.
    pub window: u32,
    /// Size that every picture is squeezed to; `None` as the module says.
    pub size: Option<(u32, u32)>,
    /// Tokens of a window and of the overview.
    pub queries: u64,
}

impl Default for Monkey {
    fn default() -> Self {
        Self { window: 448, size: None, queries: 256 }
    }
}

/// Windows of a side, and of a picture, that keeps its size.
const MOST: (u32, u32) = (3, 6);

impl Monkey {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let windows = |side: u32| side / self.window.max(1);
        let whole = |side: u32| side.is_multiple_of(self.window.max(1)) && (1..=MOST.0).contains(&windows(side));
        let keeps = whole(width) && whole(height) && windows(width) * windows(height) <= MOST.1;
        let own = if keeps { (width, height) } else { (2 * self.window, 2 * self.window) };
        let resized = self.size.unwrap_or(own);
        let grid = (windows(resized.0), windows(resized.1));
        let mut plan = TilePlan::new(Policy::Monkey, (width, height), resized);
        (plan.canvas.width, plan.canvas.height) = (grid.0 * self.window, grid.1 * self.window);
        let (out, features) = ((self.window, self.window), Features::Queries(self.queries));
        let plan = plan.cut(grid, out).overview(out, Place::Last, From::Normalized);
        let order: Vec<Segment> = plan.tile_segments(features).chain(plan.overview_segment(features)).collect();
        plan.finish(features, order)
    }
}
