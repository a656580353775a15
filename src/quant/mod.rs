//! Quantized weights as plain data: the published layouts with their sizes, and what a model keeps its weights in.
//!
//! A packed weight is one buffer with the sections of its layout one after the other, each of whole words and unchanged
//! from the file. What the bytes mean is said by the parts of role weight in `shaders/parts`, and in f64 by
//! `reference::unpack`.

mod cache;
mod format;

pub use cache::CacheFormat;
pub use format::{Encoding, WeightFormat};

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
    /// Lower-case name, values and bytes of a block.
    const fn facts(self) -> (&'static str, usize, usize) {
        match self {
            Self::Q4_0 => ("q4_0", 32, 18),
            Self::Q4_1 => ("q4_1", 32, 20),
            Self::Q5_0 => ("q5_0", 32, 22),
            Self::Q5_1 => ("q5_1", 32, 24),
            Self::Q8_0 => ("q8_0", 32, 34),
            Self::Iq4Nl => ("iq4_nl", 32, 18),
            Self::Mxfp4 => ("mxfp4", 32, 17),
            Self::Q2K => ("q2_k", 256, 84),
            Self::Q3K => ("q3_k", 256, 110),
            Self::Q4K => ("q4_k", 256, 144),
            Self::Q5K => ("q5_k", 256, 176),
            Self::Q6K => ("q6_k", 256, 210),
            Self::Iq4Xs => ("iq4_xs", 256, 136),
            Self::Q1_0 => ("q1_0", 128, 18),
            Self::Tq1_0 => ("tq1_0", 256, 54),
            Self::Tq2_0 => ("tq2_0", 256, 66),
            Self::Nvfp4 => ("nvfp4", 64, 36),
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
    /// Rows of cached keys or values; no weight has it.
    Cache(CacheFormat),
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
            Self::Cache(format) => vec![4 * n * k.div_ceil(CacheFormat::UNIT) * format.words()],
        }
    }
    /// Bytes of the buffer for `[n, k]`.
    pub fn bytes(&self, n: usize, k: usize) -> u64 {
        self.sections(n, k).into_iter().map(|b| b.next_multiple_of(4) as u64).sum()
    }
    /// Bytes of a row of `k` values in blocks; 0 for layouts in sections.
    pub fn bytes_of_row(&self, k: usize) -> usize {
        match self {
            Self::Block(block) => k / block.values() * block.bytes(),
            _ => 0,
        }
    }
    /// Whether weights of `n` rows of `k` values, one under the other, are their sections one after the other.
    pub fn stacks(&self, n: usize, k: usize) -> bool {
        match *self {
            Self::Block(_) | Self::Cache(_) => true,
            Self::Codes(c) => {
                let bits = c.bits as usize;
                let row = (k * bits).next_multiple_of(c.align.max(1) as usize);
                let zeros = match c.zero {
                    Zero::Packed { align } => {
                        (k.div_ceil(c.block.max(1)) * bits).next_multiple_of(align.max(1) as usize)
                    }
                    Zero::Down => return false,
                    Zero::Fixed(_) | Zero::Number => 0,
                };
                !c.ordered && (n * row).is_multiple_of(8) && (n * zeros).is_multiple_of(8)
            }
            Self::Table4 { block, nested } => nested == 0 && (n * k).is_multiple_of(block.max(2)),
            Self::Bytes { tile, .. } => n.is_multiple_of(tile[0].max(1)),
            Self::Gptq { .. } | Self::Awq { .. } => false,
        }
    }
    /// Bytes of a row of blocks; of layouts in sections, which cannot be cut by rows, their share of the whole.
    pub(crate) fn row_bytes(&self, n: usize, k: usize) -> usize {
        match self {
            Self::Block(block) => k / block.values() * block.bytes(),
            _ => (self.bytes(n, k) as usize).div_ceil(n.max(1)),
        }
    }
    /// Whether a weight can be kept in chunks of rows.
    pub(crate) fn divisible(&self) -> bool {
        matches!(self, Self::Block(_))
    }
    /// Why `[n, k]` cannot be kept in this layout; `None` where it can.
    pub fn refuses(&self, n: usize, k: usize) -> Option<&'static str> {
        let whole = n < 1 << 31 && k < 1 << 31 && (n as u64 * k as u64) < 1 << 31;
        if !whole || n * k == 0 {
            return Some("at least one value and fewer than 2^31");
        }
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
            Self::Cache(_) => (true, ""),
        };
        (!fits).then_some(rule)
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
            Self::Cache(format) => format!("cache_{format}"),
        }
    }
}
