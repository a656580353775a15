//! Typed reading of JSON fields, with errors that name file and field. `null` counts as absent.

use crate::{Error, Result};
use serde_json::Value;

/// An object of a JSON file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    /// File, for messages.
    pub path: &'a str,
    object: &'a serde_json::Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(path: &'a str, value: &'a Value) -> Result<Self> {
        let object = value.as_object().ok_or_else(|| Error::malformed(path, "not a JSON object"))?;
        Ok(Self { path, object })
    }
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|v| !v.is_null())
    }
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.object.keys().map(String::as_str)
    }
    pub(super) fn wrong(&self, name: &str, wanted: &str) -> Error {
        let got = self.get(name).map(Value::to_string).unwrap_or_default();
        let short: String = got.chars().take(60).collect();
        Error::malformed(self.path, format!("`{name}` is {short}, expected {wanted}"))
    }
    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>> {
        let read = |v: &Value| v.as_bool().ok_or_else(|| self.wrong(name, "true or false"));
        self.get(name).map(read).transpose()
    }
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let read = |v: &'a Value| v.as_str().ok_or_else(|| self.wrong(name, "a string"));
        self.get(name).map(read).transpose()
    }
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        let read = |v: &Value| v.as_f64().filter(|n| n.is_finite()).ok_or_else(|| self.wrong(name, "a number"));
        self.get(name).map(read).transpose()
    }
    /// Three numbers; one number stands for three.
    pub(super) fn colour(&self, name: &str) -> Result<Option<[f64; 3]>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let numbers = match value {
            Value::Array(list) => list.iter().map(Value::as_f64).collect::<Option<Vec<_>>>(),
            other => other.as_f64().map(|n| vec![n; 3]),
        };
        let three = numbers.and_then(|n| <[f64; 3]>::try_from(n).ok());
        three.map(Some).ok_or_else(|| self.wrong(name, "one number or three"))
    }
    /// A whole number.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>> {
        // Python writes some counts as floats: 1e6.
        let whole = |n: f64| n.fract() == 0.0 && (0.0..9e15).contains(&n);
        let read = |v: &Value| v.as_u64().or_else(|| v.as_f64().filter(|n| whole(*n)).map(|n| n as u64));
        let number = |v: &Value| read(v).ok_or_else(|| self.wrong(name, "a whole number"));
        self.get(name).map(number).transpose()
    }
    /// A length from 1 to 2^26: a number, or equal numbers of a list or of an object's height and width.
    pub(super) fn side(&self, name: &str) -> Result<Option<u32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let sides = match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(size) => size.get("height").into_iter().chain(size.get("width")).collect(),
            number => vec![number],
        };
        let length = |v: &&Value| v.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=MAX_SIDE).contains(n));
        let lengths: Option<Vec<u32>> = sides.iter().map(length).collect();
        match lengths.as_deref() {
            Some([first, rest @ ..]) if rest.iter().all(|side| side == first) => Ok(Some(*first)),
            _ => Err(self.wrong(name, "one length in pixels")),
        }
    }
    /// An object within this one.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>> {
        self.get(name).map(|value| Fields::new(self.path, value)).transpose()
    }
    /// `size` of an image processor: one number is a shortest edge.
    pub(super) fn size(&self) -> Result<Sides> {
        match self.get("size") {
            Some(Value::Object(_)) => {}
            Some(Value::Array(_) | Value::Number(_)) => {
                return Ok(Sides { shortest: self.side("size")?, ..Sides::default() });
            }
            Some(_) => return Err(self.wrong("size", "a number or an object")),
            None => return Ok(Sides::default()),
        }
        let Some(size) = self.object("size")? else { return Ok(Sides::default()) };
        let (shortest, longest) = (size.side("shortest_edge")?, size.side("longest_edge")?);
        Ok(Sides { shortest, longest, height: size.side("height")?, width: size.side("width")? })
    }
    /// A list of pairs of lengths.
    pub(super) fn pairs(&self, name: &str) -> Result<Option<Vec<(u32, u32)>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let length = |v: &Value| v.as_u64().filter(|n| *n <= u64::from(MAX_SIDE)).map(|n| n as u32);
        let pair = |v: &Value| match v.as_array().map(Vec::as_slice) {
            Some([a, b]) => Some((length(a)?, length(b)?)),
            _ => None,
        };
        let list = value.as_array().filter(|list| list.len() <= MAX_PAIRS);
        let pairs = list.and_then(|list| list.iter().map(pair).collect());
        pairs.map(Some).ok_or_else(|| self.wrong(name, "a list of up to 4096 pairs of lengths"))
    }
}

/// Longest length that is read.
const MAX_SIDE: u32 = 1 << 26;
/// Longest list of pairs that is read.
const MAX_PAIRS: usize = 4096;

/// What `size` may say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sides {
    pub shortest: Option<u32>,
    pub longest: Option<u32>,
    pub height: Option<u32>,
    pub width: Option<u32>,
}

impl Sides {
    /// (width, height), if both are stated.
    pub(super) fn exact(&self) -> Option<(u32, u32)> {
        self.width.zip(self.height)
    }
}
