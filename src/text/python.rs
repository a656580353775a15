//! Python inside chat templates: methods of strings, lists and dicts, and `tojson`.
//!
//! Here: what templates call and `minijinja` lacks or does differently from Python. Not here: the environment they
//! are registered in (`template`). Sources: the Python library reference (str, json) and transformers' `tojson`.

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Name of the variable that holds the sentinel of a guarded rendering.
pub(super) const SENTINEL: &str = "__sentinel__";

/// Methods on values, looked up before those of `minijinja_contrib`.
pub(super) fn call_method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str()
        && let Some(result) = string_method(text, method, args)
    {
        return result;
    }
    match (value.kind(), method) {
        (ValueKind::Map | ValueKind::Seq, "copy") => {
            let () = from_args(args)?;
            Ok(value.clone())
        }
        (ValueKind::Seq, "index") => {
            let (what,): (&Value,) = from_args(args)?;
            for (at, item) in value.try_iter()?.enumerate() {
                if item == *what {
                    return Ok(Value::from(at));
                }
            }
            Err(invalid(format!("{what:?} is not in list")))
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// `str.isspace` of one character: Unicode white space and the four separators U+001C to U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match method {
        "strip" => strip(text, args, true, true),
        "lstrip" => strip(text, args, true, false),
        "rstrip" => strip(text, args, false, true),
        "isspace" => no_args(args, || Value::from(!text.is_empty() && text.chars().all(is_space))),
        "title" => no_args(args, || Value::from(title(text))),
        "capitalize" => no_args(args, || Value::from(capitalize(text))),
        "swapcase" => no_args(args, || Value::from(text.chars().map(swap_case).collect::<String>())),
        "isdigit" | "isdecimal" | "isnumeric" if text.is_ascii() => {
            no_args(args, || Value::from(!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())))
        }
        "split" => split(text, args, false),
        "rsplit" => split(text, args, true),
        "splitlines" => split_lines(text, args),
        "partition" => partition(text, args, false),
        "rpartition" => partition(text, args, true),
        "removeprefix" => from_args::<(&str,)>(args).map(|(p,)| Value::from(text.strip_prefix(p).unwrap_or(text))),
        "removesuffix" => from_args::<(&str,)>(args).map(|(s,)| Value::from(text.strip_suffix(s).unwrap_or(text))),
        "index" => find_or_fail(args, |what| text.find(what), text),
        "rindex" => find_or_fail(args, |what| text.rfind(what), text),
        "zfill" => from_args::<(usize,)>(args).and_then(|(width,)| zero_fill(text, width)),
        "ljust" => justify(text, args, |_| 0),
        "rjust" => justify(text, args, |fill| fill),
        _ => return None,
    })
}

fn no_args(args: &[Value], value: impl FnOnce() -> Value) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(value())
}

fn strip(text: &str, args: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let cut = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(cut) } else { text };
    Ok(Value::from(if right { text.trim_end_matches(cut) } else { text }))
}

/// The filter `trim`, which is `str.strip` of the value as a string.
pub(super) fn trim(value: &Value, chars: Option<&str>) -> String {
    let text = value.to_string();
    let cut = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    text.trim_matches(cut).to_owned()
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    first + &chars.as_str().to_lowercase()
}

fn swap_case(c: char) -> String {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

/// `str.split` and `str.rsplit`, `sep` and `maxsplit` by position or by name.
fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (sep, max, named): (Option<&Value>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = match sep {
        Some(sep) => Some(sep.clone()),
        None => named.get::<Option<Value>>("sep")?,
    };
    let max = match max {
        Some(max) => max,
        None => named.get::<Option<i64>>("maxsplit")?.unwrap_or(-1),
    };
    named.assert_all_used()?;
    let limit = usize::try_from(max).unwrap_or(usize::MAX);
    let sep = match sep {
        Some(sep) if !sep.is_none() => {
            sep.as_str().map(str::to_owned).ok_or_else(|| invalid("sep must be a string"))?
        }
        _ => return Ok(strings(split_whitespace(text, limit, from_right))),
    };
    if sep.is_empty() {
        return Err(invalid("empty separator"));
    }
    let pieces = limit.saturating_add(1);
    let mut parts: Vec<&str> =
        if from_right { text.rsplitn(pieces, &sep).collect() } else { text.splitn(pieces, &sep).collect() };
    if from_right {
        parts.reverse();
    }
    Ok(strings(parts))
}

fn split_whitespace(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest);
            break;
        }
        let (part, next) = if from_right {
            let start = rest.char_indices().rfind(|(_, c)| is_space(*c)).map_or(0, |(at, c)| at + c.len_utf8());
            (&rest[start..], rest[..start].trim_end_matches(is_space))
        } else {
            let end = rest.find(is_space).unwrap_or(rest.len());
            (&rest[..end], rest[end..].trim_start_matches(is_space))
        };
        parts.push(part);
        rest = next;
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// Line borders of `str.splitlines`; `\r\n` is one.
fn split_lines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
    let keep = keep.map_or_else(|| named.get::<Option<bool>>("keepends"), |k| Ok(Some(k)))?.unwrap_or(false);
    named.assert_all_used()?;
    let border = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| border(*c)) {
        let end = if rest[at..].starts_with("\r\n") { at + 2 } else { at + c.len_utf8() };
        lines.push(&rest[..if keep { end } else { at }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    Ok(strings(lines))
}

fn partition(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (sep,): (&str,) = from_args(args)?;
    if sep.is_empty() {
        return Err(invalid("empty separator"));
    }
    let found = if from_right { text.rsplit_once(sep) } else { text.split_once(sep) };
    let parts = match found {
        Some((head, tail)) => [head, sep, tail],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(minijinja::value::Tuple::from(parts.map(Value::from))))
}

fn find_or_fail(args: &[Value], find: impl Fn(&str) -> Option<usize>, text: &str) -> Result<Value, Error> {
    let (what,): (&str,) = from_args(args)?;
    let at = find(what).ok_or_else(|| invalid("substring not found"))?;
    Ok(Value::from(text[..at].chars().count()))
}

/// Widest field that `zfill`, `ljust` and `rjust` fill.
const MAX_WIDTH: usize = 1 << 16;

fn fill_of(text: &str, width: usize) -> Result<usize, Error> {
    if width > MAX_WIDTH {
        return Err(invalid(format!("a field of {width} characters is too wide")));
    }
    Ok(width.saturating_sub(text.chars().count()))
}

fn zero_fill(text: &str, width: usize) -> Result<Value, Error> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let zeros = "0".repeat(fill_of(text, width)?);
    Ok(Value::from(format!("{}{zeros}{}", &text[..sign], &text[sign..])))
}

fn justify(text: &str, args: &[Value], left: impl Fn(usize) -> usize) -> Result<Value, Error> {
    let (width, with): (usize, Option<char>) = from_args(args)?;
    let fill = fill_of(text, width)?;
    let with = with.unwrap_or(' ').to_string();
    let left = left(fill);
    Ok(Value::from(format!("{}{text}{}", with.repeat(left), with.repeat(fill - left))))
}

/// How `tojson` writes: the arguments of `json.dumps` that transformers passes on.
struct JsonStyle {
    ensure_ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort_keys: bool,
    /// Passed through unescaped whatever the style: it is taken out after rendering.
    sentinel: Option<char>,
}

/// transformers' `tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`: Python's
/// `json.dumps`, no HTML escapes, keys in their order.
pub(super) fn to_json(state: &State, value: &Value, indent: Option<&Value>, named: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        Some(indent) => Some(indent.clone()),
        None => named.get::<Option<Value>>("indent")?,
    };
    let indent = match indent {
        None => None,
        Some(value) if value.is_none() => None,
        Some(value) => Some(match value.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(value)?.min(64)),
        }),
    };
    let separators: Option<Vec<String>> = named.get("separators")?;
    let (item, key) = match separators.as_deref() {
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(invalid("separators must be a pair of strings")),
    };
    let style = JsonStyle {
        ensure_ascii: named.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: named.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item,
        key,
        sentinel: state.lookup(SENTINEL).and_then(|v| v.as_str().and_then(|s| s.chars().next())),
    };
    named.assert_all_used()?;
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(out)
}

impl JsonStyle {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > 64 {
            return Err(invalid("tojson: nested too deeply"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(['[', ']'], &items, depth, out, |item, out| self.write(item, depth + 1, out))?;
            }
            ValueKind::Map => {
                let mut pairs = Vec::new();
                for key in value.try_iter()? {
                    pairs.push((json_key(&key)?, value.get_item(&key)?));
                }
                if self.sort_keys {
                    pairs.sort_by(|a, b| a.0.cmp(&b.0));
                }
                self.list(['{', '}'], &pairs, depth, out, |(key, value), out| {
                    self.string(key, out);
                    out.push_str(&self.key);
                    self.write(value, depth + 1, out)
                })?;
            }
            kind => return Err(invalid(format!("tojson: a value of type {kind} is not JSON serializable"))),
        }
        Ok(())
    }

    fn list<T>(
        &self,
        [open, close]: [char; 2],
        items: &[T],
        depth: usize,
        out: &mut String,
        write: impl Fn(&T, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                out.push_str(&self.item);
            }
            self.new_line(depth + 1, out);
            write(item, out)?;
        }
        if !items.is_empty() {
            self.new_line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && c > '~' && Some(c) != self.sentinel) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn json_key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number => Ok(number(key)),
        kind => Err(invalid(format!("tojson: keys cannot be of type {kind}"))),
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// `repr(float)`, with the names that `json.dumps` gives to what JSON lacks.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        // Python writes a sign and at least two digits of exponent.
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value:?}")
}

/// A list of strings.
fn strings(parts: Vec<&str>) -> Value {
    parts.into_iter().map(Value::from).collect()
}
