//! `uhd`: LLaVA-UHD as released (thunlp/LLaVA-UHD, branch LLaVA-UHD-v1, `slice_process.py`). Slices of the picture's
//! own shape with a comma behind each and a line feed behind each row, then the overview in its native shape.

use super::plan::{Features, From, Mark, Place, Segment, TilePlan};
use super::{python, slices};
use crate::Result;
use crate::image::Policy;

/// Settings of the slicer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uhd {
    /// Most slices.
    pub max: u32,
    /// Side of the square whose area a slice has.
    pub size: u32,
    /// Side of a patch; all sizes are whole patches.
    pub patch: u32,
    /// Queries of the resampler: tokens of a slice and of the overview.
    pub queries: u64,
}

impl Default for Uhd {
    /// What the released training and evaluation call it with: 7 slices of 336 pixels, 144 queries.
    fn default() -> Self {
        Self { max: 7, size: 336, patch: 14, queries: 144 }
    }
}

impl Uhd {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let features = Features::Queries(self.queries);
        let policy = Policy::Uhd { max: None, size: None, patch: None };
        let grid = slices::grid(size, self.max, self.size, false);
        let whole = (f64::from(width), f64::from(height));
        let overview = slices::fit(whole, self.size, self.patch, python::int, grid.is_none());
        let Some(grid) = grid else {
            let plan = TilePlan::new(policy, size, overview).overview(overview, Place::Last, From::Picture);
            let order = plan.overview_segment(features).into_iter().collect();
            return plan.finish(features, order);
        };
        let slice = slices::slice(size, grid, self.size, self.patch, python::int);
        let resized = (slice.0.saturating_mul(grid.0), slice.1.saturating_mul(grid.1));
        let plan = TilePlan::new(policy, size, resized).cut(grid, slice);
        let plan = plan.overview(overview, Place::Last, From::Picture);
        let mark = |i: usize| if (i + 1).is_multiple_of(grid.0 as usize) { "\n" } else { "," };
        let slices = plan.tile_segments(features).enumerate();
        let slices = slices.flat_map(|(i, tile)| [tile, Segment::Mark(Mark::token(mark(i)))]);
        let order = slices.chain(plan.overview_segment(features)).collect();
        plan.finish(features, order)
    }
}
