//! What keys and values of a decoder are kept in.

use super::{Encoding, Packing};
use crate::quant::Block;
use crate::{DType, Error, Result};
use std::fmt;

/// A format of cached keys and values.
///
/// What is not the type of the activations lies in units of 64 neighbouring values of a row, whole words each, so that
/// rows are written apart from each other: the codes, low bits first, then the scales of the two halves where there are
/// any. A row that is no whole units ends with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheFormat {
    /// 32 bits.
    F32,
    /// 16 bits, on adapters without f16 too.
    F16,
    /// Codes of 8 bits and an f16 scale for 32 values, rounded as Q8_0 of ggml: 8.5 bits.
    Q8_0,
    /// Codes of 4 bits and an f16 scale for 32 values, rounded as Q4_0 of ggml: 4.5 bits.
    Q4_0,
}

impl CacheFormat {
    /// Every format, by falling size.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Q8_0, Self::Q4_0];
    /// Values of a unit.
    pub const UNIT: usize = 64;

    /// The format of that name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other names, with those that are known.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::unsupported(format!("cache format `{name}`"), format!("keys and values are kept as {known}"))
        })
    }
    /// The format that keeps values of this type as they are: f16 for f16, else f32.
    pub const fn of(dtype: DType) -> Self {
        if matches!(dtype, DType::F16) { Self::F16 } else { Self::F32 }
    }
    /// Name as the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
    /// Words of a unit.
    pub const fn words(self) -> usize {
        match self {
            Self::F32 => 64,
            Self::F16 => 32,
            Self::Q8_0 => 17,
            Self::Q4_0 => 9,
        }
    }
    /// How values are rounded.
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::F32 => Encoding::Float(DType::F32),
            Self::F16 => Encoding::Float(DType::F16),
            Self::Q8_0 => Encoding::Block(Block::Q8_0),
            Self::Q4_0 => Encoding::Block(Block::Q4_0),
        }
    }
    /// The layout beside activations of type `compute`; `None` where values are kept as they are.
    pub fn packing(self, compute: DType) -> Option<Packing> {
        (Self::of(compute) != self).then_some(Packing::Cache(self))
    }
}

impl fmt::Display for CacheFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
