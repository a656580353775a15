//! The rows of a weight as parts of a checkpoint's tensors: checked when a load is planned, read piece by piece, as numbers
//! whatever they are stored as.

use crate::blocks::Part;
use crate::checkpoint::{Checkpoint, TensorEntry};
use crate::kernels::{Layout, TensorType};
use crate::quant::Packing;
use crate::reference::{unpack, unpack_rows};
use crate::{Error, Result};

/// Elements of a transposed tensor that are held at a time.
const PIECE: usize = 2 << 20;

/// One part of a weight's rows.
pub(super) struct Source<'c> {
    /// Rows of the weight that it fills.
    rows: usize,
    /// The tensor; none for zeros.
    tensor: Option<(&'c TensorEntry, Order)>,
    /// Another tensor of that shape, which is added.
    added: Option<&'c TensorEntry>,
}

/// In which order the elements of a tensor are read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    /// One after the other, from this one on.
    Straight(usize),
    /// Stored \[cols, rows\].
    Transposed {
        /// Rows of the weight.
        rows: usize,
        /// Columns of the weight.
        cols: usize,
    },
    /// Stored \[groups, parts, run\], read \[parts, groups, run\].
    Sorted {
        /// Groups.
        groups: usize,
        /// Parts of a group.
        parts: usize,
        /// Neighbouring elements that stay together.
        run: usize,
        /// The part that is read first.
        from: usize,
    },
    /// Stored \[rows, cols / channels, channels\], read \[rows, channels, cols / channels\].
    Planar {
        /// Channels.
        channels: usize,
        /// Columns of the weight.
        cols: usize,
    },
    /// One number: the hyperbolic tangent of it.
    Gate,
    /// Stored \[rows * channels, frames, run\], read \[rows * channels, run\], each the sum of its frames.
    Summed {
        /// Frames.
        frames: usize,
        /// Elements of a frame.
        run: usize,
    },
}

/// Rows of a matrix; elements of any other weight.
fn extents(ty: &TensorType) -> (usize, usize) {
    if ty.layout != Layout::Rows { (ty.shape[0], ty.shape[1]) } else { (ty.elements(), 1) }
}

/// The parts of the weight `name`, which together have to be `ty`.
pub(super) fn sources<'c>(checkpoint: &'c Checkpoint, name: &str, ty: &TensorType) -> Result<Vec<Source<'c>>> {
    let (rows, cols) = extents(ty);
    let parts = Part::parse(name)?;
    let list: Vec<Source<'c>> =
        parts.iter().map(|part| source(checkpoint, *part, (rows, cols))).collect::<Result<_>>()?;
    let sum = list.iter().try_fold(0usize, |sum, source| sum.checked_add(source.rows));
    if sum == Some(rows) {
        return Ok(list);
    }
    let want = if ty.layout != Layout::Rows { vec![rows, cols] } else { ty.shape.clone() };
    Err(match list.iter().find_map(|source| source.tensor) {
        Some((entry, _)) => wrong(name, entry, &want),
        None => Error::WrongShape { name: name.into(), got: sum.into_iter().collect(), want },
    })
}

/// The tensor that a part is of; zeros are of none.
fn tensor_of(part: Part<'_>) -> Option<&str> {
    match part {
        Part::Zeros(_) => None,
        Part::Tensor(name) | Part::Transposed(name) | Part::Frames(name) | Part::Flat(name) => Some(name),
        Part::Rows { name, .. } | Part::Sorted { name, .. } | Part::Gate { name, .. } => Some(name),
        Part::Every { name, .. } | Part::Planar { name, .. } | Part::Elements { name, .. } => Some(name),
        Part::Added { name, .. } => Some(name),
    }
}

fn source<'c>(checkpoint: &'c Checkpoint, part: Part<'_>, (rows, cols): (usize, usize)) -> Result<Source<'c>> {
    let Some(name) = tensor_of(part) else {
        let rows = if let Part::Zeros(rows) = part { rows } else { 0 };
        return Ok(Source { rows, tensor: None, added: None });
    };
    let entry = checkpoint.entry(name)?;
    let refuse = || wrong(name, entry, &[rows, cols]);
    let stored = entry.shape.first().copied().unwrap_or(1);
    // Elements of a stored row; a weight that is not in panels counts elements as its rows.
    let width = entry.elements().checked_div(stored).ok_or_else(refuse)?;
    let (elements, order) = match part {
        Part::Transposed(_) => {
            let [k, n] = entry.shape[..] else { return Err(refuse()) };
            if k != cols {
                return Err(refuse());
            }
            (entry.elements(), Order::Transposed { rows: n, cols: k })
        }
        Part::Rows { first, count, .. } | Part::Elements { first, count, .. } => {
            let (unit, all) = if matches!(part, Part::Rows { .. }) { (width, stored) } else { (1, entry.elements()) };
            if first.checked_add(count).is_none_or(|end| end > all) {
                return Err(refuse());
            }
            (count * unit, Order::Straight(first * unit))
        }
        Part::Sorted { parts, unit, .. } => {
            (entry.elements(), sorted((stored, width), (parts, unit), 0).ok_or_else(refuse)?)
        }
        Part::Every { part, parts, unit, .. } => {
            let order = sorted((stored, width), (parts, unit), part).ok_or_else(refuse)?;
            (entry.elements() / parts, order)
        }
        Part::Planar { channels, .. } => {
            if channels == 0 || !cols.is_multiple_of(channels) || width != cols {
                return Err(refuse());
            }
            (entry.elements(), Order::Planar { channels, cols })
        }
        Part::Frames(_) => {
            let [_, _, frames, height, width] = entry.shape[..] else { return Err(refuse()) };
            let elements = entry.elements().checked_div(frames).ok_or_else(refuse)?;
            (elements, Order::Summed { frames, run: height * width })
        }
        Part::Gate { count, .. } if entry.elements() == 1 && cols == 1 => (count, Order::Gate),
        Part::Gate { .. } => return Err(wrong(name, entry, &[1])),
        _ => (entry.elements(), Order::Straight(0)),
    };
    let width = match part {
        Part::Flat(_) => cols,
        Part::Frames(_) => elements / stored.max(1),
        _ => width,
    };
    let own = if cols == 1 { elements } else { elements / width.max(1) };
    let own = if matches!(order, Order::Transposed { .. }) { elements / cols.max(1) } else { own };
    if own.checked_mul(cols) != Some(elements) {
        return Err(refuse());
    }
    let added = added(checkpoint, part, entry)?;
    Ok(Source { rows: own, tensor: Some((entry, order)), added })
}

/// What is added to `entry`.
fn added<'c>(checkpoint: &'c Checkpoint, part: Part<'_>, entry: &TensorEntry) -> Result<Option<&'c TensorEntry>> {
    let Part::Added { other, .. } = part else { return Ok(None) };
    let other = checkpoint.entry(other)?;
    if other.shape == entry.shape { Ok(Some(other)) } else { Err(wrong(&other.name, other, &entry.shape)) }
}

/// The order of a tensor of `stored` rows of `width` in groups of `parts` runs of `unit` rows, the run `from` first.
fn sorted((stored, width): (usize, usize), (parts, unit): (usize, usize), from: usize) -> Option<Order> {
    let group = parts.checked_mul(unit).filter(|group| *group > 0 && stored.is_multiple_of(*group))?;
    (from < parts).then(|| Order::Sorted { groups: stored / group, parts, run: unit * width, from })
}

fn wrong(name: &str, entry: &TensorEntry, want: &[usize]) -> Error {
    let want = if want.last() == Some(&1) { want[..want.len() - 1].to_vec() } else { want.to_vec() };
    Error::WrongShape { name: name.into(), got: entry.shape.clone(), want }
}

impl<'c> Source<'c> {
    /// A tensor of so many rows.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn whole(entry: &'c TensorEntry, rows: usize) -> Self {
        Self { rows, tensor: Some((entry, Order::Straight(0))), added: None }
    }
    /// Rows of the weight that it fills.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
    /// The tensor.
    pub(super) fn entry(&self) -> Option<&'c TensorEntry> {
        self.tensor.map(|(entry, _)| entry)
    }
    /// A quantized tensor, and its row with which this part begins, where its rows follow one another.
    pub(super) fn packed(&self) -> Option<(&'c TensorEntry, usize)> {
        let (entry, order) = self.tensor?;
        let cols = entry.shape.last().copied().unwrap_or(1).max(1);
        match order {
            Order::Straight(first) if entry.packed.is_some() && self.added.is_none() => Some((entry, first / cols)),
            _ => None,
        }
    }
    /// Fills `values` with its elements from `first` on; both are whole rows of the weight.
    pub(super) async fn read(&self, checkpoint: &Checkpoint, first: usize, values: &mut [f32]) -> Result<()> {
        match self.tensor {
            None => values.fill(0.0),
            Some((entry, Order::Gate)) => {
                let mut gate = [0f32];
                read_numbers(checkpoint, entry, 0, &mut gate).await?;
                values.fill(gate[0].tanh());
            }
            Some((entry, Order::Straight(start))) => read_numbers(checkpoint, entry, start + first, values).await?,
            Some((entry, Order::Planar { channels, cols })) => {
                read_numbers(checkpoint, entry, first, values).await?;
                let mut stored = vec![0f32; cols];
                for row in values.chunks_exact_mut(cols) {
                    stored.copy_from_slice(row);
                    for (i, value) in stored.iter().enumerate() {
                        row[i % channels * (cols / channels) + i / channels] = *value;
                    }
                }
            }
            Some((entry, Order::Sorted { groups, parts, run, from })) => {
                let mut at = 0;
                while at < values.len() {
                    let (of, inside) = ((first + at) / run, (first + at) % run);
                    let (part, group) = (from + of / groups, of % groups);
                    let count = (run - inside).min(values.len() - at);
                    let from = (group * parts + part) * run + inside;
                    read_numbers(checkpoint, entry, from, &mut values[at..at + count]).await?;
                    at += count;
                }
            }
            Some((entry, Order::Summed { frames, run })) => {
                sum(checkpoint, entry, (frames, run), first, values).await?
            }
            Some((entry, Order::Transposed { rows, cols })) => {
                let row = first / cols.max(1);
                transpose(checkpoint, entry, (rows, cols), row, values).await?;
            }
        }
        if let Some(other) = self.added {
            let mut more = vec![0f32; values.len()];
            read_numbers(checkpoint, other, first, &mut more).await?;
            values.iter_mut().zip(more).for_each(|(value, more)| *value += more);
        }
        Ok(())
    }
}

/// Elements of a tensor from `first` on, dequantised where it is quantized.
async fn read_numbers(checkpoint: &Checkpoint, entry: &TensorEntry, first: usize, values: &mut [f32]) -> Result<()> {
    let Some(packed) = &entry.packed else { return checkpoint.read_f32(entry, first, values).await };
    let cols = entry.shape.last().copied().unwrap_or(1).max(1);
    if let Packing::Block(_) = packed.packing {
        let row = packed.packing.bytes_of_row(cols);
        let at_once = (PIECE / cols).max(1) * cols;
        let mut at = 0;
        while at < values.len() {
            // Whole rows around the elements.
            let (from, inside) = ((first + at) / cols, (first + at) % cols);
            let count = (at_once - inside).min(values.len() - at);
            let rows = (inside + count).div_ceil(cols);
            let mut bytes = vec![0; rows * row];
            checkpoint.read_section(entry, 0, (from * row) as u64, &mut bytes).await?;
            let all = unpack(packed.packing, rows, cols, &bytes).data;
            for (to, value) in values[at..at + count].iter_mut().zip(&all[inside..]) {
                *to = *value as f32;
            }
            at += count;
        }
        return Ok(());
    }
    let mut bytes = Vec::new();
    for section in 0..packed.sections.len() {
        let from = bytes.len();
        bytes.resize(from + packed.sections[section].bytes() as usize, 0);
        checkpoint.read_section(entry, section, 0, &mut bytes[from..]).await?;
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    // The codes are held whole, what they stand for some rows at a time.
    let shape = [entry.elements() / cols, cols];
    let at_once = (PIECE / cols).max(1);
    let mut at = 0;
    while at < values.len() {
        let (row, inside) = ((first + at) / cols, (first + at) % cols);
        let rows = row..(row + at_once).min(shape[0]);
        let all = unpack_rows(packed.packing, shape, rows, &bytes).data;
        let all = all.get(inside..).unwrap_or_default();
        if all.is_empty() {
            let reason = format!("{} values are wanted from {first} on, of {}", values.len(), entry.elements());
            return Err(Error::argument(&entry.name, reason));
        }
        for (to, value) in values[at..].iter_mut().zip(all) {
            *to = *value as f32;
        }
        at += all.len();
    }
    Ok(())
}

/// Elements from `first` on of a tensor \[.., frames, run\] summed over its frames.
async fn sum(
    checkpoint: &Checkpoint,
    entry: &TensorEntry,
    (frames, run): (usize, usize),
    first: usize,
    values: &mut [f32],
) -> Result<()> {
    let (mut frame, mut at) = (vec![0f32; run], 0);
    while at < values.len() {
        let (of, inside) = ((first + at) / run, (first + at) % run);
        let count = (run - inside).min(values.len() - at);
        values[at..at + count].fill(0.0);
        for i in 0..frames {
            read_numbers(checkpoint, entry, (of * frames + i) * run + inside, &mut frame[..count]).await?;
            values[at..at + count].iter_mut().zip(&frame).for_each(|(sum, value)| *sum += value);
        }
        at += count;
    }
    Ok(())
}

/// Rows from `first` on of the transpose \[rows, cols\] of a tensor.
async fn transpose(
    checkpoint: &Checkpoint,
    entry: &TensorEntry,
    (rows, cols): (usize, usize),
    first: usize,
    values: &mut [f32],
) -> Result<()> {
    let at_once = (PIECE / rows.max(1)).max(1);
    let mut piece = Vec::new();
    for from in (0..cols).step_by(at_once) {
        let count = at_once.min(cols - from);
        piece.resize(count * rows, 0.0);
        read_numbers(checkpoint, entry, from * rows, &mut piece).await?;
        for (row, line) in values.chunks_exact_mut(cols).enumerate() {
            for (i, value) in line[from..from + count].iter_mut().enumerate() {
                *value = piece[i * rows + first + row];
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::checkpoint::{MemoryFile, TensorBytes, encode_safetensors};
    use std::sync::Arc;

    /// A checkpoint with `w` \[12, 2\] of 0, 1, 2, .. and `b` \[12\] of 100, 101, ..; `c` is `w` as \[2, 3, 2, 1, 2\], `d` as \[4, 6\], `g`
    /// is 0.5.
    fn checkpoint() -> Checkpoint {
        let w: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..12).map(|i| 100.0 + i as f32).collect();
        let tensors = [
            TensorBytes { name: "w", dtype: DType::F32, shape: &[12, 2], bytes: bytemuck::cast_slice(&w) },
            TensorBytes { name: "b", dtype: DType::F32, shape: &[12], bytes: bytemuck::cast_slice(&b) },
            TensorBytes { name: "c", dtype: DType::F32, shape: &[2, 3, 2, 1, 2], bytes: bytemuck::cast_slice(&w) },
            TensorBytes { name: "d", dtype: DType::F32, shape: &[4, 6], bytes: bytemuck::cast_slice(&w) },
            TensorBytes { name: "g", dtype: DType::F32, shape: &[1], bytes: bytemuck::cast_slice(&[0.5f32]) },
        ];
        let bytes = encode_safetensors(&tensors, &Default::default()).unwrap();
        pollster::block_on(Checkpoint::of_file(Arc::new(MemoryFile::new("memory", bytes)))).unwrap()
    }

    /// All elements of a weight, read in pieces of `step` rows.
    fn read(name: &str, ty: &TensorType, step: usize) -> Vec<f32> {
        let checkpoint = checkpoint();
        let cols = extents(ty).1;
        let mut all = Vec::new();
        for source in sources(&checkpoint, name, ty).unwrap() {
            for row in (0..source.rows()).step_by(step) {
                let mut values = vec![-1.0; step.min(source.rows() - row) * cols];
                pollster::block_on(source.read(&checkpoint, row * cols, &mut values)).unwrap();
                all.extend(values);
            }
        }
        all
    }

    #[test]
    fn parts_are_read_in_their_order() {
        let panels = |n, k| TensorType::panels(DType::F32, n, k);
        for step in [1, 5, 64] {
            assert_eq!(read("rows(w,2,2)+zeros(1)", &panels(3, 2), step), [4.0, 5.0, 6.0, 7.0, 0.0, 0.0]);
            // Two groups of three parts of two rows.
            let sorted = read("sorted(b,3,2)", &TensorType::f32(&[12]), step);
            assert_eq!(
                sorted.iter().map(|v| v - 100.0).collect::<Vec<_>>(),
                [0.0, 1.0, 6.0, 7.0, 2.0, 3.0, 8.0, 9.0, 4.0, 5.0, 10.0, 11.0]
            );
            let sorted = read("sorted(w,3,2)", &panels(12, 2), step);
            assert_eq!(sorted[4..8], [12.0, 13.0, 14.0, 15.0]);
            assert_eq!(read("every(b,1,3,2)", &TensorType::f32(&[4]), step), [102.0, 103.0, 108.0, 109.0]);
            assert_eq!(read("every(w,2,3,2)", &panels(4, 2), step), [8.0, 9.0, 10.0, 11.0, 20.0, 21.0, 22.0, 23.0]);
            let planar = read("planar(d,3)", &panels(4, 6), step);
            assert_eq!(planar[..12], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
            let transposed = read("transposed(w)", &panels(2, 12), step);
            assert_eq!(transposed[..12], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0]);
            assert_eq!(transposed[12..14], [1.0, 3.0]);
            assert_eq!(read("rows(w,11,1)", &TensorType::f32(&[2]), step), [22.0, 23.0]);
            assert_eq!(
                read("flat(w)+zeros(1)", &panels(5, 6), step)[18..],
                [18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
            );
            assert_eq!(
                read("gate(g,3)+zeros(1)", &TensorType::f32(&[4]), step),
                [0.5f32.tanh(), 0.5f32.tanh(), 0.5f32.tanh(), 0.0]
            );
            // 0 + 2 and 1 + 3, then 4 + 6 and 5 + 7, ..
            let summed: Vec<f32> = (0..6).flat_map(|i| [8 * i + 2, 8 * i + 4]).map(|v| v as f32).collect();
            assert_eq!(read("frames(c)", &panels(2, 6), step), summed);
            let doubled: Vec<f32> = (0..24).map(|v| (2 * v) as f32).collect();
            assert_eq!(read("added(w,w)", &panels(12, 2), step), doubled);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let checkpoint = checkpoint();
        let refused = |name: &str, ty: TensorType| {
            let found = sources(&checkpoint, name, &ty);
            assert!(matches!(found, Err(Error::WrongShape { .. })), "{name} as {ty}");
        };
        let panels = |n, k| TensorType::panels(DType::F32, n, k);
        refused("rows(w,11,2)", panels(2, 2));
        refused("rows(w,18446744073709551615,2)", panels(2, 2));
        refused("transposed(w)", panels(12, 2));
        refused("transposed(b)", panels(1, 12));
        refused("sorted(w,5,2)", panels(12, 2));
        refused("sorted(w,0,0)", panels(12, 2));
        refused("sorted(w,3,2)", panels(12, 1));
        refused("every(w,3,3,2)", panels(4, 2));
        refused("every(w,0,3,2)", panels(12, 2));
        refused("planar(d,4)", panels(4, 6));
        refused("planar(d,3)", panels(6, 4));
        refused("w", panels(11, 2));
        refused("w", panels(12, 3));
        refused("w+zeros(18446744073709551615)", panels(12, 2));
        refused("zeros(3)", TensorType::f32(&[2]));
        refused("flat(w)", panels(5, 5));
        refused("gate(b,3)", TensorType::f32(&[3]));
        refused("gate(g,3)", panels(3, 2));
        refused("frames(w)", panels(12, 2));
        refused("frames(c)", panels(2, 12));
        refused("added(w,d)", panels(12, 2));
    }
}
