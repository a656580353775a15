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
}
