//! Encoding a prompt in which some characters are literal.
//!
//! The crate `tokenizers` looks for added tokens in two passes, first in the raw text, then in the normalised rest;
//! what is left goes through pre-tokenizer and model. This module makes the same two passes, but leaves out special
//! tokens that touch a literal character. Everything after the passes is the crate's own code on the very pieces it
//! would have seen, so that merges across borders, prefix spaces and stripping come out as for the whole text.
//! One thing is added: some models (Unigram above all) have special tokens in their own vocabulary and would spell
//! them from ordinary text; such a token is cut in two, and the parts are tokenised.

use std::collections::HashMap;
use std::ops::Range as ByteRange;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use regex_syntax::is_word_character;
use tokenizers::normalizer::Range;
use tokenizers::tokenizer::Result as CrateResult;
use tokenizers::{
    AddedToken, Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Token,
};

use super::prompt::Prompt;
use super::tokenizer::special_tokens;
use crate::error::{Error, Result};

/// A piece of text; an added token has its one token already.
type Piece = (NormalizedString, Option<Vec<Token>>);

/// The added tokens of a tokenizer, ready for both passes.
#[derive(Debug)]
pub(super) struct Splitter {
    raw: TokenSet,
    normalized: TokenSet,
    /// Special tokens that the model has, too: id, spelling as the model sees it.
    in_model: HashMap<u32, String>,
}

/// The added tokens of one pass.
#[derive(Debug)]
struct TokenSet {
    tokens: Vec<(u32, AddedToken)>,
    matcher: Option<AhoCorasick>,
}

impl Splitter {
    pub fn new(inner: &tokenizers::Tokenizer) -> Result<Self> {
        let special: HashMap<u32, &AddedToken> = special_tokens(inner).collect();
        let mut added: Vec<(u32, AddedToken)> = inner.get_added_tokens_decoder().into_iter().collect();
        added.iter_mut().for_each(|(id, token)| token.special = special.contains_key(id));
        added.sort_by_key(|(id, _)| *id);
        let model = inner.get_model();
        let in_model = special
            .iter()
            .filter_map(|(id, token)| {
                Some((*id, model.id_to_token(*id).filter(|spelling| *spelling == token.content)?))
            })
            .collect();
        let (normalized, raw) = added.into_iter().partition(|(_, token)| token.normalized);
        Ok(Self {
            raw: TokenSet::new(raw, |t| t.into())?,
            normalized: TokenSet::new(normalized, |t| normalize(inner, t))?,
            in_model,
        })
    }

    /// Ids of the prompt.
    pub fn encode(&self, inner: &tokenizers::Tokenizer, prompt: &Prompt, add_special: bool) -> CrateResult<Vec<u32>> {
        let mut text = PreTokenizedString::from(prompt.text());
        text.split(|_, piece| Ok(self.raw.split(&piece, prompt)))?;
        text.split(|_, mut piece| {
            if let Some(normalizer) = inner.get_normalizer() {
                // The crate ignores a normaliser's failure here, too.
                let _ = normalizer.normalize(&mut piece);
            }
            Ok(self.normalized.split(&piece, prompt))
        })?;
        if let Some(pre_tokenizer) = inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut text)?;
        }
        text.tokenize(|piece| self.tokenize(inner, piece.get()))?;
        let encoding = text.into_encoding(None, 0, OffsetType::None)?;
        Ok(inner.post_process(encoding, None, add_special)?.get_ids().to_vec())
    }

    /// Tokens of a piece without added tokens; none of them spells a special token.
    fn tokenize(&self, inner: &tokenizers::Tokenizer, text: &str) -> CrateResult<Vec<Token>> {
        let tokens = inner.get_model().tokenize(text)?;
        if self.in_model.is_empty() {
            return Ok(tokens);
        }
        let mut out = Vec::with_capacity(tokens.len());
        for token in tokens {
            let spelling = text.get(token.offsets.0..token.offsets.1).unwrap_or_default();
            let half = spelling.char_indices().nth(spelling.chars().count() / 2).map_or(0, |(at, _)| at);
            // A special token of one character is that character's only token; an unknown token spells nothing.
            if half > 0 && self.in_model.get(&token.id).is_some_and(|special| special == spelling) {
                out.extend(self.tokenize(inner, &spelling[..half])?);
                out.extend(self.tokenize(inner, &spelling[half..])?);
            } else {
                out.push(token);
            }
        }
        Ok(out)
    }
}

/// How a token looks after the normaliser.
pub(super) fn normalize(inner: &tokenizers::Tokenizer, content: &str) -> String {
    let mut text = NormalizedString::from(content);
    match inner.get_normalizer().map(|n| n.normalize(&mut text)) {
        Some(Err(_)) => content.to_owned(),
        _ => text.get().to_owned(),
    }
}

impl TokenSet {
    fn new(tokens: Vec<(u32, AddedToken)>, spelling: impl Fn(&str) -> String) -> Result<Self> {
        let (tokens, patterns): (Vec<_>, Vec<_>) = tokens
            .into_iter()
            .filter_map(|token| {
                let pattern = spelling(&token.1.content);
                (!pattern.is_empty()).then_some((token, pattern))
            })
            .unzip();
        let matcher = (!patterns.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns))
            .transpose()
            .map_err(|e| Error::malformed("tokenizer.json", format!("added_tokens: {e}")))?;
        Ok(Self { tokens, matcher })
    }

    /// Cuts a piece at its added tokens.
    fn split(&self, piece: &NormalizedString, prompt: &Prompt) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (token, range) in self.find(piece, prompt) {
            let Some(slice) = piece.slice(Range::Normalized(range)) else { continue };
            let tokens = token.map(|id| {
                let value = slice.get().to_owned();
                let offsets = (0, value.len());
                vec![Token::new(id, value, offsets)]
            });
            pieces.push((slice, tokens));
        }
        pieces
    }

    /// Byte ranges that cover the piece, with the id of those that are an added token.
    fn find(&self, piece: &NormalizedString, prompt: &Prompt) -> Vec<(Option<u32>, ByteRange<usize>)> {
        let text = piece.get();
        let Some(matcher) = &self.matcher else { return vec![(None, 0..text.len())] };
        let mut found = Vec::new();
        let (mut done, mut from) = (0, 0);
        while let Some(hit) = matcher.find(Input::new(text).span(from..text.len())) {
            let start = hit.start();
            let Some((end, id, token)) = self.longest_allowed(matcher, piece, start..hit.end(), prompt) else {
                // Another token may begin inside the one that does not count.
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            from = end;
            if token.single_word && !stands_alone(text, start..end) {
                continue;
            }
            let (mut start, mut end) = (start, end);
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                found.push((None, done..start));
            }
            found.push((Some(id), start..end));
            done = end;
        }
        if done < text.len() {
            found.push((None, done..text.len()));
        }
        found
    }
}

impl TokenSet {
    /// The longest token that begins where `range` does, ends within it and counts there: end, id, flags.
    fn longest_allowed(
        &self,
        matcher: &AhoCorasick,
        piece: &NormalizedString,
        range: ByteRange<usize>,
        prompt: &Prompt,
    ) -> Option<(usize, u32, &AddedToken)> {
        let text = piece.get();
        let mut end = range.end;
        loop {
            let hit = matcher.find(Input::new(text).span(range.start..end))?;
            if hit.start() != range.start {
                return None;
            }
            let (id, token) = self.tokens.get(hit.pattern().as_usize())?;
            if !token.special || !touches_literal(piece, hit.range(), prompt) {
                return Some((hit.end(), *id, token));
            }
            end = hit.end() - text[..hit.end()].chars().next_back().map_or(1, char::len_utf8);
        }
    }
}

/// Whether a range of the (normalised) piece comes from a literal character of the prompt.
fn touches_literal(piece: &NormalizedString, range: ByteRange<usize>, prompt: &Prompt) -> bool {
    let base = piece.offsets_original().0;
    let Some(origin) = piece.convert_offsets(Range::Normalized(range)) else { return true };
    prompt.touches_literal(&(base + origin.start..base + origin.end))
}

/// Whether no word character borders on the range.
fn stands_alone(text: &str, range: ByteRange<usize>) -> bool {
    let word = |c: Option<char>| c.is_some_and(is_word_character);
    !word(text[..range.start].chars().next_back()) && !word(text[range.end..].chars().next())
}
