//! What a number becomes in blocks whose scales are codes themselves (ggml's K formats, IQ4_XS), in IQ4_NL and in MXFP4.
//!
//! Where a quotient is nearer to the border of two codes than the arithmetic is exact, either code is right, and what
//! follows from either: every cell is computed for all such choices, and its bound holds them all.

use super::{Cell, F32_EPS};
use crate::quant::Block;

/// The entries of IQ4_NL and IQ4_XS.
const TABLE: [f64; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];
/// The sizes of MXFP4.
const SIZES: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// A block of `block.values()` numbers as it reads; `None` for formats that are made by other rules.
pub(super) fn quantize_k(block: Block, x: &[f64]) -> Option<Vec<Cell>> {
    let whole = |low: f64, high: f64| move |q: f64| (q + 0.5).floor().clamp(low, high);
    Some(match block {
        Block::Q4K => ranged(x, 32, 15.0, 63.0),
        Block::Q5K => ranged(x, 32, 31.0, 63.0),
        Block::Q2K => ranged(x, 16, 3.0, 15.0),
        Block::Q6K => signed(x, 16, -32.0, whole(-128.0, 127.0), -128.0, whole(-32.0, 31.0)),
        Block::Q3K => signed(x, 16, -4.0, whole(-32.0, 31.0), -32.0, whole(-4.0, 3.0)),
        Block::Iq4Xs => signed(x, 32, -127.0, whole(-32.0, 31.0), -32.0, entry),
        Block::Iq4Nl => {
            let step = extreme(x) / -127.0;
            let stored = near(half, step, 5.0 * F32_EPS * step.abs());
            let codes = |v: f64| if step == 0.0 { vec![0.0] } else { near(entry, v / step, ulps(v / step, 12.0)) };
            x.iter().map(|v| cell(&product(&codes(*v), &stored), 0.0)).collect()
        }
        Block::Mxfp4 => {
            let most = extreme(x).abs();
            // Below 2^-124 the exponent is not there.
            let scale = if most < 4.0 * TINY { 0.0 } else { (most.log2().floor() - 2.0).exp2() };
            x.iter().map(|v| cell(&[small(*v, scale)], 16.0 * TINY)).collect()
        }
        _ => return None,
    })
}

fn half(value: f64) -> f64 {
    half::f16::from_f64(value).to_f64()
}

/// The first value of the largest size.
fn extreme(x: &[f64]) -> f64 {
    x.iter().copied().fold(0.0, |best: f64, v| if v.abs() > best.abs() { v } else { best })
}

/// The entry next to `q`, of two as near the lower.
fn entry(q: f64) -> f64 {
    TABLE.iter().copied().fold(TABLE[0], |best, t| if (q - t).abs() < (q - best).abs() { t } else { best })
}

/// The float of 4 bits next to `v / scale`, of two as near the smaller, times the scale.
fn small(v: f64, scale: f64) -> f64 {
    if scale == 0.0 {
        return 0.0;
    }
    let q = v.abs() / scale;
    let size = SIZES.iter().copied().fold(0.0, |best: f64, s| if (q - s).abs() < (q - best).abs() { s } else { best });
    size.copysign(v) * scale
}

/// What `count` half ulps of a quotient and of 1 are.
fn ulps(quotient: f64, count: f64) -> f64 {
    count * F32_EPS * (quotient.abs() + 1.0)
}

/// `f` of what is within `error` of `value`, that of `value` first.
fn near(f: impl Fn(f64) -> f64, value: f64, error: f64) -> Vec<f64> {
    let mut all = vec![f(value)];
    for other in [f(value - error), f(value + error)] {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}

fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().flat_map(|a| b.iter().map(move |b| a * b)).collect()
}

/// A cell that may be any of `choices`, whose parts are as large as `size` and themselves; reading rounds once or twice.
fn cell(choices: &[f64], size: f64) -> Cell {
    let want = choices.first().copied().unwrap_or(0.0);
    let apart = choices.iter().map(|c| (c - want).abs()).fold(0.0, f64::max);
    Cell { want, bound: apart + 2.0 * F32_EPS * (want.abs() + 2.0 * size) + size.min(16.0 * TINY) + TINY }
}

/// Q2_K, Q4_K, Q5_K: sub-blocks from their least value, at most 0, in `levels` steps; `top` is the highest scale.
///
/// A step is a difference by a number (6 half ulps), a unit that by another (5 more), their quotient 5 more.
fn ranged(x: &[f64], sub: usize, levels: f64, top: f64) -> Vec<Cell> {
    let range = |x: &[f64]| {
        let (least, most) = x.iter().fold((0.0, f64::MIN), |(low, high): (f64, f64), v| (low.min(*v), high.max(*v)));
        ((most - least) / levels, -least)
    };
    let terms: Vec<(f64, f64)> = x.chunks(sub).map(range).collect();
    let unit = terms.iter().fold((0.0, 0.0), |u: (f64, f64), t| (u.0.max(t.0 / top), u.1.max(t.1 / top)));
    let multiples = |value: f64, unit: f64| {
        if unit < TINY {
            return vec![0.0];
        }
        let stored = near(half, unit, 12.0 * F32_EPS * unit);
        let code = near(|q| (q + 0.5).floor().clamp(0.0, top), value / unit, ulps(value / unit, 24.0));
        product(&code, &stored)
    };
    let cells = |(values, (s, m)): (&[f64], &(f64, f64))| {
        let (steps, offsets) = (multiples(*s, unit.0), multiples(*m, unit.1));
        let one = |v: &f64| {
            let mut choices = Vec::new();
            for (step, offset) in steps.iter().flat_map(|s| offsets.iter().map(move |m| (*s, *m))) {
                let code = |q: f64| (q + 0.5).floor().clamp(0.0, levels);
                let error = 8.0 * F32_EPS * ((v.abs() + offset) / step + 1.0);
                let codes = if step == 0.0 { vec![0.0] } else { near(code, (v + offset) / step, error) };
                choices.extend(codes.iter().map(|c| c * step - offset));
            }
            cell(&choices, offsets[0])
        };
        values.iter().map(one).collect::<Vec<_>>()
    };
    x.chunks(sub).zip(&terms).flat_map(cells).collect()
}

/// Q3_K, Q6_K, IQ4_XS: the extreme of a sub-block takes the code `low`, the extreme step the scale `least`.
fn signed(
    x: &[f64],
    sub: usize,
    low: f64,
    scale: impl Fn(f64) -> f64,
    least: f64,
    code: impl Fn(f64) -> f64,
) -> Vec<Cell> {
    let steps: Vec<f64> = x.chunks(sub).map(|x| extreme(x) / low).collect();
    let unit = extreme(&steps) / least;
    let stored = near(half, unit, 6.0 * F32_EPS * unit.abs());
    let cells = |(values, step): (&[f64], &f64)| {
        let scales = if unit.abs() < TINY { vec![0.0] } else { near(&scale, step / unit, ulps(step / unit, 16.0)) };
        let steps = product(&scales, &stored);
        let one = |v: &f64| {
            let of = |step: &f64| {
                let codes = if *step == 0.0 { vec![0.0] } else { near(&code, v / step, ulps(v / step, 8.0)) };
                product(&codes, &[*step])
            };
            cell(&steps.iter().flat_map(of).collect::<Vec<_>>(), 0.0)
        };
        values.iter().map(one).collect::<Vec<_>>()
    };
    x.chunks(sub).zip(&steps).flat_map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest difference over the range of the numbers.
    fn worst(block: Block) -> f64 {
        let x: Vec<f64> = (0..block.values()).map(|i| f64::from((i as f32 * 0.7).sin())).collect();
        let cells = quantize_k(block, &x).unwrap_or_default();
        assert_eq!(cells.len(), x.len());
        x.iter().zip(cells).map(|(x, c)| (x - c.want).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn an_error_is_half_a_step_and_some() {
        // Half a step of the range -1 .. 1 where sub-blocks are alike, and what offset and scale are rounded by.
        for (block, step) in [(Block::Q2K, 0.67), (Block::Q4K, 0.14), (Block::Q5K, 0.07)] {
            assert!(worst(block) < 0.6 * step, "{block:?}: {}", worst(block));
        }
        // The highest code is one short of the other side.
        for (block, step) in [(Block::Q3K, 1.0 / 4.0), (Block::Q6K, 1.0 / 32.0)] {
            assert!(worst(block) < 1.05 * step, "{block:?}: {}", worst(block));
        }
        // The widest gaps of the tables: 24 of 127, and from 4 to 6 of 6 with a last binade that may be cut at 6.
        assert!(worst(Block::Iq4Nl) < 0.13 && worst(Block::Iq4Xs) < 0.13);
        assert!(worst(Block::Mxfp4) < 0.25);
    }

    #[test]
    fn blocks_of_one_value_keep_it() {
        for block in [Block::Q6K, Block::Q3K, Block::Iq4Xs, Block::Iq4Nl] {
            let x = vec![-0.5; block.values()];
            let cells = quantize_k(block, &x).unwrap_or_default();
            assert!(cells.iter().all(|c| (c.want + 0.5).abs() < 3e-4), "{block:?}");
        }
    }
}
