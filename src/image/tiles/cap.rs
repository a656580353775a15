//! A cap on image tokens: the policy's own knob is turned down until the picture fits, so that the result is one that
//! the policy could have chosen itself, and the plan says in words what was changed.

use super::{
    AnyRes, Fuyu, Idefics2, Idefics3, InternVl, MiniCpmV, Mllama, Native, Pixtral, TilePlan, Tiling, Uhd, UhdPaper,
    XComposer,
};
use crate::{Error, Result};

/// Settings that are tried; each knob has its end well before, or its picture fits none of them.
const MOST_STEPS: u32 = 1 << 16;

impl Tiling {
    /// The plan for a picture with at most `max_tokens` tokens. [`TilePlan::choice`] says what was changed.
    ///
    /// # Errors
    /// As [`Tiling::plan`]; [`Error::InvalidArgument`] where the smallest that the policy can do is more.
    pub fn plan_within(&self, width: u32, height: u32, max_tokens: u64) -> Result<TilePlan> {
        let first = self.plan(width, height);
        let wanted = match &first {
            Ok(plan) if plan.tokens.total <= max_tokens => return first,
            Ok(plan) => plan.tokens.total,
            // Too large without a cap: with one it may fit. Everything else stays an error.
            Err(_) => u64::MAX,
        };
        let (mut rule, mut least) = (self.clone(), wanted);
        for _ in 0..MOST_STEPS {
            let Some((next, change)) = rule.smaller(width, height, max_tokens) else { break };
            rule = next;
            let Ok(mut plan) = rule.plan(width, height) else { continue };
            least = least.min(plan.tokens.total);
            if plan.tokens.total <= max_tokens {
                let total = plan.tokens.total;
                let was = if wanted == u64::MAX { "too many tokens".into() } else { format!("{wanted} tokens") };
                plan.choice = Some(format!("at most {max_tokens} image tokens: {was} became {total} with {change}"));
                return Ok(plan);
            }
        }
        if least == u64::MAX {
            return first;
        }
        let name = first.as_ref().map_or("this", |plan| plan.policy.name());
        let reason =
            format!("policy {name} needs at least {least} tokens for {width}x{height}; the cap is {max_tokens}");
        Err(Error::argument("cap on image tokens", reason))
    }

    /// The next smaller setting of the policy's knob, and its name; `None` where there is none.
    fn smaller(&self, width: u32, height: u32, cap: u64) -> Option<(Self, String)> {
        let fewer = |max: u32| (max > 1).then(|| (max - 1, format!("at most {} tiles", max - 1)));
        match self {
            Self::Whole(_) | Self::Monkey(_) => None,
            Self::AnyRes(r) => fewer_canvases(r),
            Self::Uhd(r) => fewer(r.max).map(|(max, what)| (Self::Uhd(Uhd { max, ..*r }), what)),
            Self::UhdPaper(r) => fewer(r.max).map(|(max, what)| (Self::UhdPaper(UhdPaper { max, ..*r }), what)),
            Self::MiniCpmV(r) => fewer(r.max).map(|(max, what)| (Self::MiniCpmV(MiniCpmV { max, ..*r }), what)),
            Self::InternVl(r) => {
                let next = |(max, what)| (Self::InternVl(InternVl { max, min: r.min.min(max), ..*r }), what);
                fewer(r.max).map(next)
            }
            Self::Mllama(r) => fewer(r.max).map(|(max, what)| (Self::Mllama(Mllama { max, ..*r }), what)),
            Self::XComposer(r) => fewer(r.max).map(|(max, what)| (Self::XComposer(XComposer { max, ..*r }), what)),
            Self::Native(r) => fewer_pixels(r, cap),
            Self::Fuyu(r) => smaller_bound(r, (width, height), cap),
            Self::Idefics2(r) => {
                let whole = || (Self::Idefics2(Idefics2 { split: false, ..*r }), "the whole picture only".into());
                r.split.then(whole)
            }
            Self::Idefics3(r) => shorter_side(r),
            Self::Pixtral(r) => smaller_square(r),
        }
    }
}

/// Without the largest canvases.
fn fewer_canvases(rule: &AnyRes) -> Option<(Tiling, String)> {
    let area = |c: &(u32, u32)| u64::from(c.0) * u64::from(c.1);
    let most = rule.canvases.iter().map(area).max()?;
    let canvases: Vec<(u32, u32)> = rule.canvases.iter().copied().filter(|c| area(c) < most).collect();
    let tile = u64::from(rule.tile).pow(2).max(1);
    let what = format!("canvases of at most {} tiles", canvases.iter().map(area).max()? / tile);
    Some((Tiling::AnyRes(AnyRes { canvases, ..rule.clone() }), what))
}

/// The bound of pixels that so many tokens stand for; each step below takes one token less.
fn fewer_pixels(rule: &Native, cap: u64) -> Option<(Tiling, String)> {
    let square = u64::from(rule.factor).pow(2);
    let max_pixels = (rule.max_pixels.saturating_sub(square)).min(cap.saturating_mul(square));
    let next = Native { max_pixels, min_pixels: rule.min_pixels.min(max_pixels), ..*rule };
    (max_pixels >= square).then(|| (Tiling::Native(next), format!("at most {max_pixels} pixels")))
}

/// A bound of the picture's shape with so many patches; each step below takes one patch off the longer side.
fn smaller_bound(rule: &Fuyu, (width, height): (u32, u32), cap: u64) -> Option<(Tiling, String)> {
    let bound = match rule.bound {
        // Tokens are about width / patch * height / patch.
        None => {
            let area = cap as f64 * f64::from(rule.patch).powi(2);
            let scale = (area / (f64::from(width) * f64::from(height))).sqrt().min(1.0);
            let side = |side: u32| (f64::from(side) * scale).ceil() as u32;
            (side(width), side(height))
        }
        Some((w, h)) => {
            let (long, short) = (w.max(h), w.min(h));
            let next = long.checked_sub(rule.patch)?;
            let other = (u64::from(short) * u64::from(next) / u64::from(long.max(1))) as u32;
            if w >= h { (next, other) } else { (other, next) }
        }
    };
    let next = Fuyu { bound: Some(bound), fill: false, ..*rule };
    (bound.0 > 0 && bound.1 > 0).then(|| (Tiling::Fuyu(next), format!("a picture within {}x{}", bound.0, bound.1)))
}

/// One tile less along the longer side; after the last the squeezed picture alone.
fn shorter_side(rule: &Idefics3) -> Option<(Tiling, String)> {
    let tiles = rule.longest.div_ceil(rule.tile);
    if tiles > 1 {
        let longest = (tiles - 1) * rule.tile;
        let what = format!("a longer side of {longest} pixels");
        return Some((Tiling::Idefics3(Idefics3 { longest, ..*rule }), what));
    }
    rule.split.then(|| (Tiling::Idefics3(Idefics3 { split: false, ..*rule }), "one tile only".into()))
}

/// One token less along each side.
fn smaller_square(rule: &Pixtral) -> Option<(Tiling, String)> {
    let less = |side: u32| (side.max(1) - 1) / rule.step * rule.step;
    let bound = (less(rule.bound.0), less(rule.bound.1));
    let next = Pixtral { bound, ..*rule };
    (bound.0 > 0 && bound.1 > 0).then(|| (Tiling::Pixtral(next), format!("a picture within {}x{}", bound.0, bound.1)))
}
