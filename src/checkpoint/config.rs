//! Configuration files: JSON with getters that take a path like `text_config.hidden_size` and name it when it is wrong.
//! A key that is absent and a key that is `null` are the same; what an absent key means is the caller's business.

use serde_json::Value;

use super::clip;
use super::read::Files;
use crate::{Error, Result};

/// Largest configuration file that is parsed, in bytes; values take tens of times that in memory.
pub const MAX_CONFIG: usize = 16 << 20;
/// Largest count that a configuration may state (layers, widths, tokens, pixels).
pub const MAX_COUNT: usize = i32::MAX as usize;

/// A JSON object of a configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    file: String,
    /// Path of this object within the file, with a dot at its end, or empty.
    front: String,
    value: Value,
}

/// A type that a configuration value can be read as.
pub trait FromConfig: Sized {
    /// What the value must be, for messages.
    const EXPECTED: &'static str;
    /// The value, if it is of that kind and within its bounds.
    fn from_config(value: &Value) -> Option<Self>;
}

impl FromConfig for usize {
    const EXPECTED: &'static str = "a whole number from 0 to 2147483647";
    fn from_config(value: &Value) -> Option<Self> {
        // Python writes some counts as floats: 1e6.
        let whole = |x: &f64| x.fract() == 0.0 && (0.0..=MAX_COUNT as f64).contains(x);
        let count = value.as_u64().or_else(|| value.as_f64().filter(whole).map(|x| x as u64))?;
        usize::try_from(count).ok().filter(|count| *count <= MAX_COUNT)
    }
}

impl FromConfig for i64 {
    const EXPECTED: &'static str = "a whole number";
    fn from_config(value: &Value) -> Option<Self> {
        let whole = |x: &f64| x.fract() == 0.0 && x.abs() < 9e15;
        value.as_i64().or_else(|| value.as_f64().filter(whole).map(|x| x as i64))
    }
}

impl FromConfig for f64 {
    const EXPECTED: &'static str = "a number";
    fn from_config(value: &Value) -> Option<Self> {
        value.as_f64().filter(|x| x.is_finite())
    }
}

impl FromConfig for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_config(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromConfig for String {
    const EXPECTED: &'static str = "a text";
    fn from_config(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromConfig for Value {
    const EXPECTED: &'static str = "a value";
    fn from_config(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl Config {
    /// Parses a file whose outermost value is an object. `file` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else, for nesting deeper than 127, and beyond [`MAX_CONFIG`] bytes.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_CONFIG {
            let reason = format!("{} bytes, a configuration has at most {MAX_CONFIG}", bytes.len());
            return Err(Error::malformed(file, reason));
        }
        let value = serde_json::from_slice(bytes).map_err(|error| Error::malformed(file, error.to_string()))?;
        Self::of_value(file, value)
    }

    /// A configuration that is in memory already.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not an object.
    pub fn of_value(file: &str, value: Value) -> Result<Self> {
        if !value.is_object() {
            return Err(Error::malformed(file, format!("expected an object, found {}", show(&value))));
        }
        Ok(Self { file: file.into(), front: String::new(), value })
    }

    /// Reads and parses the file `name` of a checkpoint; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Config::parse`] and [`Files::read`].
    pub async fn load(files: &dyn Files, name: &str) -> Result<Option<Self>> {
        match files.read(name).await? {
            Some(bytes) => Self::parse(&format!("{}/{name}", files.describe()), &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// As [`Config::load`], for a file that must be there.
    ///
    /// # Errors
    /// Also [`Error::Io`] if there is no such file.
    pub async fn need(files: &dyn Files, name: &str) -> Result<Self> {
        let missing = || Error::Io { path: format!("{}/{name}", files.describe()), reason: "no such file".into() };
        Self::load(files, name).await?.ok_or_else(missing)
    }

    /// The value at `path`; `None` if it, or an object on the way, is absent or `null`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if something on the way is no object, or the value is of another kind or absurdly large.
    pub fn optional<T: FromConfig>(&self, path: &str) -> Result<Option<T>> {
        let Some(value) = self.at(path)? else { return Ok(None) };
        T::from_config(value).map(Some).ok_or_else(|| self.wrong(path, T::EXPECTED, value))
    }

    /// The value at `path`, or `default` if it is absent.
    ///
    /// # Errors
    /// As [`Config::optional`].
    pub fn get<T: FromConfig>(&self, path: &str, default: T) -> Result<T> {
        Ok(self.optional(path)?.unwrap_or(default))
    }

    /// The value at `path`, which must be there.
    ///
    /// # Errors
    /// As [`Config::optional`], and [`Error::Malformed`] if it is absent.
    pub fn require<T: FromConfig>(&self, path: &str) -> Result<T> {
        self.optional(path)?.ok_or_else(|| self.broken(path, format!("is missing; expected {}", T::EXPECTED)))
    }

    /// A count (layers, widths, tokens), at most [`MAX_COUNT`]; `default` if it is absent.
    ///
    /// # Errors
    /// As [`Config::optional`].
    pub fn usize(&self, path: &str, default: usize) -> Result<usize> {
        self.get(path, default)
    }
    /// A finite number; `default` if it is absent.
    ///
    /// # Errors
    /// As [`Config::optional`].
    pub fn f64(&self, path: &str, default: f64) -> Result<f64> {
        self.get(path, default)
    }
    /// A flag; `default` if it is absent.
    ///
    /// # Errors
    /// As [`Config::optional`].
    pub fn bool(&self, path: &str, default: bool) -> Result<bool> {
        self.get(path, default)
    }
    /// A text; `default` if it is absent.
    ///
    /// # Errors
    /// As [`Config::optional`].
    pub fn string(&self, path: &str, default: &str) -> Result<String> {
        Ok(self.optional(path)?.unwrap_or_else(|| default.to_owned()))
    }

    /// The list at `path`; `None` if it is absent.
    ///
    /// # Errors
    /// As [`Config::optional`]; the text names the element.
    pub fn list<T: FromConfig>(&self, path: &str) -> Result<Option<Vec<T>>> {
        let Some(value) = self.at(path)? else { return Ok(None) };
        let Some(list) = value.as_array() else { return Err(self.wrong(path, "a list", value)) };
        let element =
            |(at, value)| T::from_config(value).ok_or_else(|| self.wrong(&format!("{path}[{at}]"), T::EXPECTED, value));
        list.iter().enumerate().map(element).collect::<Result<_>>().map(Some)
    }

    /// One value or a list of them, as `eos_token_id` is; empty if it is absent.
    ///
    /// # Errors
    /// As [`Config::list`].
    pub fn one_or_list<T: FromConfig>(&self, path: &str) -> Result<Vec<T>> {
        match self.at(path)? {
            Some(Value::Array(_)) => Ok(self.list(path)?.unwrap_or_default()),
            _ => Ok(self.optional(path)?.into_iter().collect()),
        }
    }

    /// The object at `path` as a configuration of its own whose messages keep the path; `None` if it is absent.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no object.
    pub fn section(&self, path: &str) -> Result<Option<Self>> {
        let Some(value) = self.at(path)? else { return Ok(None) };
        if !value.is_object() {
            return Err(self.wrong(path, "an object", value));
        }
        let front = format!("{}{path}.", self.front);
        Ok(Some(Self { file: self.file.clone(), front, value: value.clone() }))
    }

    /// The same with `value` under `key`.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.value[key] = value;
        self
    }

    /// Whether there is a value at `path` that is not `null`.
    pub fn has(&self, path: &str) -> bool {
        matches!(self.at(path), Ok(Some(_)))
    }

    /// The JSON itself.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Name of the file, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// An [`Error::Unsupported`] for the option at `path`, showing its value.
    pub fn unsupported(&self, path: &str, reason: impl Into<String>) -> Error {
        let value = self.at(path).ok().flatten().map_or("absent".to_owned(), show);
        Error::unsupported(format!("{}: {}{path} = {value}", self.file, self.front), one_line(&reason.into()))
    }

    /// An [`Error::Malformed`] that names `path`.
    pub fn broken(&self, path: &str, reason: impl std::fmt::Display) -> Error {
        Error::malformed(&self.file, one_line(&format!("{}{path} {reason}", self.front)))
    }

    fn wrong(&self, path: &str, expected: &str, found: &Value) -> Error {
        self.broken(path, format!("should be {expected}, found {}", show(found)))
    }

    fn at(&self, path: &str) -> Result<Option<&Value>> {
        let mut value = &self.value;
        let mut done = 0;
        for key in path.split('.') {
            let Some(object) = value.as_object() else {
                return Err(self.wrong(path[..done].trim_end_matches('.'), "an object", value));
            };
            match object.get(key) {
                None | Some(Value::Null) => return Ok(None),
                Some(inner) => value = inner,
            }
            done += key.len() + 1;
        }
        Ok(Some(value))
    }
}

/// A text for an error message, which is one line whatever a configuration says.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A value for an error message, short.
fn show(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".into(),
        other => clip(&other.to_string()),
    }
}
