//! A prompt: one text, some of whose characters are literal.
//!
//! Here: building prompts from trusted and user-written parts, finding and replacing placeholders in the trusted
//! ones. Not here: how a prompt becomes ids (`split`), or how a template keeps track of a user's text (`guard`).

use std::ops::Range;

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text in which special tokens count: template text and placeholders put there by the engine.
    Trusted(&'a str),
    /// Text that a user wrote: special tokens in it are just characters.
    User(&'a str),
}

/// A text and the byte ranges of it that are literal: no special token and no placeholder touches them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    /// Ascending, disjoint, not empty, on character borders.
    literal: Vec<Range<usize>>,
    /// Whether any of it may be a user's.
    untrusted: bool,
}

impl Prompt {
    /// A prompt of one trusted text.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The parts, one after the other.
    pub fn from_segments(segments: &[Segment<'_>]) -> Self {
        let mut prompt = Self::default();
        for segment in segments {
            prompt.push(*segment);
        }
        prompt
    }

    /// Appends a part.
    pub fn push(&mut self, segment: Segment<'_>) {
        match segment {
            Segment::Trusted(text) => self.text.push_str(text),
            Segment::User(text) => {
                self.untrusted = true;
                let start = self.text.len();
                self.text.push_str(text);
                self.push_literal(start..self.text.len());
            }
        }
    }

    /// The whole text, as the tokenizer sees it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The literal byte ranges of [`Prompt::text`], ascending and disjoint.
    pub fn literal(&self) -> &[Range<usize>] {
        &self.literal
    }

    /// Whether any of it may be a user's, literal or not: then no token of the model's own vocabulary may spell a
    /// special token either.
    pub fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    pub(super) fn distrust(&mut self) {
        self.untrusted = true;
    }

    /// Whether a byte range of the text touches a literal character.
    pub fn touches_literal(&self, range: &Range<usize>) -> bool {
        let next = self.literal.partition_point(|literal| literal.end <= range.start);
        self.literal.get(next).is_some_and(|literal| literal.start < range.end)
    }

    /// Byte offsets of the occurrences of `needle` in trusted text, left to right, not overlapping. An empty needle
    /// is found nowhere.
    pub fn find(&self, needle: &str) -> Vec<usize> {
        let mut found = Vec::new();
        let Some(first) = needle.chars().next() else { return found };
        let mut from = 0;
        while let Some(at) = self.text.get(from..).and_then(|rest| rest.find(needle)) {
            let start = from + at;
            if self.touches_literal(&(start..start + needle.len())) {
                from = start + first.len_utf8();
            } else {
                found.push(start);
                from = start + needle.len();
            }
        }
        found
    }

    /// The prompt with the n-th trusted occurrence of `needle` replaced by the trusted text `with(n)`: how one
    /// placeholder of a picture becomes as many as it has tokens.
    pub fn replace_each(&self, needle: &str, mut with: impl FnMut(usize) -> String) -> Self {
        let mut out = Self { untrusted: self.untrusted, ..Self::default() };
        let mut done = 0;
        for (n, start) in self.find(needle).into_iter().enumerate() {
            out.push_slice(self, done..start);
            out.text.push_str(&with(n));
            done = start + needle.len();
        }
        out.push_slice(self, done..self.text.len());
        out
    }

    /// Appends a slice of another prompt; `range` lies on borders of trusted text.
    fn push_slice(&mut self, from: &Self, range: Range<usize>) {
        let base = self.text.len();
        self.text.push_str(from.text.get(range.clone()).unwrap_or_default());
        let first = from.literal.partition_point(|literal| literal.end <= range.start);
        for literal in from.literal.iter().skip(first).take_while(|literal| literal.start < range.end) {
            let start = literal.start.max(range.start) - range.start;
            let end = literal.end.min(range.end) - range.start;
            self.push_literal(base + start..base + end);
        }
    }

    /// Adds a literal range that lies behind all others, joining it to the last where they meet.
    pub(super) fn push_literal(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        match self.literal.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.literal.push(range),
        }
    }

    /// Appends text whose literal ranges are added by [`Prompt::push_literal`].
    pub(super) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
    }
}
