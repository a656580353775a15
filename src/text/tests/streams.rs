//! Streaming decode equals decode, for any ids.

use proptest::prelude::*;
use serde_json::json;

use super::made::{all, llama_json, load, qwen_json};
use crate::text::Tokenizer;

fn stream(tokenizer: &Tokenizer, ids: &[u32], skip: bool) -> Vec<String> {
    let mut stream = tokenizer.decode_stream(skip);
    let mut pieces: Vec<String> = ids.iter().filter_map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streamed_text_equals_decoded_text(seeds in prop::collection::vec(any::<u32>(), 0..24), skip in any::<bool>()) {
        for (name, tokenizer) in all() {
            let ids: Vec<u32> = seeds.iter().map(|seed| seed % (tokenizer.vocab_size() as u32 + 2)).collect();
            let want = tokenizer.decode(&ids, skip).unwrap();
            prop_assert_eq!(stream(&tokenizer, &ids, skip).concat(), want, "{}: {:?}", name, ids);
        }
    }

    #[test]
    fn streamed_texts_of_real_text(text in "[a-z '.,!?é中👁️\n]{0,40}") {
        for (name, tokenizer) in all() {
            let ids = tokenizer.encode(&text, true).unwrap();
            let want = tokenizer.decode(&ids, true).unwrap();
            prop_assert_eq!(stream(&tokenizer, &ids, true).concat(), want, "{}: {:?}", name, text);
        }
    }
}

#[test]
fn characters_come_whole_and_as_soon_as_they_are_certain() {
    let qwen = load(&qwen_json(), json!({}));
    let ids = qwen.encode("a中b", false).unwrap();
    assert_eq!(ids.len(), 5);
    assert_eq!(stream(&qwen, &ids, true), ["a", "中", "b", ""]);
    let llama = load(&llama_json(), json!({}));
    let ids = llama.encode("the 中 in", true).unwrap();
    assert_eq!(stream(&llama, &ids, true), ["the", " ", "中 ", "in", ""]);
}

#[test]
fn a_cut_character_comes_at_the_end() {
    let qwen = load(&qwen_json(), json!({}));
    let ids = qwen.encode("a中", false).unwrap();
    let mut stream = qwen.decode_stream(true);
    assert_eq!(stream.push(ids[0]).unwrap().as_deref(), Some("a"));
    assert_eq!(stream.push(ids[1]).unwrap(), None);
    assert_eq!(stream.finish().unwrap(), "\u{fffd}");
    assert_eq!(stream.push(ids[0]).unwrap().as_deref(), Some("a"), "a finished stream is as new");
}

#[test]
fn spaces_between_pieces_survive_skipped_tokens() {
    let llama = load(&llama_json(), json!({}));
    let ids: Vec<u32> = ["<s>", "▁the", "</s>", "▁the", "▁", "▁the"].map(|t| llama.token_to_id(t).unwrap()).to_vec();
    assert_eq!(stream(&llama, &ids, true).concat(), "the the  the");
}
