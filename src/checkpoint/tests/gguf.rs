//! GGUF files, made up and damaged.

use std::sync::Arc;

use super::*;
use crate::checkpoint::gguf::{Gguf, GgufFiles};
use crate::quant::{Block, Packing};
use crate::{DType, Error};

/// A file being written.
struct Made(Vec<u8>);

impl Made {
    fn new(tensors: u64, keys: u64) -> Self {
        let mut made = Self(b"GGUF".to_vec());
        made.0.extend(3u32.to_le_bytes());
        made.number(tensors).number(keys)
    }
    fn number(mut self, n: u64) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn word(mut self, n: u32) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn text(self, text: &str) -> Self {
        let mut made = self.number(text.len() as u64);
        made.0.extend(text.as_bytes());
        made
    }
    fn key(self, key: &str, value: u32) -> Self {
        self.text(key).word(4).word(value)
    }
    fn string(self, key: &str, value: &str) -> Self {
        self.text(key).word(8).text(value)
    }
    fn flag(self, key: &str, value: bool) -> Self {
        let mut made = self.text(key).word(7);
        made.0.push(u8::from(value));
        made
    }
    fn strings(self, key: &str, values: &[&str]) -> Self {
        let made = self.text(key).word(9).word(8).number(values.len() as u64);
        values.iter().fold(made, |made, value| made.text(value))
    }
    fn tensor(self, name: &str, axes: &[u64], kind: u32, offset: u64) -> Self {
        let made = self.text(name).word(axes.len() as u32);
        axes.iter().fold(made, |made, axis| made.number(*axis)).word(kind).number(offset)
    }
    /// With `bytes` of data behind the padding.
    fn data(mut self, bytes: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32), 0);
        self.0.extend((0..bytes).map(|n| n as u8));
        self.0
    }
}

/// The first keys of a llama of one layer with `more` keys behind them; see [`tensors`].
fn llama(more: u64, pre: &str, tokens: &[&str], merges: &[&str]) -> Made {
    Made::new(2, 9 + more)
        .string("general.architecture", "llama")
        .key("llama.block_count", 1)
        .key("llama.embedding_length", 32)
        .key("llama.feed_forward_length", 64)
        .key("llama.attention.head_count", 4)
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", pre)
        .strings("tokenizer.ggml.tokens", tokens)
        .strings("tokenizer.ggml.merges", merges)
}

/// Its tensors: the table in Q8_0, everything else missing.
fn tensors(keys: Made) -> Vec<u8> {
    keys.tensor("token_embd.weight", &[32, 3], 8, 0).tensor("output_norm.weight", &[32], 0, 128).data(128 + 128)
}

fn small() -> Vec<u8> {
    tensors(llama(0, "smollm", &["a", "b", "ab"], &["a b"]))
}

fn open(bytes: Vec<u8>) -> Result<Gguf> {
    wait(Gguf::open(Arc::new(MemoryFile::new("made.gguf", bytes))))
}

#[test]
fn a_file_is_a_checkpoint() {
    let files = GgufFiles::new(Arc::new(MemoryFile::new("made.gguf", small())));
    let names = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.gguf"];
    assert_eq!(wait(files.list()).unwrap(), names);
    let config = wait(Config::need(&files, "config.json")).unwrap();
    assert_eq!(config.usize("hidden_size", 0).unwrap(), 32);
    assert!(config.bool("rope_interleaved", false).unwrap() && config.bool("tie_word_embeddings", false).unwrap());
    let checkpoint = wait(Checkpoint::open(&files)).unwrap();
    let table = checkpoint.entry("model.embed_tokens.weight").unwrap();
    assert_eq!((table.shape.as_slice(), table.elements()), (&[3usize, 32][..], 96));
    let packed = table.packed.as_ref().unwrap();
    assert_eq!(packed.packing, Packing::Block(Block::Q8_0));
    let mut row = [0; 34];
    wait(checkpoint.read_section(table, 0, 34, &mut row)).unwrap();
    assert_eq!((row[0], row[33]), (34, 67));
    assert!(wait(checkpoint.read_section(table, 0, 70, &mut row)).is_err(), "beyond the section");
    assert!(wait(checkpoint.load_f32("model.embed_tokens.weight")).is_err(), "a quantized tensor has no elements");
    assert_eq!(checkpoint.entry("model.norm.weight").unwrap().dtype, DType::F32);
}

#[test]
fn a_source_without_a_slice_reads_the_same() {
    let bytes = small();
    let remote = wait(Gguf::open(Arc::new(Remote(MemoryFile::new("made.gguf", bytes.clone()))))).unwrap();
    assert_eq!(remote.metadata, open(bytes).unwrap().metadata);
}

/// Pieces that a vocabulary of letters, digits and pairs of them cuts a text into, and whether texts begin with a token.
fn pieces(pre: &str, begin: Option<bool>, text: &str) -> (Vec<String>, bool) {
    let tokens = ["f", "o", "W", "x", "2", "0", "\u{120}", "oW", "20", "\u{120}2", "<s>"];
    let merges = ["o W", "2 0", "\u{120} 2"];
    let keys = llama(1 + u64::from(begin.is_some()), pre, &tokens, &merges).key("tokenizer.ggml.bos_token_id", 10);
    let made = tensors(match begin {
        Some(begin) => keys.flag("tokenizer.ggml.add_bos_token", begin),
        None => keys,
    });
    let files = GgufFiles::new(Arc::new(MemoryFile::new("made.gguf", made)));
    let read = |name: &str| wait(files.read(name)).unwrap();
    let tokenizer = crate::text::Tokenizer::from_bytes(
        &read("tokenizer.json").unwrap(),
        read("tokenizer_config.json").as_deref(),
        None,
    );
    let mut ids = tokenizer.unwrap().encode(text, true).unwrap();
    let begins = ids.first() == Some(&10);
    ids.retain(|id| *id != 10);
    (ids.iter().map(|id| tokens[*id as usize].to_owned()).collect(), begins)
}

#[test]
fn texts_are_cut_as_the_metadata_says() {
    let cut = |pieces: &[&str]| pieces.iter().map(|piece| (*piece).to_owned()).collect::<Vec<String>>();
    // Tekken cuts before a capital and digit by digit, LLaMA 3 neither; Qwen2 the digits alone.
    let tekken = cut(&["f", "o", "W", "x", "\u{120}", "2", "0"]);
    assert_eq!(pieces("tekken", None, "foWx 20"), (tekken.clone(), true));
    assert_eq!(pieces("tekken", Some(false), "foWx 20"), (tekken, false));
    for pre in ["llama-bpe", "pixtral", "falcon3"] {
        assert_eq!(pieces(pre, None, "foWx 20"), (cut(&["f", "oW", "x", "\u{120}", "20"]), true), "{pre}");
    }
    let qwen = cut(&["f", "oW", "x", "\u{120}", "2", "0"]);
    assert_eq!(pieces("qwen2", None, "foWx 20"), (qwen.clone(), false));
    assert_eq!(pieces("qwen2", Some(true), "foWx 20"), (qwen, true));
}

#[test]
fn every_truncation_is_an_error() {
    let whole = small();
    for length in 0..whole.len() {
        let error = open(whole[..length].to_vec()).expect_err("truncated");
        assert!(matches!(error, Error::Malformed { .. }), "{length}: {error}");
    }
}

#[test]
fn no_damaged_byte_panics() {
    let whole = small();
    for at in 0..whole.len() - 256 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let files = GgufFiles::new(Arc::new(MemoryFile::new("made.gguf", bytes)));
            let _ = wait(files.list());
            let _ = wait(Checkpoint::open(&files));
        }
    }
}

#[test]
fn lies_are_refused_by_name() {
    let one = |axes: &[u64], kind: u32, offset: u64| Made::new(1, 0).tensor("w", axes, kind, offset).data(256);
    let lies: Vec<(&str, Vec<u8>, &str)> = vec![
        ("another file", b"GGML0000".to_vec(), "GGUF"),
        ("rows of no whole blocks", one(&[33, 2], 8, 0), "`w`"),
        ("beyond the end", one(&[64, 2], 0, 0), "`w`"),
        ("an offset beyond any file", one(&[4], 0, 1 << 63), "`w`"),
        ("a type of none", one(&[32], 99, 0), "unknown type 99"),
        ("unaligned", one(&[4], 0, 8), "aligned"),
        ("no axes", one(&[], 0, 0), "0 axes"),
        ("five axes", one(&[1, 1, 1, 1, 1], 0, 0), "5 axes"),
        ("an empty axis", one(&[0, 1 << 62], 0, 0), "`w`"),
        ("absurd axes", one(&[1 << 62, 1 << 62], 0, 0), "`w`"),
        ("a list of absurd length", Made::new(0, 1).text("k").word(9).word(4).number(1 << 60).data(64), "`k`"),
        ("a list of lists", Made::new(0, 1).text("k").word(9).word(9).number(1).data(64), "list of lists"),
        ("a value of unknown type", Made::new(0, 1).text("k").word(77).data(64), "unknown type 77"),
        ("a key of many parts", Made::new(0, 1).key(&"a.".repeat(1 << 20), 1).data(64), "parts"),
        ("alignment 3", Made::new(0, 1).key("general.alignment", 3).data(64), "alignment"),
        ("more keys than bytes", Made::new(0, 1 << 60).data(64), ""),
        ("overlap", Made::new(2, 0).tensor("a", &[32], 0, 0).tensor("b", &[32], 0, 32).data(256), "overlap"),
        ("twice", Made::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(256), ""),
    ];
    for (what, bytes, text) in lies {
        let source: Arc<dyn ReadAt> = Arc::new(MemoryFile::new("made.gguf", bytes));
        let error = wait(Checkpoint::of_gguf(source, None)).expect_err(what);
        assert!(matches!(error, Error::Malformed { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains(text), "{what}: {error}");
    }
    let iq2 = wait(Checkpoint::of_gguf(Arc::new(MemoryFile::new("made.gguf", one(&[256], 16, 0))), None)).unwrap_err();
    assert!(matches!(&iq2, Error::Unsupported { .. }) && iq2.to_string().contains("iq2_xxs"), "{iq2}");
}
