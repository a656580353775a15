//! What reads packed weights: the parts of role weight for each layout of [`crate::quant`], with their overrides.

use super::{Kernel, matmul::weight_part};
use super::{Layout, TensorType, require};
use crate::quant::{Block, Packing, WeightFormat, Zero};
use crate::{Caps, DType, Result};

/// Multiplies four columns one by one.
const COLUMNS: &str = "parts/product_columns";
/// Looks up codes of 4 bits in the lanes of a subgroup.
const LOOKUP: &str = "parts/lane_table";

impl Block {
    /// The files that read it.
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Q4_0 => &["parts/weight_q4_0", "parts/block_bytes"],
            Self::Q4_1 => &["parts/weight_q4_1", "parts/block_bytes"],
            Self::Q5_0 => &["parts/weight_q5_0", "parts/block_bytes"],
            Self::Q5_1 => &["parts/weight_q5_1", "parts/block_bytes"],
            Self::Q8_0 => &["parts/weight_q8_0", "parts/block_bytes"],
            Self::Iq4Nl => &["parts/weight_iq4_nl", "parts/block_bytes", "parts/iq4_table"],
            Self::Mxfp4 => &["parts/weight_mxfp4", "parts/block_bytes"],
            Self::Q2K => &["parts/weight_q2_k", "parts/block_bytes"],
            Self::Q3K => &["parts/weight_q3_k", "parts/block_bytes"],
            Self::Q4K => &["parts/weight_q4_k", "parts/block_bytes", "parts/k_scales"],
            Self::Q5K => &["parts/weight_q5_k", "parts/block_bytes", "parts/k_scales"],
            Self::Q6K => &["parts/weight_q6_k", "parts/block_bytes"],
            Self::Iq4Xs => &["parts/weight_iq4_xs", "parts/block_bytes", "parts/iq4_table"],
            Self::Q1_0 => &["parts/weight_q1_0", "parts/block_bytes"],
            Self::Tq1_0 => &["parts/weight_tq1_0", "parts/block_bytes"],
            Self::Tq2_0 => &["parts/weight_tq2_0", "parts/block_bytes"],
            Self::Nvfp4 => &["parts/weight_nvfp4", "parts/block_bytes"],
        }
    }
    /// The files that multiply 64 of its values at a time (role product), where there are any.
    const fn product_files(self) -> Option<&'static [&'static str]> {
        const BLOCKS: &str = "parts/product_blocks";
        const WORDS: &str = "parts/words_blocks";
        const IQ4: &str = "parts/product_columns_iq4";
        Some(match self {
            Self::Q4_0 => &[BLOCKS, "parts/codes_q4_0", WORDS, COLUMNS],
            Self::Q4_1 => &[BLOCKS, "parts/codes_q4_1", WORDS, COLUMNS],
            Self::Q5_0 => &[BLOCKS, "parts/codes_q5_0", WORDS, COLUMNS],
            Self::Q5_1 => &[BLOCKS, "parts/codes_q5_1", WORDS, COLUMNS],
            Self::Q8_0 => &[BLOCKS, "parts/codes_q8_0", WORDS, COLUMNS],
            Self::Iq4Nl => &[BLOCKS, "parts/codes_iq4_nl", WORDS, IQ4, LOOKUP, "parts/iq4_table"],
            Self::Mxfp4 => &[BLOCKS, "parts/codes_mxfp4", WORDS, COLUMNS],
            Self::Q2K => &["parts/product_q2_k", WORDS, COLUMNS],
            Self::Q3K => &["parts/product_q3_k", WORDS, COLUMNS],
            Self::Q4K => &["parts/product_q4_k", WORDS, COLUMNS],
            Self::Q5K => &["parts/product_q5_k", WORDS, COLUMNS],
            Self::Q6K => &["parts/product_q6_k", WORDS, COLUMNS],
            Self::Iq4Xs => &["parts/product_iq4_xs", WORDS, IQ4, LOOKUP, "parts/iq4_table"],
            Self::Q1_0 | Self::Tq1_0 | Self::Tq2_0 | Self::Nvfp4 => return None,
        })
    }
}

impl Packing {
    /// What is wrong with this layout for `[n, k]`.
    pub(super) fn check(&self, kernel: &dyn Kernel, n: usize, k: usize) -> Result<()> {
        let refused = if matches!(self, Self::Cache(_)) { Some("no weight") } else { self.refuses(n, k) };
        require(kernel, refused.is_none(), || {
            format!("a weight [{n}, {k}] as {self:?} needs {}", refused.unwrap_or_default())
        })
    }
    /// Overrides of the part, for `k` values a row.
    fn overrides(&self, k: usize) -> Vec<(&'static str, f64)> {
        let flag = |on: bool| if on { 1.0 } else { 0.0 };
        match *self {
            Self::Codes(c) => {
                let (zero, fixed, zero_align) = match c.zero {
                    Zero::Fixed(value) => (0.0, value, 8),
                    Zero::Packed { align } => (1.0, 0, align),
                    Zero::Number => (2.0, 0, 8),
                    Zero::Down => (3.0, 0, 8),
                };
                let mixed = c.ordered || (!c.block.is_multiple_of(4) && c.block < k);
                vec![
                    ("W_BITS", c.bits.into()),
                    ("W_SIGNED", flag(c.signed)),
                    ("W_BLOCK", c.block as f64),
                    ("W_ALIGN", c.align.into()),
                    ("W_SCALE", f64::from(c.scale as u8)),
                    ("W_ZERO", zero),
                    ("W_FIXED", fixed.into()),
                    ("W_ZERO_ALIGN", zero_align.into()),
                    ("W_ORDERED", flag(c.ordered)),
                    ("W_MIXED", flag(mixed)),
                ]
            }
            Self::Gptq { bits, block, plus, ordered } => vec![
                ("W_BITS", bits.into()),
                ("W_BLOCK", block as f64),
                ("W_GROUPS", k.div_ceil(block) as f64),
                ("W_PLUS", plus.into()),
                ("W_ORDERED", flag(ordered)),
            ],
            Self::Awq { block } => vec![("W_BLOCK", block as f64)],
            Self::Table4 { block, nested } => vec![("W_BLOCK", block as f64), ("W_NESTED", nested as f64)],
            Self::Bytes { e4m3, tile } => {
                vec![("W_TILE_ROWS", tile[0] as f64), ("W_TILE_COLS", tile[1] as f64), ("W_E4M3", flag(e4m3))]
            }
            Self::Block(_) | Self::Cache(_) => Vec::new(),
        }
    }
    fn files(&self) -> Vec<&'static str> {
        match self {
            Self::Codes(_) => vec!["parts/weight_codes"],
            Self::Gptq { .. } => vec!["parts/weight_gptq"],
            Self::Awq { .. } => vec!["parts/weight_awq"],
            Self::Table4 { .. } => vec!["parts/weight_table4"],
            Self::Bytes { .. } => vec!["parts/weight_bytes"],
            Self::Block(block) => block.files().to_vec(),
            // Refused by `check`.
            Self::Cache(_) => Vec::new(),
        }
    }
}

/// Files of a role, and values of their overrides.
pub(super) type Parts = (Vec<&'static str>, Vec<(&'static str, f64)>);

/// What reads `w`: role weight, and what that part names.
pub(super) fn weight_files(w: &TensorType, caps: &Caps) -> Result<Parts> {
    match w.layout {
        Layout::Packed(packing) => Ok((packing.files(), packing.overrides(w.cols()))),
        _ => Ok((vec![weight_part(w, caps)?], Vec::new())),
    }
}

/// What multiplies `w` in runs of 64 values (role products), and what those files name, where there are any for it.
pub(super) fn product_files(w: &TensorType) -> Option<Parts> {
    const SUMS: &str = "parts/sum_codes";
    let Layout::Packed(packing) = w.layout else { return None };
    let k = w.cols();
    // Whole runs, each within one factor; or within two, the second half under the second.
    let runs = |block: usize| k.is_multiple_of(64) && (block >= k || block.is_multiple_of(64));
    let halves = |block: usize| k.is_multiple_of(64) && (block >= k || block.is_multiple_of(32));
    let own: &[&'static str] = match packing {
        Packing::Block(block) => return Some((block.product_files()?.to_vec(), Vec::new())),
        Packing::Table4 { block, .. } if k.is_multiple_of(64) && block.is_multiple_of(64) => {
            &["parts/product_table4", LOOKUP]
        }
        Packing::Bytes { tile, .. } if runs(tile[1]) => &["parts/product_bytes", COLUMNS],
        Packing::Gptq { block, ordered: false, .. } if halves(block) => &["parts/product_gptq", SUMS, COLUMNS],
        Packing::Codes(c)
            if c.bits > 1
                && !c.ordered
                && halves(c.block)
                && (c.bits as usize * k).is_multiple_of(c.align as usize) =>
        {
            &["parts/product_codes", SUMS, COLUMNS]
        }
        Packing::Awq { block } if halves(block) => &["parts/product_awq"],
        _ => return None,
    };
    // Addresses and factors are those of role weight.
    Some(([own, &packing.files()].concat(), packing.overrides(k)))
}

impl TensorType {
    /// A weight `[n, k]` in the format that `format` keeps it in.
    pub fn weight(format: WeightFormat, n: usize, k: usize) -> Self {
        match format.packing(n, k) {
            None => Self::panels(format.float(), n, k),
            Some(packing) => Self::packed(packing, n, k),
        }
    }
    /// A weight `[n, k]` in a packed layout. It reads as f32.
    pub fn packed(packing: Packing, n: usize, k: usize) -> Self {
        Self { dtype: DType::F32, shape: vec![n, k], layout: Layout::Packed(packing) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Codes, Io, MatMul, ReadWeight, ScaleType, chunks};
    use super::*;

    fn infer(w: &TensorType) -> Result<Vec<TensorType>> {
        ReadWeight { picked: false, dtype: DType::F32 }.infer(std::slice::from_ref(w))
    }

    #[test]
    fn sizes_are_those_of_the_files() {
        let codes = Codes {
            bits: 4,
            signed: false,
            block: 32,
            align: 128,
            scale: ScaleType::F16,
            zero: Zero::Packed { align: 8 },
            ordered: true,
        };
        // Three blocks a row of 16 bytes, three scales, two bytes of zero points, an order.
        assert_eq!(Packing::Codes(codes).sections(5, 70), [5 * 48, 5 * 6, 5 * 2, 280]);
        assert_eq!(Packing::Gptq { bits: 4, block: 64, plus: 1, ordered: false }.sections(40, 256), [5120, 80, 320, 0]);
        assert_eq!(Packing::Awq { block: 128 }.sections(96, 256), [12_288, 96, 384]);
        assert_eq!(Packing::Table4 { block: 64, nested: 256 }.sections(64, 64), [2048, 64, 64, 4, 1024, 4]);
        let w = TensorType::packed(Packing::Block(Block::Q4_0), 7, 160);
        assert_eq!((w.bytes(), w.row_bytes()), (632, 90));
    }

    #[test]
    fn blocks_are_cut_by_rows_and_sections_are_not() {
        let caps = Caps { max_binding: 1 << 16, ..Caps::floor() };
        let launch = |packing: Packing| {
            let inputs = [TensorType::f32(&[3, 1024]), TensorType::packed(packing, 1000, 1024)];
            let kernel = MatMul::default();
            let outputs = kernel.infer(&inputs)?;
            kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, &caps)
        };
        let pieces = chunks(&TensorType::packed(Packing::Block(Block::Q4_0), 1000, 1024), &caps);
        assert!(pieces.iter().all(|p| p.rows * 576 <= 1 << 16) && pieces.len() > 1);
        assert_eq!(launch(Packing::Block(Block::Q4_0)).unwrap().len(), pieces.len());
        assert!(matches!(launch(Packing::Awq { block: 128 }), Err(crate::Error::MissingCapability { .. })));
    }

    #[test]
    fn what_does_not_fit_a_layout_is_refused() {
        let of = |packing, n, k| infer(&TensorType::packed(packing, n, k));
        assert!(of(Packing::Block(Block::Q4K), 3, 512).is_ok());
        assert!(of(Packing::Block(Block::Q4K), 3, 300).is_err(), "no whole blocks");
        assert!(of(Packing::Awq { block: 32 }, 12, 64).is_err(), "n is not in eights");
        assert!(of(Packing::Gptq { bits: 3, block: 32, plus: 1, ordered: false }, 8, 64).is_err());
        assert!(of(Packing::Table4 { block: 0, nested: 0 }, 8, 64).is_err());
        assert!(of(Packing::Block(Block::Q4_0), 0, 64).is_err());
        assert!(of(Packing::Block(Block::Q4_0), 1 << 20, 1 << 20).is_err());
    }
}
