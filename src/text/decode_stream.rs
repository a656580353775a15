//! Streaming decode: ids in, text out, exactly the text that `decode` gives for all of them.
//!
//! Here: which decoders can be run piece by piece, and the state for doing so. A piece is decoded behind the last
//! token that was given out, so that rules for the first token of a text (a stripped space) do not apply again, and
//! is held back while it may still change: half a UTF-8 character, a run of byte tokens, spaces that the clean-up may
//! remove. Decoders whose text may change at any distance are run once, at the end.

use tokenizers::DecoderWrapper;

use super::tokenizer::{Tokenizer, clean_up};
use crate::error::{Error, Result};

/// How a decoder can be streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streaming {
    /// Text of a prefix of the tokens is a prefix of the text, but for unfinished characters.
    Pieces {
        /// Runs of `<0xNN>` tokens become text as a whole: valid UTF-8, or a replacement character for each.
        byte_tokens: bool,
    },
    /// No part of the text is certain before all tokens are known.
    AtEnd,
}

impl Streaming {
    /// Looks at the decoder's parts. After a part that fuses all tokens into one, only cutting one leading character
    /// keeps what was given out unchanged.
    pub fn of_decoder(decoder: Option<&DecoderWrapper>) -> Self {
        let mut parts = Vec::new();
        flatten(decoder, &mut parts);
        let (mut fused, mut cut, mut byte_tokens) = (false, false, false);
        for part in parts {
            match part {
                DecoderWrapper::ByteFallback(_) => byte_tokens |= !fused,
                DecoderWrapper::Fuse(_) => fused = true,
                DecoderWrapper::Strip(strip) if fused && strip.start > 0 => {
                    if cut || strip.start > 1 {
                        return Self::AtEnd;
                    }
                    cut = true;
                }
                DecoderWrapper::Strip(_) => {}
                DecoderWrapper::CTC(_) => return Self::AtEnd,
                _ if fused => return Self::AtEnd,
                DecoderWrapper::ByteLevel(_) => fused = true,
                _ => {}
            }
        }
        Self::Pieces { byte_tokens }
    }
}

fn flatten<'d>(decoder: Option<&'d DecoderWrapper>, parts: &mut Vec<&'d DecoderWrapper>) {
    match decoder {
        Some(DecoderWrapper::Sequence(sequence)) => {
            sequence.get_decoders().iter().for_each(|d| flatten(Some(d), parts));
        }
        Some(decoder) => parts.push(decoder),
        None => {}
    }
}

/// Decodes ids one after the other. What [`DecodeStream::push`] and [`DecodeStream::finish`] return, put together,
/// equals [`Tokenizer::decode`] of all ids.
#[derive(Debug, Clone)]
pub struct DecodeStream {
    tokenizer: Tokenizer,
    skip_special_tokens: bool,
    /// Last token that was given out.
    context: Option<String>,
    /// Tokens whose text is not yet given out.
    pending: Vec<String>,
    /// Decoded text that the clean-up may still change.
    uncleaned: String,
}

impl DecodeStream {
    pub(super) fn new(tokenizer: Tokenizer, skip_special_tokens: bool) -> Self {
        Self { tokenizer, skip_special_tokens, context: None, pending: Vec::new(), uncleaned: String::new() }
    }

    /// Takes the next id; returns the text that has become certain, if any.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        let Some(token) = self.tokenizer.visible(id, self.skip_special_tokens) else { return Ok(None) };
        let Streaming::Pieces { byte_tokens } = self.tokenizer.shared.streaming else {
            self.pending.push(token);
            return Ok(None);
        };
        let hold = token.is_empty() || (byte_tokens && is_byte_token(&token));
        self.pending.push(token);
        if hold {
            return Ok(None);
        }
        let text = self.pending_text()?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(None);
        }
        self.context = self.pending.pop();
        self.pending.clear();
        let text = self.clean(text);
        Ok((!text.is_empty()).then_some(text))
    }

    /// Ends the stream: the text that was held back. The stream is then as new.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn finish(&mut self) -> Result<String> {
        let mut text = std::mem::take(&mut self.uncleaned);
        text.push_str(&self.pending_text()?);
        self.pending.clear();
        self.context = None;
        Ok(if self.tokenizer.shared.clean_up { clean_up(&text) } else { text })
    }

    /// What the pending tokens add behind the context.
    fn pending_text(&self) -> Result<String> {
        let Some(context) = &self.context else { return self.tokenizer.join(self.pending.clone()) };
        let before = self.tokenizer.join(vec![context.clone()])?;
        let mut tokens = vec![context.clone()];
        tokens.extend_from_slice(&self.pending);
        let mut all = self.tokenizer.join(tokens)?;
        if !all.starts_with(&before) {
            return Err(Error::argument("token ids", "the decoder changed text that was given out"));
        }
        Ok(all.split_off(before.len()))
    }

    /// Gives out as much as the clean-up cannot change any more. Its patterns begin with a space and have at most
    /// four characters, so none reaches over a border that has three other characters before it.
    fn clean(&mut self, text: String) -> String {
        if !self.tokenizer.shared.clean_up {
            return text;
        }
        self.uncleaned.push_str(&text);
        let mut run = 0;
        let mut border = 0;
        for (at, c) in self.uncleaned.char_indices() {
            run = if c == ' ' { 0 } else { run + 1 };
            if run >= 3 {
                border = at + c.len_utf8();
            }
        }
        let rest = self.uncleaned.split_off(border);
        clean_up(&std::mem::replace(&mut self.uncleaned, rest))
    }
}

/// `<0xNN>` as the byte-fallback decoder reads it.
fn is_byte_token(token: &str) -> bool {
    token.len() == 6
        && token.starts_with("<0x")
        && token.ends_with('>')
        && token.get(3..5).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok())
}
