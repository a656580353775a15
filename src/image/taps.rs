//! The weights of a resize along one axis, as Pillow computes them: in f64, normalised, then rounded to integers of
//! 22 fractional bits. With them a resize is integer arithmetic, the same on every adapter.
//!
//! Source of the formulas: Pillow's `libImaging/Resample.c` (filters, `precompute_coeffs`,
//! `normalize_coeffs_8bpc`) and, for nearest, the scaling of `libImaging/Geometry.c`.

use crate::{Error, Result};
use std::f64::consts::PI;

/// Fractional bits of a weight: 32 minus 8 of a sample, minus 2 for overshoot and sign.
pub const PRECISION_BITS: u32 = 22;

/// Weights of one axis that a resize may have: 128 MiB, the smallest binding that a device must offer.
const MAX_WEIGHTS: usize = 1 << 25;

/// A resampling filter, by PIL's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Resample {
    Nearest = 0,
    Lanczos = 1,
    Bilinear = 2,
    Bicubic = 3,
    Box = 4,
    Hamming = 5,
}

impl Resample {
    /// The filter of PIL's number 0 to 5.
    pub const fn from_pil(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => return None,
        })
    }
    /// Half the width of the filter at scale 1, in source pixels.
    const fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }
    /// The filter at distance `x` from its centre.
    fn weight(self, x: f64) -> f64 {
        let a = x.abs();
        match self {
            Self::Nearest => 0.0,
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - a).max(0.0),
            Self::Hamming if a == 0.0 => 1.0,
            Self::Hamming if a >= 1.0 => 0.0,
            Self::Hamming => (a * PI).sin() / (a * PI) * (0.54 + 0.46 * (a * PI).cos()),
            // Keys' cubic with a = -1/2.
            Self::Bicubic if a < 1.0 => (1.5 * a - 2.5) * a * a + 1.0,
            Self::Bicubic if a < 2.0 => (((a - 5.0) * a + 8.0) * a - 4.0) * -0.5,
            Self::Bicubic => 0.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// Weights of a window of outputs along one axis: output `i` is the sum over `t < count[i]` of
/// `weights[t * outputs + i] * input[first[i] + t]`, plus half, shifted right by [`PRECISION_BITS`] and clamped
/// to a byte. An output beyond the resized picture has `count` 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taps {
    /// First input of each output.
    pub first: Vec<u32>,
    /// Inputs of each output.
    pub count: Vec<u32>,
    /// `[width, outputs]`: neighbouring outputs lie next to each other. Zero from `count` on.
    pub weights: Vec<i32>,
    /// Largest count, at least 1.
    pub width: usize,
}

impl Taps {
    /// Weights that resize `input` samples to `output` samples, for the outputs
    /// `start .. start + outputs`, which may reach beyond `0 .. output` on either side.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for empty sizes or weights beyond 128 MiB.
    pub fn new(resample: Resample, input: u32, output: u32, start: i64, outputs: u32) -> Result<Self> {
        let what = || format!("resize of {input} to {output} samples");
        if input == 0 || output == 0 || outputs == 0 {
            return Err(Error::argument(what(), format!("{outputs} outputs wanted; no size may be 0")));
        }
        let too_many = || Error::argument(what(), "the filter has too many weights; use a smaller picture".to_string());
        if outputs as usize > MAX_WEIGHTS {
            return Err(too_many());
        }
        // Spans come first, without weights: they bound the memory before it is taken.
        let spans = match resample {
            Resample::Nearest => nearest_spans(input, output, start, outputs),
            _ => filter_spans(resample, input, output, start, outputs),
        };
        let width = spans.iter().map(|s| s.count as usize).max().unwrap_or(0).max(1);
        if width.saturating_mul(outputs as usize) > MAX_WEIGHTS {
            return Err(too_many());
        }
        let mut weights = vec![0; width * outputs as usize];
        for (i, span) in spans.iter().enumerate() {
            for (t, weight) in span.weights(resample).into_iter().enumerate() {
                weights[t * outputs as usize + i] = weight;
            }
        }
        let first = spans.iter().map(|s| s.first).collect();
        let count = spans.iter().map(|s| s.count).collect();
        Ok(Self { first, count, weights, width })
    }
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.first.len()
    }
    /// First input that any output reads, and one past the last; `None` when every output lies outside.
    pub fn reach(&self) -> Option<(u32, u32)> {
        let used = || self.first.iter().zip(&self.count).filter(|(_, count)| **count > 0);
        let low = used().map(|(first, _)| *first).min()?;
        let high = used().map(|(first, count)| first + count).max()?;
        Some((low, high))
    }
}

/// Inputs of one output, with the filter's centre and scale.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    first: u32,
    count: u32,
    centre: f64,
    stretch: f64,
}

impl Span {
    /// Weights normalised to a sum of 1, in fixed point.
    fn weights(&self, resample: Resample) -> Vec<i32> {
        if resample == Resample::Nearest {
            return vec![1 << PRECISION_BITS; self.count as usize];
        }
        let squeeze = 1.0 / self.stretch;
        let at = |t: u32| resample.weight((f64::from(t + self.first) - self.centre + 0.5) * squeeze);
        let raw: Vec<f64> = (0..self.count).map(at).collect();
        // In this order, one by one: a compensated sum would round some weights differently.
        let sum = raw.iter().fold(0.0, |sum, w| sum + w);
        raw.iter().map(|w| fixed(if sum == 0.0 { *w } else { w / sum })).collect()
    }
}

/// Rounds half away from zero, through truncation as Pillow does.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION_BITS);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

fn filter_spans(resample: Resample, input: u32, output: u32, start: i64, outputs: u32) -> Vec<Span> {
    let scale = f64::from(input) / f64::from(output);
    let stretch = scale.max(1.0);
    let support = resample.support() * stretch;
    let span = |i: u32| {
        let at = start + i64::from(i);
        if at < 0 || at >= i64::from(output) {
            return Span::default();
        }
        let centre = (at as f64 + 0.5) * scale;
        let low = ((centre - support + 0.5) as i64).max(0);
        let high = ((centre + support + 0.5) as i64).min(i64::from(input));
        Span { first: low as u32, count: (high - low).max(0) as u32, centre, stretch }
    };
    (0..outputs).map(span).collect()
}

/// Pillow walks along the outputs and adds the scale up, so the rounding of the sum is part of the result.
fn nearest_spans(input: u32, output: u32, start: i64, outputs: u32) -> Vec<Span> {
    let scale = f64::from(input) / f64::from(output);
    let mut spans = vec![Span::default(); outputs as usize];
    let end = (start + i64::from(outputs)).min(i64::from(output));
    let mut position = scale * 0.5;
    for at in 0..end {
        let index = position as u32;
        if at >= start && index < input {
            spans[(at - start) as usize] = Span { first: index, count: 1, ..Span::default() };
        }
        position += scale;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Resample; 6] =
        [Resample::Nearest, Resample::Lanczos, Resample::Bilinear, Resample::Bicubic, Resample::Box, Resample::Hamming];

    #[test]
    fn same_size_is_the_identity() {
        for filter in FILTERS {
            let taps = Taps::new(filter, 5, 5, 0, 5).unwrap();
            for i in 0..5 {
                let of = |t: usize| (taps.first[i] as usize + t, taps.weights[t * 5 + i]);
                let nonzero: Vec<_> = (0..taps.count[i] as usize).map(of).filter(|(_, w)| *w != 0).collect();
                assert_eq!(nonzero, [(i, 1 << PRECISION_BITS)], "{filter:?}");
            }
        }
    }

    #[test]
    fn weights_sum_to_one_within_rounding() {
        for filter in FILTERS {
            for (input, output) in [(1, 7), (7, 1), (157, 56), (83, 200), (30_000, 3)] {
                let taps = Taps::new(filter, input, output, 0, output).unwrap();
                for i in 0..output as usize {
                    let of = |t: usize| i64::from(taps.weights[t * output as usize + i]);
                    let sum: i64 = (0..taps.width).map(of).sum();
                    let slack = i64::from(taps.count[i]) / 2 + 1;
                    assert!((sum - (1 << PRECISION_BITS)).abs() <= slack, "{filter:?} {input}->{output}: {sum}");
                }
            }
        }
    }

    #[test]
    fn a_window_is_a_cut_of_the_whole() {
        for filter in FILTERS {
            let (whole, part) =
                (Taps::new(filter, 157, 56, 0, 56).unwrap(), Taps::new(filter, 157, 56, -3, 62).unwrap());
            assert_eq!((part.count[2], part.count[59], part.outputs()), (0, 0, 62));
            assert_eq!(part.first[3..59], whole.first[..]);
            assert_eq!(part.count[3..59], whole.count[..]);
            for t in 0..whole.width {
                assert_eq!(part.weights[t * 62 + 3..][..56], whole.weights[t * 56..][..56]);
            }
        }
    }

    #[test]
    fn bilinear_halving_by_hand() {
        // Centre 1.0, stretch 2: distances of the four inputs 0.75, 0.25, 0.25, 0.75 -> weights 1 3 3 1 over 8,
        // the first output lacks the one left of the picture: 3 3 1 over 7.
        let taps = Taps::new(Resample::Bilinear, 8, 4, 0, 4).unwrap();
        assert_eq!((taps.first[1], taps.count[1], taps.width), (1, 4, 4));
        let of = |i: usize| (0..4).map(|t| taps.weights[t * 4 + i]).collect::<Vec<_>>();
        let one = 1 << PRECISION_BITS;
        assert_eq!(of(1), [one / 8, one * 3 / 8, one * 3 / 8, one / 8]);
        assert_eq!(of(0), [1_797_559, 1_797_559, 599_186, 0]);
    }

    #[test]
    fn hostile_sizes_are_refused() {
        assert!(Taps::new(Resample::Bicubic, 0, 5, 0, 5).is_err());
        assert!(Taps::new(Resample::Bicubic, 5, 0, 0, 5).is_err());
        assert!(Taps::new(Resample::Lanczos, 100_000_000, 1, 0, 1).is_err());
        assert!(Taps::new(Resample::Bicubic, 1, u32::MAX, 0, u32::MAX).is_err());
        let far = Taps::new(Resample::Bicubic, 30_000, 504_000, 251_832, 336).unwrap();
        assert_eq!(far.outputs(), 336);
        assert!(far.reach().unwrap().1 - far.reach().unwrap().0 < 30);
        assert_eq!(Taps::new(Resample::Box, 5, 5, 9, 2).unwrap().reach(), None);
    }
}
