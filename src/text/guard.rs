//! Keeping a user's text literal on its way through a chat template.
//!
//! A template trims, splits and joins strings, so byte ranges of a user's text do not survive it. What does survive
//! is a character: before rendering, every occurrence of a protected string in a user's text gets one sentinel
//! inside; after rendering, the sentinels are taken out again and the characters behind them are literal in the
//! [`Prompt`]. The sentinel is a private-use character that occurs in none of the texts of this rendering, so that
//! nobody can write one. Not here: the rendering (`template`), the encoding (`split`).

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value as Json;
use tokenizers::normalizer::Range;
use tokenizers::{NormalizedString, Normalizer};

use super::prompt::Prompt;
use super::split::normalize;
use super::tokenizer::{Tokenizer, special_tokens};
use crate::error::{Error, Result};

/// The strings that must stay text when a user writes them: the special tokens of a tokenizer and the placeholders
/// of a model family.
#[derive(Debug, Clone)]
pub struct Guard {
    tokenizer: Tokenizer,
    strings: Vec<String>,
    literal: Option<AhoCorasick>,
    /// Special tokens that the tokenizer looks for in normalised text, in their normalised spelling.
    normalized: Option<AhoCorasick>,
}

impl Tokenizer {
    /// A guard for this tokenizer's special tokens and further `placeholders` (`<image>`, whether or not the
    /// vocabulary has it).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there are too many strings for one matcher.
    pub fn guard(&self, placeholders: &[&str]) -> Result<Guard> {
        let inner = &self.shared.inner;
        let special = || special_tokens(inner).map(|(_, token)| token);
        let mut strings: Vec<String> = special().map(|t| t.content.clone()).collect();
        strings.extend(placeholders.iter().map(|&p| p.to_owned()));
        strings.retain(|s| !s.is_empty());
        strings.sort();
        strings.dedup();
        let mut spellings: Vec<String> =
            special().filter(|t| t.normalized).map(|t| normalize(inner, &t.content)).collect();
        spellings.retain(|s| !s.is_empty());
        Ok(Guard { tokenizer: self.clone(), literal: matcher(&strings)?, normalized: matcher(&spellings)?, strings })
    }
}

fn matcher(strings: &[String]) -> Result<Option<AhoCorasick>> {
    (!strings.is_empty())
        .then(|| AhoCorasick::builder().match_kind(MatchKind::Standard).build(strings))
        .transpose()
        .map_err(|e| Error::argument("protected strings", e.to_string()))
}

impl Guard {
    /// Byte offsets of the characters of a user's text that must become literal, ascending: one in every occurrence
    /// of a protected string and, with `edges`, one where the text could complete such a string with its neighbours.
    fn marks(&self, text: &str, edges: bool) -> Vec<usize> {
        let mut marks = Vec::new();
        if let Some(literal) = &self.literal {
            marks.extend(literal.find_overlapping_iter(text).filter_map(|hit| last_visible(text, hit.range())));
        }
        marks.extend(self.normalized_marks(text));
        if edges {
            let ends = self.strings.iter().any(|s| overlap(s, |head| text.ends_with(head), true));
            let starts = self.strings.iter().any(|s| overlap(s, |tail| text.starts_with(tail), false));
            marks.extend(ends.then(|| last_visible(text, 0..text.len())).flatten());
            marks.extend(starts.then(|| text.find(|c: char| !c.is_whitespace())).flatten());
        }
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    fn normalized_marks(&self, text: &str) -> Vec<usize> {
        let (Some(matcher), Some(normalizer)) = (&self.normalized, self.tokenizer.shared.inner.get_normalizer()) else {
            return Vec::new();
        };
        let mut piece = NormalizedString::from(text);
        if normalizer.normalize(&mut piece).is_err() {
            return Vec::new();
        }
        let hits = matcher.find_overlapping_iter(piece.get());
        hits.filter_map(|hit| last_visible(text, piece.convert_offsets(Range::Normalized(hit.range()))?)).collect()
    }

    /// The text with the sentinel before every character that must become literal.
    pub(super) fn mark(&self, text: &str, sentinel: char, edges: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for mark in self.marks(text, edges) {
            out.push_str(&text[done..mark]);
            out.push(sentinel);
            done = mark;
        }
        out.push_str(&text[done..]);
        out
    }

    /// Marks all strings of a JSON value, keys included.
    pub(super) fn mark_json(&self, value: &Json, sentinel: char) -> Json {
        match value {
            Json::String(text) => Json::String(self.mark(text, sentinel, true)),
            Json::Array(items) => items.iter().map(|item| self.mark_json(item, sentinel)).collect(),
            Json::Object(map) => map
                .iter()
                .map(|(key, value)| (self.mark(key, sentinel, false), self.mark_json(value, sentinel)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// Offset of the last character of the range that is no whitespace (a template may trim whitespace away).
fn last_visible(text: &str, range: std::ops::Range<usize>) -> Option<usize> {
    let base = range.start;
    let inside = text.get(range)?;
    let (at, _) = inside.char_indices().rfind(|(_, c)| !c.is_whitespace())?;
    Some(base + at)
}

/// Whether a proper part of `string`, a head or a tail, is accepted.
fn overlap(string: &str, accept: impl Fn(&str) -> bool, heads: bool) -> bool {
    string.char_indices().skip(1).any(|(at, _)| accept(if heads { &string[..at] } else { &string[at..] }))
}

/// A private-use character that occurs in none of the texts.
pub(super) fn free_character<'t>(texts: impl Iterator<Item = &'t str>) -> Result<char> {
    const PRIVATE: [std::ops::RangeInclusive<char>; 2] = ['\u{F0000}'..='\u{FFFFD}', '\u{100000}'..='\u{10FFFD}'];
    let mut used = HashSet::new();
    for text in texts {
        used.extend(text.chars().filter(|&c| c >= '\u{F0000}'));
    }
    let free = PRIVATE.into_iter().flatten().find(|c| !used.contains(c));
    free.ok_or_else(|| Error::argument("messages", "they use every private character of Unicode"))
}

/// Takes the sentinels out; the character behind each becomes literal.
pub(super) fn take_marks(marked: &str, sentinel: char) -> Prompt {
    let mut prompt = Prompt::default();
    prompt.distrust();
    let mut parts = marked.split(sentinel);
    prompt.push_text(parts.next().unwrap_or_default());
    for part in parts {
        let start = prompt.text().len();
        let literal = part.chars().next().map_or(0, char::len_utf8);
        prompt.push_text(part);
        prompt.push_literal(start..start + literal);
    }
    prompt
}
