//! Loading, ids of special tokens, encode and decode.

use serde_json::json;

use super::made::{bert_json, llama_json, load, qwen_json, unigram_json};
use crate::error::Error;
use crate::text::Tokenizer;

fn tokens(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    ids.iter().map(|&id| tokenizer.id_to_token(id).unwrap()).collect()
}

#[test]
fn encodes_as_a_sentencepiece_bpe_does() {
    let tokenizer = load(&llama_json(), json!({}));
    let ids = tokenizer.encode("the é</s>x", true).unwrap();
    assert_eq!(tokens(&tokenizer, &ids), ["<s>", "▁the", "▁", "<0xC3>", "<0xA9>", "</s>", "▁", "x"]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "the é x");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "<s> the é</s> x");
    assert_eq!(tokenizer.encode("", false).unwrap(), [0u32; 0]);
    assert_eq!(tokenizer.encode("", true).unwrap(), [1]);
    assert_eq!(tokenizer.decode(&[], true).unwrap(), "");
    assert_eq!(tokenizer.decode(&[99_999_999], true).unwrap(), "", "unknown ids are left out");
}

#[test]
fn padding_and_truncation_of_the_file_are_off() {
    let tokenizer = load(&llama_json(), json!({}));
    assert_eq!(tokenizer.encode("a", true).unwrap().len(), 3);
    assert_eq!(tokenizer.named_id("pad_token"), Some(0), "the padding's token is the padding token");
    let tokenizer = load(&bert_json(), json!({}));
    assert_eq!(tokenizer.encode(&"cat ".repeat(50), true).unwrap().len(), 52);
}

#[test]
fn special_tokens_come_from_config_and_map() {
    let json = serde_json::to_vec(&llama_json()).unwrap();
    let config = json!({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "unk_token": null});
    let map = json!({"eos_token": "<image>", "pad_token": "<pad>", "additional_special_tokens": ["<extra>"]});
    let bytes = |json: &serde_json::Value| serde_json::to_vec(json).unwrap();
    let tokenizer = Tokenizer::from_bytes(&json, Some(&bytes(&config)), Some(&bytes(&map))).unwrap();
    assert_eq!(tokenizer.bos_id(), Some(1));
    assert_eq!(tokenizer.eos_id(), tokenizer.token_to_id("<image>"), "the map overrides a config without added tokens");
    assert_eq!(tokenizer.unk_id(), None);
    let plain = load(&llama_json(), json!({}));
    let n = plain.vocab_size() as u32;
    assert_eq!(tokenizer.pad_id(), Some(n), "tokens that the vocabulary lacks are appended");
    assert_eq!(tokenizer.token_to_id("<extra>"), Some(n + 1));
    assert_eq!(tokenizer.vocab_size() as u32, n + 2);
    assert!(tokenizer.special_ids().contains(&(n + 1)));
    assert!(!tokenizer.special_ids().contains(&tokenizer.token_to_id("<tool>").unwrap()));

    let mut config = config;
    config["added_tokens_decoder"] = json!({"2": {"content": "</s>", "special": true}, "371": {"content": "<tool>", "special": true},
        "370": {"content": "<image>", "special": false}});
    let tokenizer = Tokenizer::from_bytes(&json, Some(&bytes(&config)), Some(&bytes(&map))).unwrap();
    assert_eq!(tokenizer.eos_id(), Some(2), "a config with added tokens overrides the map");
    assert!(tokenizer.special_ids().contains(&tokenizer.token_to_id("<tool>").unwrap()), "flags are overridden");
    let image = tokenizer.token_to_id("<image>").unwrap();
    assert_eq!(tokenizer.decode(&[image], true).unwrap(), "", "what was special once stays special");
}

#[test]
fn class_specific_behaviour_is_that_of_transformers() {
    let class = |fields: serde_json::Value| {
        let mut config = json!({"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        load(&llama_json(), config)
    };
    assert_eq!(class(json!({})).encode("a", true).unwrap()[0], 1);
    let both = class(json!({"add_eos_token": true})).encode("a", true).unwrap();
    assert_eq!((both[0], *both.last().unwrap()), (1, 2));
    let none = class(json!({"add_bos_token": false})).encode("a", true).unwrap();
    assert_eq!(none, class(json!({})).encode("a", false).unwrap());

    let mut clip = qwen_json();
    clip["model"]["end_of_word_suffix"] = json!("</w>");
    clip["model"]["vocab"]["a</w>"] = json!(9000);
    clip["model"]["vocab"]["b</w>"] = json!(9001);
    let tokenizer = load(&clip, json!({"tokenizer_class": "CLIPTokenizer"}));
    let ids = [tokenizer.encode("a", false).unwrap(), tokenizer.encode("b", false).unwrap()].concat();
    assert_eq!(ids, [9000, 9001]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "a b");
}

#[test]
fn clean_up_is_done_when_the_config_asks_for_it() {
    let text = "the cat . do n ' t , s";
    let plain = load(&bert_json(), json!({}));
    let ids = plain.encode(text, false).unwrap();
    assert_eq!(plain.decode(&ids, true).unwrap(), text);
    let cleaned = load(&bert_json(), json!({"clean_up_tokenization_spaces": true}));
    assert_eq!(cleaned.decode(&ids, true).unwrap(), "the cat. don't, s");
}

#[test]
fn hostile_files_give_errors() {
    let unreadable = |bytes: &[u8]| Tokenizer::from_bytes(bytes, None, None).unwrap_err();
    for bytes in [&b""[..], b"{", b"[]", b"null", b"{\"version\": \"9\"}", &b"[".repeat(100_000)] {
        assert!(matches!(unreadable(bytes), Error::Malformed { .. }));
    }
    let mut json = llama_json();
    json["decoder"] = json!({"type": "Strip", "content": " ", "start": 0, "stop": 1});
    assert!(matches!(unreadable(&serde_json::to_vec(&json).unwrap()), Error::Unsupported { .. }));
    let good = serde_json::to_vec(&unigram_json()).unwrap();
    for config in ["{", "{\"bos_token\": 7}", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"a\"}}}"] {
        let error = Tokenizer::from_bytes(&good, Some(config.as_bytes()), None).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    let tokenizer = Tokenizer::from_bytes(&good, None, None).unwrap();
    assert!(matches!(tokenizer.encode(&"a".repeat((16 << 20) + 1), false), Err(Error::InvalidArgument { .. })));
}

#[test]
fn long_runs_are_cut_as_the_pattern_says() {
    // The pattern's engine must not give up silently on runs that make it backtrack.
    let tokenizer = load(&qwen_json(), json!({}));
    for run in [" ", "\n", "-", " \n", "a"] {
        let text = format!("{}x the", run.repeat(300_000 / run.len()));
        let ids = tokenizer.encode(&text, false).unwrap();
        assert_eq!(tokens(&tokenizer, &ids[ids.len() - 1..]), ["Ġthe"], "{run:?}");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}
