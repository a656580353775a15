//! Number formats: casting, quantizing, dequantizing.

use super::{Array, Cell, F32_EPS, computed};
use crate::DType;
use crate::kernels::{Cast, Dequantize, Granularity, Number, PowerRounding, Quantize, SmallFloat};

/// The value of a code of a small float.
fn small_value(small: SmallFloat, code: u32) -> f64 {
    let (mantissa, bias) = match small {
        SmallFloat::E4M3FN => (3, 7),
        SmallFloat::E4M3FNUZ => (3, 8),
        SmallFloat::E5M2 => (2, 15),
        SmallFloat::E5M2FNUZ => (2, 16),
        SmallFloat::E2M1 => (1, 1),
        SmallFloat::E8M0 if code == 255 => return f64::NAN,
        SmallFloat::E8M0 => return f64::powi(2.0, code as i32 - 127),
    };
    let sign_bit = if small == SmallFloat::E2M1 { 8 } else { 128 };
    let (sign, magnitude) = (if code & sign_bit == 0 { 1.0 } else { -1.0 }, code & (sign_bit - 1));
    match small {
        SmallFloat::E4M3FN if magnitude == 0x7f => return f64::NAN,
        SmallFloat::E5M2 if magnitude > 0x7c => return f64::NAN,
        SmallFloat::E5M2 if magnitude == 0x7c => return sign * f64::INFINITY,
        SmallFloat::E4M3FNUZ | SmallFloat::E5M2FNUZ if code == 0x80 => return f64::NAN,
        _ => {}
    }
    let fraction = f64::from(magnitude & ((1 << mantissa) - 1)) / f64::from(1u32 << mantissa);
    let exponent = (magnitude >> mantissa) as i32;
    let size = match exponent {
        0 => fraction * f64::powi(2.0, 1 - bias),
        _ => (1.0 + fraction) * f64::powi(2.0, exponent - bias),
    };
    sign * size
}

/// The code of a number: the nearest finite one, of two as near the even one, by looking at all of them. Beyond half a
/// step over the largest it is infinity or NaN unless it saturates.
fn small_code(small: SmallFloat, value: f64, saturate: bool) -> u32 {
    let count: u32 = if small == SmallFloat::E2M1 { 16 } else { 256 };
    let sign = if value.is_sign_negative() { count / 2 } else { 0 };
    let unsigned_zero = matches!(small, SmallFloat::E4M3FNUZ | SmallFloat::E5M2FNUZ);
    let nan = match small {
        SmallFloat::E4M3FN => 0x7f,
        SmallFloat::E5M2 => 0x7e,
        SmallFloat::E2M1 => 8,
        _ => 0x80,
    };
    if value.is_nan() {
        return nan;
    }
    let finite = (0..count / 2).filter(|c| small_value(small, *c).is_finite());
    let distance = |code: u32| (small_value(small, code) - value.abs()).abs();
    let better = |a: u32, b: u32| {
        let (x, y) = (distance(a), distance(b));
        if x < y || (x == y && a.is_multiple_of(2)) { a } else { b }
    };
    let last = finite.clone().next_back().unwrap_or(0);
    let step = small_value(small, last) - small_value(small, last - 1);
    // The code after the last one would be even where the last one is odd: then half a step over rounds up to it.
    let over = value.abs() - small_value(small, last) - step / 2.0;
    if over > 0.0 || (over == 0.0 && last % 2 == 1) {
        return match (saturate, small) {
            (true, _) | (_, SmallFloat::E2M1) => sign | last,
            (false, SmallFloat::E5M2) => sign | 0x7c,
            (false, _) => sign | nan,
        };
    }
    let code = finite.reduce(better).unwrap_or(0);
    if code == 0 && unsigned_zero { 0 } else { sign | code }
}

/// The power of two for a number that is not negative, as a code.
fn power_code(value: f64, rounding: PowerRounding) -> u32 {
    if value.is_nan() || value < 0.0 {
        return 255;
    }
    let power = |code: u32| f64::powi(2.0, code as i32 - 127);
    let down = (0..=254).rev().find(|c| power(*c) <= value).unwrap_or(0);
    let exact = power(down) >= value;
    let up = (down + 1).min(254);
    match rounding {
        PowerRounding::Down => down,
        _ if exact => down,
        PowerRounding::Up => up,
        PowerRounding::Nearest if value - power(down) < power(up) - value => down,
        PowerRounding::Nearest => up,
    }
}

/// The number that a cell of the device stands for.
fn decode(from: Number, word: f64) -> f64 {
    match from {
        Number::Small(small) => small_value(small, word as u32),
        // Integers go through f32.
        Number::Int { .. } => f64::from(word as f32),
        _ => word,
    }
}

/// The nearest float of `bits` significant bits, of two the even one; `least` is the exponent of the smallest normal
/// one. What rounds to more than `largest` is infinite. (`half` drops low bits of an f64 and takes what is just beside
/// a tie for one.)
fn nearest(value: f64, bits: i32, least: i32, largest: f64) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let step = f64::powi(2.0, exponent.max(least) - (bits - 1));
    let rounded = (value / step).round_ties_even() * step;
    if rounded.abs() > largest { f64::INFINITY.copysign(value) } else { rounded }
}

fn encode(cast: &Cast, value: f64) -> f64 {
    match cast.to {
        Number::F32 => value,
        Number::F16 => nearest(value, 11, -14, 65_504.0),
        Number::BF16 => nearest(value, 8, -126, f64::from(f32::from_bits(0x7f7f_0000))),
        Number::Bool => f64::from(u8::from(value != 0.0)),
        Number::Int { bits, signed } => cut(value.trunc(), bits, signed),
        Number::Small(SmallFloat::E8M0) => power_code(value, cast.rounding).into(),
        Number::Small(small) => small_code(small, value, cast.saturate).into(),
    }
}

/// The low bits of an integer.
fn cut(value: f64, bits: u32, signed: bool) -> f64 {
    let range = f64::powi(2.0, bits as i32);
    let low = value.rem_euclid(range);
    if signed && low >= range / 2.0 { low - range } else { low }
}

/// Row `row` of a cast. Exact; a number below the normal range of f32 may be taken for 0 on the way.
pub fn cast(cast: &Cast, x: &Array, row: usize) -> Vec<Cell> {
    let both_ints = matches!(cast.from, Number::Int { .. } | Number::Bool) && matches!(cast.to, Number::Int { .. });
    let one = |word: &f64| {
        if let (true, Number::Int { bits, signed }) = (both_ints, cast.to) {
            return Cell { want: cut(*word, bits, signed), bound: 0.0 };
        }
        let value = decode(cast.from, *word);
        let want = encode(cast, value);
        let tiny = value != 0.0 && value.abs() < f64::from(f32::MIN_POSITIVE);
        let bound = if tiny { (want - encode(cast, 0f64.copysign(value))).abs() } else { 0.0 };
        Cell { want, bound }
    };
    x.row(row).iter().map(one).collect()
}

/// Which scale belongs to cell `i` of a tensor of `shape`.
fn group(by: Granularity, shape: &[usize], i: usize) -> usize {
    let (axis, size) = match by {
        Granularity::Tensor => return 0,
        Granularity::Axis(axis) => (axis, 1),
        Granularity::Blocks { axis, size } => (axis, size),
    };
    // Coordinates of the cell, slowest first.
    let mut rest = i;
    let mut place = vec![0; shape.len()];
    for (p, extent) in place.iter_mut().zip(shape).rev() {
        (*p, rest) = (rest % extent, rest / extent);
    }
    if let Granularity::Axis(_) = by {
        return place[axis];
    }
    let mut at = 0;
    for (j, (p, extent)) in place.iter().zip(shape).enumerate() {
        let (p, extent) = if j == axis { (p / size, extent.div_ceil(size)) } else { (*p, *extent) };
        at = at * extent + p;
    }
    at
}

/// Row `row` of `quantize`: inputs x, scale, zero.
///
/// Bound: the corrected quotient is off by at most 2 half ulps. Where that reaches over the border between two codes, either
/// is right.
pub fn quantize(kernel: &Quantize, inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, scale) = (&inputs[0], &inputs[1]);
    let code = |quotient: f64, zero: f64| match kernel.to {
        Number::Int { bits, signed } => {
            let low = if signed { -f64::powi(2.0, bits as i32 - 1) } else { 0.0 };
            let high = low + f64::powi(2.0, bits as i32) - 1.0;
            (quotient.round_ties_even() + zero).clamp(low, high)
        }
        to => {
            let cast = Cast { from: Number::F32, to, saturate: kernel.saturate, rounding: PowerRounding::Up };
            encode(&cast, quotient)
        }
    };
    let cols = x.cols();
    let one = |(col, value): (usize, &f64)| {
        let g = group(kernel.by, &x.shape, row * cols + col);
        let zero = if kernel.zero { inputs[2].data[g] } else { 0.0 };
        let quotient = value / scale.data[g];
        let error = 2.0 * F32_EPS * quotient.abs() + f64::from(f32::MIN_POSITIVE);
        let want = code(quotient, zero);
        let near = [code(quotient - error, zero), code(quotient + error, zero)];
        let bound = near.iter().map(|n| (n - want).abs()).fold(0.0, f64::max);
        // Around zero the sign of a small float is that of the quotient, whatever the error.
        let bound = if matches!(kernel.to, Number::Small(_)) && bound > 1.0 { 0.0 } else { bound };
        Cell { want, bound }
    };
    x.row(row).iter().enumerate().map(one).collect()
}

/// Row `row` of `dequantize`: inputs x, scale, zero. Bound: the difference and the product round once each.
pub fn dequantize(kernel: &Dequantize, inputs: &[Array], row: usize) -> Vec<Cell> {
    let (x, scale) = (&inputs[0], &inputs[1]);
    let value = |word: f64| match kernel.from {
        Number::Small(small) => small_value(small, word as u32),
        _ => word,
    };
    let cols = x.cols();
    let one = |(col, word): (usize, &f64)| {
        let g = group(kernel.by, &x.shape, row * cols + col);
        let zero = if kernel.zero { value(inputs[2].data[g]) } else { 0.0 };
        let want = (value(*word) - zero) * scale.data[g];
        computed(want, F32_EPS * want.abs(), DType::F32)
    };
    x.row(row).iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_by_hand() {
        let of = |v| small_code(SmallFloat::E4M3FN, v, true);
        assert_eq!((of(1.0), of(448.0), of(1e9), of(-1.0), of(-0.0)), (0x38, 0x7e, 0x7e, 0xb8, 0x80));
        assert_eq!(small_code(SmallFloat::E4M3FN, 1e9, false), 0x7f);
        assert_eq!(small_code(SmallFloat::E5M2, 1e9, false), 0x7c);
        assert_eq!(small_code(SmallFloat::E4M3FNUZ, -0.0, true), 0);
        // Halfway between 1 and 1.125 (codes 0x38, 0x39), and between 1.125 and 1.25: to the even code.
        assert_eq!((of(1.0625), of(1.1875)), (0x38, 0x3a));
        // Half a step above the largest still rounds to it (its code is even), a little more does not.
        assert_eq!(small_code(SmallFloat::E4M3FN, 464.0, false), 0x7e);
        assert_eq!(small_code(SmallFloat::E4M3FN, 464.1, false), 0x7f);
        assert_eq!(small_code(SmallFloat::E2M1, 5.0, true), 6);
    }

    #[test]
    fn halves_round_to_the_nearest_and_ties_to_even() {
        let f16 = |v| nearest(v, 11, -14, 65_504.0);
        let bit = f64::powi(2.0, -23);
        assert_eq!((f16(1.0 + 1024.0 * 4.0 * bit), f16(1.0 + 4097.0 * bit)), (1.0, 1.0 + 8192.0 * bit));
        assert_eq!((f16(65_519.9), f16(65_520.0), f16(-65_520.0)), (65_504.0, f64::INFINITY, f64::NEG_INFINITY));
        let least = f64::powi(2.0, -24);
        assert_eq!((f16(0.5 * least), f16(0.50001 * least), f16(1.5 * least)), (0.0, least, 2.0 * least));
        for bits in 0..=u16::MAX {
            let value = half::f16::from_bits(bits).to_f64();
            assert!(value.is_nan() || f16(value).to_bits() == value.to_bits(), "{bits:#x}");
        }
    }

    #[test]
    fn powers_of_two_round_as_asked() {
        let codes = |v| [PowerRounding::Up, PowerRounding::Down, PowerRounding::Nearest].map(|r| power_code(v, r));
        assert_eq!(codes(1.0), [127, 127, 127]);
        assert_eq!(codes(1.1), [128, 127, 127]);
        assert_eq!(codes(1.5), [128, 127, 128]);
        assert_eq!((power_code(0.0, PowerRounding::Up), power_code(f64::NAN, PowerRounding::Up)), (0, 255));
    }

    #[test]
    fn groups_by_hand() {
        let shape = [2, 5, 3];
        assert_eq!(group(Granularity::Axis(1), &shape, 15 + 3 * 4 + 2), 4);
        // Blocks of two along the middle axis: three of them, each with three scales.
        assert_eq!(group(Granularity::Blocks { axis: 1, size: 2 }, &shape, 15 + 3 * 4 + 2), 9 + 3 * 2 + 2);
    }
}
