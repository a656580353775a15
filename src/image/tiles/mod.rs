//! Tiling: how one picture becomes several inputs of a vision tower, and in what order their features reach the
//! language model. Pure geometry: the same size gives the same [`TilePlan`], on any machine.
//!
//! Here: one file a policy, with its settings as a struct whose defaults are the published system's; [`Tiling`], any of
//! them; a cap on tokens ([`Tiling::plan_within`]); settings from a checkpoint's files ([`Tiling::of_checkpoint`]).
//! Not here: pixels, weights, and what a connector computes.

mod anyres;
mod auto;
mod cap;
mod fuyu;
mod idefics2;
mod idefics3;
mod inputs;
mod internvl;
mod minicpmv;
mod mllama;
mod monkey;
mod native;
mod own;
mod pixtral;
mod plan;
mod processor;
mod python;
mod rows;
mod show;
mod slices;
mod uhd;
mod uhd_paper;
mod whole;
mod xcomposer;

#[cfg(test)]
mod pixels;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;

pub use anyres::{AnyRes, Unpad};
pub use auto::CheckpointFiles;
pub use fuyu::Fuyu;
pub use idefics2::Idefics2;
pub use idefics3::Idefics3;
pub use inputs::{Input, Levels};
pub use internvl::InternVl;
pub use minicpmv::{Form, MiniCpmV};
pub use mllama::Mllama;
pub use monkey::Monkey;
pub use native::Native;
pub use pixtral::Pixtral;
pub use plan::{
    Area, FeatureMap, Features, From, MAX_SIDE, MAX_TILES, Mark, Of, Overview, Place, Segment, Tile, TilePlan, Tokens,
};
pub use processor::{Processor, Wish};
pub use rows::{TokenRow, token_rows};
pub use uhd::Uhd;
pub use uhd_paper::UhdPaper;
pub use whole::Whole;
pub use xcomposer::XComposer;

use super::Policy;
use crate::{Error, Result};

/// A policy with its settings.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Tiling {
    Whole(Box<Whole>),
    AnyRes(AnyRes),
    Uhd(Uhd),
    UhdPaper(UhdPaper),
    Monkey(Monkey),
    MiniCpmV(MiniCpmV),
    InternVl(InternVl),
    Native(Native),
    Fuyu(Fuyu),
    Idefics2(Idefics2),
    Idefics3(Idefics3),
    Pixtral(Pixtral),
    Mllama(Mllama),
    XComposer(XComposer),
}

impl Tiling {
    /// The policy of that name with the settings of the system that it was published with.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for `auto`, which only a checkpoint can answer, and for settings out of bounds.
    pub fn named(policy: Policy) -> Result<Self> {
        let tiling = match policy {
            Policy::Auto => {
                let reason = "it stands for what a checkpoint says; name a checkpoint or another policy";
                return Err(Error::argument("tiling policy `auto`", reason));
            }
            Policy::None => Self::Whole(Box::default()),
            Policy::Pad => Self::Whole(Box::new(Whole { pad: true, ..Whole::default() })),
            Policy::AnyRes { max: None } => Self::AnyRes(AnyRes::default()),
            Policy::AnyRes { max: Some(max) } => Self::AnyRes(AnyRes::onevision(max)),
            Policy::Hd => Self::AnyRes(AnyRes::hd()),
            Policy::Uhd { max, size, patch } => {
                let uhd = Uhd::default();
                let (max, size, patch) = (max.unwrap_or(uhd.max), size.unwrap_or(uhd.size), patch.unwrap_or(uhd.patch));
                Self::Uhd(Uhd { max, size, patch, ..uhd })
            }
            Policy::UhdPaper { max, size, patch } => {
                let uhd = UhdPaper::default();
                let (max, size, patch) = (max.unwrap_or(uhd.max), size.unwrap_or(uhd.size), patch.unwrap_or(uhd.patch));
                Self::UhdPaper(UhdPaper { max, size, patch, ..uhd })
            }
            Policy::Monkey => Self::Monkey(Monkey::default()),
            Policy::MiniCpmV => Self::MiniCpmV(MiniCpmV::default()),
            Policy::InternVl => Self::InternVl(InternVl::default()),
            Policy::Native => Self::Native(Native::default()),
            Policy::Fuyu => Self::Fuyu(Fuyu::default()),
            Policy::Idefics2 => Self::Idefics2(Idefics2::default()),
            Policy::Idefics3 => Self::Idefics3(Idefics3::default()),
            Policy::Pixtral => Self::Pixtral(Pixtral::default()),
            Policy::Mllama => Self::Mllama(Mllama::default()),
            Policy::XComposer => Self::XComposer(XComposer::default()),
            Policy::XComposer4Khd => Self::XComposer(XComposer::khd4()),
        };
        tiling.checked()
    }

    /// The policy that it is a setting of.
    pub fn policy(&self) -> Policy {
        match self {
            Self::Whole(rule) if rule.pad => Policy::Pad,
            Self::Whole(_) => Policy::None,
            Self::AnyRes(rule) => rule.policy(),
            Self::Uhd(_) => Policy::Uhd { max: None, size: None, patch: None },
            Self::UhdPaper(_) => Policy::UhdPaper { max: None, size: None, patch: None },
            Self::Monkey(_) => Policy::Monkey,
            Self::MiniCpmV(_) => Policy::MiniCpmV,
            Self::InternVl(_) => Policy::InternVl,
            Self::Native(_) => Policy::Native,
            Self::Fuyu(_) => Policy::Fuyu,
            Self::Idefics2(_) => Policy::Idefics2,
            Self::Idefics3(_) => Policy::Idefics3,
            Self::Pixtral(_) => Policy::Pixtral,
            Self::Mllama(_) => Policy::Mllama,
            Self::XComposer(_) => Policy::XComposer,
        }
    }

    /// The plan for a picture of `width` x `height` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a picture that the policy cannot take: empty, longer than 2^26 pixels, so narrow
    /// that a side vanishes, or beyond what the reference accepts.
    pub fn plan(&self, width: u32, height: u32) -> Result<TilePlan> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            let reason = format!("{width}x{height} pixels; each side must be 1 to {MAX_SIDE}");
            return Err(Error::argument("picture size", reason));
        }
        match self {
            Self::Whole(rule) => rule.plan(width, height),
            Self::AnyRes(rule) => rule.plan(width, height),
            Self::Uhd(rule) => rule.plan(width, height),
            Self::UhdPaper(rule) => rule.plan(width, height),
            Self::Monkey(rule) => rule.plan(width, height),
            Self::MiniCpmV(rule) => rule.plan(width, height),
            Self::InternVl(rule) => rule.plan(width, height),
            Self::Native(rule) => rule.plan(width, height),
            Self::Fuyu(rule) => rule.plan(width, height),
            Self::Idefics2(rule) => rule.plan(width, height),
            Self::Idefics3(rule) => rule.plan(width, height),
            Self::Pixtral(rule) => rule.plan(width, height),
            Self::Mllama(rule) => rule.plan(width, height),
            Self::XComposer(rule) => rule.plan(width, height),
        }
    }

    /// The settings, if they are within bounds: sides of 1 to 65536 pixels that hold at least a patch, and not more
    /// than [`MAX_TILES`] tiles. Settings made by hand are checked by this as well.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the setting.
    pub fn checked(self) -> Result<Self> {
        let (sides, tiles, whole): (Vec<u32>, u32, Option<(u32, u32)>) = match &self {
            Self::Whole(_) => (Vec::new(), 1, None),
            Self::AnyRes(r) => {
                let fits = |c: &(u32, u32)| c.0 >= r.tile && c.1 >= r.tile && (c.0 % r.tile, c.1 % r.tile) == (0, 0);
                if r.tile == 0 || r.canvases.is_empty() || !r.canvases.iter().all(fits) {
                    let reason = format!("canvases must be whole tiles of {} pixels, at least one", r.tile);
                    return Err(Error::argument("image_grid_pinpoints", reason));
                }
                let most = r.canvases.iter().map(|c| u64::from(c.0 / r.tile) * u64::from(c.1 / r.tile)).max();
                let sides = r.canvases.iter().flat_map(|c| [c.0, c.1]).chain([r.tile, r.max.unwrap_or(1)]).collect();
                (sides, most.unwrap_or(1).try_into().unwrap_or(u32::MAX), Some((r.tile, r.patch)))
            }
            Self::Uhd(r) => (vec![r.size], r.max, Some((r.size, r.patch))),
            Self::UhdPaper(r) => (vec![r.size], r.max, Some((r.size, r.patch))),
            Self::Monkey(r) => {
                let (width, height) = r.size.unwrap_or((r.window, r.window));
                let windows = width.checked_div(r.window).unwrap_or(0).saturating_mul(height / r.window.max(1));
                (vec![r.window, width, height], windows, Some((width.min(height), r.window)))
            }
            Self::MiniCpmV(r) => (vec![r.size], r.max, Some((r.size, r.step))),
            Self::InternVl(r) => (vec![r.tile.0, r.tile.1, r.min], r.max, Some((r.max, r.min))),
            Self::Native(r) => (vec![r.factor, r.window.unwrap_or(1)], 1, None),
            Self::Fuyu(r) => (vec![r.patch, r.bound.map_or(1, |b| b.0.min(b.1))], 1, None),
            Self::Idefics2(r) => (vec![r.shortest, r.longest], 1, None),
            Self::Idefics3(r) => {
                let side = r.longest.div_ceil(r.tile.max(1));
                (vec![r.tile, r.longest], side.saturating_mul(side), None)
            }
            Self::Pixtral(r) => (vec![r.bound.0, r.bound.1, r.step], 1, None),
            Self::Mllama(r) => (vec![r.tile], r.max, Some((r.tile, r.patch))),
            Self::XComposer(r) => (vec![r.tile], r.max, Some((r.tile, r.step))),
        };
        let refuse = |reason: String| Err(Error::argument("settings of the tiling policy", reason));
        if let Some(side) = sides.into_iter().find(|side| !(1..=65_536).contains(side)) {
            return refuse(format!("{side} is not a length from 1 to 65536"));
        }
        if !(1..=MAX_TILES).contains(&tiles) {
            return refuse(format!("{tiles} tiles; 1 to {MAX_TILES} are possible"));
        }
        match whole {
            Some((side, part)) if part == 0 || part > side => refuse(format!("{part} does not fit into {side}")),
            _ => Ok(self),
        }
    }
}
