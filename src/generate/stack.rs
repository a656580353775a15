//! Tensors of a checkpoint one under the other, as one weight: their numbers, or their bytes as they are stored.

use crate::checkpoint::{Checkpoint, TensorEntry};
use crate::quant::Packing;
use crate::reference::unpack;
use crate::{Error, Result};

/// Elements that are read at a time.
const PIECE: usize = 2 << 20;

/// One tensor of a stacked weight: a tensor of the checkpoint with its rows, or rows of zeros.
pub(super) enum Source<'c> {
    /// A tensor.
    Tensor(&'c TensorEntry, usize),
    /// Rows of zeros.
    Zeros(usize),
}

impl Source<'_> {
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Tensor(_, rows) | Self::Zeros(rows) => *rows,
        }
    }
    fn packing(&self) -> Option<Packing> {
        match self {
            Self::Tensor(entry, _) => entry.packed.as_ref().map(|p| p.packing),
            Self::Zeros(_) => None,
        }
    }
}

/// A stacked weight.
pub(super) struct Stack<'s> {
    /// Where the tensors are.
    pub(super) checkpoint: &'s Checkpoint,
    /// From the top.
    pub(super) sources: &'s [Source<'s>],
}

impl Stack<'_> {
    /// Name of the first tensor.
    pub(super) fn name(&self) -> &str {
        self.sources
            .iter()
            .find_map(|source| match source {
                Source::Tensor(entry, _) => Some(entry.name.as_str()),
                Source::Zeros(_) => None,
            })
            .unwrap_or_default()
    }

    /// Whether every tensor is stored in this layout.
    pub(super) fn all_in(&self, packing: Packing) -> bool {
        self.sources.iter().all(|source| source.packing() == Some(packing))
    }

    /// The tensors with a row in `first .. first + count`: `(tensor, its first such row, how many)`.
    fn parts(&self, first: usize, count: usize) -> impl Iterator<Item = (&Source<'_>, usize, usize)> {
        let mut start = 0;
        self.sources.iter().filter_map(move |source| {
            let own = start;
            start += source.rows();
            let (from, to) = (first.max(own), (first + count).min(start));
            (from < to).then(|| (source, from - own, to - from))
        })
    }

    /// Rows `first .. first + count` of `cols` numbers.
    pub(super) async fn numbers(&self, first: usize, count: usize, cols: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0; count * cols];
        let mut at = 0;
        for (source, from, rows) in self.parts(first, count) {
            let out = &mut values[at..at + rows * cols];
            at += rows * cols;
            match source {
                Source::Zeros(_) => {}
                Source::Tensor(entry, n) if entry.packed.is_some() => {
                    self.unpacked(entry, (*n, cols), from, out).await?;
                }
                Source::Tensor(entry, _) => {
                    for (i, piece) in out.chunks_mut(PIECE).enumerate() {
                        self.checkpoint.read_f32(entry, from * cols + i * PIECE, piece).await?;
                    }
                }
            }
        }
        Ok(values)
    }

    /// Numbers of a quantized tensor from row `first` on: blocks some rows at a time, sections whole.
    async fn unpacked(
        &self,
        entry: &TensorEntry,
        (n, cols): (usize, usize),
        first: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let Some(packed) = &entry.packed else { return Ok(()) };
        let packing = packed.packing;
        let Packing::Block(_) = packing else {
            let mut bytes = Vec::new();
            for section in 0..packed.sections.len() {
                let from = bytes.len();
                bytes.resize(from + packed.sections[section].bytes() as usize, 0);
                self.checkpoint.read_section(entry, section, 0, &mut bytes[from..]).await?;
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            let all = unpack(packing, n, cols, &bytes);
            for (to, value) in out.iter_mut().zip(&all.data[first * cols..]) {
                *to = *value as f32;
            }
            return Ok(());
        };
        let row = packing.bytes_of_row(cols);
        let at_once = (PIECE / cols.max(1)).max(1);
        for (i, piece) in out.chunks_mut(at_once * cols).enumerate() {
            let rows = piece.len() / cols;
            let mut bytes = vec![0; rows * row];
            self.checkpoint.read_section(entry, 0, ((first + i * at_once) * row) as u64, &mut bytes).await?;
            for (to, value) in piece.iter_mut().zip(unpack(packing, rows, cols, &bytes).data) {
                *to = value as f32;
            }
        }
        Ok(())
    }

    /// Rows of `row` bytes of blocks, as they are stored.
    pub(super) async fn rows(&self, first: usize, count: usize, row: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count * row];
        let mut at = 0;
        for (source, from, rows) in self.parts(first, count) {
            if let Source::Tensor(entry, _) = source {
                let out = &mut bytes[at..at + rows * row];
                self.checkpoint.read_section(entry, 0, (from * row) as u64, out).await?;
            }
            at += rows * row;
        }
        Ok(bytes)
    }

    /// A section of all tensors, one after the other.
    pub(super) async fn section(&self, packing: Packing, section: usize, cols: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let shared = matches!(packing, Packing::Table4 { .. }) && section == 2;
        for (i, source) in self.sources.iter().enumerate() {
            let Source::Tensor(entry, n) = source else { continue };
            if self.sources.len() > 1 && !packing.stacks(*n, cols) {
                let reason = "cannot be put under another matrix of its layout";
                return Err(Error::unsupported(format!("`{}` as {}", entry.name, packing.name()), reason));
            }
            let length = packing.sections(*n, cols).get(section).copied().unwrap_or(0);
            let mut own = vec![0; length];
            self.checkpoint.read_section(entry, section, 0, &mut own).await?;
            if !(shared && i > 0) {
                bytes.extend(own);
            } else if bytes != own {
                return Err(Error::unsupported(
                    format!("`{}`", entry.name),
                    "has another table than the matrix above it",
                ));
            }
        }
        Ok(bytes)
    }
}
