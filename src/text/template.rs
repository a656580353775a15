//! Chat templates: Jinja, rendered as transformers' `apply_chat_template` renders it.
//!
//! Here: finding the template in a checkpoint's files, the environment (whitespace rules, functions, filters, tests
//! of Jinja2 and transformers) and rendering, plain or guarded. Not here: Python's methods and `tojson` (`python`),
//! which strings a user may not write (`guard`).

use std::fmt::Write as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, Value};
use serde_json::{Map, Value as Json};

use super::clock::CivilTime;
use super::config::TokenizerConfig;
use super::guard::{Guard, free_character, take_marks};
use super::message::{Message, Part};
use super::prompt::Prompt;
use super::python;
use crate::error::{Error, Result};

/// Instructions that one rendering may take; a conversation of a thousand messages takes a few hundred thousand.
const FUEL: u64 = 10_000_000;

/// Longest rendered text, in bytes.
const MAX_OUTPUT: usize = 64 << 20;

/// The files in which a checkpoint may keep its chat template; the first that has one wins.
#[derive(Debug, Clone, Copy, Default)]
pub struct TemplateSources<'a> {
    /// `chat_template.jinja`: the template itself.
    pub jinja: Option<&'a [u8]>,
    /// `chat_template.json`: `{"chat_template": ...}`.
    pub json: Option<&'a [u8]>,
    /// `tokenizer_config.json`: its `chat_template`; also the source of `bos_token` and the like.
    pub tokenizer_config: Option<&'a [u8]>,
    /// `special_tokens_map.json`, used as the tokenizer uses it.
    pub special_tokens_map: Option<&'a [u8]>,
}

/// A checkpoint's chat template, or several by name.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    /// Name and source.
    templates: Vec<(String, String)>,
    /// `bos_token`, `eos_token`, ... as the template sees them.
    special_tokens: Map<String, Json>,
}

/// How to render.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// Ends the text with the beginning of the assistant's turn.
    pub add_generation_prompt: bool,
    /// Tools as JSON schemas; `None` is Python's `None`.
    pub tools: Option<Vec<Json>>,
    /// Documents of retrieval templates.
    pub documents: Option<Vec<Json>>,
    /// Further variables of the template, e.g. `enable_thinking`. They are the caller's and count as trusted.
    pub variables: Map<String, Json>,
    /// Template of a checkpoint with several; else `tool_use` when there are tools, else `default`.
    pub template: Option<String>,
    /// What `strftime_now` says; without it the system's clock in UTC (on the web: an error).
    pub now: Option<CivilTime>,
}

impl ChatTemplate {
    /// Finds the chat template; `None` if no source has one.
    ///
    /// # Errors
    /// [`Error::Malformed`] for files that are not what they should be.
    pub fn from_bytes(sources: TemplateSources<'_>) -> Result<Option<Self>> {
        let config = TokenizerConfig::from_bytes(sources.tokenizer_config, sources.special_tokens_map)?;
        let special_tokens = config.template_variables();
        if let Some(bytes) = sources.jinja {
            let source =
                std::str::from_utf8(bytes).map_err(|e| Error::malformed("chat_template.jinja", e.to_string()))?;
            return Ok(Some(Self { templates: vec![("default".into(), source.to_owned())], special_tokens }));
        }
        for (bytes, path) in [(sources.json, "chat_template.json"), (sources.tokenizer_config, "tokenizer_config.json")]
        {
            let Some(bytes) = bytes else { continue };
            let file: Map<String, Json> =
                serde_json::from_slice(bytes).map_err(|e| Error::malformed(path, e.to_string()))?;
            let templates = named_templates(file.get("chat_template"), path)?;
            if !templates.is_empty() {
                return Ok(Some(Self { templates, special_tokens }));
            }
        }
        Ok(None)
    }

    /// Names of the templates; a single template is `default`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.templates.iter().map(|t| t.0.as_str())
    }

    /// Renders a conversation, every text of which counts as trusted: exactly transformers' string. For text that a
    /// user wrote, [`ChatTemplate::render_guarded`].
    ///
    /// # Errors
    /// [`Error::Template`] with the template's own words when it refuses the conversation, or with the reason why it
    /// cannot be run.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String> {
        let messages = messages.iter().map(Message::to_json).collect();
        self.run(messages, options.tools.clone(), options.documents.clone(), options, None)
    }

    /// Renders a conversation in which messages, tools and documents may hold a user's text. The text is that of
    /// [`ChatTemplate::render`], but protected strings (special tokens, placeholders) that stand in a message are
    /// literal in the prompt, and a template that looks for them in a message does not find them.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn render_guarded(&self, messages: &[Message], options: &RenderOptions, guard: &Guard) -> Result<Prompt> {
        let messages: Vec<Json> = messages.iter().map(Message::to_json).collect();
        let mut texts: Vec<&str> = self.templates.iter().map(|t| t.1.as_str()).collect();
        let untrusted = [Some(&messages), options.tools.as_ref(), options.documents.as_ref()];
        untrusted.into_iter().flatten().flatten().for_each(|json| strings(json, &mut texts));
        self.special_tokens.values().chain(options.variables.values()).for_each(|json| strings(json, &mut texts));
        let sentinel = free_character(texts.into_iter())?;

        let mark_all = |list: &Vec<Json>| list.iter().map(|json| guard.mark_json(json, sentinel)).collect::<Vec<_>>();
        let mut marked = mark_all(&messages);
        for (message, original) in marked.iter_mut().zip(&messages) {
            // Templates build special tokens around roles (`<|user|>`): only whole protected strings count there.
            if let (Json::Object(message), Some(role)) = (message, original.get("role").and_then(Json::as_str)) {
                message.insert("role".into(), Json::from(guard.mark(role, sentinel, false)));
            }
        }
        let tools = options.tools.as_ref().map(mark_all);
        let documents = options.documents.as_ref().map(mark_all);
        let text = self.run(marked, tools, documents, options, Some(sentinel))?;
        Ok(take_marks(&text, sentinel))
    }

    /// Whether the template takes contents in parts, as those of multimodal models do; those of language models take one
    /// text a message, and fail at parts or print them as a list.
    pub fn takes_parts(&self, options: &RenderOptions) -> bool {
        const PROBE: &str = "a probe";
        let asked = Message::parts("user", vec![Part::Text(PROBE.into())]);
        let quoted = |text: &str| ['\'', '"'].iter().any(|q| text.contains(&format!("{q}{PROBE}{q}")));
        self.render(&[asked], options).is_ok_and(|text| text.contains(PROBE) && !quoted(&text))
    }

    /// As [`ChatTemplate::render_guarded`], for a template that takes one text a message: its parts are put together, and
    /// the trusted text `image(n)` stands where the n-th picture is.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn render_flat(
        &self,
        messages: &[Message],
        options: &RenderOptions,
        guard: &Guard,
        image: impl FnMut(usize) -> String,
    ) -> Result<Prompt> {
        let sources: Vec<Json> = messages.iter().map(Message::to_json).collect();
        let mut texts: Vec<&str> = self.templates.iter().map(|t| t.1.as_str()).collect();
        sources.iter().for_each(|json| strings(json, &mut texts));
        let picture = free_character(texts.into_iter())?.to_string();
        let flat: Vec<Message> = messages.iter().map(|message| message.flat(&picture)).collect();
        Ok(self.render_guarded(&flat, options, guard)?.replace_each(&picture, image))
    }

    fn run(
        &self,
        messages: Vec<Json>,
        tools: Option<Vec<Json>>,
        documents: Option<Vec<Json>>,
        options: &RenderOptions,
        sentinel: Option<char>,
    ) -> Result<String> {
        let source = accept_generation_blocks(self.source(options)?);
        let env = environment(options.now);
        let template = env.template_from_named_str("chat_template", &source).map_err(template_error)?;
        let mut variables = self.special_tokens.clone();
        variables.extend(options.variables.clone());
        let list = |list: Option<Vec<Json>>| list.map_or(Json::Null, Json::Array);
        variables.insert("messages".into(), Json::Array(messages));
        variables.insert("tools".into(), list(tools));
        variables.insert("documents".into(), list(documents));
        variables.insert("add_generation_prompt".into(), Json::Bool(options.add_generation_prompt));
        if let Some(sentinel) = sentinel {
            variables.insert(python::SENTINEL.into(), Json::from(sentinel.to_string()));
        }
        let mut out = Bounded(Vec::new());
        template.render_captured_to(Value::from(Serde(variables)), &mut out).map_err(template_error)?;
        String::from_utf8(out.0).map_err(|e| Error::Template { reason: e.to_string() })
    }

    fn source(&self, options: &RenderOptions) -> Result<&str> {
        let find = |name: &str| self.templates.iter().find(|t| t.0 == name).map(|t| t.1.as_str());
        let found = match &options.template {
            Some(name) => find(name),
            None => options.tools.as_ref().and_then(|_| find("tool_use")).or_else(|| find("default")),
        };
        found.ok_or_else(|| {
            let wanted = options.template.as_deref().unwrap_or("default");
            let names: Vec<&str> = self.names().collect();
            Error::Template { reason: format!("there is no template `{wanted}`; there are: {}", names.join(", ")) }
        })
    }
}

/// A template text, or a list of `{"name", "template"}`.
fn named_templates(value: Option<&Json>, path: &str) -> Result<Vec<(String, String)>> {
    match value {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::String(source)) => Ok(vec![("default".to_owned(), source.clone())]),
        Some(Json::Array(list)) => list
            .iter()
            .map(|entry| {
                let field = |name: &str| entry.get(name).and_then(Json::as_str).map(str::to_owned);
                field("name").zip(field("template"))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Error::malformed(path, "an entry of chat_template has no name or no template")),
        Some(Json::Object(map)) => map
            .iter()
            .map(|(name, source)| Some((name.clone(), source.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .ok_or_else(|| Error::malformed(path, "a named chat_template is not a string")),
        Some(_) => Err(Error::malformed(path, "chat_template is neither a string nor a list")),
    }
}

/// All strings of a JSON value.
fn strings<'j>(json: &'j Json, out: &mut Vec<&'j str>) {
    match json {
        Json::String(text) => out.push(text),
        Json::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Json::Object(map) => map.iter().for_each(|(key, value)| {
            out.push(key);
            strings(value, out);
        }),
        _ => {}
    }
}

/// A writer with an end, so that an endless template cannot fill the memory.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(std::io::Error::other("the rendered text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// transformers' `{% generation %}` marks the assistant's text and renders its body in a scope of its own, as
/// `{% with %}` does.
fn accept_generation_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        let name_at = tag.len() - tag.trim_start_matches(['-', '+']).trim_start().len();
        let (lead, name) = tag.split_at(name_at);
        out.push_str(lead);
        let replaced = [("generation", "with"), ("endgeneration", "endwith")].into_iter().find_map(|(from, to)| {
            let after = name.strip_prefix(from)?;
            after.trim_start().trim_start_matches(['-', '+']).starts_with("%}").then_some((after, to))
        });
        rest = match replaced {
            Some((after, to)) => {
                out.push_str(to);
                after
            }
            None => name,
        };
    }
    out.push_str(rest);
    out
}

fn template_error(error: minijinja::Error) -> Error {
    let mut reason = error.detail().unwrap_or_default().to_owned();
    if error.kind() == ErrorKind::OutOfFuel {
        reason = "it does not come to an end".to_owned();
    } else if !reason.starts_with(RAISED) {
        reason = format!("{}{}{reason}", error.kind(), if reason.is_empty() { "" } else { ": " });
        if let Some(line) = error.line() {
            let _ = write!(reason, " (line {line})");
        }
    }
    Error::Template { reason: reason.strip_prefix(RAISED).unwrap_or(&reason).to_owned() }
}

/// Tells a template's own message from an error of the engine.
const RAISED: &str = "\u{1}raised\u{1}";

fn environment(now: Option<CivilTime>) -> Environment<'static> {
    let mut env = Environment::new();
    // The default syntax with the two options set is always valid.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        env.set_syntax(syntax);
    }
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_debug(false);
    env.set_unknown_method_callback(python::call_method);
    env.add_function("raise_exception", |message: String| -> std::result::Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{message}")))
    });
    env.add_function("strftime_now", move |format: String| strftime(now, &format));
    env.add_filter("tojson", |state: &State, value: &Value, indent: Option<&Value>, named: Kwargs| {
        python::to_json(state, value, indent, named)
    });
    env.add_filter("trim", |value: &Value, chars: Option<&str>| python::trim(value, chars));
    // Jinja2's tests are wider: strings and dicts are sequences, and None is not iterable.
    env.add_test("sequence", |v: &Value| {
        v.is_undefined() || matches!(v.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
    });
    env.add_test("iterable", |v: &Value| !v.is_none() && v.try_iter().is_ok());
    // Jinja2's `escape` makes a string that escapes what it meets later; here that would be silently different.
    for filter in ["escape", "e", "safe"] {
        env.remove_filter(filter);
    }
    env
}

fn strftime(now: Option<CivilTime>, format: &str) -> std::result::Result<String, minijinja::Error> {
    let fail = |reason: String| minijinja::Error::new(ErrorKind::InvalidOperation, reason);
    let now = match now {
        Some(now) => now,
        None => CivilTime::from_system_clock()
            .ok_or_else(|| fail("strftime_now: there is no clock; pass `now`".to_owned()))?,
    };
    now.format(format).map_err(|field| fail(format!("strftime_now: the format {field} is not supported")))
}
