//! `idefics2` (transformers' image processor): the longer side is bounded above, then both below, without regard to the
//! shape; optionally four quarters of the picture go before it, each resized by the same rule.

use super::plan::{Area, Features, From, Mark, Place, Segment, Tile, TilePlan};
use super::python::{divide, int};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Idefics2 {
    /// Neither side is shorter.
    pub shortest: u32,
    /// The longer side is not longer.
    pub longest: u32,
    /// Four quarters first.
    pub split: bool,
    /// Latents of the perceiver: tokens of each input.
    pub latents: u64,
}

impl Default for Idefics2 {
    fn default() -> Self {
        Self { shortest: 378, longest: 980, split: false, latents: 64 }
    }
}

impl Idefics2 {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let features = Features::Queries(self.latents);
        let whole = self.resized(size);
        let plan = if self.split && width > 1 && height > 1 {
            let mut plan = TilePlan::new(Policy::Idefics2, size, size);
            plan.grid = Some((2, 2));
            let tile = |area: Area| Tile { area, out: self.resized((area.width, area.height)) };
            plan.tiles = quarters(size).map(tile).to_vec();
            plan.overview(whole, Place::Last, From::Picture)
        } else {
            TilePlan::new(Policy::Idefics2, size, whole).one_tile()
        };
        let mut order = vec![fake()];
        for input in plan.tile_segments(features).chain(plan.overview_segment(features)) {
            order.extend([input, fake()]);
        }
        plan.finish(features, order)
    }

    fn resized(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let ratio = divide(width, height);
        let (mut width, mut height) = (width, height);
        if width >= height && width > self.longest {
            (width, height) = (self.longest, int(f64::from(self.longest) / ratio));
        } else if height > width && height > self.longest {
            (width, height) = (int(f64::from(self.longest) * ratio), self.longest);
        }
        (width.max(self.shortest), height.max(self.shortest))
    }
}

/// What stands around the features of each input; one serves two neighbours.
fn fake() -> Segment {
    Segment::Mark(Mark::token("<fake_token_around_image>"))
}

/// Odd sides leave the larger half right and below.
fn quarters((width, height): (u32, u32)) -> [Area; 4] {
    let (x, y) = (width / 2, height / 2);
    let (right, bottom) = (width - x, height - y);
    [(0, 0, x, y), (x, 0, right, y), (0, y, x, bottom), (x, y, right, bottom)].map(|(x, y, width, height)| Area {
        x,
        y,
        width,
        height,
    })
}
