//! What weights are kept in: floats or a packed layout, and the names of the formats that numbers can be turned into.

use super::{Block, Packing};
use crate::{DType, Error, Result};
use std::fmt;

/// What a weight matrix is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// Floats, in panels.
    Float(DType),
    /// The packed layout that it is stored in.
    Packed(Packing),
    /// A format that it is turned into.
    Encoded {
        /// The format.
        to: Encoding,
        /// Floats for what the format cannot hold: a matrix whose rows are no whole blocks, the filter of a convolution.
        otherwise: DType,
    },
}

impl WeightFormat {
    /// The layout that a matrix `[n, k]` is packed in; `None` where it is kept as floats.
    pub fn packing(self, n: usize, k: usize) -> Option<Packing> {
        match self {
            Self::Float(_) => None,
            Self::Packed(packing) => Some(packing),
            Self::Encoded { to, .. } => {
                let whole = k.is_multiple_of(64) || !matches!(to, Encoding::Nf4 | Encoding::Fp4);
                to.packing().filter(|packing| whole && packing.refuses(n, k).is_none())
            }
        }
    }
    /// Type of what is kept as floats.
    pub const fn float(self) -> DType {
        match self {
            Self::Float(dtype) | Self::Encoded { otherwise: dtype, .. } => dtype,
            Self::Packed(_) => DType::F32,
        }
    }
}

impl From<DType> for WeightFormat {
    fn from(dtype: DType) -> Self {
        Self::Float(dtype)
    }
}

/// A format that weights can be turned into when they are loaded or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// f32, f16 or bf16.
    Float(DType),
    /// Blocks of ggml. Those with one scale and MXFP4 are rounded as its reference quantizers do; Q2_K to Q6_K, IQ4_NL and
    /// IQ4_XS by plain rules (no search for a better scale), which the parts of role pack state.
    Block(Block),
    /// NormalFloat of 4 bits (Dettmers et al. 2023), a magnitude for 64 values, as bitsandbytes has it.
    Nf4,
    /// Floats of 4 bits, a magnitude for 64 values, as bitsandbytes has it.
    Fp4,
    /// Bytes with a magnitude a row (Dettmers et al. 2022), as bitsandbytes has it.
    Int8,
    /// Floats e4m3fn with a factor a row.
    Fp8,
}

impl Encoding {
    /// Every format, by the name that the command line has.
    pub const ALL: [(&'static str, Self); 20] = [
        ("f32", Self::Float(DType::F32)),
        ("f16", Self::Float(DType::F16)),
        ("bf16", Self::Float(DType::BF16)),
        ("q8_0", Self::Block(Block::Q8_0)),
        ("q4_0", Self::Block(Block::Q4_0)),
        ("q4_1", Self::Block(Block::Q4_1)),
        ("q5_0", Self::Block(Block::Q5_0)),
        ("q5_1", Self::Block(Block::Q5_1)),
        ("q2_k", Self::Block(Block::Q2K)),
        ("q3_k", Self::Block(Block::Q3K)),
        ("q4_k", Self::Block(Block::Q4K)),
        ("q5_k", Self::Block(Block::Q5K)),
        ("q6_k", Self::Block(Block::Q6K)),
        ("iq4_nl", Self::Block(Block::Iq4Nl)),
        ("iq4_xs", Self::Block(Block::Iq4Xs)),
        ("mxfp4", Self::Block(Block::Mxfp4)),
        ("nf4", Self::Nf4),
        ("fp4", Self::Fp4),
        ("int8", Self::Int8),
        ("fp8", Self::Fp8),
    ];

    /// The format of that name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other names, with those that are known.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, encoding)| *encoding).ok_or_else(|| {
            let known = Self::ALL.map(|(known, _)| known).join(", ");
            let reason = match name {
                "gptq" | "awq" | "compressed-tensors" | "matmulnbits" => {
                    format!("is made by calibration or by another tool, and only read; {known} are made here")
                }
                _ => format!("weights are turned into {known}"),
            };
            Error::unsupported(format!("weight format `{name}`"), reason)
        })
    }
    /// Name as the command line has it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
    /// The layout that it makes; `None` for floats.
    pub const fn packing(self) -> Option<Packing> {
        match self {
            Self::Float(_) => None,
            Self::Block(block) => Some(Packing::Block(block)),
            Self::Nf4 | Self::Fp4 => Some(Packing::Table4 { block: 64, nested: 0 }),
            Self::Int8 => Some(Packing::Bytes { e4m3: false, tile: [1, 1 << 30] }),
            Self::Fp8 => Some(Packing::Bytes { e4m3: true, tile: [1, 1 << 30] }),
        }
    }
    /// What a model keeps its weights in: this, and floats of type `otherwise` where the layout holds no matrix.
    pub const fn format(self, otherwise: DType) -> WeightFormat {
        match self {
            Self::Float(dtype) => WeightFormat::Float(dtype),
            to => WeightFormat::Encoded { to, otherwise },
        }
    }
}

impl From<DType> for Encoding {
    fn from(dtype: DType) -> Self {
        Self::Float(dtype)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
