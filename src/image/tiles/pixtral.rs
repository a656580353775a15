//! `pixtral`: Pixtral and Mistral 3 (transformers' image processor): shrunk into a square where it is larger, then each
//! side up to whole patches; a mark behind every row of tokens and another behind the last.

use super::plan::{FeatureMap, Features, Mark, Of, Segment, TilePlan, refuse};
use super::python::{divide, int};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pixtral {
    /// Size (width, height) into which larger pictures are shrunk.
    pub bound: (u32, u32),
    /// Side of the square of pixels that becomes one token: a patch, times the merge of Mistral 3.
    pub step: u32,
}

impl Default for Pixtral {
    fn default() -> Self {
        Self { bound: (1024, 1024), step: 16 }
    }
}

impl Pixtral {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let ratio = divide(height, self.bound.1).max(divide(width, self.bound.0));
        let shrunk = |side: u32| if ratio > 1.0 { int(f64::from(side) / ratio) } else { side };
        let tokens = (shrunk(width).div_ceil(self.step), shrunk(height).div_ceil(self.step));
        if tokens.0 == 0 || tokens.1 == 0 {
            return Err(refuse(Policy::Pixtral, size, "too narrow: a side vanishes when the other fits"));
        }
        let resized = (tokens.0.saturating_mul(self.step), tokens.1.saturating_mul(self.step));
        let plan = TilePlan::new(Policy::Pixtral, size, resized).one_tile();
        let mut map = FeatureMap::whole(Of::Tiles, tokens, Some(Mark::token("[IMG_BREAK]")));
        map.last_end = Some(Mark::token("[IMG_END]"));
        plan.finish(Features::Squares(self.step), vec![Segment::Map(map)])
    }
}
