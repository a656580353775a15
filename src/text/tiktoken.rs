//! Vocabularies of tiktoken, as the first Qwen's checkpoints ship them (`qwen.tiktoken`): a line for each token, its bytes
//! in base64 and its rank. Here they become the `tokenizer.json` that says the same.
//!
//! tiktoken merges the neighbours that make the token of the lowest rank, whichever two they are; so every cut of a token
//! into two tokens is a merge, in the order of ranks.

use super::Tokenizer;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

const FILE: &str = "qwen.tiktoken";
/// Longest token, and most tokens, that are read.
const MAX_TOKEN: usize = 1024;
const MAX_TOKENS: usize = 1 << 20;

/// How Qwen cuts texts before merging.
const CUT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Tokens of Qwen's code behind the vocabulary, before 205 spare ones.
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const SPARE: usize = 205;
/// Those of Qwen-VL behind them.
const PICTURES: [&str; 9] = ["<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"];

impl Tokenizer {
    /// Reads `qwen.tiktoken`; with `pictures` the vocabulary goes on with Qwen-VL's tokens. The companions are those of
    /// [`Tokenizer::from_bytes`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for lines that are no tokens with ranks from 0 on, and as [`Tokenizer::from_bytes`].
    pub fn from_tiktoken(
        vocabulary: &[u8],
        pictures: bool,
        tokenizer_config: Option<&[u8]>,
        special_tokens_map: Option<&[u8]>,
    ) -> Result<Self> {
        let tokens = tokens(vocabulary)?;
        let pictures: &[&str] = if pictures { &PICTURES } else { &[] };
        let json = tokenizer_json(&tokens, pictures).to_string();
        // Its class names no special tokens, and decodes by itself, whatever is said of cleaning up.
        let config = match tokenizer_config {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?,
            None => json!({}),
        };
        let mut config = if let Value::Object(config) = config { config } else { Map::new() };
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        for name in ["eos_token", "pad_token"] {
            if config.get(name).is_none_or(Value::is_null) {
                config.insert(name.into(), json!(CONTROL[0]));
            }
        }
        Self::from_bytes(json.as_bytes(), Some(Value::Object(config).to_string().as_bytes()), special_tokens_map)
    }
}

/// Tokens by rank.
fn tokens(file: &[u8]) -> Result<Vec<Vec<u8>>> {
    let text = std::str::from_utf8(file).map_err(|e| malformed(e.to_string()))?;
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    for (number, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let wrong = || malformed(format!("line {} is no token with its rank", number + 1));
        let (token, rank) = line.trim().split_once(' ').ok_or_else(wrong)?;
        let bytes = base64(token).filter(|b| (1..=MAX_TOKEN).contains(&b.len())).ok_or_else(wrong)?;
        if rank.trim().parse() != Ok(number) || number >= MAX_TOKENS {
            return Err(wrong());
        }
        tokens.push(bytes);
    }
    Ok(tokens)
}

/// The bytes of base64 with padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.trim_end_matches('=');
    if digits.is_empty() || !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for c in digits.bytes() {
        bits = (bits << 6 | u32::from(digit(c)?)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

/// The character by which byte-level vocabularies write each byte (GPT-2).
fn characters() -> [char; 256] {
    let mut all = ['\0'; 256];
    let mut next = 256;
    for (byte, character) in all.iter_mut().enumerate() {
        *character = match byte as u8 {
            shown @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) => char::from(shown),
            _ => {
                next += 1;
                char::from_u32(next - 1).unwrap_or_default()
            }
        };
    }
    all
}

fn tokenizer_json(tokens: &[Vec<u8>], pictures: &[&str]) -> Value {
    let characters = characters();
    let spell = |bytes: &[u8]| bytes.iter().map(|byte| characters[usize::from(*byte)]).collect::<String>();
    let ranks: HashMap<&[u8], usize> =
        tokens.iter().enumerate().map(|(rank, token)| (token.as_slice(), rank)).collect();
    let mut merges = Vec::new();
    for token in tokens {
        let cut = |at: usize| Some((*ranks.get(&token[..at])?, *ranks.get(&token[at..])?, at));
        let mut cuts: Vec<_> = (1..token.len()).filter_map(cut).collect();
        cuts.sort_unstable();
        merges.extend(cuts.into_iter().map(|(.., at)| json!([spell(&token[..at]), spell(&token[at..])])));
    }
    let vocab: Map<String, Value> = tokens.iter().enumerate().map(|(id, token)| (spell(token), json!(id))).collect();
    let spare = (0..SPARE).map(|i| format!("<|extra_{i}|>"));
    let named = CONTROL.iter().map(|t| (*t).to_owned()).chain(spare).chain(pictures.iter().map(|t| (*t).to_owned()));
    let added: Vec<Value> = named
        .enumerate()
        .map(|(i, content)| {
            json!({"id": tokens.len() + i, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": CUT}, "behavior": "Isolated", "invert": false},
            byte_level.clone(),
        ]},
        "post_processor": null,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
            "vocab": vocab, "merges": merges},
    })
}

fn malformed(reason: String) -> Error {
    Error::malformed(FILE, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_by_hand() {
        for (text, want) in [("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("IHRoZQ==", " the")] {
            assert_eq!(base64(text).as_deref(), Some(want.as_bytes()));
        }
        for text in ["", "=", "YQ", "Y?==", "YQ=a", "A==="] {
            assert_eq!(base64(text), None, "{text}");
        }
    }

    #[test]
    fn vocabularies_that_are_none() {
        for file in ["YQ== 1", "YQ==", "YQ== 0\nYg== 2", "?? 0", "YQ== -1"] {
            let got = Tokenizer::from_tiktoken(file.as_bytes(), true, None, None);
            assert!(matches!(got, Err(Error::Malformed { .. })), "{file}");
        }
        assert!(Tokenizer::from_tiktoken(&[0xff], true, None, None).is_err());
    }

    /// The ids that tiktoken gives.
    #[test]
    fn texts_as_tiktoken_cuts_them() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens/qwen_vl");
        let file = std::fs::read(folder.join(FILE)).unwrap();
        let tokenizer = Tokenizer::from_tiktoken(&file, true, None, None).unwrap();
        let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("tiktoken_cases.json")).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let want: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(tokenizer.encode(case["text"].as_str().unwrap(), true).unwrap(), want, "{case}");
        }
        let ids = tokenizer.encode("is there <img><imgpad></img> caf\u{e9}", false).unwrap();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), "is there  caf\u{e9}");
        assert_eq!(tokenizer.token_to_id("<imgpad>"), Some(326 + 216));
        assert_eq!(tokenizer.eos_id(), Some(326));
    }
}
