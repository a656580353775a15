//! Floats of few bits, by listing every number that a format has.

use super::{Array, Cell};
use crate::kernels::{FloatFormat, Minifloat, MinifloatMode, Rounding, Special};

/// Value of a code without its sign.
fn value(format: FloatFormat, code: u32) -> f64 {
    let FloatFormat { exponent, mantissa, bias, special } = format;
    let all = (1u32 << (exponent + mantissa)) - 1;
    if special == Special::Powers {
        return if code == all { f64::NAN } else { f64::powi(2.0, code as i32 - bias) };
    }
    let (e, m) = (code >> mantissa, code & ((1 << mantissa) - 1));
    match special {
        Special::Ieee if e == (1 << exponent) - 1 => return if m == 0 { f64::INFINITY } else { f64::NAN },
        Special::Finite if code == all => return f64::NAN,
        _ => {}
    }
    let unit = f64::powi(2.0, e.max(1) as i32 - bias - mantissa as i32);
    (f64::from(m) + if e > 0 { f64::from(1u32 << mantissa) } else { 0.0 }) * unit
}

/// Largest code of a finite number without its sign.
fn largest(format: FloatFormat) -> u32 {
    let all = (1u32 << (format.exponent + format.mantissa)) - 1;
    (0..=all).rev().find(|code| value(format, *code).is_finite()).unwrap_or(0)
}

/// The code for `x`, with `sign` the code of its sign bit.
fn encode(kernel: &Minifloat, x: f64) -> u32 {
    let format = kernel.format;
    let sign_bit = 1u32 << (format.exponent + format.mantissa);
    let all = sign_bit - 1;
    let powers = format.special == Special::Powers;
    let sign = if x.is_sign_negative() && !powers { sign_bit } else { 0 };
    let not_a_number = match format.special {
        Special::Ieee => sign | (all - (1 << format.mantissa) / 2 + u32::from(format.mantissa > 0)),
        Special::FiniteNoZero => sign_bit,
        _ => sign | all,
    };
    if x.is_nan() {
        return not_a_number;
    }
    let size = x.abs();
    let most = largest(format);
    // The last code that is not above, by halving: codes are in the order of their values.
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if value(format, middle) <= size { low = middle } else { high = middle - 1 }
    }
    let below = value(format, low);
    // One step beyond the largest number is where the format would go on.
    let above = if low == most { below + (below - value(format, most - 1)) } else { value(format, low + 1) };
    let above = if powers { 2.0 * below } else { above };
    let up = match kernel.rounding {
        _ if size <= below => false,
        Rounding::Up if powers => true,
        Rounding::Down if powers => false,
        _ if powers => size >= (below + above) / 2.0,
        _ => size - below > above - size || (size - below == above - size && low % 2 == 1),
    };
    let code = low + u32::from(up);
    if code > most || size.is_infinite() {
        return match format.special {
            _ if kernel.saturate || format.special == Special::None => sign | most,
            Special::Ieee => sign | (most + 1),
            _ => not_a_number,
        };
    }
    if code == 0 && format.special == Special::FiniteNoZero { 0 } else { sign | code }
}

fn decode(format: FloatFormat, code: u32) -> f64 {
    let sign_bit = 1u32 << (format.exponent + format.mantissa);
    if format.special == Special::FiniteNoZero && code == sign_bit {
        return f64::NAN;
    }
    let size = value(format, code & (sign_bit - 1));
    if code & sign_bit != 0 && format.special != Special::Powers { -size } else { size }
}

/// Row `row` of codes, of their values, or of rounded values: exact.
pub fn minifloat(kernel: &Minifloat, x: &Array, row: usize) -> Vec<Cell> {
    let cell = |v: &f64| {
        let want = match kernel.mode {
            MinifloatMode::Encode => f64::from(encode(kernel, *v)),
            MinifloatMode::Decode => decode(kernel.format, *v as u32),
            MinifloatMode::Round => decode(kernel.format, encode(kernel, *v)),
        };
        Cell { want, bound: 0.0 }
    };
    x.row(row).iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(format: FloatFormat, saturate: bool, x: f64) -> u32 {
        encode(&Minifloat { format, mode: MinifloatMode::Encode, saturate, rounding: Rounding::Up }, x)
    }

    #[test]
    fn codes_are_those_of_the_standards() {
        assert_eq!(value(FloatFormat::E4M3FN, largest(FloatFormat::E4M3FN)), 448.0);
        assert_eq!(value(FloatFormat::E5M2, largest(FloatFormat::E5M2)), 57344.0);
        assert_eq!(value(FloatFormat::E2M1, largest(FloatFormat::E2M1)), 6.0);
        assert_eq!(code(FloatFormat::E4M3FN, true, f64::INFINITY), 0x7e);
        assert_eq!(code(FloatFormat::E4M3FN, false, 1e6), 0x7f);
        assert_eq!(code(FloatFormat::E5M2, false, -1e6), 0xfc);
        assert_eq!(code(FloatFormat::E5M2, false, f64::NAN), 0x7e);
        assert_eq!(code(FloatFormat::E5M2FNUZ, false, 1e6), 0x80);
        assert_eq!(code(FloatFormat::E8M0, true, 1.1), 0x80);
        for bits in (0..0x7c00u16).step_by(7) {
            let v = half::f16::from_bits(bits).to_f64();
            assert_eq!(code(FloatFormat::F16, false, v * 1.0001), u32::from(half::f16::from_f64(v * 1.0001).to_bits()));
        }
    }
}
