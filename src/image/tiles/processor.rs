//! What a checkpoint's own processor does to a picture, and what it can be asked to do instead.

use super::{AnyRes, CheckpointFiles, Features, Input, Levels, TilePlan, Tiling, Uhd, Unpad, Whole};
use crate::image::{Policy, Preprocess, Size};
use crate::{Error, Result};

/// A checkpoint's way from pictures to the inputs of its tower.
#[derive(Debug, Clone, PartialEq)]
pub struct Processor {
    /// Its own tiling.
    pub tiling: Tiling,
    /// How its bytes become numbers.
    pub levels: Levels,
}

/// What is asked about one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// The policy; `auto` is the checkpoint's own.
    pub policy: Policy,
    /// Most tokens that the picture may take.
    pub max_tokens: Option<u64>,
    /// (height, width) that a picture of one input is resized to, whatever is configured.
    pub resized: Option<(u32, u32)>,
}

impl Processor {
    /// Reads a checkpoint's files.
    ///
    /// # Errors
    /// As [`Tiling::of_checkpoint`].
    pub fn of_checkpoint(files: &CheckpointFiles<'_>) -> Result<Self> {
        Ok(Self { tiling: Tiling::of_checkpoint(files)?, levels: Levels::of_checkpoint(files)? })
    }

    /// Without a processor's files: squeezed to a square of `side` pixels, one feature for every `patch` pixels a side.
    pub fn squeezed(side: u32, patch: u32) -> Result<Self> {
        let mut steps = Preprocess::read(None, None, Some("ViTImageProcessor"))?;
        steps.size = Some(Size::Exact { height: side, width: side });
        let levels =
            Levels { resample: steps.resample, rescale: steps.rescale, mean: steps.mean, std: steps.std, over: None };
        let whole = Whole { steps, ..Whole::square(side, Features::Squares(patch)) };
        Ok(Self { tiling: Tiling::Whole(Box::new(whole)), levels })
    }

    /// The plan for a picture of `width` x `height` pixels, with the ways to its inputs.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a policy that the checkpoint's tower cannot take; those of [`Tiling::plan`].
    pub fn plan(&self, width: u32, height: u32, wish: &Wish) -> Result<(TilePlan, Vec<Input>)> {
        let mut tiling = self.tiling(wish.policy)?;
        if let Some((height, width)) = wish.resized {
            let Tiling::Whole(whole) = &mut tiling else {
                let reason = "the policy decides the sizes of its inputs";
                return Err(Error::unsupported("a size to resize to", reason));
            };
            (whole.steps.size, whole.steps.crop) = (Some(Size::Exact { height, width }), None);
        }
        let plan = match wish.max_tokens {
            Some(most) => tiling.plan_within(width, height, most)?,
            None => tiling.plan(width, height)?,
        };
        let inputs = plan.inputs(&self.levels)?;
        Ok((plan, inputs))
    }

    /// The tiling that a policy stands for with this checkpoint: its own with the policy's parameters, its single input
    /// for `none`, and for towers that take one square the tilings that cut pictures into such squares.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for the others.
    pub fn tiling(&self, policy: Policy) -> Result<Tiling> {
        let own = &self.tiling;
        let tiling = match (policy, own) {
            (Policy::Auto, own) => own.clone(),
            (Policy::None | Policy::Pad, Tiling::Whole(whole)) => {
                Tiling::Whole(Box::new(Whole { pad: policy == Policy::Pad, ..(**whole).clone() }))
            }
            (Policy::None, own) => single(own),
            (Policy::AnyRes { max }, Tiling::AnyRes(rule)) => {
                Tiling::AnyRes(AnyRes { max: max.or(rule.max), ..rule.clone() })
            }
            (Policy::Uhd { max, size, patch }, Tiling::Uhd(rule)) => {
                let (max, size, patch) =
                    (max.unwrap_or(rule.max), size.unwrap_or(rule.size), patch.unwrap_or(rule.patch));
                Tiling::Uhd(Uhd { max, size, patch, ..*rule })
            }
            (policy, own) if policy.name() == own.policy().name() => own.clone(),
            (Policy::Hd | Policy::AnyRes { .. }, Tiling::Whole(whole)) => squares(policy, whole)?,
            (policy, own) => {
                let reason = format!("this checkpoint's tower takes `{}`, auto or none", own.policy().name());
                return Err(Error::unsupported(format!("tiling policy `{policy}`"), reason));
            }
        };
        tiling.checked()
    }
}

/// The policy's plan with one input a picture.
fn single(own: &Tiling) -> Tiling {
    let mut tiling = own.clone();
    match &mut tiling {
        Tiling::AnyRes(rule) => {
            return Tiling::Whole(Box::new(Whole::squeezed(rule.tile, Features::Squares(rule.patch))));
        }
        Tiling::Uhd(rule) => rule.max = 1,
        Tiling::UhdPaper(rule) => rule.max = 1,
        Tiling::MiniCpmV(rule) => rule.max = 1,
        Tiling::InternVl(rule) => (rule.min, rule.max) = (1, 1),
        Tiling::Idefics2(rule) => rule.split = false,
        Tiling::Idefics3(rule) => rule.split = false,
        Tiling::Mllama(rule) => rule.max = 1,
        Tiling::XComposer(rule) => rule.max = 1,
        Tiling::Whole(_) | Tiling::Monkey(_) | Tiling::Native(_) | Tiling::Fuyu(_) | Tiling::Pixtral(_) => {}
    }
    tiling
}

/// The tiles of LLaVA-NeXT for a tower that takes squares of another size.
fn squares(policy: Policy, whole: &Whole) -> Result<Tiling> {
    let refuse = || {
        let reason = "it cuts pictures into squares, and this checkpoint's tower takes other shapes";
        Error::unsupported(format!("tiling policy `{policy}`"), reason)
    };
    let (height, width) = match (whole.steps.crop, whole.steps.size) {
        (Some(crop), _) => crop,
        (None, Some(Size::Exact { height, width })) => (height, width),
        _ => return Err(refuse()),
    };
    let Features::Squares(patch) = whole.features else { return Err(refuse()) };
    if height != width {
        return Err(refuse());
    }
    let own = if policy == Policy::Hd { AnyRes::hd() } else { AnyRes::default() };
    let Policy::AnyRes { max } = policy else { return Ok(resized(own, width, patch)) };
    Ok(resized(AnyRes { max, unpad: Unpad::Truncated, ..own }, width, patch))
}

/// The same canvases in tiles of another side.
fn resized(rule: AnyRes, tile: u32, patch: u32) -> Tiling {
    let side = |side: u32| side / rule.tile.max(1) * tile;
    let canvases = rule.canvases.iter().map(|(width, height)| (side(*width), side(*height))).collect();
    Tiling::AnyRes(AnyRes { tile, patch, canvases, ..rule })
}
