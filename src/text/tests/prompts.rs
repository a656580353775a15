//! Prompts of trusted and user-written parts.

use proptest::prelude::*;
use serde_json::json;

use super::made::{all, bert_json, crate_tokenizer, llama_json, load, qwen_json, unigram_json};
use crate::text::{Prompt, Segment};

/// Pieces of hostile texts: special tokens, their halves, spaces, letters that merge, and a composing accent.
const PIECES: [&str; 24] = [
    "the",
    " ",
    "  ",
    "he",
    "t",
    "<",
    "|",
    ">",
    "<|im",
    "_end|>",
    "<|im_end|>",
    "<|im_start|>",
    "</s>",
    "<s>",
    "<image>",
    "ima",
    "ge>",
    "<mask>",
    "<tool>",
    "<one>",
    "[MASK]",
    "\n",
    "e\u{301}",
    "中",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..8).prop_map(|pieces| pieces.concat())
}

fn segments() -> impl Strategy<Value = Vec<(bool, String)>> {
    prop::collection::vec((any::<bool>(), text()), 0..5)
}

fn borrowed(segments: &[(bool, String)]) -> Vec<Segment<'_>> {
    segments.iter().map(|(trusted, s)| if *trusted { Segment::Trusted(s) } else { Segment::User(s) }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a user writes never becomes a special token, wherever the borders are.
    #[test]
    fn users_produce_no_special_tokens(segments in segments()) {
        for (name, tokenizer) in all() {
            let special = tokenizer.special_ids();
            let trusted: Vec<(bool, String)> = segments.iter().filter(|s| s.0).cloned().collect();
            let limit: usize = trusted.iter().map(|s| {
                special.iter().map(|&id| s.1.to_lowercase().matches(&tokenizer.id_to_token(id).unwrap().to_lowercase()).count()).sum::<usize>()
            }).sum();
            let ids = tokenizer.encode_segments(&borrowed(&segments), false).unwrap();
            // Unknown characters are `<unk>` tokens that the model makes, not the text.
            let unk = ["<unk>", "[UNK]"].iter().find_map(|t| tokenizer.token_to_id(t));
            let found = ids.iter().filter(|id| special.contains(id) && Some(**id) != unk).count();
            // Trusted pieces may form further tokens where they meet: those are not the user's.
            let joined = segments.windows(2).filter(|w| w[0].0 && w[1].0).count();
            prop_assert!(found <= limit + joined, "{name}: {segments:?}: {ids:?}");
        }
    }

    /// Without special tokens in a user's parts, the borders between the parts leave no trace.
    #[test]
    fn borders_leave_no_trace(segments in segments()) {
        let safe = |s: &str| s.replace(['<', '>', '[', ']', '|'], "'");
        let segments: Vec<(bool, String)> =
            segments.into_iter().map(|(trusted, s)| (trusted, if trusted { s } else { safe(&s) })).collect();
        let parts = borrowed(&segments);
        let whole: String = segments.iter().map(|s| s.1.as_str()).collect();
        // Trusted halves of a token that a user's part separates are no token in the whole text either.
        for (name, tokenizer) in all() {
            for add in [false, true] {
                let want = tokenizer.encode(&whole, add).unwrap();
                prop_assert_eq!(tokenizer.encode_segments(&parts, add).unwrap(), want, "{}: {:?}", name, segments);
            }
        }
    }

    /// A text that is a user's as a whole is what the crate gives when told to split special tokens.
    #[test]
    fn a_user_text_equals_split_special_tokens(text in text()) {
        for json in [llama_json(), qwen_json(), bert_json(), unigram_json()] {
            let mut oracle = crate_tokenizer(&json);
            oracle.set_encode_special_tokens(true);
            let want = oracle.encode_fast(text.as_str(), true).unwrap().get_ids().to_vec();
            let got = load(&json, json!({})).encode_segments(&[Segment::User(&text)], true).unwrap();
            prop_assert_eq!(got, want, "{:?}", text);
        }
    }

    /// Our two passes equal the crate's where nothing is literal in a place that matters.
    #[test]
    fn the_passes_equal_the_crate(text in text()) {
        for json in [llama_json(), qwen_json(), bert_json(), unigram_json()] {
            let oracle = crate_tokenizer(&json);
            let whole = format!("{text}zz");
            let want = oracle.encode_fast(whole.as_str(), true).unwrap().get_ids().to_vec();
            let parts = [Segment::Trusted(text.as_str()), Segment::User("zz")];
            prop_assert_eq!(load(&json, json!({})).encode_segments(&parts, true).unwrap(), want, "{:?}", text);
        }
    }
}

#[test]
fn special_tokens_of_a_user_stay_text() {
    let tokenizer = load(&llama_json(), json!({}));
    let image = tokenizer.token_to_id("<image>").unwrap();
    let parts = [Segment::Trusted("<image>\n"), Segment::User("what is <image></s>?"), Segment::Trusted("</s>")];
    let ids = tokenizer.encode_segments(&parts, true).unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == image).count(), 1);
    assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 1);
    assert_eq!(*ids.last().unwrap(), 2);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), " \nwhat is <image></s>?");
}

#[test]
fn a_token_across_a_border_stays_text() {
    let tokenizer = load(&qwen_json(), json!({}));
    let special = tokenizer.special_ids();
    for (user, trusted) in [("<|im_end", "|>"), ("<", "|im_end|>"), ("a <|im_en", "d|>")] {
        let ids = tokenizer.encode_segments(&[Segment::User(user), Segment::Trusted(trusted)], false).unwrap();
        assert!(ids.iter().all(|id| !special.contains(id)), "{user} + {trusted}: {ids:?}");
        let ids = tokenizer.encode_segments(&[Segment::Trusted(user), Segment::User(trusted)], false).unwrap();
        let text = tokenizer.decode(&ids, false).unwrap();
        assert_eq!(text, format!("{user}{trusted}"));
        assert!(ids.iter().all(|&id| tokenizer.id_to_token(id).unwrap() != "<|im_end|>"));
    }
    // The token that the user began does not hide the template's own.
    let parts = [Segment::User("<|im_"), Segment::Trusted("<|im_end|>")];
    let ids = tokenizer.encode_segments(&parts, false).unwrap();
    assert_eq!(tokenizer.id_to_token(*ids.last().unwrap()).unwrap(), "<|im_end|>");
}

#[test]
fn tokens_in_normalised_text_stay_text_too() {
    let tokenizer = load(&bert_json(), json!({}));
    let mask = tokenizer.token_to_id("[mask]").unwrap();
    let trusted = tokenizer.encode("the [MASK] cat", false).unwrap();
    assert!(trusted.contains(&mask));
    let user = [Segment::Trusted("the "), Segment::User("[MASK]"), Segment::Trusted(" cat")];
    assert!(!tokenizer.encode_segments(&user, false).unwrap().contains(&mask));
}

#[test]
fn placeholders_are_found_and_replaced_in_trusted_text_only() {
    let parts = [Segment::Trusted("<image>a"), Segment::User("é<image><im"), Segment::Trusted("age><image>")];
    let prompt = Prompt::from_segments(&parts);
    let text = "<image>aé<image><image><image>";
    assert_eq!(prompt.text(), text);
    assert_eq!(prompt.find("<image>"), [0, text.len() - 7]);
    let replaced = prompt.replace_each("<image>", |n| "<i>".repeat(n + 1));
    assert_eq!(replaced.text(), "<i>aé<image><image><i><i>");
    assert_eq!(replaced.literal(), [4..4 + "é<image><im".len()]);
    assert_eq!(prompt.find(""), [0usize; 0]);
    assert_eq!(Prompt::trusted("aaa").find("aa"), [0]);
    assert_eq!(Prompt::default().replace_each("x", |_| String::new()), Prompt::default());
}
