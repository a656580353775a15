//! Small tokenizers of the forms that checkpoints have.

use serde_json::{Map, Value as Json, json};

use crate::text::Tokenizer;

fn added(id: usize, content: &str, flags: Json) -> Json {
    let mut token = json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    for (name, value) in flags.as_object().unwrap() {
        token[name] = value.clone();
    }
    token
}

/// Vocabulary and merges: `base` tokens, then one token for each merge.
fn bpe(base: Vec<String>, merges: &[(&str, &str)]) -> (Map<String, Json>, Vec<String>) {
    let mut vocab = Map::new();
    for token in base {
        let id = vocab.len();
        vocab.entry(token).or_insert(json!(id));
    }
    for (left, right) in merges {
        let id = vocab.len();
        vocab.entry(format!("{left}{right}")).or_insert(json!(id));
    }
    (vocab, merges.iter().map(|(l, r)| format!("{l} {r}")).collect())
}

pub const LLAMA_MERGES: [(&str, &str); 8] =
    [("▁", "t"), ("h", "e"), ("▁t", "he"), ("i", "n"), ("▁", "<"), ("a", "g"), ("ag", "e"), ("▁", "▁")];

/// SentencePiece BPE as LLaMA-2 has it: prepended space, bytes for what the vocabulary lacks.
pub fn llama_json() -> Json {
    let mut base: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    base.extend((0..256).map(|b| format!("<0x{b:02X}>")));
    base.push("▁".into());
    base.extend((33u8..127).map(|b| char::from(b).to_string()));
    let (vocab, merges) = bpe(base, &LLAMA_MERGES);
    let n = vocab.len();
    json!({
        "version": "1.0", "truncation": null,
        "padding": {"strategy": {"Fixed": 24}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "<unk>"},
        "added_tokens": [added(0, "<unk>", json!({})), added(1, "<s>", json!({})), added(2, "</s>", json!({})),
            added(n, "<image>", json!({})), added(n + 1, "<tool>", json!({"special": false})),
            added(n + 2, "<mask>", json!({"lstrip": true, "rstrip": true})),
            added(n + 3, "<one>", json!({"single_word": true}))],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": merges}
    })
}

/// GPT-2's printable stand-ins for the 256 bytes.
fn byte_alphabet() -> Vec<String> {
    let mut next = 256;
    (0..=255u32)
        .map(|b| {
            let printable = (33..=126).contains(&b) || (161..=172).contains(&b) || b >= 174;
            let code = if printable { b } else { next };
            next += u32::from(!printable);
            char::from_u32(code).unwrap().to_string()
        })
        .collect()
}

/// Byte-level BPE as Qwen2 has it.
pub fn qwen_json() -> Json {
    let (vocab, merges) =
        bpe(byte_alphabet(), &[("h", "e"), ("t", "he"), ("Ġ", "the"), ("<", "|"), ("i", "m"), ("ä", "½")]);
    let n = vocab.len();
    let split = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(n, "<|im_start|>", json!({})), added(n + 1, "<|im_end|>", json!({})),
            added(n + 2, "<|im", json!({})), added(n + 3, "<think>", json!({"special": false}))],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges}
    })
}

/// WordPiece as BERT has it, lower-casing, with a special token that is looked for in normalised text.
pub fn bert_json() -> Json {
    let mut vocab = Map::new();
    let mut words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[mask]"].map(String::from).to_vec();
    words.extend(["the", "cat", ".", ",", "'", "##s", "s", "do", "n", "t", "[", "]", "mask"].map(String::from));
    for letter in 'a'..='z' {
        words.extend([letter.to_string(), format!("##{letter}")]);
    }
    for word in words {
        let id = vocab.len();
        vocab.entry(word).or_insert(json!(id));
    }
    json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [added(0, "[PAD]", json!({})), added(1, "[UNK]", json!({})), added(2, "[CLS]", json!({})),
            added(3, "[SEP]", json!({})), added(4, "[mask]", json!({"normalized": true}))],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": false},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab}
    })
}

/// Unigram with a Metaspace that prepends to the first piece only.
pub fn unigram_json() -> Json {
    let mut vocab: Vec<Json> = vec![json!(["<unk>", 0.0]), json!(["</s>", 0.0]), json!(["▁", -2.0])];
    vocab.extend((33u8..127).map(|b| json!([char::from(b).to_string(), -6.0 - f64::from(b) / 1000.0])));
    vocab.extend([json!(["▁the", -3.0]), json!(["he", -4.0]), json!(["image", -4.5])]);
    let n = vocab.len();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0, "<unk>", json!({})), added(1, "</s>", json!({})), added(n, "<image>", json!({}))],
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
        "post_processor": null,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false}
    })
}

pub fn load(json: &Json, config: Json) -> Tokenizer {
    let bytes = serde_json::to_vec(json).unwrap();
    Tokenizer::from_bytes(&bytes, Some(&serde_json::to_vec(&config).unwrap()), None).unwrap()
}

/// All of the above, by name. Made once a thread.
pub fn all() -> Vec<(&'static str, Tokenizer)> {
    thread_local! {
        static ALL: Vec<(&'static str, Tokenizer)> = vec![
            ("llama", load(&llama_json(), json!({}))),
            ("llama, clean-up", load(&llama_json(), json!({"clean_up_tokenization_spaces": true}))),
            ("qwen", load(&qwen_json(), json!({}))),
            ("bert", load(&bert_json(), json!({}))),
            ("bert, clean-up", load(&bert_json(), json!({"clean_up_tokenization_spaces": true}))),
            ("unigram", load(&unigram_json(), json!({}))),
        ];
    }
    ALL.with(Clone::clone)
}

/// The crate's own tokenizer, without padding and truncation, beside ours.
pub fn oracles() -> Vec<(&'static str, tokenizers::Tokenizer, Tokenizer)> {
    thread_local! {
        static ORACLES: Vec<(&'static str, tokenizers::Tokenizer, Tokenizer)> =
            [("llama", llama_json()), ("qwen", qwen_json()), ("bert", bert_json()), ("unigram", unigram_json())]
                .iter()
                .map(|(name, json)| (*name, crate_tokenizer(json), load(json, json!({}))))
                .collect();
    }
    ORACLES.with(Clone::clone)
}

fn crate_tokenizer(json: &Json) -> tokenizers::Tokenizer {
    let mut inner: tokenizers::Tokenizer = serde_json::from_value(json.clone()).unwrap();
    inner.with_padding(None);
    inner.with_truncation(None).unwrap();
    inner
}
