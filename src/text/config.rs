//! What `tokenizer_config.json` and `special_tokens_map.json` say beside `tokenizer.json`.
//!
//! Here: reading the two files into one [`TokenizerConfig`], with the precedence that transformers gives them (the
//! map counts only when the config has no `added_tokens_decoder`) and the defaults of the tokenizer classes that
//! change how text is encoded. Not here: applying it to a tokenizer (`tokenizer`).

use serde_json::{Map, Value as Json};
use tokenizers::AddedToken;

use crate::error::{Error, Result};

/// The special tokens that transformers names, in its order.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A special token as a config writes it: a bare string or an object with flags.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamedToken {
    /// `bos_token`, ..., or the name of an extra token such as `image_token`.
    pub name: String,
    pub token: AddedToken,
}

/// The two config files, read.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenizerConfig {
    /// Tokenizer class without its `Fast` suffix.
    pub class: String,
    pub clean_up_tokenization_spaces: bool,
    pub add_bos_token: Option<bool>,
    pub add_eos_token: Option<bool>,
    pub add_prefix_space: bool,
    /// Tokens with a name, in transformers' order.
    pub named: Vec<NamedToken>,
    /// `additional_special_tokens`.
    pub additional: Vec<AddedToken>,
    /// `added_tokens_decoder`, by id.
    pub added: Vec<(u32, AddedToken)>,
}

impl TokenizerConfig {
    /// Reads both files; either may be missing.
    pub fn from_bytes(config: Option<&[u8]>, special_tokens_map: Option<&[u8]>) -> Result<Self> {
        let config = config.map(|b| object(b, "tokenizer_config.json")).transpose()?.unwrap_or_default();
        let map = special_tokens_map.map(|b| object(b, "special_tokens_map.json")).transpose()?.unwrap_or_default();
        let class = config.get("tokenizer_class").and_then(Json::as_str).unwrap_or_default();
        let class = class.strip_suffix("Fast").unwrap_or(class).to_owned();
        let legacy = !config.contains_key("added_tokens_decoder");
        let mut fields = config.clone();
        if legacy {
            fields.extend(map.into_iter().filter(|(_, value)| !value.is_null()));
        }
        let flag = |name: &str| config.get(name).and_then(Json::as_bool);
        Ok(Self {
            clean_up_tokenization_spaces: flag("clean_up_tokenization_spaces").unwrap_or(false),
            add_bos_token: flag("add_bos_token"),
            add_eos_token: flag("add_eos_token"),
            add_prefix_space: flag("add_prefix_space").unwrap_or(false),
            named: named_tokens(&fields, &class)?,
            additional: additional_tokens(&fields)?,
            added: added_tokens(&config)?,
            class,
        })
    }

    /// Content of the token with this name.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|n| n.name == name).map(|n| n.token.content.as_str())
    }

    /// Contents of all tokens that count as special, each once.
    pub fn special_contents(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for token in self.named.iter().map(|n| &n.token).chain(&self.additional) {
            if !all.contains(&token.content.as_str()) {
                all.push(&token.content);
            }
        }
        all
    }

    /// What transformers calls `special_tokens_map`: the variables that a chat template sees.
    pub fn template_variables(&self) -> Map<String, Json> {
        let mut map: Map<String, Json> =
            self.named.iter().map(|n| (n.name.clone(), Json::from(n.token.content.as_str()))).collect();
        if !self.additional.is_empty() {
            let list: Vec<&str> = self.additional.iter().map(|t| t.content.as_str()).collect();
            map.insert("additional_special_tokens".into(), Json::from(list));
        }
        map
    }
}

fn object(bytes: &[u8], path: &str) -> Result<Map<String, Json>> {
    serde_json::from_slice(bytes).map_err(|e| Error::malformed(path, e.to_string()))
}

/// Tokens that a class has when its config names none.
fn class_defaults(class: &str) -> &'static [(&'static str, &'static str)] {
    match class {
        "LlamaTokenizer" | "CodeLlamaTokenizer" => {
            &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")]
        }
        "CLIPTokenizer" => &[
            ("bos_token", "<|startoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
            ("pad_token", "<|endoftext|>"),
        ],
        "Qwen2Tokenizer" => {
            &[("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")]
        }
        "GPT2Tokenizer" => {
            &[("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>")]
        }
        "GemmaTokenizer" => {
            &[("bos_token", "<bos>"), ("eos_token", "<eos>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")]
        }
        "T5Tokenizer" => &[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")],
        "BertTokenizer" => &[
            ("unk_token", "[UNK]"),
            ("sep_token", "[SEP]"),
            ("pad_token", "[PAD]"),
            ("cls_token", "[CLS]"),
            ("mask_token", "[MASK]"),
        ],
        _ => &[],
    }
}

fn named_tokens(fields: &Map<String, Json>, class: &str) -> Result<Vec<NamedToken>> {
    let defaults = class_defaults(class);
    let mut named = Vec::new();
    for name in NAMED {
        let token = match fields.get(name) {
            Some(Json::Null) => None,
            Some(value) => Some(token(value, name)?),
            None => defaults.iter().find(|d| d.0 == name).map(|d| AddedToken::from(d.1, true)),
        };
        named.extend(token.map(|token| NamedToken { name: name.to_owned(), token }));
    }
    if let Some(Json::Object(extra)) = fields.get("extra_special_tokens") {
        for (name, value) in extra {
            named.push(NamedToken { name: name.clone(), token: token(value, name)? });
        }
    }
    Ok(named)
}

fn additional_tokens(fields: &Map<String, Json>) -> Result<Vec<AddedToken>> {
    let mut tokens: Vec<AddedToken> = Vec::new();
    for name in ["additional_special_tokens", "extra_special_tokens"] {
        let Some(Json::Array(list)) = fields.get(name) else { continue };
        for value in list {
            let token = token(value, name)?;
            if !tokens.iter().any(|t| t.content == token.content) {
                tokens.push(token);
            }
        }
    }
    Ok(tokens)
}

fn added_tokens(config: &Map<String, Json>) -> Result<Vec<(u32, AddedToken)>> {
    let Some(Json::Object(decoder)) = config.get("added_tokens_decoder") else { return Ok(Vec::new()) };
    let mut added = Vec::with_capacity(decoder.len());
    for (id, value) in decoder {
        let id = id.parse::<u32>().map_err(|e| malformed(&format!("added_tokens_decoder.{id}: {e}")))?;
        let flag = |name: &str| value.get(name).and_then(Json::as_bool);
        let mut token = token(value, "added_tokens_decoder")?;
        token.special = flag("special").unwrap_or(false);
        token.normalized = flag("normalized").unwrap_or(!token.special);
        added.push((id, token));
    }
    added.sort_by_key(|(id, _)| *id);
    Ok(added)
}

/// A special token from a string or an object with `content` and flags.
fn token(value: &Json, field: &str) -> Result<AddedToken> {
    let content = value.as_str().or_else(|| value.get("content").and_then(Json::as_str));
    let Some(content) = content else {
        return Err(malformed(&format!("{field} is neither a string nor an object with `content`")));
    };
    let flag = |name: &str| value.get(name).and_then(Json::as_bool).unwrap_or(false);
    Ok(AddedToken::from(content, true)
        .lstrip(flag("lstrip"))
        .rstrip(flag("rstrip"))
        .single_word(flag("single_word"))
        .normalized(flag("normalized")))
}

fn malformed(reason: &str) -> Error {
    Error::malformed("tokenizer_config.json", reason)
}
