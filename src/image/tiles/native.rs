//! `native`: Qwen2-VL and Qwen2.5-VL (transformers' `smart_resize`): one input near the picture's own size, both sides
//! whole squares of merged patches, between two bounds of pixels. Qwen2.5-VL attends within windows in most layers;
//! [`Native::window_order`] is the order in which its tower reads the merged patches.

use super::plan::{Features, Segment, TilePlan, refuse};
use super::python::{ceil, divide, int, round};
use crate::Result;
use crate::image::Policy;

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Native {
    /// Side of the square of pixels that becomes one token: patch times merge.
    pub factor: u32,
    /// Fewest pixels.
    pub min_pixels: u64,
    /// Most pixels.
    pub max_pixels: u64,
    /// Side of an attention window in tokens (Qwen2.5-VL: 112 pixels are 4).
    pub window: Option<u32>,
}

impl Default for Native {
    fn default() -> Self {
        Self { factor: 28, min_pixels: 56 * 56, max_pixels: 28 * 28 * 1280, window: None }
    }
}

/// Aspect ratio beyond which the reference refuses.
const NARROW: f64 = 200.0;

impl Native {
    pub(super) fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        let size = (width, height);
        if divide(width.max(height), width.min(height)) > NARROW {
            return Err(refuse(Policy::Native, size, "one side is more than 200 times the other"));
        }
        let plan = TilePlan::new(Policy::Native, size, self.resized(size)).one_tile();
        let features = Features::Squares(self.factor);
        let order: Vec<Segment> = plan.tile_segments(features).collect();
        plan.finish(features, order)
    }

    fn resized(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let (w, h, factor) = (f64::from(width), f64::from(height), f64::from(self.factor));
        let step = |count: u32| count.saturating_mul(self.factor);
        let near = (step(round(w / factor)), step(round(h / factor)));
        let pixels = u64::from(near.0) * u64::from(near.1);
        if pixels > self.max_pixels {
            let beta = (h * w / self.max_pixels as f64).sqrt();
            let side = |side: f64| step(int(side / beta / factor)).max(self.factor);
            (side(w), side(h))
        } else if pixels < self.min_pixels {
            let beta = (self.min_pixels as f64 / (h * w)).sqrt();
            let side = |side: f64| step(ceil(side * beta / factor));
            (side(w), side(h))
        } else {
            near
        }
    }

    /// For a grid of (columns, rows) tokens of `merge` x `merge` patches each: the patches, counted row by row over the
    /// picture, in the order in which they enter the tower. Those of one token stand together.
    pub fn patch_order((columns, rows): (u32, u32), merge: u32) -> Vec<u32> {
        let line = columns * merge;
        let tokens = (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x)));
        let within = move |(y, x): (u32, u32)| {
            (0..merge).flat_map(move |v| (0..merge).map(move |u| (y * merge + v) * line + x * merge + u))
        };
        tokens.flat_map(within).collect()
    }

    /// For a grid of (columns, rows) tokens: the tokens in the order of windows, row by row within each, and where
    /// each window ends in that order. Without windows the order is the plain one, and ends once.
    pub fn window_order(&self, (columns, rows): (u32, u32)) -> (Vec<u32>, Vec<u32>) {
        let side = self.window.unwrap_or(u32::MAX).max(1);
        let (mut order, mut ends) = (Vec::new(), Vec::new());
        let starts = |length: u32| (0..length).step_by(side as usize);
        for (y, x) in starts(rows).flat_map(|y| starts(columns).map(move |x| (y, x))) {
            let (bottom, right) = (y.saturating_add(side).min(rows), x.saturating_add(side).min(columns));
            order.extend((y..bottom).flat_map(|y| (x..right).map(move |x| y * columns + x)));
            ends.push(order.len() as u32);
        }
        (order, ends)
    }
}
