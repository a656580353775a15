//! Number formats of cells that are a word each on the device: what casts and quantization go from and to.

use super::{Kernel, require};
use crate::{DType, Result};

/// A float of 8 bits or fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmallFloat {
    /// 4 exponent bits of bias 7, 3 of fraction; NaN is all ones, no infinity (OCP).
    E4M3FN,
    /// 4 exponent bits of bias 8, 3 of fraction; NaN is the negative zero, no infinity.
    E4M3FNUZ,
    /// 5 exponent bits of bias 15, 2 of fraction, as in IEEE 754.
    E5M2,
    /// 5 exponent bits of bias 16, 2 of fraction; NaN is the negative zero, no infinity.
    E5M2FNUZ,
    /// A power of two, `2^(code - 127)`; 255 is NaN.
    E8M0,
    /// 2 exponent bits of bias 1, 1 of fraction: 0 .5 1 1.5 2 3 4 6.
    E2M1,
}

/// A number format. f16 and bf16 are held in f32, but have only their own values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Number {
    /// f32
    F32,
    /// Values of f16.
    F16,
    /// Values of bf16.
    BF16,
    /// An integer of up to 32 bits.
    Int {
        /// Bits.
        bits: u32,
        /// Two's complement.
        signed: bool,
    },
    /// 0 and 1.
    Bool,
    /// Bits of a small float.
    Small(SmallFloat),
}

/// Overrides of a part.
pub(super) type Overrides = Vec<(&'static str, f64)>;

impl SmallFloat {
    /// Bits, bits of fraction, bias, the largest finite value.
    const fn facts(self) -> (u32, u32, u32, f64) {
        match self {
            Self::E4M3FN => (8, 3, 7, 448.0),
            Self::E4M3FNUZ => (8, 3, 8, 240.0),
            Self::E5M2 => (8, 2, 15, 57_344.0),
            Self::E5M2FNUZ => (8, 2, 16, 57_344.0),
            Self::E8M0 => (8, 0, 127, f64::MAX),
            Self::E2M1 => (4, 1, 1, 6.0),
        }
    }
    /// Codes of NaN, of an overflow that saturates and of one that does not.
    const fn codes(self) -> (u32, u32, u32) {
        match self {
            Self::E4M3FN => (0x7f, 0x7e, 0x7f),
            Self::E4M3FNUZ | Self::E5M2FNUZ => (0x80, 0x7f, 0x80),
            Self::E5M2 => (0x7e, 0x7b, 0x7c),
            Self::E8M0 => (0xff, 0xfe, 0xfe),
            // There is no NaN: the negative zero stands for it, as ml_dtypes has it.
            Self::E2M1 => (8, 7, 7),
        }
    }
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::E4M3FN => "e4m3fn",
            Self::E4M3FNUZ => "e4m3fnuz",
            Self::E5M2 => "e5m2",
            Self::E5M2FNUZ => "e5m2fnuz",
            Self::E8M0 => "e8m0",
            Self::E2M1 => "e2m1",
        }
    }
}

impl Number {
    /// Element type on the device.
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => DType::F32,
            Self::Int { signed: true, .. } => DType::I32,
            _ => DType::U32,
        }
    }
    /// Name for plans.
    pub fn name(self) -> String {
        match self {
            Self::F32 => "f32".into(),
            Self::F16 => "f16".into(),
            Self::BF16 => "bf16".into(),
            Self::Bool => "bool".into(),
            Self::Int { bits, signed } => format!("{}{bits}", if signed { "i" } else { "u" }),
            Self::Small(small) => small.name().into(),
        }
    }
    /// Whether an integer has a number of bits that a word holds.
    pub(super) fn check(self, kernel: &dyn Kernel) -> Result<()> {
        let fits = !matches!(self, Self::Int { bits, .. } if !(1..=32).contains(&bits));
        require(kernel, fits, || format!("{} has no word", self.name()))
    }
    pub(super) fn is_int(self) -> bool {
        matches!(self, Self::Int { .. } | Self::Bool)
    }
    /// The part of role decode, with its overrides.
    pub(super) fn decode(self) -> (&'static str, Overrides) {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => ("parts/decode_f32", Vec::new()),
            Self::Int { signed: true, .. } => ("parts/decode_i32", Vec::new()),
            Self::Int { .. } | Self::Bool => ("parts/decode_u32", Vec::new()),
            Self::Small(SmallFloat::E8M0) => ("parts/decode_e8m0", Vec::new()),
            Self::Small(small) => {
                let (bits, mantissa, bias, _) = small.facts();
                let nan = match small {
                    SmallFloat::E4M3FN => 0,
                    SmallFloat::E5M2 => 1,
                    SmallFloat::E4M3FNUZ | SmallFloat::E5M2FNUZ => 2,
                    _ => 3,
                };
                let words = [("D_BITS", bits), ("D_MANTISSA", mantissa), ("D_BIAS", bias), ("D_NAN", nan)];
                ("parts/decode_small", words.map(|(name, word)| (name, f64::from(word))).to_vec())
            }
        }
    }
    /// The parts of roles encode and round, with their overrides; `mode` is the rounding of E8M0.
    pub(super) fn encode(self, saturate: bool, mode: PowerRounding) -> (Vec<&'static str>, Overrides) {
        let rounding = |mantissa: u32, bias: u32| {
            vec![
                ("R_MANTISSA", f64::from(mantissa)),
                ("R_LEAST", f64::powi(2.0, 1 - bias as i32)),
                ("R_SCALE", f64::powi(2.0, (mantissa + bias) as i32 - 1)),
            ]
        };
        let half = vec!["parts/encode_half", "parts/round_float"];
        match self {
            Self::F32 => (vec!["parts/encode_f32"], Vec::new()),
            Self::F16 => (half, [rounding(10, 15), vec![("R_MAX", 65_504.0)]].concat()),
            // bf16 has the exponents of f32, so its subnormal numbers round like the others.
            Self::BF16 => {
                let max = f64::from(half::bf16::MAX.to_f32());
                (half, vec![("R_MANTISSA", 7.0), ("R_LEAST", 0.0), ("R_SCALE", 1.0), ("R_MAX", max)])
            }
            Self::Bool => (vec!["parts/encode_bool"], Vec::new()),
            Self::Int { .. } => (vec!["parts/encode_int"], self.int_overrides()),
            Self::Small(SmallFloat::E8M0) => (vec!["parts/encode_e8m0"], vec![("E_MODE", f64::from(mode as u8))]),
            Self::Small(small) => {
                let (bits, mantissa, bias, max) = small.facts();
                let (nan, last, over) = small.codes();
                let zero = !matches!(small, SmallFloat::E4M3FNUZ | SmallFloat::E5M2FNUZ);
                let mut all = rounding(mantissa, bias);
                all.extend([
                    ("R_MAX", max),
                    ("E_BIAS", bias.into()),
                    ("E_SIGN", f64::from(1u32 << (bits - 1))),
                    ("E_NAN", nan.into()),
                    ("E_OVER", if saturate { last } else { over }.into()),
                    ("E_ZERO", f64::from(u8::from(zero))),
                ]);
                (vec!["parts/encode_small", "parts/round_float"], all)
            }
        }
    }
    /// Overrides of the parts that cut an integer.
    pub(super) fn int_overrides(self) -> Overrides {
        match self {
            Self::Int { bits, signed } => vec![("TO_BITS", bits.into()), ("TO_SIGNED", f64::from(u8::from(signed)))],
            _ => Vec::new(),
        }
    }
}

/// Which power of two stands for a number between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PowerRounding {
    /// The larger.
    #[default]
    Up,
    /// The smaller.
    Down,
    /// The nearer, the larger of two as near.
    Nearest,
}
