//! The header of a safetensors file, checked.
//!
//! Layout: `u64` little-endian length n, n bytes of JSON `{name: {dtype, shape, data_offsets: [begin, end]}}`, data.
//! The parser is ours and not that of crate `safetensors`: that one wants the whole file as one slice (a browser has
//! only pieces), reads names into a map (a duplicate disappears), counts in `usize` (32 bits on the web) and its errors
//! do not name the tensor. Tests hold the two against each other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};

use super::clip;
use super::read::{ReadAt, check_range};
use crate::{DType, Error, Result};

/// Longest header in bytes, as the reference implementation has it.
const MAX_HEADER: u64 = 100_000_000;
/// Most axes of a tensor.
const MAX_RANK: usize = 32;

/// One tensor as the header has it, its offset counted from the start of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeaderTensor {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub offset: u64,
    pub bytes: u64,
    /// Floats e4m3fn; the type above is that of their bytes.
    pub e4m3: bool,
}

/// A checked header: tensors in the order of their data.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Header {
    pub tensors: Vec<HeaderTensor>,
    pub metadata: BTreeMap<String, String>,
}

/// Reads and checks the header of `source`. Memory taken is in proportion to the header's own bytes.
pub(crate) async fn read_header(source: &dyn ReadAt) -> Result<Header> {
    let file = source.name();
    if source.len() < 8 {
        let reason = format!("{} bytes, too short for a safetensors file; it is truncated", source.len());
        return Err(Error::malformed(file, reason));
    }
    let mut start = [0; 8];
    source.read_at(0, &mut start).await?;
    let length = header_length(file, start, source.len())?;
    let data = source.len() - 8 - length;
    let size = length as usize;
    check_range(source, 8, size)?;
    if let Some(bytes) = source.as_slice().and_then(|all| all.get(8..8 + size)) {
        return parse_header(file, bytes, 8 + length, data);
    }
    let mut bytes = vec![0; size];
    source.read_at(8, &mut bytes).await?;
    parse_header(file, &bytes, 8 + length, data)
}

fn header_length(file: &str, start: [u8; 8], total: u64) -> Result<u64> {
    if &start == b"version " {
        let reason = "this is a git-lfs pointer, not the weights; run `git lfs pull` in that folder";
        return Err(Error::malformed(file, reason));
    }
    let length = u64::from_le_bytes(start);
    if length > MAX_HEADER {
        let reason = format!("header of {length} bytes, more than {MAX_HEADER}; this is not a safetensors file");
        return Err(Error::malformed(file, reason));
    }
    if length > total - 8 {
        let reason = format!("header of {length} bytes in a file of {total}; the file is truncated");
        return Err(Error::malformed(file, reason));
    }
    Ok(length)
}

/// Checks the JSON of a header whose data begins at `start` and has `data` bytes.
pub(crate) fn parse_header(file: &str, json: &[u8], start: u64, data: u64) -> Result<Header> {
    let mut json_reader = serde_json::Deserializer::from_slice(json);
    let broken = |error: serde_json::Error| Error::malformed(file, format!("header: {error}"));
    let raw = RawHeader::deserialize(&mut json_reader).map_err(broken)?;
    json_reader.end().map_err(broken)?;
    check_names(file, &raw)?;
    let mut tensors = Vec::with_capacity(raw.tensors.len());
    for (name, tensor) in raw.tensors {
        tensors.push(check_tensor(file, name, &tensor, start, data)?);
    }
    tensors.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
    check_cover(file, &tensors, start, data)?;
    Ok(Header { tensors, metadata: raw.metadata })
}

fn check_tensor(file: &str, name: String, raw: &RawTensor<'_>, start: u64, data: u64) -> Result<HeaderTensor> {
    let wrong = |reason: String| Error::malformed(file, format!("tensor `{}`: {reason}", clip(&name)));
    // Floats of 8 bits are read where they are matrices: as weights.
    let e4m3 = raw.dtype == "F8_E4M3" && raw.shape.len() == 2;
    let dtype = if e4m3 { DType::U8 } else { dtype(file, &name, &raw.dtype)? };
    let [begin, end] = raw.data_offsets;
    if begin > end {
        return Err(wrong(format!("data begins at {begin} and ends before that, at {end}")));
    }
    if end > data {
        return Err(wrong(format!("data ends at {end}, the file has {data} bytes of data; it is truncated or lies")));
    }
    if raw.shape.len() > MAX_RANK {
        return Err(wrong(format!("{} axes, more than {MAX_RANK}", raw.shape.len())));
    }
    // An empty axis may not hide an absurd one: later code multiplies some of the axes only.
    let span = raw.shape.iter().try_fold(dtype.size() as u64, |n, axis| n.checked_mul((*axis).max(1)));
    let span = span.filter(|span| usize::try_from(*span).is_ok() && *span <= i64::MAX as u64);
    let Some(span) = span else {
        return Err(wrong(format!("shape {:?} has more elements than any memory", raw.shape)));
    };
    let bytes = if raw.shape.contains(&0) { 0 } else { span };
    if bytes != end - begin {
        let found = end - begin;
        return Err(wrong(format!("{dtype} {:?} takes {bytes} bytes, the header gives it {found}", raw.shape)));
    }
    let shape = raw.shape.iter().map(|axis| *axis as usize).collect();
    Ok(HeaderTensor { dtype, shape, offset: start + begin, bytes, name, e4m3 })
}

fn check_names(file: &str, raw: &RawHeader<'_>) -> Result<()> {
    let mut names: Vec<&str> = raw.tensors.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::malformed(file, format!("tensor `{}` is there twice", clip(pair[0])))),
        None => Ok(()),
    }
}

/// Tensors must cover the data without overlap and without holes, in which anything could hide.
fn check_cover(file: &str, tensors: &[HeaderTensor], start: u64, data: u64) -> Result<()> {
    let mut at = start;
    for tensor in tensors {
        let name = clip(&tensor.name);
        if tensor.offset < at {
            let reason = format!("tensor `{name}`: its data overlaps another tensor's by {} bytes", at - tensor.offset);
            return Err(Error::malformed(file, reason));
        }
        if tensor.offset > at {
            let reason = format!("tensor `{name}`: {} bytes before it belong to no tensor", tensor.offset - at);
            return Err(Error::malformed(file, reason));
        }
        at += tensor.bytes;
    }
    let rest = start + data - at;
    if rest > 0 {
        return Err(Error::malformed(file, format!("{rest} bytes at the end belong to no tensor")));
    }
    Ok(())
}

fn dtype(file: &str, tensor: &str, name: &str) -> Result<DType> {
    Ok(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "I8" => DType::I8,
        "U64" => DType::U64,
        "U32" => DType::U32,
        "U16" => DType::U16,
        "U8" => DType::U8,
        "BOOL" => DType::Bool,
        // Types that the format has and we do not, yet.
        "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" | "F6_E2M3" | "F6_E3M2" | "F4" | "C64" => {
            let what = format!("{file}: tensor `{}` of type {name}", clip(tensor));
            return Err(Error::unsupported(
                what,
                "types read: F64 F32 F16 BF16, I and U of 8 to 64 bits, BOOL, matrices of F8_E4M3",
            ));
        }
        _ => {
            let reason = format!("tensor `{}`: unknown type `{}`", clip(tensor), clip(name));
            return Err(Error::malformed(file, reason));
        }
    })
}

pub(crate) fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U64 => "U64",
        DType::U32 => "U32",
        DType::U16 => "U16",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    }
}

#[derive(Deserialize)]
struct RawTensor<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The header as written: pairs in file order, so that duplicates are seen.
struct RawHeader<'a> {
    tensors: Vec<(String, RawTensor<'a>)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut header = RawHeader { tensors: Vec::new(), metadata: BTreeMap::new() };
        let mut with_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut with_metadata, true) {
                    return Err(A::Error::duplicate_field("__metadata__"));
                }
                header.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
                continue;
            }
            let tensor = map.next_value().map_err(|e| A::Error::custom(format!("tensor `{}`: {e}", clip(&name))))?;
            header.tensors.push((name, tensor));
        }
        Ok(header)
    }
}
