//! `idefics3`: Idefics3 and SmolVLM (transformers' image processor): the longer side to a fixed length, then both sides
//! up to whole tiles, resized twice; tiles with the names of their rows and columns, and the canvas squeezed to one
//! tile last. A picture of one tile is the overview alone.

use super::plan::{Features, From, Mark, Place, Segment, TilePlan};
use super::python::{ceil, divide, int};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Idefics3 {
    /// Length of the longer side after the first resize.
    pub longest: u32,
    /// Side of a tile.
    pub tile: u32,
    /// Cut into tiles; otherwise squeezed to one.
    pub split: bool,
    /// Tokens of a tile and of the overview.
    pub features: Features,
}

impl Default for Idefics3 {
    /// 364 pixels, patches of 14 merged two by two: 169 tokens.
    fn default() -> Self {
        Self { longest: 4 * 364, tile: 364, split: true, features: Features::Squares(28) }
    }
}

/// Longest side whatever the configuration asks for.
const MOST: u32 = 4096;

impl Idefics3 {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let first = below(self.stretched(size));
        let whole = if self.split { self.whole_tiles(first) } else { (self.tile, self.tile) };
        let out = (self.tile, self.tile);
        let mut plan = TilePlan::new(Policy::Idefics3, size, whole);
        plan.through = Some(first);
        if whole.0 > self.tile || whole.1 > self.tile {
            plan = plan.cut((whole.0 / self.tile, whole.1 / self.tile), out);
        }
        let plan = plan.overview(out, Place::Last, From::Canvas);
        let mut order = Vec::new();
        let columns = plan.grid.map_or(1, |g| g.0 as usize);
        for (i, tile) in plan.tile_segments(self.features).enumerate() {
            let (row, column) = (i / columns + 1, i % columns + 1);
            let place = Mark { name: format!("<row_{row}_col_{column}>").into(), learned: false };
            order.extend([fake(), Segment::Mark(place), tile]);
            if column == columns {
                // The last row's line feed and the one before the overview are one token.
                let end = if i + 1 == plan.tiles.len() { "\n\n" } else { "\n" };
                order.push(Segment::Mark(Mark::token(end)));
            }
        }
        order.extend([fake(), Segment::Mark(Mark::token("<global-img>"))]);
        order.extend(plan.overview_segment(self.features).into_iter().chain([fake()]));
        plan.finish(self.features, order)
    }

    /// The longer side as configured; the other keeps the shape and is made even by one more.
    fn stretched(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let ratio = divide(width, height);
        let long = f64::from(self.longest);
        let even = |side: u32| side + side % 2;
        let (width, height) = if width >= height {
            (self.longest, even(int(long / ratio)))
        } else {
            (even(int(long * ratio)), self.longest)
        };
        (width.max(1), height.max(1))
    }

    /// Whole tiles along the longer side, and as many as the shape then needs along the other.
    fn whole_tiles(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let ratio = divide(width, height);
        let up = |side: u32| ceil(divide(side, self.tile)) * self.tile;
        if width >= height {
            let width = up(width);
            (width, up(int(f64::from(width) / ratio)))
        } else {
            let height = up(height);
            (up(int(f64::from(height) * ratio)), height)
        }
    }
}

/// No side longer than [`MOST`].
fn below((width, height): (u32, u32)) -> (u32, u32) {
    let ratio = divide(width, height);
    let (width, height) = if width >= height && width > MOST {
        (MOST, int(f64::from(MOST) / ratio))
    } else if height > width && height > MOST {
        (int(f64::from(MOST) * ratio), MOST)
    } else {
        (width, height)
    };
    (width.max(1), height.max(1))
}

fn fake() -> Segment {
    Segment::Mark(Mark::token("<fake_token_around_image>"))
}
