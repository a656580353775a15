//! The tokenizer: `tokenizer.json` and its configs, run as transformers runs them.
//!
//! Here: loading, ids of the special tokens, encode and decode. Encoding of prompts that hold a user's text is in
//! `split`, streaming decode in `decode_stream`. The algorithms (BPE, Unigram, WordPiece, ...) are those of the
//! crate `tokenizers`; what transformers does around it is done here.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use tokenizers::{AddedToken, Decoder, DecoderWrapper, ModelWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use super::config::TokenizerConfig;
use super::decode_stream::{DecodeStream, Streaming};
use super::prompt::{Prompt, Segment};
use super::split::Splitter;
use crate::error::{Error, Result};

/// Longest text that is encoded, in bytes: beyond any context, and small enough to fail fast on.
const MAX_TEXT: usize = 16 << 20;

/// A tokenizer. Cloning is cheap (the vocabulary is shared); `Send` and `Sync`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub inner: tokenizers::Tokenizer,
    pub splitter: Splitter,
    pub streaming: Streaming,
    pub clean_up: bool,
    /// CLIP's class replaces this suffix by a space and trims what it decodes.
    end_of_word: Option<String>,
    special: HashSet<String>,
    named: Vec<(String, u32)>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where the checkpoint has them, `tokenizer_config.json` and
    /// `special_tokens_map.json`. Padding and truncation that the file may ask for are switched off.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bytes that are not such files, [`Error::Unsupported`] for a decoder that cannot be
    /// run safely.
    pub fn from_bytes(
        tokenizer_json: &[u8],
        tokenizer_config: Option<&[u8]>,
        special_tokens_map: Option<&[u8]>,
    ) -> Result<Self> {
        let mut config = TokenizerConfig::from_bytes(tokenizer_config, special_tokens_map)?;
        let mut inner: tokenizers::Tokenizer =
            serde_json::from_slice(tokenizer_json).map_err(|e| malformed(e.to_string()))?;
        refuse_unsafe_decoders(inner.get_decoder())?;
        if let (None, Some(padding)) = (config.named("pad_token"), inner.get_padding()) {
            let token = AddedToken::from(padding.pad_token.as_str(), true);
            config.named.push(super::config::NamedToken { name: "pad_token".into(), token });
        }
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| malformed(e.to_string()))?;
        add_config_tokens(&mut inner, &config)?;
        apply_prefix_space(&mut inner, config.add_prefix_space);
        apply_class_post_processor(&mut inner, &config)?;

        let special = special_tokens(&inner).map(|(_, token)| token.content.clone()).collect();
        let named = config.named.iter().filter_map(|n| Some((n.name.clone(), inner.token_to_id(&n.token.content)?)));
        let end_of_word = if config.class == "CLIPTokenizer" { end_of_word_suffix(&inner) } else { None };
        let streaming =
            if end_of_word.is_some() { Streaming::AtEnd } else { Streaming::of_decoder(inner.get_decoder()) };
        let shared = Shared {
            splitter: Splitter::new(&inner)?,
            streaming,
            clean_up: config.clean_up_tokenization_spaces,
            end_of_word,
            special,
            named: named.collect(),
            inner,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Number of tokens, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.shared.inner.get_vocab_size(true)
    }

    /// Id of a token, spelled as in the vocabulary.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.shared.inner.token_to_id(token)
    }

    /// Spelling of a token in the vocabulary.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        let added = self.shared.inner.get_added_vocabulary().get_added_tokens_decoder();
        match added.get(&id) {
            Some(token) => Some(token.content.clone()),
            None => self.shared.inner.id_to_token(id),
        }
    }

    /// Id of a token that the configs name: `bos_token`, `sep_token`, `image_token`, ...
    pub fn named_id(&self, name: &str) -> Option<u32> {
        self.shared.named.iter().find(|n| n.0 == name).map(|n| n.1)
    }

    /// Id of the token that begins a sequence.
    pub fn bos_id(&self) -> Option<u32> {
        self.named_id("bos_token")
    }

    /// Id of the token that ends a sequence.
    pub fn eos_id(&self) -> Option<u32> {
        self.named_id("eos_token")
    }

    /// Id of the padding token.
    pub fn pad_id(&self) -> Option<u32> {
        self.named_id("pad_token")
    }

    /// Id of the token for what the vocabulary cannot spell.
    pub fn unk_id(&self) -> Option<u32> {
        self.named_id("unk_token")
    }

    /// Ids of all special tokens, ascending: those that `decode(.., true)` leaves out and that a user's text cannot
    /// produce.
    pub fn special_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = special_tokens(&self.shared.inner).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// Ids of a text that is trusted as a whole: special tokens written in it are recognised, as
    /// `tokenizer(text, add_special_tokens=...)` of transformers does.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a text over 16 MiB or one that the model of the tokenizer cannot encode (no
    /// unknown token).
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        check_length(text)?;
        let encoding = self.shared.inner.encode_fast(text, add_special_tokens).map_err(not_encodable)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of a text of trusted and user-written parts. The parts are tokenised as the one text they form together;
    /// only special tokens that touch a character of a user's part are not recognised and stay ordinary text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_segments(&self, segments: &[Segment<'_>], add_special_tokens: bool) -> Result<Vec<u32>> {
        self.encode_prompt(&Prompt::from_segments(segments), add_special_tokens)
    }

    /// Ids of a prompt, see [`Tokenizer::encode_segments`].
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, prompt: &Prompt, add_special_tokens: bool) -> Result<Vec<u32>> {
        if !prompt.is_untrusted() {
            return self.encode(prompt.text(), add_special_tokens);
        }
        check_length(prompt.text())?;
        self.shared.splitter.encode(&self.shared.inner, prompt, add_special_tokens).map_err(not_encodable)
    }

    /// Text of the ids, as transformers' `decode(ids, skip_special_tokens=...)`, with the clean-up of spaces that
    /// the config asks for. Ids outside the vocabulary are left out.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the decoder of the tokenizer fails.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let tokens = ids.iter().filter_map(|&id| self.visible(id, skip_special_tokens)).collect();
        let text = self.join(tokens)?;
        Ok(if self.shared.clean_up { clean_up(&text) } else { text })
    }

    /// A decoder that takes one id after the other.
    pub fn decode_stream(&self, skip_special_tokens: bool) -> DecodeStream {
        DecodeStream::new(self.clone(), skip_special_tokens)
    }

    /// The token as the decoder sees it; none if there is no such id or it is to be skipped.
    pub(super) fn visible(&self, id: u32, skip_special_tokens: bool) -> Option<String> {
        let token = self.id_to_token(id)?;
        (!skip_special_tokens || !self.shared.special.contains(&token)).then_some(token)
    }

    /// Tokens to text, before the clean-up.
    pub(super) fn join(&self, tokens: Vec<String>) -> Result<String> {
        if tokens.is_empty() {
            return Ok(String::new());
        }
        let text = match self.shared.inner.get_decoder() {
            Some(decoder) => decoder.decode(tokens).map_err(|e| Error::argument("token ids", e.to_string()))?,
            None => tokens.join(" "),
        };
        Ok(match &self.shared.end_of_word {
            Some(suffix) => text.replace(suffix.as_str(), " ").trim().to_owned(),
            None => text,
        })
    }
}

/// transformers' `clean_up_tokenization`: spaces before punctuation and English contractions.
pub(super) fn clean_up(text: &str) -> String {
    const REPLACEMENTS: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    REPLACEMENTS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The special tokens with their ids. A token that `tokenizer.json` calls special stays so whatever a config says,
/// as in the crate.
pub(super) fn special_tokens(inner: &tokenizers::Tokenizer) -> impl Iterator<Item = (u32, &AddedToken)> {
    let added = inner.get_added_vocabulary();
    let tokens = added.get_added_tokens_decoder().iter().map(|(id, token)| (*id, token));
    tokens.filter(|(_, token)| added.is_special_token(&token.content))
}

fn malformed(reason: String) -> Error {
    Error::malformed("tokenizer.json", reason)
}

fn not_encodable(error: tokenizers::Error) -> Error {
    Error::argument("text", error.to_string())
}

fn check_length(text: &str) -> Result<()> {
    if text.len() > MAX_TEXT {
        let reason = format!("{} bytes, at most {MAX_TEXT} are encoded", text.len());
        return Err(Error::argument("text", reason));
    }
    Ok(())
}

/// A `Strip` decoder that cuts at the end underflows on empty tokens in the crate; no known checkpoint has one.
fn refuse_unsafe_decoders(decoder: Option<&DecoderWrapper>) -> Result<()> {
    match decoder {
        Some(DecoderWrapper::Sequence(sequence)) => {
            sequence.get_decoders().iter().try_for_each(|d| refuse_unsafe_decoders(Some(d)))
        }
        Some(DecoderWrapper::Strip(strip)) if strip.stop > 0 => Err(Error::unsupported(
            format!("tokenizer.json decoder Strip with stop = {}", strip.stop),
            "only stripping at the start is",
        )),
        _ => Ok(()),
    }
}

/// Adds the tokens of the configs, overriding flags, in the order in which transformers does.
fn add_config_tokens(inner: &mut tokenizers::Tokenizer, config: &TokenizerConfig) -> Result<()> {
    let special = config.special_contents();
    let known: HashSet<String> = inner.get_added_tokens_decoder().into_values().map(|t| t.content).collect();
    let mut tokens: Vec<AddedToken> = Vec::new();
    for (_, token) in &config.added {
        let is_special = token.special || special.contains(&token.content.as_str());
        tokens.push(token.clone().special(is_special));
    }
    for token in config.named.iter().map(|n| &n.token).chain(&config.additional) {
        if !known.contains(&token.content) && !tokens.iter().any(|t| t.content == token.content) {
            tokens.push(token.clone());
        }
    }
    tokens.retain(|t| !t.content.is_empty());
    inner.add_tokens(tokens).map_err(|e| malformed(e.to_string()))?;
    Ok(())
}

/// transformers sets `add_prefix_space` of a byte-level pre-tokenizer that stands alone from the config.
fn apply_prefix_space(inner: &mut tokenizers::Tokenizer, add_prefix_space: bool) {
    if let Some(PreTokenizerWrapper::ByteLevel(byte_level)) = inner.get_pre_tokenizer()
        && byte_level.add_prefix_space != add_prefix_space
    {
        let changed = byte_level.add_prefix_space(add_prefix_space);
        inner.with_pre_tokenizer(Some(changed));
    }
}

/// LLaMA's, Gemma's and Cohere's classes build the post-processor from `add_bos_token` and `add_eos_token`.
fn apply_class_post_processor(inner: &mut tokenizers::Tokenizer, config: &TokenizerConfig) -> Result<()> {
    if !matches!(config.class.as_str(), "LlamaTokenizer" | "CodeLlamaTokenizer" | "GemmaTokenizer" | "CohereTokenizer")
    {
        return Ok(());
    }
    let mut special_tokens = serde_json::Map::new();
    let mut piece = |wanted: bool, name: &str| -> Result<Option<String>> {
        if !wanted {
            return Ok(None);
        }
        let content = config.named(name).map(str::to_owned);
        let id = content.as_ref().and_then(|c| inner.token_to_id(c));
        let (Some(content), Some(id)) = (content, id) else {
            return Err(Error::malformed("tokenizer_config.json", format!("add_{name} is true but {name} is not set")));
        };
        special_tokens.insert(content.clone(), json!({"id": content, "ids": [id], "tokens": [content]}));
        Ok(Some(content))
    };
    let bos = piece(config.add_bos_token.unwrap_or(true), "bos_token")?;
    let eos = piece(config.add_eos_token.unwrap_or(false), "eos_token")?;
    let side = |sequence: &str, type_id: u32| {
        let token = |t: &String| json!({"SpecialToken": {"id": t, "type_id": type_id}});
        let text = json!({"Sequence": {"id": sequence, "type_id": type_id}});
        bos.iter().map(token).chain([text]).chain(eos.iter().map(token)).collect::<Vec<_>>()
    };
    let pair = [side("A", 0), side("B", 1)].concat();
    let template = json!({
        "type": "TemplateProcessing",
        "single": side("A", 0),
        "pair": pair,
        "special_tokens": special_tokens,
    });
    let processor: PostProcessorWrapper = serde_json::from_value(template).map_err(|e| malformed(e.to_string()))?;
    inner.with_post_processor(Some(processor));
    Ok(())
}

fn end_of_word_suffix(inner: &tokenizers::Tokenizer) -> Option<String> {
    match inner.get_model() {
        ModelWrapper::BPE(bpe) => bpe.end_of_word_suffix.clone(),
        _ => None,
    }
}
