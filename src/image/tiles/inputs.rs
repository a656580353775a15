//! From a plan to pixels: for each input of the tower, resizes and cuts that the kernels do from the picture's bytes.
//!
//! The picture goes to the device once and every input is cut from it there: an input is a chain of [`Plan`]s, the
//! first on the picture, each further one on the bytes of the one before. A tile computes only its own pixels, so a
//! large canvas is never held whole.

use super::plan::{From, Tile, TilePlan};
use crate::image::{Plan, Policy, Resample, Window};
use crate::{Error, Result};

/// How bytes become numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// Filter of every resize.
    pub resample: Resample,
    /// Factor on the bytes.
    pub rescale: f64,
    /// Subtracted after rescaling, by channel.
    pub mean: [f64; 3],
    /// Divides the difference, by channel.
    pub std: [f64; 3],
    /// What transparent pixels lie on ([`crate::image::Picture::decode_over`]); `None`: alpha is dropped.
    pub over: Option<[u8; 3]>,
}

/// The way to one input of the tower.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Resizes and cuts of bytes, at least one; the last is normalised.
    pub steps: Vec<Plan>,
    /// Size (width, height) to which the normalised planes are shrunk, by torch's bicubic filter without antialias.
    pub shrunk: Option<(u32, u32)>,
}

impl Input {
    /// Width and height of what the tower gets.
    pub fn size(&self) -> (u32, u32) {
        self.shrunk.or(self.steps.last().map(Plan::output)).unwrap_or_default()
    }
}

impl TilePlan {
    /// The ways to all inputs, in the order in which their features stand.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for `uhd-paper`, whose source resizes floats, which bytes cannot stand for.
    pub fn inputs(&self, levels: &Levels) -> Result<Vec<Input>> {
        if matches!(self.policy, Policy::UhdPaper { .. }) {
            let reason = "its source resizes floats; pictures are resized as bytes";
            return Err(Error::unsupported("pixels of the policy `uhd-paper`", reason));
        }
        let mut inputs: Vec<Input> = self.tiles.iter().map(|tile| self.tile_input(tile, levels)).collect();
        if let Some(overview) = self.overview {
            let input = match overview.from {
                From::Picture => Input { steps: vec![whole(self.size, overview.out, levels)], shrunk: None },
                From::Canvas => {
                    let mut steps = self.canvas_steps(self.canvas, levels);
                    steps.push(whole((self.canvas.width, self.canvas.height), overview.out, levels));
                    Input { steps, shrunk: None }
                }
                From::Normalized => Input { steps: self.canvas_steps(self.canvas, levels), shrunk: Some(overview.out) },
            };
            let at = if overview.place == super::Place::First { 0 } else { inputs.len() };
            inputs.insert(at, input);
        }
        Ok(inputs)
    }

    fn tile_input(&self, tile: &Tile, levels: &Levels) -> Input {
        let a = tile.area;
        if tile.out == (a.width, a.height) {
            let x = self.canvas.x + a.x as i32;
            let y = self.canvas.y + a.y as i32;
            let crop = Window { x, y, width: a.width, height: a.height };
            return Input { steps: self.canvas_steps(crop, levels), shrunk: None };
        }
        // The picture itself is cut, and each part is resized.
        let part = Window { x: a.x as i32, y: a.y as i32, width: a.width, height: a.height };
        Input { steps: vec![Plan { canvas: part, ..whole(self.size, tile.out, levels) }], shrunk: None }
    }

    /// The steps to a window of the resized picture.
    fn canvas_steps(&self, crop: Window, levels: &Levels) -> Vec<Plan> {
        let mut steps = Vec::new();
        let mut last = Plan {
            canvas: self.source,
            background: word(self.around),
            crop,
            beyond: word(self.beyond),
            ..whole(self.size, self.resized, levels)
        };
        if let Some(through) = self.through.filter(|through| *through != self.resized) {
            steps.push(whole(self.size, through, levels));
            (last.source, last.canvas) = (through, Window { x: 0, y: 0, width: through.0, height: through.1 });
        }
        steps.push(last);
        steps
    }
}

/// A whole picture resized.
fn whole(source: (u32, u32), resized: (u32, u32), levels: &Levels) -> Plan {
    let all = |(width, height): (u32, u32)| Window { x: 0, y: 0, width, height };
    Plan {
        source,
        canvas: all(source),
        background: word([0; 3]),
        resized,
        crop: all(resized),
        beyond: word([0; 3]),
        resample: levels.resample,
        rescale: levels.rescale as f32,
        mean: levels.mean.map(|v| v as f32),
        std: levels.std.map(|v| v as f32),
    }
}

const fn word([r, g, b]: [u8; 3]) -> u32 {
    u32::from_le_bytes([r, g, b, 255])
}
