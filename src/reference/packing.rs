//! Quantized weights in their published layouts: the value of every element from the bytes of the buffer, formula by
//! formula. Says the same as the parts of role weight, in f64 and one element at a time.

use std::ops::Range;

use super::{Array, Cell, F32_EPS, moved};
use crate::DType;
use crate::kernels::{Block, CacheFormat, Codes, Packing, ScaleType, Zero};

/// The weight `[n, k]` that `bytes` hold, as the device reads it: rounded to f32 once, where the formula rounds once.
pub fn unpack(packing: Packing, n: usize, k: usize, bytes: &[u8]) -> Array {
    unpack_rows(packing, [n, k], 0..n, bytes)
}

/// Some rows of the weight `[n, k]` that `bytes` hold, as by [`unpack`].
pub fn unpack_rows(packing: Packing, [n, k]: [usize; 2], rows: Range<usize>, bytes: &[u8]) -> Array {
    let mut sections = Vec::new();
    let mut at = 0;
    for length in packing.sections(n, k) {
        sections.push(Bytes(bytes.get(at..at + length).unwrap_or_default()));
        at += length.next_multiple_of(4);
    }
    let count = rows.len();
    let cells = rows.flat_map(|row| (0..k).map(move |col| (row, col)));
    let values: Vec<(f64, f64)> = match packing {
        Packing::Codes(c) => cells.map(|(row, col)| code(c, &sections, (n, k), row, col)).collect(),
        Packing::Gptq { bits, block, plus, ordered } => {
            let one = |(row, col)| gptq(&sections, (bits as usize, block, plus, ordered), (n, k), row, col);
            cells.map(one).collect()
        }
        Packing::Awq { block } => cells.map(|(row, col)| awq(&sections, block, n, row, col)).collect(),
        Packing::Table4 { block, nested } => {
            cells.map(|(row, col)| table4(&sections, (block, nested), row * k + col)).collect()
        }
        Packing::Bytes { e4m3, tile } => cells.map(|(row, col)| byte(&sections, (e4m3, tile), k, row, col)).collect(),
        Packing::Block(block) => {
            let (values, size) = (block.values(), block.bytes());
            let one = |(row, col): (usize, usize)| {
                let first = (row * (k / values) + col / values) * size;
                let bytes = sections.first().and_then(|s| s.0.get(first..first + size)).unwrap_or_default();
                (block_value(block, &Bytes(bytes), col % values), 0.0)
            };
            cells.map(one).collect()
        }
        Packing::Cache(format) => cells.map(|(row, col)| cached(&sections, format, k, row, col)).collect(),
    };
    let data = values.iter().map(|(value, _)| f64::from(*value as f32)).collect();
    let mut array = Array::new(DType::F32, &[count, k], data);
    if values.iter().any(|(_, slack)| *slack > 0.0) {
        array.slack = values.iter().map(|(_, slack)| *slack).collect();
    }
    array
}

/// Bytes of a section; beyond its end it is zero.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn u8(&self, at: usize) -> usize {
        self.0.get(at).copied().unwrap_or(0).into()
    }
    fn i8(&self, at: usize) -> f64 {
        f64::from(self.u8(at) as u8 as i8)
    }
    fn u16(&self, at: usize) -> usize {
        self.u8(at) | self.u8(at + 1) << 8
    }
    fn u32(&self, at: usize) -> usize {
        self.u16(at) | self.u16(at + 2) << 16
    }
    fn f16(&self, at: usize) -> f64 {
        half::f16::from_bits(self.u16(at) as u16).to_f64()
    }
    fn f32(&self, at: usize) -> f64 {
        f64::from(f32::from_bits(self.u32(at) as u32))
    }
    /// `bits` bits from bit `at` on, low bits first; they do not cross a byte.
    fn bits(&self, at: usize, bits: usize) -> usize {
        self.u8(at / 8) >> (at % 8) & ((1 << bits) - 1)
    }
    fn number(&self, ty: ScaleType, i: usize) -> f64 {
        match ty {
            ScaleType::F32 => self.f32(4 * i),
            ScaleType::F16 => self.f16(2 * i),
            ScaleType::BF16 => half::bf16::from_bits(self.u16(2 * i) as u16).to_f64(),
        }
    }
}

/// Value and slack: a zero point that is a number rounds the difference as well.
fn code(c: Codes, sections: &[Bytes<'_>], (n, k): (usize, usize), row: usize, col: usize) -> (f64, f64) {
    let [codes, scales, zeros, order] = sections else { return (0.0, 0.0) };
    let (bits, groups) = (c.bits as usize, k.div_ceil(c.block));
    let row_bits = (k * bits).next_multiple_of(c.align as usize);
    let group = if c.ordered { order.u32(4 * col).min(groups - 1) } else { col / c.block };
    // Two's complement where codes are signed.
    let number = |code: usize| match c.signed && code >> (bits - 1) == 1 {
        true => code as f64 - f64::powi(2.0, c.bits as i32),
        false => code as f64,
    };
    let zero = match c.zero {
        Zero::Fixed(value) => f64::from(value),
        Zero::Packed { align } => {
            number(zeros.bits(row * (groups * bits).next_multiple_of(align as usize) + group * bits, bits))
        }
        Zero::Number => zeros.number(c.scale, row * groups + group),
        Zero::Down => zeros.bits((row * bits / 32 * groups + group) * 32 + row * bits % 32, bits) as f64,
    };
    debug_assert!(row < n);
    let value =
        (number(codes.bits(row * row_bits + col * bits, bits)) - zero) * scales.number(c.scale, row * groups + group);
    (value, if c.zero == Zero::Number { 2.0 * F32_EPS * value.abs() } else { 0.0 })
}

fn gptq(
    sections: &[Bytes<'_>],
    (bits, block, plus, ordered): (usize, usize, u32, bool),
    (n, k): (usize, usize),
    row: usize,
    col: usize,
) -> (f64, f64) {
    let (codes, zeros, scales) = (&sections[0], &sections[1], &sections[2]);
    let per = 32 / bits;
    let group = if ordered { sections[3].u32(4 * col).min(k.div_ceil(block) - 1) } else { col / block };
    let code = codes.bits((col / per * n + row) * 32 + bits * (col % per), bits);
    let zero = zeros.bits((group * n.div_ceil(per) + row / per) * 32 + bits * (row % per), bits);
    ((code as f64 - zero as f64 - f64::from(plus)) * scales.f16(2 * (group * n + row)), 0.0)
}

fn awq(sections: &[Bytes<'_>], block: usize, n: usize, row: usize, col: usize) -> (f64, f64) {
    let shift = 4 * [0, 4, 1, 5, 2, 6, 3, 7][row % 8];
    let nibble = |s: &Bytes<'_>, line: usize| s.bits((line * (n / 8) + row / 8) * 32 + shift, 4) as f64;
    let (code, zero) = (nibble(&sections[0], col), nibble(&sections[1], col / block));
    ((code - zero) * sections[2].f16(2 * (col / block * n + row)), 0.0)
}

/// The nested magnitude rounds its product and its sum.
fn table4(sections: &[Bytes<'_>], (block, nested): (usize, usize), i: usize) -> (f64, f64) {
    let code = sections[0].u8(i / 2) >> (if i.is_multiple_of(2) { 4 } else { 0 }) & 15;
    let entry = sections[2].f32(4 * code);
    let j = i / block;
    if nested == 0 {
        return (entry * sections[1].f32(4 * j), 0.0);
    }
    let product = sections[4].f32(4 * sections[1].u8(j)) * sections[3].f32(4 * (j / nested));
    let magnitude = product + sections[5].f32(0);
    let slack = F32_EPS * (product.abs() + 2.0 * magnitude.abs());
    (entry * magnitude, entry.abs() * slack * 1.001)
}

/// 1/127 is rounded, the product with it, its operand, and the value that we compare with.
fn byte(sections: &[Bytes<'_>], (e4m3, tile): (bool, [usize; 2]), k: usize, row: usize, col: usize) -> (f64, f64) {
    let factor = sections[1].f32(4 * (row / tile[0] * k.div_ceil(tile[1]) + col / tile[1]));
    let at = row * k + col;
    if !e4m3 {
        let value = sections[0].i8(at) * factor / 127.0;
        return (value, 4.0 * F32_EPS * value.abs());
    }
    let byte = sections[0].u8(at);
    let (exponent, fraction) = ((byte >> 3 & 15) as i32, (byte & 7) as f64 / 8.0);
    let magnitude = match (exponent, byte & 7) {
        (15, 7) => f64::NAN,
        (0, _) => fraction * f64::powi(2.0, -6),
        _ => (1.0 + fraction) * f64::powi(2.0, exponent - 7),
    };
    (if byte > 127 { -magnitude } else { magnitude } * factor, 0.0)
}

/// Value `col` of a row of cached keys or values. A denormal half may be flushed.
fn cached(sections: &[Bytes<'_>], format: CacheFormat, k: usize, row: usize, col: usize) -> (f64, f64) {
    let first = 4 * format.words() * (row * k.div_ceil(64) + col / 64);
    let (s, i) = (&sections[0], col % 64);
    match format {
        CacheFormat::F32 => (s.f32(first + 4 * i), 0.0),
        CacheFormat::F16 => {
            let value = s.f16(first + 2 * i);
            (value, if value.abs() < f64::powi(2.0, -14) { value.abs() } else { 0.0 })
        }
        CacheFormat::Q8_0 => (s.i8(first + i) * s.f16(first + 64 + i / 32 * 2), 0.0),
        CacheFormat::Q4_0 => {
            let code = s.u8(first + i / 2) >> (4 * (i % 2)) & 15;
            ((code as f64 - 8.0) * s.f16(first + 32 + i / 32 * 2), 0.0)
        }
    }
}

const IQ4: [f64; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];
const FP4: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// Value `e` of a block.
fn block_value(block: Block, b: &Bytes<'_>, e: usize) -> f64 {
    // Formats of 32 values: the first half in the low bits.
    let nibble = |first: usize| b.u8(first + e % 16) >> (e / 16 * 4) & 15;
    let fifth = |first: usize| b.u32(first) >> e & 1;
    match block {
        Block::Q4_0 => b.f16(0) * (nibble(2) as f64 - 8.0),
        Block::Q4_1 => b.f16(0) * nibble(4) as f64 + b.f16(2),
        Block::Q5_0 => b.f16(0) * ((nibble(6) | fifth(2) << 4) as f64 - 16.0),
        Block::Q5_1 => b.f16(0) * (nibble(8) | fifth(4) << 4) as f64 + b.f16(2),
        Block::Q8_0 => b.f16(0) * b.i8(2 + e),
        Block::Iq4Nl => b.f16(0) * IQ4[nibble(2)],
        Block::Mxfp4 => {
            let code = nibble(1);
            f64::powi(2.0, b.u8(0) as i32 - 127) * FP4[code & 7] * if code > 7 { -1.0 } else { 1.0 }
        }
        _ => large_value(block, b, e),
    }
}

/// Value `e` of a block of 256.
fn large_value(block: Block, b: &Bytes<'_>, e: usize) -> f64 {
    let (h, g, l) = (e / 128, e / 32 % 4, e % 32);
    let (k, j) = (e / 16, e / 32);
    match block {
        Block::Q2K => {
            let (code, s) = (b.u8(16 + 32 * h + l) >> (2 * g) & 3, b.u8(k));
            b.f16(80) * ((s & 15) * code) as f64 - b.f16(82) * (s >> 4) as f64
        }
        Block::Q3K => {
            let high = b.u8(l) >> (4 * h + g) & 1;
            let code = (b.u8(32 + 32 * h + l) >> (2 * g) & 3) as f64 - if high == 1 { 0.0 } else { 4.0 };
            let four = if k < 8 { b.u8(96 + k) & 15 } else { b.u8(96 + k - 8) >> 4 };
            let two = b.u8(96 + 8 + k % 4) >> (2 * (k / 4)) & 3;
            b.f16(108) * ((four | two << 4) as f64 - 32.0) * code
        }
        Block::Q4K | Block::Q5K => {
            let s = |i: usize| b.u8(4 + i);
            let (scale, least) = if j < 4 {
                (s(j) & 63, s(j + 4) & 63)
            } else {
                (s(j + 4) & 15 | s(j - 4) >> 6 << 4, s(j + 4) >> 4 | s(j) >> 6 << 4)
            };
            let five = block == Block::Q5K;
            let codes = if five { 48 } else { 16 };
            let four = b.u8(codes + 32 * (j / 2) + l) >> (4 * (j % 2)) & 15;
            let code = if five { four | (b.u8(16 + l) >> j & 1) << 4 } else { four };
            b.f16(0) * (scale * code) as f64 - b.f16(2) * least as f64
        }
        Block::Q6K => {
            let low = b.u8(64 * h + 32 * (g & 1) + l) >> (if g < 2 { 0 } else { 4 }) & 15;
            let high = b.u8(128 + 32 * h + l) >> (2 * g) & 3;
            b.f16(208) * b.i8(192 + k) * ((low | high << 4) as f64 - 32.0)
        }
        Block::Iq4Xs => {
            let scale = (b.u8(4 + j / 2) >> (4 * (j & 1)) & 15) | (b.u16(2) >> (2 * j) & 3) << 4;
            let code = b.u8(8 + 16 * j + e % 16) >> (e % 32 / 16 * 4) & 15;
            b.f16(0) * (scale as f64 - 32.0) * IQ4[code]
        }
        _ => sparse_value(block, b, e),
    }
}

/// Value `e` of a block of one or two bits a value, or of NVFP4.
fn sparse_value(block: Block, b: &Bytes<'_>, e: usize) -> f64 {
    match block {
        Block::Q1_0 => b.f16(0) * if b.bits(16 + e, 1) == 1 { 1.0 } else { -1.0 },
        Block::Tq2_0 => b.f16(64) * ((b.u8(e / 128 * 32 + e % 32) >> (2 * (e / 32 % 4)) & 3) as f64 - 1.0),
        Block::Tq1_0 => {
            let (byte, digit) = match e {
                0..160 => (e % 32, e / 32),
                160..240 => (32 + e % 16, (e - 160) / 16),
                _ => (48 + e % 4, (e - 240) / 4),
            };
            let shifted = b.u8(byte) * 3usize.pow(digit as u32) % 256;
            b.f16(52) * ((shifted * 3 / 256) as f64 - 1.0)
        }
        Block::Nvfp4 => {
            let (group, i) = (e / 16, e % 16);
            let (exponent, fraction) = (b.u8(group) >> 3 & 15, (b.u8(group) & 7) as f64 / 8.0);
            let scale = match (b.u8(group), exponent) {
                (0x7f, _) => 0.0,
                (_, 0) => fraction * f64::powi(2.0, -6),
                _ => (1.0 + fraction) * f64::powi(2.0, exponent as i32 - 7),
            };
            let code = b.u8(4 + 8 * group + i % 8) >> (i / 8 * 4) & 15;
            scale * FP4[code & 7] * if code > 7 { -1.0 } else { 1.0 }
        }
        _ => 0.0,
    }
}

/// Row `row` of `w[ids]` (all rows without `ids`; an id beyond the end takes the last row), stored as `dtype`.
///
/// Bound: what a value is off by as it is read. A value below the normal range may be flushed.
pub fn read_weight(ids: Option<&Array>, w: &Array, dtype: DType, row: usize) -> Vec<Cell> {
    let from = ids.map_or(row, |ids| (ids.data[row] as usize).min(w.rows() - 1));
    let slack = w.slack_of(from);
    let cell = |(i, value): (usize, &f64)| {
        let exact = moved(*value, DType::F32, dtype);
        Cell { bound: exact.bound + slack.get(i).copied().unwrap_or(0.0), ..exact }
    };
    w.row(from).iter().enumerate().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_q4_0_by_hand() {
        let mut bytes = vec![0; 18];
        bytes[..2].copy_from_slice(&half::f16::from_f32(0.5).to_le_bytes());
        (bytes[2], bytes[17]) = (0x2f, 0x90);
        let w = unpack(Packing::Block(Block::Q4_0), 1, 32, &bytes);
        // Elements 0, 15, 16, 31: low nibble of byte 0 and 15, high nibble of byte 0 and 15.
        assert_eq!([w.data[0], w.data[15], w.data[16], w.data[31]], [3.5, -4.0, -3.0, 0.5]);
    }

    #[test]
    fn some_rows_are_those_of_the_whole() {
        let tile = [3, 16];
        for packing in [
            Packing::Awq { block: 8 },
            Packing::Gptq { bits: 4, block: 8, plus: 1, ordered: false },
            Packing::Table4 { block: 4, nested: 3 },
            Packing::Bytes { e4m3: false, tile },
        ] {
            let length: u64 = packing.bytes(16, 24);
            let bytes: Vec<u8> = (0..length).map(|i| (i * 37 % 61) as u8).collect();
            let whole = unpack(packing, 16, 24, &bytes).data;
            let some = unpack_rows(packing, [16, 24], 5..9, &bytes);
            assert!(whole.iter().any(|v| *v != 0.0), "{packing:?}");
            assert_eq!((some.shape.as_slice(), some.data.as_slice()), ([4, 24].as_slice(), &whole[5 * 24..9 * 24]));
        }
    }

    #[test]
    fn codes_by_hand() {
        let codes = Codes {
            bits: 4,
            signed: false,
            block: 2,
            align: 16,
            scale: ScaleType::F32,
            zero: Zero::Packed { align: 8 },
            ordered: false,
        };
        // Two rows of three codes in 16 bits each; two groups; zeros 1 2 and 3 4.
        let mut bytes = vec![0x21, 0x03, 0x54, 0x06];
        for scale in [1f32, 10.0, 100.0, 1000.0] {
            bytes.extend(scale.to_le_bytes());
        }
        bytes.extend([0x21, 0x43, 0, 0]);
        let w = unpack(Packing::Codes(codes), 2, 3, &bytes);
        assert_eq!(w.data, [0.0, 1.0, 10.0, 100.0, 200.0, 2000.0]);
    }

    #[test]
    fn truncated_bytes_are_zeros() {
        for block in Block::ALL {
            let w = unpack(Packing::Block(block), 1, block.values(), &[]);
            assert_eq!(w.data.len(), block.values());
        }
    }
}
