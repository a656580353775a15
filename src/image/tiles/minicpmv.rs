//! `minicpmv`: MiniCPM-V (OpenBMB/MiniCPM-V, `finetune/dataset.py`): the slices of LLaVA-UHD with sizes rounded to the
//! nearest patch, the overview first, everything between tags. Version 4.6 in transformers aligns to merged patches.

use super::plan::{Features, From, Mark, Place, Segment, TilePlan};
use super::{python, slices};
use crate::Result;
use crate::image::Policy;

/// Settings of the slicer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MiniCpmV {
    /// Most slices.
    pub max: u32,
    /// Side of the square whose area a slice has.
    pub size: u32,
    /// Sizes are multiples of this: a patch, or the patches that are merged to one token (4.6).
    pub step: u32,
    /// Tokens of a slice and of the overview.
    pub features: Features,
    /// Of equally good grids the one with most rows (4.6), not the first.
    pub tall_ties: bool,
    /// Tags around slices.
    pub form: Form,
}

/// How slices stand in a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// Each between the tags of a picture, all of them between those of slices (up to 2.5).
    #[default]
    Images,
    /// Each between the tags of a slice (2.6).
    Slices {
        /// The number of the picture comes first.
        numbered: bool,
    },
}

impl Default for MiniCpmV {
    fn default() -> Self {
        Self { max: 9, size: 448, step: 14, features: Features::Queries(64), tall_ties: false, form: Form::Images }
    }
}

impl MiniCpmV {
    /// Version 4.6: tokens stand for `merge` x `merge` patches (4, or 2 for its finer mode).
    pub fn v4_6(max: u32, size: u32, patch: u32, merge: u32) -> Self {
        let step = patch.saturating_mul(merge);
        Self { max, size, step, features: Features::Squares(step), tall_ties: true, form: Form::Images }
    }

    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let grid = slices::grid(size, self.max, self.size, self.tall_ties);
        let whole = (f64::from(width), f64::from(height));
        let overview = slices::fit(whole, self.size, self.step, python::round, grid.is_none());
        let mut order = Vec::new();
        if let Form::Slices { numbered: true } = self.form {
            order.extend(["<image_id>", Mark::NUMBER, "</image_id>"].map(|name| Segment::Mark(Mark::token(name))));
        }
        let Some(grid) = grid else {
            let plan = TilePlan::new(Policy::MiniCpmV, size, overview).overview(overview, Place::First, From::Picture);
            tagged(&mut order, PICTURE, plan.overview_segment(self.features));
            order.push(Segment::Mark(Mark::token("\n")));
            return plan.finish(self.features, order);
        };
        let slice = slices::slice(size, grid, self.size, self.step, python::round);
        let resized = (slice.0.saturating_mul(grid.0), slice.1.saturating_mul(grid.1));
        let plan = TilePlan::new(Policy::MiniCpmV, size, resized).cut(grid, slice);
        let plan = plan.overview(overview, Place::First, From::Picture);
        tagged(&mut order, PICTURE, plan.overview_segment(self.features));
        let inner = if self.form == Form::Images { PICTURE } else { SLICE };
        let outer = |mark: &'static str| (self.form == Form::Images).then(|| Segment::Mark(Mark::token(mark)));
        order.extend(outer(SLICE.0));
        for (i, tile) in plan.tile_segments(self.features).enumerate() {
            if i > 0 && i.is_multiple_of(grid.0 as usize) {
                order.push(Segment::Mark(Mark::token("\n")));
            }
            tagged(&mut order, inner, Some(tile));
        }
        order.extend(outer(SLICE.1));
        order.push(Segment::Mark(Mark::token("\n")));
        plan.finish(self.features, order)
    }
}

const PICTURE: (&str, &str) = ("<image>", "</image>");
const SLICE: (&str, &str) = ("<slice>", "</slice>");

/// Features between tags.
fn tagged(order: &mut Vec<Segment>, (before, after): (&'static str, &'static str), features: Option<Segment>) {
    order.push(Segment::Mark(Mark::token(before)));
    order.extend(features);
    order.push(Segment::Mark(Mark::token(after)));
}
