//! Published layouts of quantized weights, read in place: their sizes, and the parts that read them.
//!
//! A packed weight is one buffer with the sections of its layout one after the other, each of whole words and unchanged
//! from the file. The parts of role weight in `shaders/parts` define what the bytes mean; `reference::unpack` says the
//! same in f64.

use super::{Kernel, matmul::weight_part};
use super::{Layout, TensorType, require};
use crate::{Caps, DType, Result};

/// How the scales of a layout are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ScaleType {
    F32,
    F16,
    BF16,
}

impl ScaleType {
    /// Bytes of one.
    pub const fn size(self) -> usize {
        if matches!(self, Self::F32) { 4 } else { 2 }
    }
}

/// Zero points of [`Codes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zero {
    /// The same for all.
    Fixed(u32),
    /// Codes `[n, groups]` as wide as those of the weight, each row padded to this many bits.
    Packed {
        /// Bits.
        align: u32,
    },
    /// Numbers `[n, groups]` of the type of the scales.
    Number,
    /// Codes packed along n: words `[ceil(n bits / 32), groups]`.
    Down,
}

/// Codes in rows, low bits first, with a scale and a zero point for each group of values along k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Codes {
    /// 1, 2, 4 or 8.
    pub bits: u32,
    /// Codes and packed zero points are two's complement.
    pub signed: bool,
    /// Values of a group.
    pub block: usize,
    /// Bits that a row of codes is padded to.
    pub align: u32,
    /// Type of the scales `[n, groups]`.
    pub scale: ScaleType,
    /// Zero points.
    pub zero: Zero,
    /// The group of each k is listed, u32 `[k]`, instead of following from k.
    pub ordered: bool,
}

/// Block formats of ggml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Block {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Iq4Nl,
    Mxfp4,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Xs,
    Q1_0,
    Tq1_0,
    Tq2_0,
    Nvfp4,
}

impl Block {
    /// Every format.
    pub const ALL: [Self; 17] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Iq4Nl,
        Self::Mxfp4,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Xs,
        Self::Q1_0,
        Self::Tq1_0,
        Self::Tq2_0,
        Self::Nvfp4,
    ];
    /// Lower-case name, values and bytes of a block, and the files that read it.
    const fn facts(self) -> (&'static str, usize, usize, &'static [&'static str]) {
        match self {
            Self::Q4_0 => ("q4_0", 32, 18, &["parts/weight_q4_0", "parts/block_bytes"]),
            Self::Q4_1 => ("q4_1", 32, 20, &["parts/weight_q4_1", "parts/block_bytes"]),
            Self::Q5_0 => ("q5_0", 32, 22, &["parts/weight_q5_0", "parts/block_bytes"]),
            Self::Q5_1 => ("q5_1", 32, 24, &["parts/weight_q5_1", "parts/block_bytes"]),
            Self::Q8_0 => ("q8_0", 32, 34, &["parts/weight_q8_0", "parts/block_bytes"]),
            Self::Iq4Nl => ("iq4_nl", 32, 18, &["parts/weight_iq4_nl", "parts/block_bytes", "parts/iq4_table"]),
            Self::Mxfp4 => ("mxfp4", 32, 17, &["parts/weight_mxfp4", "parts/block_bytes"]),
            Self::Q2K => ("q2_k", 256, 84, &["parts/weight_q2_k", "parts/block_bytes"]),
            Self::Q3K => ("q3_k", 256, 110, &["parts/weight_q3_k", "parts/block_bytes"]),
            Self::Q4K => ("q4_k", 256, 144, &["parts/weight_q4_k", "parts/block_bytes", "parts/k_scales"]),
            Self::Q5K => ("q5_k", 256, 176, &["parts/weight_q5_k", "parts/block_bytes", "parts/k_scales"]),
            Self::Q6K => ("q6_k", 256, 210, &["parts/weight_q6_k", "parts/block_bytes"]),
            Self::Iq4Xs => ("iq4_xs", 256, 136, &["parts/weight_iq4_xs", "parts/block_bytes", "parts/iq4_table"]),
            Self::Q1_0 => ("q1_0", 128, 18, &["parts/weight_q1_0", "parts/block_bytes"]),
            Self::Tq1_0 => ("tq1_0", 256, 54, &["parts/weight_tq1_0", "parts/block_bytes"]),
            Self::Tq2_0 => ("tq2_0", 256, 66, &["parts/weight_tq2_0", "parts/block_bytes"]),
            Self::Nvfp4 => ("nvfp4", 64, 36, &["parts/weight_nvfp4", "parts/block_bytes"]),
        }
    }
    /// Name as the command line has it.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }
    /// Values of a block.
    pub const fn values(self) -> usize {
        self.facts().1
    }
    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        self.facts().2
    }
}

/// A layout of a quantized weight `[n, k]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Rows of codes: MatMulNBits of ONNX Runtime, compressed-tensors.
    Codes(Codes),
    /// GPTQ: codes packed along k, `[k / per word, n]`, zeros `[groups, n / per word]`, scales f16 `[groups, n]`.
    Gptq {
        /// 2, 4 or 8.
        bits: u32,
        /// Values of a group.
        block: usize,
        /// Added to every zero point.
        plus: u32,
        /// The group of each k is listed, u32 `[k]`.
        ordered: bool,
    },
    /// AWQ ("gemm"): codes of 4 bits packed along n, `[k, n / 8]`, zeros `[groups, n / 8]`, scales f16 `[groups, n]`.
    Awq {
        /// Values of a group.
        block: usize,
    },
    /// Codes of 4 bits into a table (NF4, FP4), high bits first, with a magnitude for each block of the flat order.
    Table4 {
        /// Values of a block.
        block: usize,
        /// Magnitudes are codes of 8 bits with a factor for each so many; 0: they are f32.
        nested: usize,
    },
    /// A byte a value and f32 factors of tiles: int8 (divided by 127), or floats e4m3fn.
    Bytes {
        /// Floats.
        e4m3: bool,
        /// Rows and columns of a tile.
        tile: [usize; 2],
    },
    /// Blocks of ggml.
    Block(Block),
}

impl Packing {
    /// Bytes of the sections for `[n, k]`, in order; each is padded to whole words in the buffer.
    pub fn sections(&self, n: usize, k: usize) -> Vec<usize> {
        let words = |bits: usize| bits.div_ceil(32) * 4;
        match *self {
            Self::Codes(c) => {
                let (bits, groups) = (c.bits as usize, k.div_ceil(c.block.max(1)));
                let row = (k * bits).next_multiple_of(c.align.max(1) as usize);
                let zero_row = |align: u32| (groups * bits).next_multiple_of(align.max(1) as usize);
                let zeros = match c.zero {
                    Zero::Fixed(_) => 0,
                    Zero::Packed { align } => (n * zero_row(align)).div_ceil(8),
                    Zero::Number => n * groups * c.scale.size(),
                    Zero::Down => words(n * bits) * groups,
                };
                vec![(n * row).div_ceil(8), n * groups * c.scale.size(), zeros, if c.ordered { 4 * k } else { 0 }]
            }
            Self::Gptq { bits, block, ordered, .. } => {
                let (per, groups) = (32 / bits.max(1) as usize, k.div_ceil(block.max(1)));
                let zeros = groups * n.div_ceil(per.max(1)) * 4;
                vec![k.div_ceil(per.max(1)) * n * 4, zeros, 2 * groups * n, if ordered { 4 * k } else { 0 }]
            }
            Self::Awq { block } => {
                let groups = k.div_ceil(block.max(1));
                vec![k * n / 2, groups * n / 2, 2 * groups * n]
            }
            Self::Table4 { block, nested } => {
                let blocks = (n * k).div_ceil(block.max(1));
                let mut all = vec![(n * k).div_ceil(2), if nested == 0 { 4 * blocks } else { blocks }, 64];
                if nested > 0 {
                    all.extend([4 * blocks.div_ceil(nested), 1024, 4]);
                }
                all
            }
            Self::Bytes { tile, .. } => vec![n * k, 4 * n.div_ceil(tile[0].max(1)) * k.div_ceil(tile[1].max(1))],
            Self::Block(block) => vec![n * (k / block.values()) * block.bytes()],
        }
    }
    /// Bytes of the buffer for `[n, k]`.
    pub fn bytes(&self, n: usize, k: usize) -> u64 {
        self.sections(n, k).into_iter().map(|b| b.next_multiple_of(4) as u64).sum()
    }
    /// Bytes of a row of blocks; of layouts in sections, which cannot be cut by rows, their share of the whole.
    pub(super) fn row_bytes(&self, n: usize, k: usize) -> usize {
        match self {
            Self::Block(block) => k / block.values() * block.bytes(),
            _ => (self.bytes(n, k) as usize).div_ceil(n.max(1)),
        }
    }
    /// Whether a weight can be kept in chunks of rows.
    pub(super) fn divisible(&self) -> bool {
        matches!(self, Self::Block(_))
    }
    /// What is wrong with this layout for `[n, k]`.
    pub(super) fn check(&self, kernel: &dyn Kernel, n: usize, k: usize) -> Result<()> {
        let whole = n < 1 << 31 && k < 1 << 31 && (n as u64 * k as u64) < 1 << 31;
        require(kernel, whole && n * k > 0, || format!("a packed weight [{n}, {k}] is empty or over 2^31 values"))?;
        let (fits, rule) = match *self {
            Self::Codes(c) => (
                matches!(c.bits, 1 | 2 | 4 | 8) && c.block > 0 && c.align > 0,
                "codes of 1, 2, 4 or 8 bits in groups of at least one value",
            ),
            Self::Gptq { bits, block, .. } => (matches!(bits, 2 | 4 | 8) && block > 0, "codes of 2, 4 or 8 bits"),
            Self::Awq { block } => (n.is_multiple_of(8) && block > 0, "n in eights"),
            Self::Table4 { block, .. } => (block > 0, "blocks of at least one value"),
            Self::Bytes { tile, .. } => (tile[0] > 0 && tile[1] > 0, "tiles of at least one value"),
            Self::Block(block) => (k.is_multiple_of(block.values()), "k in whole blocks"),
        };
        require(kernel, fits, || format!("a weight [{n}, {k}] as {self:?} needs {rule}"))
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
            Self::Block(_) => Vec::new(),
        }
    }
    fn files(&self) -> Vec<&'static str> {
        match self {
            Self::Codes(_) => vec!["parts/weight_codes"],
            Self::Gptq { .. } => vec!["parts/weight_gptq"],
            Self::Awq { .. } => vec!["parts/weight_awq"],
            Self::Table4 { .. } => vec!["parts/weight_table4"],
            Self::Bytes { .. } => vec!["parts/weight_bytes"],
            Self::Block(block) => block.facts().3.to_vec(),
        }
    }
    /// Name of the layout, for plans and cases.
    pub fn name(&self) -> String {
        match self {
            Self::Codes(c) => {
                let sign = if c.signed { "signed " } else { "" };
                format!("{sign}codes{}x{} {:?} {:?}", c.bits, c.block, c.scale, c.zero)
            }
            Self::Gptq { bits, block, ordered, .. } => {
                format!("gptq{bits}x{block}{}", if *ordered { " ordered" } else { "" })
            }
            Self::Awq { block } => format!("awq4x{block}"),
            Self::Table4 { block, nested } => format!("table4x{block}{}", if *nested > 0 { " nested" } else { "" }),
            Self::Bytes { e4m3: true, tile } => format!("e4m3 {}x{}", tile[0], tile[1]),
            Self::Bytes { tile, .. } => format!("int8 {}x{}", tile[0], tile[1]),
            Self::Block(block) => block.name().into(),
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

impl TensorType {
    /// A weight `[n, k]` in a packed layout. It reads as f32.
    pub fn packed(packing: Packing, n: usize, k: usize) -> Self {
        Self { dtype: DType::F32, shape: vec![n, k], layout: Layout::Packed(packing) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Io, MatMul, ReadWeight, chunks};
    use super::*;

    fn infer(w: &TensorType) -> Result<Vec<TensorType>> {
        ReadWeight { picked: false }.infer(std::slice::from_ref(w))
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
