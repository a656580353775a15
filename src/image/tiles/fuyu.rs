//! `fuyu`: Fuyu and OtterHD (transformers' `fuyu` image processor): no tower; the picture in its own size, filled up to
//! whole patches right and below, one token a patch and one behind each row. Fuyu-8B's processor first shrinks what is
//! larger than 1920x1080; the policy by name does not, as OtterHD does not.

use super::plan::{FeatureMap, Features, Mark, Of, Segment, TilePlan};
use super::python::{divide, int};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fuyu {
    /// Side of a patch.
    pub patch: u32,
    /// Size (width, height) into which larger pictures are shrunk.
    pub bound: Option<(u32, u32)>,
    /// Every picture is filled up to the bound, as the image processor without the processor around it leaves it.
    pub fill: bool,
}

impl Default for Fuyu {
    fn default() -> Self {
        Self { patch: 30, bound: None, fill: false }
    }
}

/// The processor's padding value 1.0 stands before rescaling: a level of 1 of 255.
const PADDING: [u8; 3] = [1; 3];

impl Fuyu {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let mut resized = (width, height);
        if let Some(bound) = self.bound.filter(|bound| width > bound.0 || height > bound.1) {
            let scale = divide(bound.1, height).min(divide(bound.0, width));
            resized = (int(f64::from(width) * scale), int(f64::from(height) * scale));
        }
        let mut plan = TilePlan::new(Policy::Fuyu, (width, height), resized);
        let shown = self.bound.filter(|_| self.fill).unwrap_or(resized);
        let patches = (shown.0.div_ceil(self.patch), shown.1.div_ceil(self.patch));
        (plan.canvas.width, plan.canvas.height) = (patches.0 * self.patch, patches.1 * self.patch);
        plan.beyond = PADDING;
        let plan = plan.one_tile();
        let map = FeatureMap::whole(Of::Tiles, patches, Some(Mark::token("|NEWLINE|")));
        plan.finish(Features::Squares(self.patch), vec![Segment::Map(map)])
    }
}
