//! Logical element types of the packs: names, widths, and what the bits of an element mean.

use super::PackError;

/// Element type as a pack names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Logical {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    I4,
    I2,
    U64,
    U32,
    U16,
    U8,
    U4,
    U2,
    Bool,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0,
    F4E2M1,
}

/// Name, bits of an element.
const TYPES: &[(Logical, &str, u32)] = &[
    (Logical::F64, "f64", 64),
    (Logical::F32, "f32", 32),
    (Logical::F16, "f16", 16),
    (Logical::BF16, "bf16", 16),
    (Logical::I64, "i64", 64),
    (Logical::I32, "i32", 32),
    (Logical::I16, "i16", 16),
    (Logical::I8, "i8", 8),
    (Logical::I4, "i4", 4),
    (Logical::I2, "i2", 2),
    (Logical::U64, "u64", 64),
    (Logical::U32, "u32", 32),
    (Logical::U16, "u16", 16),
    (Logical::U8, "u8", 8),
    (Logical::U4, "u4", 4),
    (Logical::U2, "u2", 2),
    (Logical::Bool, "bool", 8),
    (Logical::F8E4M3FN, "f8e4m3fn", 8),
    (Logical::F8E4M3FNUZ, "f8e4m3fnuz", 8),
    (Logical::F8E5M2, "f8e5m2", 8),
    (Logical::F8E5M2FNUZ, "f8e5m2fnuz", 8),
    (Logical::F8E8M0, "f8e8m0", 8),
    (Logical::F4E2M1, "f4e2m1", 4),
];

impl Logical {
    /// The type of that name.
    ///
    /// Errors: [`PackError`] for a name that the format does not have.
    pub fn parse(name: &str) -> Result<Self, PackError> {
        let found = TYPES.iter().find(|(_, n, _)| *n == name);
        found
            .map(|(ty, ..)| *ty)
            .ok_or_else(|| PackError::new("dtype", format!("`{name}` is not a type of the format")))
    }
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(ty, ..)| *ty == self).map_or("", |(_, name, _)| name)
    }
    /// Bits of one element.
    pub fn bits(self) -> u32 {
        TYPES.iter().find(|(ty, ..)| *ty == self).map_or(32, |(.., bits)| *bits)
    }
    /// f64, f32, f16 and bf16: types that are f32 on the device.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
    /// Floating-point types of 8 bits and fewer: bits in a word each on the device.
    pub fn is_small_float(self) -> bool {
        use Logical::{F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0};
        matches!(self, F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0 | F4E2M1)
    }
    /// Signed integers.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::I64 | Self::I32 | Self::I16 | Self::I8 | Self::I4 | Self::I2)
    }
    /// Integers of 64 bits: word pairs (low, high) on the device.
    pub fn is_wide(self) -> bool {
        matches!(self, Self::I64 | Self::U64)
    }
    /// The value of an element's bits as an integer; of the small floats their bits.
    pub fn integer(self, bits: u64) -> i128 {
        let width = self.bits();
        let low = if width == 64 { bits } else { bits & ((1 << width) - 1) };
        if self.is_signed() && low >> (width - 1) & 1 == 1 {
            i128::from(low) - (1i128 << width)
        } else {
            i128::from(low)
        }
    }
    /// The value of an element's bits.
    pub fn value(self, bits: u64) -> f64 {
        match self {
            Self::F64 => f64::from_bits(bits),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F16 => half::f16::from_bits(bits as u16).to_f64(),
            Self::BF16 => half::bf16::from_bits(bits as u16).to_f64(),
            Self::F8E4M3FN => small(bits as u32, 3, 7, bits & 0x7f == 0x7f),
            Self::F8E4M3FNUZ => small(bits as u32, 3, 8, bits == 0x80),
            Self::F8E5M2 if bits & 0x7f == 0x7c => sign(bits as u32, 7) * f64::INFINITY,
            Self::F8E5M2 => small(bits as u32, 2, 15, bits & 0x7f > 0x7c),
            Self::F8E5M2FNUZ => small(bits as u32, 2, 16, bits == 0x80),
            Self::F8E8M0 if bits == 0xff => f64::NAN,
            Self::F8E8M0 => f64::powi(2.0, bits as i32 - 127),
            Self::F4E2M1 => {
                let magnitude = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][(bits & 7) as usize];
                sign(bits as u32, 3) * magnitude
            }
            _ => self.integer(bits) as f64,
        }
    }
}

fn sign(bits: u32, at: u32) -> f64 {
    if bits >> at & 1 == 1 { -1.0 } else { 1.0 }
}

/// An 8-bit float with `mantissa` bits and this bias.
fn small(bits: u32, mantissa: u32, bias: i32, nan: bool) -> f64 {
    if nan {
        return f64::NAN;
    }
    let fraction = f64::from(bits & ((1 << mantissa) - 1)) / f64::from(1u32 << mantissa);
    let exponent = (bits >> mantissa & ((1 << (7 - mantissa)) - 1)) as i32;
    let magnitude = match exponent {
        0 => fraction * f64::powi(2.0, 1 - bias),
        e => (1.0 + fraction) * f64::powi(2.0, e - bias),
    };
    sign(bits, 7) * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (ty, name, bits) in TYPES {
            assert_eq!(Logical::parse(name).unwrap(), *ty);
            assert_eq!((ty.name(), ty.bits()), (*name, *bits));
        }
        assert!(Logical::parse("f8").is_err());
    }

    #[test]
    fn integers_by_hand() {
        assert_eq!(Logical::I8.integer(0x80), -128);
        assert_eq!(Logical::I4.integer(0xf), -1);
        assert_eq!(Logical::I2.integer(2), -2);
        assert_eq!(Logical::U4.integer(0xf), 15);
        assert_eq!(Logical::I64.integer(u64::MAX), -1);
        assert_eq!(Logical::U64.integer(u64::MAX), u64::MAX.into());
    }

    #[test]
    fn small_floats_by_hand() {
        let e4 = |bits| Logical::F8E4M3FN.value(bits);
        assert_eq!((e4(0x38), e4(0x7e), e4(0x01), e4(0xb8)), (1.0, 448.0, f64::powi(2.0, -9), -1.0));
        assert!(e4(0x7f).is_nan() && e4(0xff).is_nan());
        let e4z = |bits| Logical::F8E4M3FNUZ.value(bits);
        assert_eq!((e4z(0x40), e4z(0x7f)), (1.0, 240.0));
        assert!(e4z(0x80).is_nan());
        let e5 = |bits| Logical::F8E5M2.value(bits);
        assert_eq!((e5(0x3c), e5(0x7b), e5(0x7c), e5(0xfc)), (1.0, 57344.0, f64::INFINITY, f64::NEG_INFINITY));
        assert!(e5(0x7d).is_nan());
        let e5z = |bits| Logical::F8E5M2FNUZ.value(bits);
        assert_eq!((e5z(0x40), e5z(0x7f)), (1.0, 57344.0));
        assert_eq!(Logical::F8E8M0.value(127), 1.0);
        assert_eq!(Logical::F4E2M1.value(0xf), -6.0);
    }
}
