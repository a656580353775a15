//! tokenizer.json and tokenizer_config.json from the `tokenizer.ggml` metadata of a GGUF file, as transformers' converters
//! write them for the same vocabularies.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Gguf;
use super::config::File;
use crate::Result;
use crate::checkpoint::Config;

/// Types of tokens.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// How texts are cut before the merges, by `tokenizer.ggml.pre`.
enum Cut {
    /// GPT-2's own expression.
    Gpt2,
    /// Digits one by one, then GPT-2's.
    Digits,
    /// Another expression.
    By(&'static str),
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The files of the tokenizer; none where the checkpoint has no vocabulary.
///
/// # Errors
/// [`crate::Error::Unsupported`] for kinds that are not read, by name; [`crate::Error::Malformed`] for lists that do not fit together.
pub(super) fn files(file: &Gguf) -> Result<Vec<File>> {
    let all = Config::of_value(file.source.name(), file.metadata.clone())?;
    let Some(own) = all.section("tokenizer.ggml")? else { return Ok(Vec::new()) };
    let kind = own.string("model", "no_vocab")?;
    if matches!(kind.as_str(), "no_vocab" | "none") {
        return Ok(Vec::new());
    }
    let vocabulary = Vocabulary::read(&own)?;
    let tokenizer = match kind.as_str() {
        "gpt2" => byte_level(&own, &vocabulary)?,
        "llama" => sentence_pieces(&own, &vocabulary)?,
        other => return Err(own.unsupported("model", format!("`{other}`; gpt2 and llama are"))),
    };
    let pieces = kind == "llama";
    let mut config = json!({
        "tokenizer_class": if pieces { "LlamaTokenizer" } else { "PreTrainedTokenizer" },
        "clean_up_tokenization_spaces": false,
        "add_bos_token": own.bool("add_bos_token", pieces || begins(&own)?)?,
        "add_eos_token": own.bool("add_eos_token", false)?,
        "chat_template": all.optional::<Value>("tokenizer.chat_template")?.filter(Value::is_string),
    });
    for (name, key) in [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")] {
        if let Some(token) = vocabulary.named(&own, &format!("{key}_token_id"))? {
            config[format!("{name}_token")] = json!(token);
        }
    }
    Ok(vec![("tokenizer.json", tokenizer), ("tokenizer_config.json", config)])
}

struct Vocabulary {
    tokens: Vec<String>,
    types: Vec<i64>,
}

impl Vocabulary {
    fn read(own: &Config) -> Result<Self> {
        let tokens: Vec<String> = own.list("tokens")?.unwrap_or_default();
        if tokens.is_empty() {
            return Err(own.broken("tokens", "is missing or empty"));
        }
        let types = own.list("token_type")?.unwrap_or_else(|| vec![1; tokens.len()]);
        if types.len() != tokens.len() {
            return Err(own.broken("token_type", format!("has {} entries for {} tokens", types.len(), tokens.len())));
        }
        Ok(Self { tokens, types })
    }

    /// The token whose id stands under `key`.
    fn named(&self, own: &Config, key: &str) -> Result<Option<&str>> {
        let Some(id) = own.optional::<i64>(key)?.filter(|id| *id >= 0 && *id != i64::from(u32::MAX)) else {
            return Ok(None);
        };
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
        token
            .map(|token| Some(token.as_str()))
            .ok_or_else(|| own.broken(key, format!("is {id}, beyond the vocabulary")))
    }

    /// Ids by token. Of a token that is there twice the first id counts.
    fn ids(&self) -> serde_json::Map<String, Value> {
        let mut ids = serde_json::Map::new();
        for (id, token) in self.tokens.iter().enumerate() {
            ids.entry(token.as_str()).or_insert_with(|| json!(id));
        }
        ids
    }

    /// Tokens that are recognised in a text before it is cut.
    fn added(&self) -> Vec<Value> {
        let token = |(id, (token, kind)): (usize, (&String, &i64))| {
            let special = matches!(*kind, CONTROL | UNKNOWN);
            (special || *kind == USER_DEFINED).then(|| {
                json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": special})
            })
        };
        self.tokens.iter().zip(&self.types).enumerate().filter_map(token).collect()
    }
}

/// Byte-level BPE of GPT-2 and its heirs.
fn byte_level(own: &Config, vocabulary: &Vocabulary) -> Result<Value> {
    let pre = own.string("pre", "default")?;
    let (cut, normalizer, whole) = match pre.as_str() {
        "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "mpt" | "olmo" | "jais" => (Cut::Gpt2, Value::Null, false),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
            (Cut::Digits, Value::Null, false)
        }
        "llama-bpe" | "llama3" | "llama-v3" | "dbrx" | "smaug-bpe" | "falcon3" | "pixtral" => {
            (Cut::By(LLAMA3), Value::Null, true)
        }
        "tekken" => (Cut::By(TEKKEN), Value::Null, true),
        "qwen2" | "stablelm2" | "deepseek-r1-qwen" | "megrez" => (Cut::By(QWEN2), json!({"type": "NFC"}), false),
        other => {
            let reason = format!("`{other}`; gpt-2, smollm, starcoder, llama-bpe, tekken, qwen2 and their like are");
            return Err(own.unsupported("pre", reason));
        }
    };
    let level = |expression: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": expression});
    let sequence = |first: Value, last: Value| json!({"type": "Sequence", "pretokenizers": [first, last]});
    let pre_tokenizer = match cut {
        Cut::Gpt2 => level(true),
        Cut::Digits => sequence(json!({"type": "Digits", "individual_digits": true}), level(true)),
        Cut::By(expression) => {
            let split = json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated",
                "invert": false});
            sequence(split, level(false))
        }
    };
    let merges: Vec<String> = own.list("merges")?.unwrap_or_default();
    let pair = |merge: &String| match merge.split_once(' ') {
        Some((left, right)) => Ok(json!([left, right])),
        None => Err(own.broken("merges", format!("has `{}`, which is no pair", crate::checkpoint::clip(merge)))),
    };
    let merges = merges.iter().map(pair).collect::<Result<Vec<_>>>()?;
    let model = json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": whole,
        "vocab": vocabulary.ids(), "merges": merges});
    Ok(json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": vocabulary.added(),
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": around(own, vocabulary)?,
        "decoder": level(true), "model": model}))
}

/// Whether texts begin with the first token where the metadata does not say: as llama.cpp does it, with those of LLaMA 3
/// and Tekken.
fn begins(own: &Config) -> Result<bool> {
    let pre = own.string("pre", "default")?;
    Ok(matches!(pre.as_str(), "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "pixtral" | "tekken"))
}

/// What stands before and after a text where the metadata asks for it.
fn around(own: &Config, vocabulary: &Vocabulary) -> Result<Value> {
    let token = |flag: &str, default: bool, key: &str| -> Result<Option<&str>> {
        if own.bool(flag, default)? { vocabulary.named(own, key) } else { Ok(None) }
    };
    let bos = token("add_bos_token", begins(own)?, "bos_token_id")?;
    let eos = token("add_eos_token", false, "eos_token_id")?;
    if bos.is_none() && eos.is_none() {
        return Ok(Value::Null);
    }
    let side = |sequence: &str, kind: u32| {
        let special = |t: &str| json!({"SpecialToken": {"id": t, "type_id": kind}});
        let text = json!({"Sequence": {"id": sequence, "type_id": kind}});
        bos.map(special).into_iter().chain([text]).chain(eos.map(special)).collect::<Vec<_>>()
    };
    let mut specials = serde_json::Map::new();
    for token in [bos, eos].into_iter().flatten() {
        let id = vocabulary.tokens.iter().position(|t| t == token);
        specials.insert(token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}));
    }
    let pair = [side("A", 0), side("B", 1)].concat();
    Ok(json!({"type": "TemplateProcessing", "single": side("A", 0), "pair": pair, "special_tokens": specials}))
}

/// SentencePiece's BPE, as LLaMA's converter has it: merges from the scores of the pieces.
fn sentence_pieces(own: &Config, vocabulary: &Vocabulary) -> Result<Value> {
    let scores: Vec<f64> = own.list("scores")?.unwrap_or_default();
    if scores.len() != vocabulary.tokens.len() {
        let reason = format!("has {} entries for {} tokens", scores.len(), vocabulary.tokens.len());
        return Err(own.broken("scores", reason));
    }
    let front = own.bool("add_space_prefix", true)?;
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let mut normalizers = vec![replace(" ", "\u{2581}")];
    let mut decoders = vec![replace("\u{2581}", " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if front {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": "\u{2581}"}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let unknown = vocabulary.named(own, "unknown_token_id")?;
    let model = json!({"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
        "vocab": vocabulary.ids(), "merges": merges(vocabulary, &scores)});
    Ok(json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": vocabulary.added(),
        "normalizer": {"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": null,
        "post_processor": null, "decoder": {"type": "Sequence", "decoders": decoders}, "model": model}))
}

/// Pairs of pieces that make a piece, the best score first; of one score the longer halves first.
fn merges(vocabulary: &Vocabulary, scores: &[f64]) -> Vec<Value> {
    let ids: HashMap<&str, usize> = vocabulary.tokens.iter().enumerate().rev().map(|(i, t)| (t.as_str(), i)).collect();
    let mut all: Vec<(f64, usize, usize, &str, &str)> = Vec::new();
    for (token, score) in vocabulary.tokens.iter().zip(scores) {
        let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let mut own: Vec<_> = cuts.filter(|(l, r)| ids.contains_key(l) && ids.contains_key(r)).collect();
        own.sort_by_key(|(l, r)| (ids.get(l), ids.get(r)));
        all.extend(own.into_iter().map(|(l, r)| (*score, l.chars().count(), r.chars().count(), l, r)));
    }
    // Stable, so that equal keys keep the order of the vocabulary.
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)));
    all.into_iter().map(|(.., l, r)| json!([l, r])).collect()
}
