//! `none` and `pad`: one input of one size. The steps are the image processor's own (resize, centre crop), for `pad`
//! on the square around the picture that LLaVA's `expand2square` makes first.

use super::plan::{Features, Mark, Segment, TilePlan};
use crate::Result;
use crate::image::{Policy, Preprocess, Resample, Size};

/// One input of the tower.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// Resize and crop.
    pub steps: Preprocess,
    /// The square around the picture first.
    pub pad: bool,
    /// Tokens of the input.
    pub features: Features,
    /// Marks before the features.
    pub before: Vec<Mark>,
    /// Marks behind them.
    pub after: Vec<Mark>,
}

impl Default for Whole {
    /// LLaVA-1.5: CLIP's resize and centre crop to 336 pixels, patches of 14.
    fn default() -> Self {
        Self::square(336, Features::Squares(14))
    }
}

impl Whole {
    /// Resized as CLIP does, the shorter side to `side`, and cropped to a square.
    pub fn square(side: u32, features: Features) -> Self {
        let mut steps = Preprocess::clip();
        (steps.size, steps.crop) = (Some(Size::ShortestEdge(side)), Some((side, side)));
        Self { steps, pad: false, features, before: Vec::new(), after: Vec::new() }
    }
    /// Resized to a square, whatever the aspect ratio.
    pub fn squeezed(side: u32, features: Features) -> Self {
        let mut whole = Self::square(side, features);
        whole.steps.size = Some(Size::Exact { height: side, width: side });
        (whole.steps.crop, whole.steps.resample) = (None, Resample::Bicubic);
        whole
    }

    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let policy = if self.pad { Policy::Pad } else { Policy::None };
        let way = self.steps.plan(width, height, policy, None)?;
        let mut plan = TilePlan::new(policy, way.source, way.resized);
        (plan.source, plan.canvas, plan.around) = (way.canvas, way.crop, self.steps.background);
        let plan = plan.one_tile();
        let marks = |marks: &[Mark]| marks.iter().cloned().map(Segment::Mark).collect::<Vec<_>>();
        let mut order = marks(&self.before);
        order.extend(plan.tile_segments(self.features));
        order.extend(marks(&self.after));
        plan.finish(self.features, order)
    }
}
