//! Rotary position tables, computed on the host in f32 as the reference does, so that the angles agree to the
//! last bit: frequencies, then position times frequency, then cosine and sine, each rounded to f32.

use crate::DType;

/// How frequencies are scaled beyond the trained context.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not.
    None,
    /// All frequencies divided by a factor.
    Linear {
        /// Divisor.
        factor: f32,
    },
    /// The base grows with the length beyond the trained one (`dynamic` NTK).
    Dynamic {
        /// Growth.
        factor: f32,
        /// Trained length.
        trained: usize,
    },
    /// The base grows by steps with the length of the prompt (Qwen): by `alpha^(d / (d - 2))`, where alpha is
    /// `2^ceil(log2(length / trained) + 1) - 1`, at least 1.
    Steps {
        /// Trained length.
        trained: usize,
    },
    /// LLaMA 3.1: low frequencies divided, high ones kept, a ramp between.
    Llama3 {
        /// Divisor of low frequencies.
        factor: f32,
        /// Wavelengths above trained / low are divided.
        low: f32,
        /// Wavelengths below trained / high are kept.
        high: f32,
        /// Trained length.
        trained: usize,
    },
    /// YaRN (Peng et al. 2023): a ramp by rotations, and a factor on cosine and sine.
    Yarn {
        /// Divisor of interpolated frequencies.
        factor: f32,
        /// Rotations above which frequencies are kept.
        beta_fast: f32,
        /// Rotations below which frequencies are divided.
        beta_slow: f32,
        /// Trained length.
        trained: usize,
        /// Factor on cosine and sine.
        attention: f32,
        /// Whether the ramp's ends are whole dimensions.
        truncate: bool,
    },
}

/// Rotary settings of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    /// Base of the frequencies.
    pub theta: f32,
    /// Dimensions of a head that are rotated; even.
    pub rotary_dim: usize,
    /// Pairs are neighbours (Meta's layout) instead of half a head apart.
    pub interleaved: bool,
    /// Scaling.
    pub scaling: RopeScaling,
    /// What the frequencies are divided by before they are scaled, one each (LLaMA 3.1 in GGUF files).
    pub factors: Option<Vec<f32>>,
    /// Frequencies are rounded to this type, as a model that was converted whole (`model.half()`) has them.
    pub rounded: Option<DType>,
    /// A token has three positions (time, row, column): so many pairs are turned by each, in this order (M-RoPE; Wang
    /// et al. 2024). `None`: one position for all pairs.
    pub sections: Option<[usize; 3]>,
}

impl RopeSpec {
    /// Whether prompts of these two lengths have the same frequencies.
    pub fn alike(&self, one: usize, other: usize) -> bool {
        match self.scaling {
            RopeScaling::Steps { trained } => steps(one, trained) == steps(other, trained),
            _ => true,
        }
    }
    /// The axis that turns each pair, where a token has three positions.
    pub fn pair_axis(&self) -> Option<Vec<u32>> {
        let axis = |(axis, pairs): (usize, usize)| std::iter::repeat_n(axis as u32, pairs);
        self.sections.map(|sections| sections.into_iter().enumerate().flat_map(axis).collect())
    }
}

/// `[positions, rotary_dim]`: cosines of the frequencies, then their sines.
pub fn rope_table(spec: &RopeSpec, positions: usize) -> Vec<f32> {
    rope_table_for(spec, positions, positions)
}

/// [`rope_table`] for sequences of `length` tokens, where that scales the frequencies.
pub fn rope_table_for(spec: &RopeSpec, positions: usize, length: usize) -> Vec<f32> {
    let (mut frequencies, factor) = frequencies(spec, length);
    for f in &mut frequencies {
        *f = match spec.rounded {
            Some(DType::F16) => half::f16::from_f32(*f).to_f32(),
            Some(DType::BF16) => half::bf16::from_f32(*f).to_f32(),
            _ => *f,
        };
    }
    let mut table = Vec::with_capacity(positions * spec.rotary_dim);
    for position in 0..positions {
        let angle = |f: &f32| f * position as f32;
        table.extend(frequencies.iter().map(|f| angle(f).cos() * factor));
        table.extend(frequencies.iter().map(|f| angle(f).sin() * factor));
    }
    table
}

/// A rotary table \[positions, rotary_dim\] for queries that are also multiplied by `log_base(position + 1)` where that is
/// above 1 (Qwen's scaling of attention by the length).
pub fn log_scaled(table: &[f32], rotary_dim: usize, base: usize) -> Vec<f32> {
    let factor = |position: usize| {
        if position < base { 1.0 } else { ((position as f64 + 1.0).ln() / (base as f64).ln()) as f32 }
    };
    let rows = table.chunks_exact(rotary_dim.max(1)).enumerate();
    rows.flat_map(|(position, row)| row.iter().map(move |v| v * factor(position))).collect()
}

/// Which frequencies the two axes of a tower's rotary positions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxialFrequencies {
    /// `theta^(-4 i / head_dim)` for both (Qwen2-VL).
    Shared,
    /// `theta^(-2 i / head_dim)`, the even ones for rows, the odd ones for columns (Pixtral).
    Alternating,
}

/// Rotary positions by row and column: the first pairs of a head turn with its row, the others with its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxialRope {
    /// Base of the frequencies.
    pub theta: f32,
    /// Elements of a head, all of which turn; even, and a multiple of 4 with shared frequencies.
    pub head_dim: usize,
    /// Frequencies of the axes.
    pub frequencies: AxialFrequencies,
    /// Whether neighbours are pairs, in place of elements half a head apart.
    pub interleaved: bool,
}

impl AxialRope {
    /// `[rows * cols, head_dim]`, the places of a grid row by row: cosines of the pairs, then their sines.
    pub fn table(&self, (rows, cols): (usize, usize)) -> Vec<f32> {
        let pairs = self.head_dim / 2;
        let frequency = |i: usize| 1.0 / self.theta.powf(2.0 * i as f32 / self.head_dim as f32);
        let axis = |first: usize| (first..pairs).step_by(2).map(frequency).collect::<Vec<f32>>();
        let down = axis(0);
        let across = match self.frequencies {
            AxialFrequencies::Shared => down.clone(),
            AxialFrequencies::Alternating => axis(1),
        };
        let mut table = Vec::with_capacity(rows * cols * self.head_dim);
        for row in 0..rows {
            for col in 0..cols {
                let angles = || down.iter().map(|f| f * row as f32).chain(across.iter().map(|f| f * col as f32));
                table.extend(angles().map(f32::cos));
                table.extend(angles().map(f32::sin));
            }
        }
        table
    }
}

fn frequencies(spec: &RopeSpec, length: usize) -> (Vec<f32>, f32) {
    let dim = spec.rotary_dim;
    let factor = |i: usize| spec.factors.as_ref().and_then(|all| all.get(i)).copied().unwrap_or(1.0);
    let base = |theta: f32| -> Vec<f32> {
        (0..dim / 2).map(|i| 1.0 / theta.powf(2.0 * i as f32 / dim as f32) / factor(i)).collect()
    };
    let plain = base(spec.theta);
    match spec.scaling {
        RopeScaling::None => (plain, 1.0),
        RopeScaling::Linear { factor } => (plain.iter().map(|f| f / factor).collect(), 1.0),
        RopeScaling::Dynamic { factor, trained } => {
            let length = length.max(trained) as f32;
            let growth = factor * length / trained as f32 - (factor - 1.0);
            let exponent = dim as f32 / (dim as f32 - 2.0);
            (base(spec.theta * growth.powf(exponent)), 1.0)
        }
        RopeScaling::Steps { trained } => {
            let growth = steps(length, trained);
            let exponent = dim as f64 / (dim as f64 - 2.0);
            (base((f64::from(spec.theta) * growth.powf(exponent)) as f32), 1.0)
        }
        RopeScaling::Llama3 { factor, low, high, trained } => {
            (plain.iter().map(|f| llama3(*f, factor, (low, high), trained as f32)).collect(), 1.0)
        }
        RopeScaling::Yarn { attention, .. } => (yarn(spec, &plain), attention),
    }
}

/// The growth that [`RopeScaling::Steps`] gives a prompt of `length` tokens.
fn steps(length: usize, trained: usize) -> f64 {
    let doublings = (length.max(1) as f64 / trained.max(1) as f64).log2() + 1.0;
    (doublings.ceil().exp2() - 1.0).max(1.0)
}

fn llama3(frequency: f32, factor: f32, (low, high): (f32, f32), trained: f32) -> f32 {
    let wavelength = 2.0 * std::f32::consts::PI / frequency;
    if wavelength > trained / low {
        frequency / factor
    } else if wavelength < trained / high {
        frequency
    } else {
        let smooth = (trained / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

fn yarn(spec: &RopeSpec, plain: &[f32]) -> Vec<f32> {
    let RopeScaling::Yarn { factor, beta_fast, beta_slow, trained, truncate, .. } = spec.scaling else {
        return plain.to_vec();
    };
    let dim = spec.rotary_dim as f64;
    // Dimension whose wavelength makes `rotations` turns over the trained length.
    let dimension = |rotations: f32| {
        let turns = trained as f64 / (f64::from(rotations) * 2.0 * std::f64::consts::PI);
        dim * turns.ln() / (2.0 * f64::from(spec.theta).ln())
    };
    let (mut low, mut high) = (dimension(beta_fast), dimension(beta_slow));
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    let (low, mut high) = (low.max(0.0) as f32, high.min(dim - 1.0) as f32);
    if low == high {
        high += 0.001;
    }
    let blend = |(i, f): (usize, &f32)| {
        let ramp = ((i as f32 - low) / (high - low)).clamp(0.0, 1.0);
        let keep = 1.0 - ramp;
        f / factor * (1.0 - keep) + f * keep
    };
    plain.iter().enumerate().map(blend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_zero_is_the_identity_and_pairs_stay_on_the_circle() {
        let spec = RopeSpec {
            theta: 1e4,
            rotary_dim: 8,
            interleaved: false,
            scaling: RopeScaling::None,
            factors: None,
            rounded: None,
            sections: None,
        };
        let table = rope_table(&spec, 5);
        assert_eq!(table[..8], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        for row in table.chunks(8) {
            for i in 0..4 {
                assert!((row[i].powi(2) + row[4 + i].powi(2) - 1.0).abs() < 1e-6);
            }
        }
        assert!((table[8 + 4] - 1f32.sin()).abs() < 1e-7, "the first frequency is one radian a position");
    }

    #[test]
    fn rows_turn_the_first_pairs_and_columns_the_others() {
        let table = |frequencies| AxialRope { theta: 1e4, head_dim: 8, frequencies, interleaved: false }.table((2, 3));
        let shared = table(AxialFrequencies::Shared);
        assert_eq!(shared.len(), 6 * 8);
        let near = |got: &[f32], want: [f32; 4]| got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
        // Row 1, column 2.
        assert!(near(&shared[5 * 8..5 * 8 + 4], [1.0, 0.01, 2.0, 0.02].map(f32::cos)));
        let alternating = table(AxialFrequencies::Alternating);
        assert!(near(&alternating[5 * 8 + 4..], [1.0, 0.01, 0.2, 0.002].map(f32::sin)));
    }

    #[test]
    fn factors_that_llama3_makes_are_its_scaling() {
        let scaling = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, trained: 8192 };
        let (theta, rotary_dim) = (5e5, 128);
        let scaled =
            RopeSpec { theta, rotary_dim, interleaved: true, scaling, factors: None, rounded: None, sections: None };
        let plain = RopeSpec { scaling: RopeScaling::None, ..scaled.clone() };
        let (want, own) = (frequencies(&scaled, 1).0, frequencies(&plain, 1).0);
        let factors = own.iter().zip(&want).map(|(a, b)| a / b).collect();
        let got = frequencies(&RopeSpec { factors: Some(factors), ..plain }, 1).0;
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 2e-7 * b) && got != own);
    }

    #[test]
    fn the_base_of_qwen_grows_by_steps_and_queries_by_the_logarithm() {
        let growth = [1, 16, 17, 32, 33, 64, 65].map(|length| steps(length, 16));
        assert_eq!(growth, [1.0, 1.0, 3.0, 3.0, 7.0, 7.0, 15.0]);
        let scaled = log_scaled(&[2.0; 10], 2, 2);
        assert_eq!(scaled[..4], [2.0; 4], "places 1 and 2");
        assert!((scaled[6] - 2.0 * 2.0).abs() < 1e-6, "the fourth: the logarithm of 4 to the base 2");
    }

    #[test]
    fn llama3_keeps_high_and_divides_low_frequencies() {
        assert_eq!(llama3(1.0, 8.0, (1.0, 4.0), 8192.0), 1.0);
        assert_eq!(llama3(1e-5, 8.0, (1.0, 4.0), 8192.0), 1e-5 / 8.0);
        let between = llama3(2.0 * std::f32::consts::PI / 4000.0, 8.0, (1.0, 4.0), 8192.0);
        assert!(between < 2.0 * std::f32::consts::PI / 4000.0 && between > 1e-4);
    }
}
