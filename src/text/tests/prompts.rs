//! Prompts of trusted and user-written parts.

use proptest::prelude::*;
use serde_json::json;

use super::made::{all, bert_json, llama_json, load, oracles, qwen_json, unigram_json};
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
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Special tokens are those of the same text with a user's characters made inert, wherever the borders are.
    #[test]
    fn users_produce_no_special_tokens(segments in segments()) {
        let inert = |c: char| match c {
            c if c.is_whitespace() => c,
            c if regex_syntax::is_word_character(c) => 'z',
            _ => '~',
        };
        let whole: String = segments
            .iter()
            .map(|(trusted, s)| if *trusted { s.clone() } else { s.chars().map(inert).collect() })
            .collect();
        for (name, tokenizer) in all() {
            let special = tokenizer.special_ids();
            // Characters that the model does not know are unknown tokens as well; the text did not ask for them.
            let unk = ["<unk>", "[UNK]"].iter().find_map(|t| tokenizer.token_to_id(t));
            let specials = |ids: Vec<u32>| -> Vec<u32> {
                ids.into_iter().filter(|id| special.contains(id) && Some(*id) != unk).collect()
            };
            let got = specials(tokenizer.encode_segments(&borrowed(&segments), false).unwrap());
            let want = specials(tokenizer.encode(&whole, false).unwrap());
            prop_assert_eq!(got, want, "{}: {:?}", name, segments);
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
        for (name, mut oracle, tokenizer) in oracles() {
            oracle.set_encode_special_tokens(true);
            // The crate lets Unigram's own vocabulary spell `</s>`; ours does not.
            let text = if name == "unigram" { text.replace("</s>", "") } else { text.clone() };
            let want = oracle.encode_fast(text.as_str(), true).unwrap().get_ids().to_vec();
            let got = tokenizer.encode_segments(&[Segment::User(&text)], true).unwrap();
            prop_assert_eq!(got, want, "{:?}", text);
        }
    }

    /// Our two passes equal the crate's where nothing is literal in a place that matters.
    #[test]
    fn the_passes_equal_the_crate(text in text()) {
        for (_, oracle, tokenizer) in oracles() {
            let whole = format!("{text}zz");
            let want = oracle.encode_fast(whole.as_str(), true).unwrap().get_ids().to_vec();
            let parts = [Segment::Trusted(text.as_str()), Segment::User("zz")];
            prop_assert_eq!(tokenizer.encode_segments(&parts, true).unwrap(), want, "{:?}", text);
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
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "\nwhat is <image></s>?");
}

#[test]
fn a_token_across_a_border_stays_text() {
    let tokenizer = load(&qwen_json(), json!({}));
    let special = tokenizer.special_ids();
    for (user, trusted) in [("<|im_end", "|>"), ("<", "|im_end|>"), ("a <|im_en", "d|>")] {
        let ids = tokenizer.encode_segments(&[Segment::User(user), Segment::Trusted(trusted)], false).unwrap();
        assert!(ids.iter().all(|id| !special.contains(id)), "{user} + {trusted}: {ids:?}");
        let ids = tokenizer.encode_segments(&[Segment::Trusted(user), Segment::User(trusted)], false).unwrap();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), format!("{user}{trusted}"));
        assert!(ids.iter().all(|&id| tokenizer.id_to_token(id).unwrap() != "<|im_end|>"));
    }
    // A shorter token of the template remains where a user's text would make it a longer one.
    let parts = [Segment::Trusted("<|im"), Segment::User("_end|>")];
    let ids = tokenizer.encode_segments(&parts, false).unwrap();
    assert_eq!(tokenizer.id_to_token(ids[0]).unwrap(), "<|im");
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
    assert_eq!(replaced.literal().len(), 1);
    assert_eq!(replaced.literal()[0], 4..4 + "é<image><im".len());
    assert_eq!(prompt.find(""), [0usize; 0]);
    assert_eq!(Prompt::trusted("aaa").find("aa"), [0]);
    assert_eq!(Prompt::default().replace_each("x", |_| String::new()), Prompt::default());
}

#[test]
fn a_model_that_has_special_tokens_itself_does_not_spell_them() {
    let tokenizer = load(&unigram_json(), json!({}));
    let guard = tokenizer.guard(&[]).unwrap();
    let chat = super::templates::template("{{ messages[0].content }}</s>", &json!({}));
    for user in ["</s>", "a </s>b", "the</s></s>", "</s", "\u{ff1c}/s>"] {
        let parts = [Segment::User(user), Segment::Trusted("</s>")];
        let ids = tokenizer.encode_segments(&parts, false).unwrap();
        assert_eq!(ids.iter().filter(|&&id| id == 1).count(), 1, "{user}: {ids:?}");
        let messages = [crate::text::Message::text("user", user)];
        let prompt = chat.render_guarded(&messages, &Default::default(), &guard).unwrap();
        assert_eq!(tokenizer.encode_prompt(&prompt, false).unwrap(), ids, "{user}");
    }
    let ids = tokenizer.encode_segments(&[Segment::User("a </s>b")], false).unwrap();
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "a </s>b");
}
