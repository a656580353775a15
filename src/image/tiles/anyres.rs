//! `anyres` of LLaVA-NeXT, `anyres:max=N` of LLaVA-OneVision, `hd` of LLaVA-1.5-HD: the picture keeps its aspect ratio
//! on the best of a list of canvases (haotian-liu/LLaVA, `mm_utils.py` and `llava_arch.py`; transformers'
//! `llava_next` and `llava_onevision`), black around it; square tiles; the overview squeezes the picture to one tile.
//! The features of all tiles are one map: what is padding is cut away again, and every row ends in a learned vector.

use super::plan::{Area, FeatureMap, Features, From, Mark, Of, Place, Segment, TilePlan, refuse};
use super::python::{ceil, divide, floor_divide, int, int_round_7};
use crate::Result;
use crate::image::{Policy, Window};

/// How the padding is cut away from the map of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unpad {
    /// Not at all.
    Keep,
    /// As LLaVA's own code: whole rows by truncation.
    Truncated,
    /// As transformers: truncation after rounding to seven decimals.
    Rounded,
}

/// A list of canvases and what becomes of the features.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnyRes {
    /// Side of a tile and of the overview in pixels.
    pub tile: u32,
    /// Side of a patch in pixels; a tile gives `tile / patch` features a side.
    pub patch: u32,
    /// Canvases (width, height), multiples of `tile`; the first of equals wins.
    pub canvases: Vec<(u32, u32)>,
    /// What happens to the padding.
    pub unpad: Unpad,
    /// A learned vector ends every row of the map.
    pub newline: bool,
    /// The map is shrunk where it has clearly more features than so many tiles.
    pub max: Option<u32>,
}

/// The five canvases of LLaVA-NeXT in its order, (width, height).
const NEXT: [(u32, u32); 5] = [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)];
/// A map is shrunk from this ratio of sides on.
const CLEARLY: f64 = 1.1;

impl Default for AnyRes {
    fn default() -> Self {
        Self { tile: 336, patch: 14, canvases: NEXT.to_vec(), unpad: Unpad::Truncated, newline: true, max: None }
    }
}

impl AnyRes {
    /// LLaVA-1.5-HD: the canvases of LLaVA-NeXT, the whole map, no vectors between rows.
    pub fn hd() -> Self {
        Self { unpad: Unpad::Keep, newline: false, ..Self::default() }
    }
    /// LLaVA-OneVision: up to 6 x 6 tiles of 384 pixels, shrunk to the features of `max` tiles.
    pub fn onevision(max: u32) -> Self {
        let canvases = (1..=6).flat_map(|a| (1..=6).map(move |b| (a * 384, b * 384))).collect();
        Self { tile: 384, canvases, max: Some(max), ..Self::default() }
    }
    pub(super) fn policy(&self) -> Policy {
        if !self.newline && self.unpad == Unpad::Keep { Policy::Hd } else { Policy::AnyRes { max: self.max } }
    }

    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        let Some(canvas) = self.best(size) else {
            return Err(refuse(self.policy(), size, "too narrow: it vanishes on every canvas"));
        };
        let resized = fitted(size, canvas);
        let mut plan = TilePlan::new(self.policy(), size, resized);
        let before = |canvas: u32, picture: u32| -(((canvas - picture) / 2) as i32);
        let (x, y) = (before(canvas.0, resized.0), before(canvas.1, resized.1));
        plan.canvas = Window { x, y, width: canvas.0, height: canvas.1 };
        let grid = (canvas.0 / self.tile, canvas.1 / self.tile);
        let features = Features::Squares(self.patch);
        let out = (self.tile, self.tile);
        let plan = plan.cut(grid, out).overview(out, Place::First, From::Picture);
        let map = self.map(size, grid);
        let order = plan.overview_segment(features).into_iter().chain([Segment::Map(map)]).collect();
        plan.finish(features, order)
    }

    /// The canvas that keeps most pixels of the picture, then wastes fewest, then stands first.
    fn best(&self, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        let mut best: Option<(u64, u64, (u32, u32))> = None;
        for &canvas in &self.canvases {
            let scale = divide(canvas.0, width).min(divide(canvas.1, height));
            let side = |side: u32| u64::from(int(f64::from(side) * scale));
            let kept = (side(width) * side(height)).min(u64::from(width) * u64::from(height));
            let wasted = u64::from(canvas.0) * u64::from(canvas.1) - kept;
            let better = |(most, least, _): (u64, u64, _)| kept > most || (kept == most && wasted < least);
            if kept > 0 && best.is_none_or(better) {
                best = Some((kept, wasted, canvas));
            }
        }
        best.map(|(_, _, canvas)| canvas)
    }

    /// The map of all tiles, cut to the picture and shrunk.
    fn map(&self, size: (u32, u32), grid: (u32, u32)) -> FeatureMap {
        let side = self.tile / self.patch.max(1);
        let full = (grid.0 * side, grid.1 * side);
        let newline = self.newline.then(|| Mark::vector("image_newline"));
        let mut map = FeatureMap::whole(Of::Tiles, full, newline);
        if self.unpad != Unpad::Keep {
            map.kept = self.unpadded(size, full);
        }
        if let Some(max) = self.max {
            let (columns, rows) = (map.kept.width, map.kept.height);
            let times = (f64::from(columns) * f64::from(rows) / (f64::from(max) * f64::from(side).powi(2))).sqrt();
            let shrink = |n: u32| floor_divide(n.into(), times);
            map.shrunk = (times > CLEARLY).then(|| (shrink(columns), shrink(rows)));
        }
        map
    }

    /// The part of a map that shows the picture: along one axis, the same number of rows or columns is cut on both
    /// sides, so an odd remainder stays.
    fn unpadded(&self, (width, height): (u32, u32), (columns, rows): (u32, u32)) -> Area {
        let whole = if self.unpad == Unpad::Rounded { int_round_7 } else { int };
        let scaled = |side: u32, to: u32, from: u32| whole(f64::from(side) * divide(to, from));
        if divide(width, height) > divide(columns, rows) {
            let cut = rows.saturating_sub(scaled(height, columns, width)) / 2;
            Area { x: 0, y: cut, width: columns, height: rows - 2 * cut }
        } else {
            let cut = columns.saturating_sub(scaled(width, rows, height)) / 2;
            Area { x: cut, y: 0, width: columns - 2 * cut, height: rows }
        }
    }
}

/// The largest size of the picture's aspect ratio on a canvas: one side fits exactly, the other is rounded up.
fn fitted((width, height): (u32, u32), canvas: (u32, u32)) -> (u32, u32) {
    let (by_width, by_height) = (divide(canvas.0, width), divide(canvas.1, height));
    if by_width < by_height {
        (canvas.0, ceil(f64::from(height) * by_width).min(canvas.1))
    } else {
        (ceil(f64::from(width) * by_height).min(canvas.0), canvas.1)
    }
}
