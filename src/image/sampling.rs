//! The taps of a resize along one axis in floating point: which samples make an output, and with which weights.
//!
//! The conventions are those of ONNX's `Resize` (operator set 19), which cover torch's `interpolate` (with and without
//! `align_corners` and `antialias`) and Pillow's resize of float pictures. Weights are planned in f64 and rounded to f32
//! at the end. For Pillow's 8-bit pictures, which are integer arithmetic, see [`super::Taps`].

use crate::{Error, Result};

/// How a value between samples is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interpolation {
    /// One sample, chosen by rounding the place.
    Nearest(Rounding),
    /// The two neighbours by distance.
    Linear,
    /// Four neighbours by the cubic of Keys (1981) with this coefficient: -0.75 in torch, -0.5 in Pillow.
    Cubic(f64),
}

/// How a place between two samples is rounded to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the nearest; of two the lower.
    PreferFloor,
    /// To the nearest; of two the upper.
    PreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

/// Which place of the source an output stands for. `scale` is outputs over inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Coordinates {
    /// `(x + 1/2) / scale - 1/2`: centres of pixels; torch without `align_corners`, Pillow.
    HalfPixel,
    /// The same around the middle of the picture, where `scale` times the inputs is no whole number.
    HalfPixelSymmetric,
    /// As `HalfPixel`, but 0 for a single output.
    PytorchHalfPixel,
    /// `x (inputs - 1) / (outputs - 1)`: the first and last pixels meet; torch with `align_corners`.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
    /// From `start` to `end`, as fractions of the distance from the first to the last sample (TensorFlow's
    /// `crop_and_resize`). Places outside the source have no taps.
    Crop {
        /// Place of the first output.
        start: f64,
        /// Place of the last output.
        end: f64,
    },
}

/// A resize along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How a value between samples is made.
    pub interpolation: Interpolation,
    /// Which place an output stands for.
    pub coordinates: Coordinates,
    /// When there are fewer outputs than inputs, linear and cubic filters are stretched to cover all inputs.
    pub antialias: bool,
    /// Weights of samples outside are dropped and the others normalised; else the border sample takes them.
    pub exclude_outside: bool,
}

/// Taps of all outputs of an axis: output `j` is the sum over `t < count[j]` of `weights[t * outputs + j] *
/// input[first[j] + t]`. An output of [`Coordinates::Crop`] outside the source has `count` 0.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisTaps {
    /// First input of each output.
    pub first: Vec<u32>,
    /// Inputs of each output.
    pub count: Vec<u32>,
    /// `[width, outputs]`, zero from `count` on.
    pub weights: Vec<f32>,
    /// Largest count, at least 1.
    pub width: usize,
}

/// Weights of one axis that a plan may have: 128 MiB, the smallest binding that a device must offer.
const MOST: usize = 1 << 25;

impl Sampling {
    /// The resize of `torch.nn.functional.interpolate` along one axis, `bicubic` or `bilinear`, to a given size.
    ///
    /// # Errors
    /// As [`Sampling::taps`].
    pub fn torch(inputs: usize, outputs: usize, cubic: bool, align_corners: bool, antialias: bool) -> Result<AxisTaps> {
        let interpolation = match (cubic, antialias) {
            (false, _) => Interpolation::Linear,
            (true, false) => Interpolation::Cubic(-0.75),
            (true, true) => Interpolation::Cubic(-0.5),
        };
        let coordinates = match (align_corners, antialias) {
            (true, false) => Coordinates::AlignCorners,
            _ => Coordinates::HalfPixel,
        };
        // With antialias, aligned corners only change the scale (torch's `area_pixel_compute_scale`).
        let aligned = align_corners && antialias && outputs > 1 && inputs > 1;
        let scale = aligned.then(|| (outputs as f64 - 1.0) / (inputs as f64 - 1.0));
        Self { interpolation, coordinates, antialias, exclude_outside: antialias }.taps(inputs, outputs, scale)
    }

    /// The resize of Pillow's float pictures (mode F) along one axis, bicubic or bilinear.
    ///
    /// # Errors
    /// As [`Sampling::taps`].
    pub fn pillow(inputs: usize, outputs: usize, cubic: bool) -> Result<AxisTaps> {
        Self::torch(inputs, outputs, cubic, false, true)
    }

    /// Taps from `inputs` samples to `outputs`; `scale` is their ratio unless it was given as such.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for empty sizes, a scale that is not positive, or more than 128 MiB of weights.
    pub fn taps(&self, inputs: usize, outputs: usize, scale: Option<f64>) -> Result<AxisTaps> {
        let what = || format!("resize of {inputs} to {outputs} samples");
        let scale = scale.unwrap_or(outputs as f64 / inputs as f64);
        if inputs == 0 || outputs == 0 || inputs > MOST || outputs > MOST || !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::argument(what(), format!("by {scale}: sizes and scale must be above 0 and below 2^25")));
        }
        // A filter reaches two stretched samples to each side, and no further than the source.
        let stretch = if self.antialias { (1.0 / scale).max(1.0) } else { 1.0 };
        let reach = ((4.0 * stretch).ceil() as usize).saturating_add(2).min(inputs.max(4));
        if reach.saturating_mul(outputs) > MOST {
            return Err(Error::argument(what(), "the filter has too many weights; use a smaller picture"));
        }
        let all: Vec<(usize, Vec<f64>)> = (0..outputs).map(|j| self.output(j, inputs, outputs, scale)).collect();
        let width = all.iter().map(|(_, w)| w.len()).max().unwrap_or(0).max(1);
        let mut weights = vec![0.0; width * outputs];
        for (j, (_, own)) in all.iter().enumerate() {
            for (t, weight) in own.iter().enumerate() {
                weights[t * outputs + j] = *weight as f32;
            }
        }
        let first = all.iter().map(|(first, _)| *first as u32).collect();
        let count = all.iter().map(|(_, own)| own.len() as u32).collect();
        Ok(AxisTaps { first, count, weights, width })
    }

    /// First input and weights of output `j`.
    fn output(&self, j: usize, inputs: usize, outputs: usize, scale: f64) -> (usize, Vec<f64>) {
        let last = inputs as f64 - 1.0;
        let sizes = [inputs as f64, outputs as f64, scale];
        let single = self.coordinates.place(j as f64, sizes, |v| f64::from(v as f32));
        if matches!(self.coordinates, Coordinates::Crop { .. }) && !(0.0..=last).contains(&single) {
            return (0, Vec::new());
        }
        let at = self.coordinates.place(j as f64, sizes, |v| v);
        let squeeze = if self.antialias { scale.min(1.0) } else { 1.0 };
        let (reach, filter): (f64, &dyn Fn(f64) -> f64) = match self.interpolation {
            Interpolation::Nearest(rounding) => return (rounding.apply(single).clamp(0.0, last) as usize, vec![1.0]),
            Interpolation::Linear => (1.0, &|d: f64| (1.0 - d).max(0.0)),
            Interpolation::Cubic(a) => (2.0, &move |d: f64| keys(a, d)),
        };
        let (low, high) = ((at - reach / squeeze).floor(), (at + reach / squeeze).ceil());
        let low_inside = low.clamp(0.0, last);
        let mut weights = vec![0.0; (high.clamp(0.0, last) - low_inside) as usize + 1];
        let mut total = 0.0;
        let mut i = low;
        while i <= high {
            let weight = filter(((i - at) * squeeze).abs());
            if !self.exclude_outside || (0.0..=last).contains(&i) {
                weights[(i.clamp(0.0, last) - low_inside) as usize] += weight;
                total += weight;
            }
            i += 1.0;
        }
        if total != 0.0 {
            weights.iter_mut().for_each(|w| *w /= total);
        }
        trimmed(low_inside as usize, weights)
    }
}

/// Without the zeros on both sides; one weight at least.
fn trimmed(first: usize, weights: Vec<f64>) -> (usize, Vec<f64>) {
    let used = |w: &f64| *w != 0.0;
    match (weights.iter().position(used), weights.iter().rposition(used)) {
        (Some(from), Some(to)) => (first + from, weights[from..=to].to_vec()),
        _ => (first, vec![0.0]),
    }
}

/// The cubic of Keys at distance `d`.
fn keys(a: f64, d: f64) -> f64 {
    if d < 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

impl Rounding {
    fn apply(self, at: f64) -> f64 {
        match self {
            Self::PreferFloor => (at - 0.5).ceil(),
            Self::PreferCeil => (at + 0.5).floor(),
            Self::Floor => at.floor(),
            Self::Ceil => at.ceil(),
        }
    }
}

impl Coordinates {
    /// The place that output `x` stands for.
    ///
    /// Where places are compared with whole numbers, the last bit decides: ONNX Runtime works in f32 then, mostly, and so
    /// do we. `round` is what follows its operations: f32 for [`Interpolation::Nearest`], nothing for weights.
    fn place(self, x: f64, [inputs, outputs, scale]: [f64; 3], round: fn(f64) -> f64) -> f64 {
        let scale = round(scale);
        let centre = || round(round((x + 0.5) / scale) - 0.5);
        match self {
            Self::HalfPixel => centre(),
            Self::HalfPixelSymmetric => {
                let less = round(1.0 - round(outputs / round(scale * inputs)));
                round(round(inputs / 2.0 * less) + (x + 0.5) / scale - 0.5)
            }
            Self::PytorchHalfPixel | Self::AlignCorners if outputs <= 1.0 => 0.0,
            Self::PytorchHalfPixel => centre(),
            Self::AlignCorners => round(round(x * (inputs - 1.0)) / (outputs - 1.0)),
            Self::Asymmetric => round(x / scale),
            Self::Crop { start, end } if outputs > 1.0 => {
                let steps = round(round(x * round(end - start)) * (inputs - 1.0));
                round(round(start * (inputs - 1.0)) + round(steps / (outputs - 1.0)))
            }
            Self::Crop { start, end } => round(0.5 * round(start + end) * (inputs - 1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(interpolation: Interpolation, coordinates: Coordinates) -> Sampling {
        Sampling { interpolation, coordinates, antialias: false, exclude_outside: false }
    }

    /// First input and weights of every output.
    fn listed(taps: &AxisTaps) -> Vec<(u32, Vec<f32>)> {
        let n = taps.first.len();
        let own = |j: usize| (0..taps.count[j] as usize).map(|t| taps.weights[t * n + j]).collect();
        (0..n).map(|j| (taps.first[j], own(j))).collect()
    }

    #[test]
    fn linear_by_hand() {
        let half = sampling(Interpolation::Linear, Coordinates::HalfPixel).taps(2, 4, None).unwrap();
        let want = [(0, vec![1.0]), (0, vec![0.75, 0.25]), (0, vec![0.25, 0.75]), (1, vec![1.0])];
        assert_eq!(listed(&half), want);
        let corners = sampling(Interpolation::Linear, Coordinates::AlignCorners).taps(2, 3, None).unwrap();
        assert_eq!(listed(&corners), [(0, vec![1.0]), (0, vec![0.5, 0.5]), (1, vec![1.0])]);
    }

    #[test]
    fn nearest_rounds_as_asked() {
        let firsts = |rounding, coordinates| {
            let nearest = sampling(Interpolation::Nearest(rounding), coordinates);
            nearest.taps(4, 8, None).unwrap().first
        };
        // Places 0, 0.5, 1, ..
        assert_eq!(firsts(Rounding::PreferFloor, Coordinates::Asymmetric), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(firsts(Rounding::PreferCeil, Coordinates::Asymmetric), [0, 1, 1, 2, 2, 3, 3, 3]);
        assert_eq!(firsts(Rounding::Floor, Coordinates::Asymmetric), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(firsts(Rounding::Ceil, Coordinates::HalfPixel), [0, 1, 1, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn antialias_is_the_filter_of_pillow() {
        let linear = Sampling {
            antialias: true,
            exclude_outside: true,
            ..sampling(Interpolation::Linear, Coordinates::HalfPixel)
        };
        let taps = listed(&linear.taps(8, 4, None).unwrap());
        assert_eq!(taps[1], (1, vec![0.125, 0.375, 0.375, 0.125]));
        assert_eq!(taps[0], (0, vec![3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0]));
        let piled = Sampling { exclude_outside: false, ..linear };
        assert_eq!(listed(&piled.taps(8, 4, None).unwrap())[0], (0, vec![0.5, 0.375, 0.125]));
    }

    #[test]
    fn torch_and_pillow_by_hand() {
        let corners = Sampling::torch(2, 3, false, true, false).unwrap();
        assert_eq!(listed(&corners), [(0, vec![1.0]), (0, vec![0.5, 0.5]), (1, vec![1.0])]);
        let cubic = Sampling::torch(4, 8, true, false, false).unwrap();
        // Keys at 1.75, 0.75, 0.25, 1.25 with a = -3/4.
        assert_eq!(listed(&cubic)[4], (0, vec![-0.03515625, 0.26171875, 0.87890625, -0.10546875]));
        assert_eq!(Sampling::pillow(8, 4, false).unwrap(), Sampling::torch(8, 4, false, false, true).unwrap());
        // The weights of Pillow's 8-bit pictures are these in fixed point.
        let bytes = crate::image::Taps::new(crate::image::Resample::Bicubic, 157, 56, 0, 56).unwrap();
        let floats = Sampling::pillow(157, 56, true).unwrap();
        for j in 0..56 {
            for i in 0..157 {
                let of = |first: &[u32], at: &dyn Fn(usize) -> f64, width: usize| {
                    let t = i as i64 - i64::from(first[j]);
                    if (0..width as i64).contains(&t) { at(t as usize * 56 + j) } else { 0.0 }
                };
                let fixed = of(&bytes.first, &|at| f64::from(bytes.weights[at]) / f64::from(1 << 22), bytes.width);
                let float = of(&floats.first, &|at| f64::from(floats.weights[at]), floats.width);
                assert!((fixed - float).abs() < 2e-7, "{j} {i} {fixed} {float}");
            }
        }
    }

    #[test]
    fn crops_leave_the_source() {
        let crop = sampling(Interpolation::Linear, Coordinates::Crop { start: -0.5, end: 1.0 });
        assert_eq!(listed(&crop.taps(3, 3, None).unwrap())[..2], [(0, vec![]), (0, vec![0.5, 0.5])]);
    }

    #[test]
    fn weights_sum_to_one_and_hostile_sizes_are_refused() {
        for interpolation in [Interpolation::Linear, Interpolation::Cubic(-0.75), Interpolation::Cubic(-0.5)] {
            for (antialias, exclude_outside) in [(false, false), (true, false), (false, true), (true, true)] {
                let sampling =
                    Sampling { antialias, exclude_outside, ..sampling(interpolation, Coordinates::HalfPixel) };
                for (inputs, outputs) in [(1, 7), (7, 1), (157, 56), (3, 200)] {
                    for (first, own) in listed(&sampling.taps(inputs, outputs, None).unwrap()) {
                        assert!((own.iter().sum::<f32>() - 1.0).abs() < 1e-6 && first as usize + own.len() <= inputs);
                    }
                }
            }
        }
        let linear = sampling(Interpolation::Linear, Coordinates::HalfPixel);
        assert!(linear.taps(0, 1, None).is_err() && linear.taps(1, 0, None).is_err());
        assert!(linear.taps(4, 4, Some(f64::NAN)).is_err() && linear.taps(4, usize::MAX, None).is_err());
    }
}
