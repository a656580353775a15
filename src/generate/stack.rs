//! Parts of tensors one under the other, as one weight: their numbers, or their bytes as they are stored.

use super::sources::Source;
use crate::checkpoint::{Checkpoint, TensorEntry};
use crate::quant::Packing;
use crate::{Error, Result};

/// Elements that are read at a time.
const PIECE: usize = 2 << 20;

/// A stacked weight.
pub(super) struct Stack<'s> {
    /// Where the tensors are.
    pub(super) checkpoint: &'s Checkpoint,
    /// From the top.
    pub(super) sources: &'s [Source<'s>],
}

impl<'s> Stack<'s> {
    /// Name of the first tensor.
    pub(super) fn name(&self) -> &str {
        self.sources.iter().find_map(Source::entry).map_or("", |entry| entry.name.as_str())
    }

    /// Whether every part is stored in this layout, and layouts in sections are whole tensors.
    pub(super) fn all_in(&self, packing: Packing) -> bool {
        let blocks = matches!(packing, Packing::Block(_));
        self.sources.iter().all(|source| {
            source.packed().is_some_and(|(entry, first)| {
                let whole = first == 0 && entry.shape.first() == Some(&source.rows());
                entry.packed.as_ref().is_some_and(|p| p.packing == packing) && (blocks || whole)
            })
        })
    }

    /// The parts with a row in `first .. first + count`: `(part, its first such row, how many)`.
    fn parts(&self, first: usize, count: usize) -> impl Iterator<Item = (&'s Source<'s>, usize, usize)> {
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
            // Pieces of whole rows.
            let piece = (PIECE / cols.max(1)).max(1) * cols;
            for (i, part) in out.chunks_mut(piece).enumerate() {
                source.read(self.checkpoint, from * cols + i * piece, part).await?;
            }
        }
        Ok(values)
    }

    /// Rows of `row` bytes of blocks, as they are stored.
    pub(super) async fn rows(&self, first: usize, count: usize, row: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count * row];
        let mut at = 0;
        for (source, from, rows) in self.parts(first, count) {
            if let Some((entry, start)) = source.packed() {
                let out = &mut bytes[at..at + rows * row];
                self.checkpoint.read_section(entry, 0, ((start + from) * row) as u64, out).await?;
            }
            at += rows * row;
        }
        Ok(bytes)
    }

    /// A section of all tensors, one after the other, to be read in pieces.
    pub(super) async fn section(&self, packing: Packing, section: usize, cols: usize) -> Result<Pieces<'s>> {
        let mut parts = Vec::new();
        let shared = matches!(packing, Packing::Table4 { .. }) && section == 2;
        for source in self.sources {
            let Some((entry, _)) = source.packed() else { continue };
            if self.sources.len() > 1 && !packing.stacks(source.rows(), cols) {
                let reason = "cannot be put under another matrix of its layout";
                return Err(Error::unsupported(format!("`{}` as {}", entry.name, packing.name()), reason));
            }
            let length = packing.sections(source.rows(), cols).get(section).copied().unwrap_or(0);
            parts.push((entry, length));
        }
        if shared {
            self.check_tables(&parts, section).await?;
            parts.truncate(1);
        }
        Ok(Pieces { checkpoint: self.checkpoint, section, parts, part: 0, offset: 0 })
    }

    /// A table of codes is kept once: all have to be the same.
    async fn check_tables(&self, parts: &[(&TensorEntry, usize)], section: usize) -> Result<()> {
        let mut first = Vec::new();
        for (i, (entry, length)) in parts.iter().enumerate() {
            let mut own = vec![0; *length];
            self.checkpoint.read_section(entry, section, 0, &mut own).await?;
            if i == 0 {
                first = own;
            } else if first != own {
                let reason = "has another table than the matrix above it";
                return Err(Error::unsupported(format!("`{}`", entry.name), reason));
            }
        }
        Ok(())
    }
}

/// The bytes of a section.
pub(super) struct Pieces<'s> {
    checkpoint: &'s Checkpoint,
    section: usize,
    /// Tensors, and how many bytes of each.
    parts: Vec<(&'s TensorEntry, usize)>,
    part: usize,
    offset: usize,
}

impl Pieces<'_> {
    /// The next `most` bytes, or what is left; `None` at the end.
    pub(super) async fn next(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        while let Some((entry, length)) = self.parts.get(self.part).filter(|_| bytes.len() < most) {
            let (at, count) = (bytes.len(), (length - self.offset).min(most - bytes.len()));
            bytes.resize(at + count, 0);
            self.checkpoint.read_section(entry, self.section, self.offset as u64, &mut bytes[at..]).await?;
            self.offset += count;
            if self.offset == *length {
                (self.part, self.offset) = (self.part + 1, 0);
            }
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}
