//! Header, metadata and tensor table of a GGUF file (versions 2 and 3, little endian), checked: every size against the
//! bytes that are there, before memory is taken for it.
//!
//! Layout: magic, version u32, counts of tensors and of metadata u64, metadata (key, type, value), tensors (name, axes with
//! the fastest first, type, offset), padding to the alignment, data.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::checkpoint::read::ReadAt;
use crate::checkpoint::{PackedTensor, Section, TensorEntry, clip};
use crate::quant::{Block, Packing};
use crate::{DType, Error, Result};

/// Bytes of a header that are read at first; the next try takes four times as many.
const FIRST: u64 = 1 << 20;
/// Longest header in bytes. Those of vocabularies of 260 000 tokens have 20 MB.
const MAX_HEADER: u64 = 256 << 20;
/// Most parts of a key: what is between its dots becomes objects within objects.
const MAX_PARTS: usize = 32;
/// Most axes of a tensor.
const MAX_RANK: u32 = 4;

/// A GGUF file.
#[derive(Clone)]
pub struct Gguf {
    /// The file.
    pub source: Arc<dyn ReadAt>,
    /// Metadata, keys taken apart at their dots: an object of objects.
    pub metadata: Value,
    /// Tensors under the file's names, in the file's order.
    pub tensors: Vec<TensorEntry>,
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gguf({}, {} tensors)", self.source.name(), self.tensors.len())
    }
}

impl Gguf {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a file that breaks the format or lies about sizes; [`Error::Unsupported`] for versions,
    /// byte orders and types of tensors that are not read, by name; [`Error::Io`].
    pub async fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let whole = source.len().min(MAX_HEADER);
        let mut length = FIRST.min(whole);
        loop {
            let parsed = match source.as_slice().and_then(|all| all.get(..whole as usize)) {
                Some(bytes) => {
                    length = whole;
                    parse(&*source, bytes)
                }
                None => {
                    let mut bytes = vec![0; length as usize];
                    source.read_at(0, &mut bytes).await?;
                    parse(&*source, &bytes)
                }
            };
            match parsed {
                Err(Stop::Short) if length < whole => length = (length * 4).min(whole),
                Err(Stop::Short) => {
                    return Err(Error::malformed(source.name(), "the header ends early; it is truncated"));
                }
                Err(Stop::Wrong(error)) => return Err(error),
                Ok((metadata, tensors)) => return Ok(Self { source, metadata, tensors }),
            }
        }
    }
}

/// Why a header was not parsed.
enum Stop {
    /// More bytes are needed.
    Short,
    Wrong(Error),
}

type Parsed<T> = std::result::Result<T, Stop>;

/// Bytes of the header that are still to come.
struct Bytes<'b> {
    file: &'b str,
    all: &'b [u8],
    at: usize,
}

impl<'b> Bytes<'b> {
    fn wrong<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err(Stop::Wrong(Error::malformed(self.file, reason)))
    }
    fn take(&mut self, count: u64) -> Parsed<&'b [u8]> {
        if count > MAX_HEADER {
            return self.wrong(format!("a value of {count} bytes in the header"));
        }
        let bytes = self.all.get(self.at..).and_then(|rest| rest.get(..count as usize)).ok_or(Stop::Short)?;
        self.at += bytes.len();
        Ok(bytes)
    }
    fn number<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64)?);
        Ok(bytes)
    }
    fn u32(&mut self) -> Parsed<u32> {
        self.number().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Parsed<u64> {
        self.number().map(u64::from_le_bytes)
    }
    /// A text; bytes that are no UTF-8 are replaced, as in tokens that are halves of characters.
    fn text(&mut self) -> Parsed<String> {
        let length = self.u64()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
    fn value(&mut self, kind: u32, key: &str) -> Parsed<Value> {
        Ok(match kind {
            0 => json!(self.number::<1>()?[0]),
            1 => json!(self.number::<1>()?[0] as i8),
            2 => json!(self.number().map(u16::from_le_bytes)?),
            3 => json!(self.number().map(i16::from_le_bytes)?),
            4 => json!(self.u32()?),
            5 => json!(self.number().map(i32::from_le_bytes)?),
            6 => json!(self.number().map(f32::from_le_bytes)?),
            7 => json!(self.number::<1>()?[0] != 0),
            8 => json!(self.text()?),
            10 => json!(self.u64()?),
            11 => json!(self.number().map(i64::from_le_bytes)?),
            12 => json!(self.number().map(f64::from_le_bytes)?),
            9 => {
                let (inner, count) = (self.u32()?, self.u64()?);
                if inner == 9 {
                    return self.wrong(format!("`{}` is a list of lists", clip(key)));
                }
                // Every element has a byte at least: the list cannot be longer than the header.
                if count > MAX_HEADER {
                    return self.wrong(format!("`{}` is a list of {count} values", clip(key)));
                }
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.value(inner, key)?);
                }
                Value::Array(list)
            }
            other => return self.wrong(format!("`{}` is of unknown type {other}", clip(key))),
        })
    }
}

/// Puts a value under a key with dots. Where a key is both a value and the front of others, the first one stays.
fn insert(object: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        Some((front, rest)) if !front.is_empty() && !rest.is_empty() => {
            if let Value::Object(inner) = object.entry(front).or_insert_with(|| json!({})) {
                insert(inner, rest, value);
            }
        }
        _ => {
            object.entry(key).or_insert(value);
        }
    }
}

fn parse(source: &dyn ReadAt, bytes: &[u8]) -> Parsed<(Value, Vec<TensorEntry>)> {
    let mut bytes = Bytes { file: source.name(), all: bytes, at: 0 };
    if bytes.take(4)? != b"GGUF" {
        return bytes.wrong("does not begin with GGUF");
    }
    let version = bytes.u32()?;
    if !matches!(version, 2 | 3) {
        let what =
            if matches!(version.swap_bytes(), 1..=3) { "big endian".into() } else { format!("version {version}") };
        return Err(Stop::Wrong(Error::unsupported(
            format!("{}: {what}", source.name()),
            "versions 2 and 3, little endian, are",
        )));
    }
    let (tensors, keys) = (bytes.u64()?, bytes.u64()?);
    let mut metadata = Map::new();
    // A key takes 12 bytes at least, so that a lying count ends with the file.
    for _ in 0..keys {
        let key = bytes.text()?;
        let parts = key.split('.').count();
        if parts > MAX_PARTS {
            return bytes.wrong(format!("key `{}` has {parts} parts", clip(&key)));
        }
        let kind = bytes.u32()?;
        let value = bytes.value(kind, &key)?;
        insert(&mut metadata, &key, value);
    }
    let mut infos = Vec::new();
    for _ in 0..tensors {
        infos.push(info(&mut bytes)?);
    }
    let alignment = metadata.get("general").and_then(|g| g.get("alignment")).map_or(Some(32), Value::as_u64);
    let Some(alignment) = alignment.filter(|a| a.is_power_of_two() && (8..=1 << 20).contains(a)) else {
        return bytes.wrong("general.alignment is no power of two from 8 on");
    };
    let start = (bytes.at as u64).next_multiple_of(alignment);
    let entries = entries(source, infos, start, alignment).map_err(Stop::Wrong)?;
    Ok((Value::Object(metadata), entries))
}

struct Info {
    name: String,
    /// Fastest first.
    axes: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn info(bytes: &mut Bytes<'_>) -> Parsed<Info> {
    let name = bytes.text()?;
    let rank = bytes.u32()?;
    if rank == 0 || rank > MAX_RANK {
        return bytes.wrong(format!("tensor `{}` has {rank} axes", clip(&name)));
    }
    let mut axes = Vec::new();
    for _ in 0..rank {
        axes.push(bytes.u64()?);
    }
    Ok(Info { name, axes, kind: bytes.u32()?, offset: bytes.u64()? })
}

/// How the tensors of a type are stored.
enum Kind {
    Plain(DType),
    Blocks(Block),
    Unread(&'static str),
}

fn kind(code: u32) -> Option<Kind> {
    Some(match code {
        0 => Kind::Plain(DType::F32),
        1 => Kind::Plain(DType::F16),
        2 => Kind::Blocks(Block::Q4_0),
        3 => Kind::Blocks(Block::Q4_1),
        6 => Kind::Blocks(Block::Q5_0),
        7 => Kind::Blocks(Block::Q5_1),
        8 => Kind::Blocks(Block::Q8_0),
        10 => Kind::Blocks(Block::Q2K),
        11 => Kind::Blocks(Block::Q3K),
        12 => Kind::Blocks(Block::Q4K),
        13 => Kind::Blocks(Block::Q5K),
        14 => Kind::Blocks(Block::Q6K),
        20 => Kind::Blocks(Block::Iq4Nl),
        23 => Kind::Blocks(Block::Iq4Xs),
        24 => Kind::Plain(DType::I8),
        25 => Kind::Plain(DType::I16),
        26 => Kind::Plain(DType::I32),
        27 => Kind::Plain(DType::I64),
        28 => Kind::Plain(DType::F64),
        30 => Kind::Plain(DType::BF16),
        34 => Kind::Blocks(Block::Tq1_0),
        35 => Kind::Blocks(Block::Tq2_0),
        39 => Kind::Blocks(Block::Mxfp4),
        40 => Kind::Blocks(Block::Nvfp4),
        41 => Kind::Blocks(Block::Q1_0),
        9 => Kind::Unread("q8_1"),
        15 => Kind::Unread("q8_k"),
        16 => Kind::Unread("iq2_xxs"),
        17 => Kind::Unread("iq2_xs"),
        18 => Kind::Unread("iq3_xxs"),
        19 => Kind::Unread("iq1_s"),
        21 => Kind::Unread("iq3_s"),
        22 => Kind::Unread("iq2_s"),
        29 => Kind::Unread("iq1_m"),
        _ => return None,
    })
}

fn entries(source: &dyn ReadAt, infos: Vec<Info>, start: u64, alignment: u64) -> Result<Vec<TensorEntry>> {
    let mut entries = Vec::new();
    for info in infos {
        entries.push(entry(source, info, start, alignment)?);
    }
    let mut order: Vec<(u64, u64, &str)> =
        entries.iter().map(|(e, bytes)| (e.offset, *bytes, e.name.as_str())).collect();
    order.sort_unstable();
    if let Some(pair) = order.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        let reason = format!("the data of `{}` and `{}` overlap", clip(pair[0].2), clip(pair[1].2));
        return Err(Error::malformed(source.name(), reason));
    }
    Ok(entries.into_iter().map(|(entry, _)| entry).collect())
}

/// A tensor, with its bytes in the file.
fn entry(source: &dyn ReadAt, info: Info, start: u64, alignment: u64) -> Result<(TensorEntry, u64)> {
    let Info { name, axes, kind: code, offset } = info;
    let wrong = |reason: String| Error::malformed(source.name(), format!("tensor `{}`: {reason}", clip(&name)));
    let kind = match kind(code) {
        Some(Kind::Unread(format)) => {
            let what = format!("{}: tensor `{}` of type {format}", source.name(), clip(&name));
            return Err(Error::unsupported(what, "its codes name points of a table that is not there yet"));
        }
        Some(kind) => kind,
        None => return Err(wrong(format!("unknown type {code}"))),
    };
    let elements = axes.iter().try_fold(1u64, |n, axis| n.checked_mul((*axis).max(1)));
    let elements = elements.filter(|n| *n < 1 << 48 && !axes.contains(&0));
    let elements = elements.ok_or_else(|| wrong(format!("axes {axes:?} have no or absurdly many elements")))?;
    let (dtype, block) = match kind {
        Kind::Plain(dtype) => (dtype, None),
        Kind::Blocks(block) => (DType::F32, Some(block)),
        Kind::Unread(_) => return Err(wrong("is not read".into())),
    };
    let stored = match block {
        None => elements * dtype.size() as u64,
        Some(block) if axes[0] % block.values() as u64 != 0 => {
            return Err(wrong(format!("rows of {} are no whole blocks of {}", axes[0], block.name())));
        }
        Some(block) => elements / block.values() as u64 * block.bytes() as u64,
    };
    if offset % alignment != 0 {
        return Err(wrong(format!("data at {offset} is not aligned to {alignment}")));
    }
    let end = start.checked_add(offset).and_then(|at| at.checked_add(stored));
    if end.is_none_or(|end| end > source.len()) {
        let reason =
            format!("{stored} bytes from {offset} on reach beyond the end of the file; it is truncated or lies");
        return Err(wrong(reason));
    }
    let packed = block.map(|block| PackedTensor {
        packing: Packing::Block(block),
        sections: vec![Section::Stored { file: 0, offset: start + offset, bytes: stored }],
    });
    let shape = axes.iter().rev().map(|axis| *axis as usize).collect();
    let bytes = elements * dtype.size() as u64;
    Ok((
        TensorEntry { stored: name.clone(), name, dtype, shape, file: 0, offset: start + offset, bytes, packed },
        stored,
    ))
}
