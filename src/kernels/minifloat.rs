//! Floats of few bits: f16, bf16 and the formats of 8 and 4 bits.

use super::unit::{by_item, movable};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// What the codes at the end of a format mean. Its number is the value of the override `SPECIAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Infinities and NaN as in IEEE 754.
    Ieee,
    /// No infinity; all ones are NaN ("fn").
    Finite,
    /// No infinity and no -0, whose code is NaN ("fnuz").
    FiniteNoZero,
    /// Neither infinity nor NaN.
    None,
    /// Powers of 2 without sign or 0; all ones are NaN.
    Powers,
}

/// A format: `(-1)^s 2^(e - bias) (1 + m / 2^mantissa)`, denormal where `e` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloatFormat {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the mantissa.
    pub mantissa: u32,
    /// Bias of the exponent.
    pub bias: i32,
    /// Its last codes.
    pub special: Special,
}

impl FloatFormat {
    const fn new(exponent: u32, mantissa: u32, bias: i32, special: Special) -> Self {
        Self { exponent, mantissa, bias, special }
    }
    /// IEEE 754 binary16.
    pub const F16: Self = Self::new(5, 10, 15, Special::Ieee);
    /// The upper half of f32.
    pub const BF16: Self = Self::new(8, 7, 127, Special::Ieee);
    /// OCP 8-bit, 4 bits of exponent (Micikevicius et al. 2022).
    pub const E4M3FN: Self = Self::new(4, 3, 7, Special::Finite);
    /// The same with another bias and one zero (Noune et al. 2022).
    pub const E4M3FNUZ: Self = Self::new(4, 3, 8, Special::FiniteNoZero);
    /// OCP 8-bit, 5 bits of exponent.
    pub const E5M2: Self = Self::new(5, 2, 15, Special::Ieee);
    /// The same with another bias and one zero.
    pub const E5M2FNUZ: Self = Self::new(5, 2, 16, Special::FiniteNoZero);
    /// OCP scales of microscaled formats.
    pub const E8M0: Self = Self::new(8, 0, 127, Special::Powers);
    /// OCP 4-bit.
    pub const E2M1: Self = Self::new(2, 1, 1, Special::None);
}

/// How a number between two powers of 2 is rounded. Its number is the value of the override `ROUND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Rounding {
    Nearest,
    Up,
    Down,
}

/// What is done with a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinifloatMode {
    /// f32 to codes in u32.
    Encode,
    /// Codes in u32 to f32.
    Decode,
    /// f32 to the f32 that the format holds.
    Round,
}

/// `x` -> `y` of the same shape: f32 to the codes of a format, back, or rounded to it; ties to even. What is too large
/// becomes the largest number with `saturate`, else infinite, or NaN where there is no infinity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minifloat {
    /// The format.
    pub format: FloatFormat,
    /// Encode, decode or round.
    pub mode: MinifloatMode,
    /// The largest number instead of infinity or NaN.
    pub saturate: bool,
    /// Of formats that hold powers of 2 only.
    pub rounding: Rounding,
}

pub(super) const ENTRY: Entry =
    Entry { name: "minifloat", about: "f16, bf16, and floats of 8 and 4 bits: encode, decode, round to" };

impl Kernel for Minifloat {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let x = &inputs[0];
        movable(self, x)?;
        let FloatFormat { exponent, mantissa, bias, .. } = self.format;
        let sane = (1..=8).contains(&exponent) && mantissa <= 15 && (1..=127).contains(&bias);
        require(self, sane, || format!("{:?} is not a format within f32", self.format))?;
        let (from, to) = match self.mode {
            MinifloatMode::Encode => (DType::F32, DType::U32),
            MinifloatMode::Decode => (DType::U32, DType::F32),
            MinifloatMode::Round => (DType::F32, DType::F32),
        };
        require(self, x.dtype == from, || format!("{x} is not {from}"))?;
        Ok(vec![TensorType::new(to, &x.shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let FloatFormat { exponent, mantissa, bias, special } = self.format;
        let overrides = [
            ("MODE", f64::from(self.mode as u8)),
            ("EXPONENT", exponent.into()),
            ("MANTISSA", mantissa.into()),
            ("BIAS", bias.into()),
            ("SPECIAL", f64::from(special as u8)),
            ("ROUND", f64::from(self.rounding as u8)),
            ("SATURATE", self.saturate.into()),
        ];
        by_item(vec![ENTRY.name], &overrides, io.inputs[0].elements(), caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::minifloat(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let FloatFormat { exponent, mantissa, bias, special } = self.format;
        format!("{:?} e{exponent}m{mantissa} bias {bias} {special:?}", self.mode).to_lowercase()
    }
}
