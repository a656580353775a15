//! Whole numbers, comparisons and conversions. Everything is exact; numbers of 64 bits are two words, low first.

use super::{Array, Cell, moved};
use crate::DType;
use crate::kernels::{Compare, Convert, Integer, IntegerOp, Whole, WordType};

fn exact(values: impl Iterator<Item = f64>) -> Vec<Cell> {
    values.map(|want| Cell { want, bound: 0.0 }).collect()
}

/// The words of a row as numbers of 64 bits.
fn pairs(row: &[f64], signed: bool) -> Vec<i128> {
    let number = |w: &[f64]| {
        let bits = w[0] as u64 | (w[1] as u64) << 32;
        if signed { i128::from(bits as i64) } else { i128::from(bits) }
    };
    row.chunks_exact(2).map(number).collect()
}

/// A number of 64 bits as words.
fn words(number: i128) -> [f64; 2] {
    let bits = number as u64;
    [(bits & 0xffff_ffff) as f64, (bits >> 32) as f64]
}

/// `number` as a word of so many bits holds it.
fn wrapped(number: i128, bits: u32, signed: bool) -> i128 {
    let low = number & ((1i128 << bits) - 1);
    if signed && low >> (bits - 1) == 1 { low - (1i128 << bits) } else { low }
}

fn apply(op: IntegerOp, x: i128, b: i128, bits: u32) -> i128 {
    let shift = |b: i128| if (0..i128::from(bits)).contains(&b) { Some(b as u32) } else { None };
    match op {
        IntegerOp::Add => x + b,
        IntegerOp::Sub => x - b,
        IntegerOp::Mul => x.wrapping_mul(b),
        IntegerOp::Div => x / b,
        IntegerOp::Rem => x % b,
        IntegerOp::Mod => {
            let r = x % b;
            if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
        }
        // Wrapping at 128 bits is wrapping at fewer.
        IntegerOp::Pow if b >= 0 => {
            let (mut y, mut square, mut left) = (1i128, x, b);
            while left > 0 {
                if left % 2 == 1 {
                    y = y.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
                left /= 2;
            }
            y
        }
        IntegerOp::Pow => match x {
            1 => 1,
            -1 if b % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        },
        IntegerOp::Max => x.max(b),
        IntegerOp::Min => x.min(b),
        IntegerOp::And => x & b,
        IntegerOp::Or => x | b,
        IntegerOp::Xor => x ^ b,
        IntegerOp::ShiftUp => shift(b).map_or(0, |n| x << n),
        IntegerOp::ShiftDown => shift(b).map_or(if x < 0 { -1 } else { 0 }, |n| x >> n),
    }
}

/// Row `row` of `x op b`.
pub fn integer(kernel: &Integer, x: &Array, b: &Array, row: usize) -> Vec<Cell> {
    match kernel.whole {
        Whole::Word { bits } => {
            let signed = x.dtype == DType::I32;
            let of =
                |(x, b): (&f64, &f64)| wrapped(apply(kernel.op, *x as i128, *b as i128, bits), bits, signed) as f64;
            exact(x.row(row).iter().zip(b.row(row)).map(of))
        }
        Whole::Pair { signed } => {
            let sides = pairs(x.row(row), signed).into_iter().zip(pairs(b.row(row), signed));
            exact(sides.flat_map(|(x, b)| words(apply(kernel.op, x, b, 64))))
        }
    }
}

/// Row `row` of the comparison.
pub fn compare(kernel: &Compare, x: &Array, b: &Array, row: usize) -> Vec<Cell> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let cols = if kernel.pair.is_some() { x.shape[..x.shape.len() - 1].last().copied().unwrap_or(1) } else { x.cols() };
    let cell = |i: usize| {
        let order = match kernel.pair {
            Some(signed) => {
                let of = |a: &Array| pairs(&a.data[2 * i..2 * i + 2], signed)[0];
                Some(of(x).cmp(&of(b)))
            }
            None => x.data[i].partial_cmp(&b.data[i]),
        };
        let wanted = kernel.wanted;
        let yes = match order {
            Some(Less) => wanted.below,
            Some(Equal) => wanted.equal,
            Some(Greater) => wanted.above,
            None => wanted.neither,
        };
        f64::from(u8::from(yes))
    };
    exact((row * cols..(row + 1) * cols).map(cell))
}

/// Row `row` of the choice.
pub fn select(condition: &Array, x: &Array, b: &Array, pair: bool, row: usize) -> Vec<Cell> {
    let cols = x.cols();
    let cell = |i: usize| {
        let chosen = if condition.data[if pair { i / 2 } else { i }] != 0.0 { x } else { b };
        moved(chosen.data[i], x.dtype, x.dtype)
    };
    (row * cols..(row + 1) * cols).map(cell).collect()
}

/// Row `row` of the conversion.
pub fn convert(kernel: &Convert, x: &Array, row: usize) -> Vec<Cell> {
    let pair = |n: WordType| matches!(n, WordType::I64 | WordType::U64);
    let whole = |i: usize| -> i128 {
        match kernel.source {
            WordType::I64 | WordType::U64 => pairs(&x.data[2 * i..2 * i + 2], kernel.source == WordType::I64)[0],
            WordType::F32 => {
                let top = if kernel.result == WordType::U64 { f64::powi(2.0, 64) } else { f64::powi(2.0, 63) };
                let most = if kernel.result == WordType::U64 { i128::from(u64::MAX) } else { i128::from(i64::MAX) };
                let cut = x.data[i].abs().trunc();
                let size = if cut >= top { most } else { cut as i128 };
                if x.data[i].is_nan() {
                    0
                } else if x.data[i] < 0.0 {
                    -size
                } else {
                    size
                }
            }
            _ => x.data[i] as i128,
        }
    };
    let axes = x.shape.len() - usize::from(pair(kernel.source));
    let row_cells = if pair(kernel.result) { 1 } else { x.shape[..axes].last().copied().unwrap_or(1) };
    let cells = (row * row_cells..(row + 1) * row_cells).map(whole);
    match kernel.result {
        // i128 to f32 rounds to the nearest, ties to even.
        WordType::F32 => exact(cells.map(|v| f64::from(v as f32))),
        WordType::I32 => exact(cells.map(|v| wrapped(v, kernel.bits, true) as f64)),
        WordType::U32 => exact(cells.map(|v| wrapped(v, kernel.bits, false) as f64)),
        WordType::I64 | WordType::U64 => exact(cells.flat_map(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_as_their_width_says() {
        assert_eq!(wrapped(200, 8, true), -56);
        assert_eq!(wrapped(-1, 8, false), 255);
        assert_eq!(apply(IntegerOp::Mod, -4, 3, 32), 2);
        assert_eq!(apply(IntegerOp::Pow, -1, -3, 32), -1);
        assert_eq!(apply(IntegerOp::ShiftDown, -8, 99, 32), -1);
        assert_eq!(words(-2), [4_294_967_294.0, 4_294_967_295.0]);
        assert_eq!(pairs(&words(-2), true), [-2]);
    }
}
