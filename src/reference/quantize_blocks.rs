//! What a number becomes in a packed weight. The cells are the values that the packed weight reads as, not its bytes.

use super::quantize_k::quantize_k;
use super::{Cell, F32_EPS};
use crate::quant::{Block, Encoding};

/// NF4 of Dettmers et al. (2023), as bitsandbytes has it in f32.
const NORMAL: [f64; 16] = [
    -1.0,
    -0.696_192_800_998_687_7,
    -0.525_073_051_452_636_7,
    -0.394_917_488_098_144_53,
    -0.284_441_381_692_886_35,
    -0.184_773_430_228_233_34,
    -0.091_050_036_251_544_95,
    0.0,
    0.079_580_299_556_255_34,
    0.160_930_201_411_247_25,
    0.246_112_301_945_686_34,
    0.337_915_241_718_292_24,
    0.440_709_829_330_444_34,
    0.562_617_003_917_694_1,
    0.722_956_836_223_602_3,
    1.0,
];
/// Sizes of FP4 of bitsandbytes: 0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3, 1, in f32.
const SIZES: [f64; 8] = [0.0, 1.0 / 192.0, 1.0 / 6.0, 0.25, 1.0 / 3.0, 0.5, 2.0 / 3.0, 1.0];

/// A row of numbers as `to` keeps them.
///
/// Bound: the quotient that a code is rounded from is off by a few half ulps (5 a division, 1 a difference, a product, a
/// sum); where that reaches over the border between two codes, either is right. A scale that is a quotient may fall on
/// either side of a tie of f16. Reading rounds once.
pub fn quantize_blocks(to: Encoding, x: &[f64]) -> Vec<Cell> {
    let block = match to {
        Encoding::Block(block) => block.values(),
        Encoding::Nf4 | Encoding::Fp4 => 64,
        _ => x.len(),
    };
    x.chunks(block).flat_map(|values| one_block(to, values)).collect()
}

fn half(value: f64) -> f64 {
    half::f16::from_f64(value).to_f64()
}

fn one_block(to: Encoding, x: &[f64]) -> Vec<Cell> {
    if let Encoding::Block(block) = to
        && let Some(cells) = quantize_k(block, x)
    {
        return cells;
    }
    let largest = x.iter().copied().fold(0.0, |best: f64, v| if v.abs() > best.abs() { v } else { best });
    let most = largest.abs();
    match to {
        Encoding::Block(Block::Q8_0) => {
            let scale = Scale::quotient(most / 127.0);
            x.iter().map(|v| scale.cell(v / scale.exact, 6.0, |q| q.round().clamp(-127.0, 127.0), 0.0)).collect()
        }
        Encoding::Block(block @ (Block::Q4_0 | Block::Q5_0)) => {
            let zero = if block == Block::Q4_0 { 8.0 } else { 16.0 };
            let scale = Scale::exact(-largest / zero);
            let code = |q: f64| (q + 0.5 + zero).floor().clamp(0.0, 2.0 * zero - 1.0) - zero;
            x.iter().map(|v| scale.cell(v / scale.exact, 8.0 + zero, code, 0.0)).collect()
        }
        Encoding::Block(block) => {
            let levels = if block == Block::Q4_1 { 15.0 } else { 31.0 };
            let (least, top) = x.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
            let scale = Scale::quotient((top - least) / levels);
            let code = |q: f64| (q + 0.5).floor().clamp(0.0, levels);
            x.iter().map(|v| scale.cell((v - least) / scale.exact, 16.0, code, half(least))).collect()
        }
        Encoding::Nf4 | Encoding::Fp4 => {
            let table: Vec<f64> = if to == Encoding::Nf4 {
                NORMAL.to_vec()
            } else {
                SIZES.iter().flat_map(|s| [*s, -*s]).map(|s: f64| f64::from(s as f32)).collect()
            };
            let nearest = |q: f64| table.iter().copied().min_by(|a, b| (q - a).abs().total_cmp(&(q - b).abs()));
            let scale = Scale { exact: most, stored: most, loose: 0.0 };
            x.iter().map(|v| scale.cell(v / most, 8.0, |q| nearest(q).unwrap_or(0.0), 0.0)).collect()
        }
        Encoding::Int8 => {
            let scale = Scale { exact: most / 127.0, stored: most / 127.0, loose: 0.0 };
            x.iter()
                .map(|v| scale.cell(v / scale.exact, 8.0, |q| q.round_ties_even().clamp(-127.0, 127.0), 0.0))
                .collect()
        }
        _ => {
            let exact = most / 448.0;
            let scale = Scale { exact, stored: exact, loose: 5.0 * F32_EPS * exact };
            x.iter().map(|v| scale.cell(v / exact, 12.0, e4m3, 0.0)).collect()
        }
    }
}

/// The nearest float with 3 bits of fraction and exponents from -6 on, up to 448.
fn e4m3(q: f64) -> f64 {
    let exponent = q.abs().log2().floor().max(-6.0);
    let step = (exponent - 3.0).exp2();
    ((q / step).round_ties_even() * step).clamp(-448.0, 448.0)
}

/// The scale of a block.
struct Scale {
    /// Before it is stored: what codes are made with.
    exact: f64,
    /// What codes are multiplied with.
    stored: f64,
    /// What the stored one may be off by.
    loose: f64,
}

impl Scale {
    /// A scale that is stored as f16.
    fn exact(scale: f64) -> Self {
        Self { exact: scale, stored: half(scale), loose: 0.0 }
    }
    /// A quotient stored as f16: off by 5 half ulps before that.
    fn quotient(scale: f64) -> Self {
        let error = 6.0 * F32_EPS * scale;
        let (low, high) = (half(scale - error), half(scale + error));
        Self { exact: scale, stored: half(scale), loose: high - low }
    }
    /// The value of the code of `quotient`, which is off by `ulps` half ulps, and by the same of 1.
    fn cell(&self, quotient: f64, ulps: f64, code: impl Fn(f64) -> f64, plus: f64) -> Cell {
        if self.exact == 0.0 || self.exact.abs() < f64::from(f32::MIN_POSITIVE) {
            let bound = 256.0 * f64::from(f32::MIN_POSITIVE) + F32_EPS * plus.abs();
            return Cell { want: plus, bound };
        }
        let error = ulps * F32_EPS * (quotient.abs() + 1.0);
        let own = code(quotient);
        // A denormal number may have been flushed to zero.
        let tiny = (quotient * self.exact).abs() < f64::from(f32::MIN_POSITIVE);
        let near = [code(quotient - error), code(quotient + error), if tiny { code(0.0) } else { own }];
        let apart = near.iter().map(|n| (n - own).abs()).fold(0.0, f64::max);
        let want = own * self.stored + plus;
        let read = 2.0 * F32_EPS * (want.abs() + plus.abs()) + f64::from(f32::MIN_POSITIVE);
        Cell { want, bound: apart * self.stored.abs() + own.abs() * self.loose + read }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_q4_0_by_hand() {
        let mut x = vec![0.0; 32];
        (x[0], x[1], x[2]) = (-8.0, 7.0, 1.4);
        // d = 1: the largest size is negative and takes the lowest code.
        let got: Vec<f64> = quantize_blocks(Encoding::Block(Block::Q4_0), &x).iter().map(|c| c.want).collect();
        assert_eq!(got[..4], [-8.0, 7.0, 1.0, 0.0]);
    }

    #[test]
    fn floats_of_8_bits_by_hand() {
        for (q, want) in
            [(0.0, 0.0), (448.0, 448.0), (17.0, 16.0), (19.0, 20.0), (0.001, 0.001_953_125), (-1.07, -1.125)]
        {
            assert_eq!(e4m3(q), want, "{q}");
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        for (name, to) in Encoding::ALL.iter().filter(|(_, to)| to.packing().is_some()) {
            assert!(quantize_blocks(*to, &[0.0; 256]).iter().all(|c| c.want == 0.0), "{name}");
        }
    }
}
