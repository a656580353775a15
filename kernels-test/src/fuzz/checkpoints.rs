//! Damaged checkpoints: GGUF files with their picture parts, and safetensors in the layouts of quantizing programs. What is
//! made of them has to be a table that reads within its files, or an error.

use super::Random;
use omma::checkpoint::gguf::GgufFiles;
use omma::checkpoint::{Checkpoint, Config, Files, MemoryFile, MemoryFiles, ReadAt, TensorBytes, encode_safetensors};
use omma::generate::planned_spec;
use omma::{DType, Error};
use pollster::block_on;
use std::sync::Arc;

/// Bytes that break formats.
const LIKELY: &[u8] = &[0, 1, 2, 4, 8, 9, 12, 0x20, 0x7f, 0x80, 0xff];
/// Most elements that are read of a tensor.
const READ: usize = 1 << 12;

/// Whatever is said of a damaged file is one line.
fn told<T>(result: omma::Result<T>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.to_string().contains('\n') => Err(format!("an error of several lines: {error}")),
        Err(_) => Ok(None),
    }
}

/// Reads the ends of every tensor: they have to be within the files.
fn read_all(checkpoint: &Checkpoint) -> Result<(), String> {
    for entry in checkpoint.entries() {
        let failed = |e: Error| format!("`{}`: {e}", entry.name);
        match &entry.packed {
            Some(packed) => {
                for (i, section) in packed.sections.iter().enumerate() {
                    let mut bytes = vec![0; section.bytes().min(64) as usize];
                    let last = section.bytes() - bytes.len() as u64;
                    block_on(checkpoint.read_section(entry, i, last, &mut bytes)).map_err(failed)?;
                }
            }
            None if entry.dtype.is_float() && entry.elements() > 0 => {
                let mut values = vec![0.0; entry.elements().min(READ)];
                let last = entry.elements() - values.len();
                block_on(checkpoint.read_f32(entry, last, &mut values)).map_err(failed)?;
            }
            None => {}
        }
    }
    Ok(())
}

/// The files as a model's, as far as no device is needed.
fn opened(files: &dyn Files) -> Result<(), String> {
    for name in told(block_on(files.list()))?.unwrap_or_default() {
        if !name.ends_with(".gguf") && !name.ends_with(".safetensors") {
            told(block_on(files.read(&name)))?;
        }
    }
    told(block_on(planned_spec(files, None)))?;
    let Some(checkpoint) = told(block_on(Checkpoint::open(files)))? else { return Ok(()) };
    let checkpoint = match told(block_on(Config::need(files, "config.json")))? {
        Some(config) => told(block_on(checkpoint.quantized_by(&config)))?,
        None => Some(checkpoint),
    };
    checkpoint.as_ref().map_or(Ok(()), read_all)
}

/// One damaged GGUF checkpoint, with a picture part or without. What is said of the tensors is a small part of a file, and
/// most of the damage.
pub(super) fn gguf(corpus: &[[Sound; 2]], random: &mut Random) -> Result<(), String> {
    let [model, pictures] = random.pick(corpus);
    let mut damaged = |sound: &Sound, often: u64| {
        let mut bytes = sound.bytes.clone();
        match random.below(8) {
            0 => random.damage(&mut bytes, LIKELY),
            n if n < often => drop(random.damage_front(&mut bytes, sound.front, LIKELY)),
            _ => {}
        }
        bytes
    };
    let (model, pictures) = (damaged(model, 5), damaged(pictures, 6));
    let source = |name: &str, bytes| Arc::new(MemoryFile::new(name, bytes)) as Arc<dyn ReadAt>;
    let files = GgufFiles::new(source("model.gguf", model));
    opened(&match random.below(3) {
        0 => files,
        1 => files.with_pictures(source("mmproj.gguf", pictures)),
        _ => files.with_candidates(vec![source("mmproj.gguf", pictures)]),
    })
}

/// One damaged checkpoint of a quantizing program.
pub(super) fn quantized(corpus: &[(String, Vec<u8>)], random: &mut Random) -> Result<(), String> {
    let (config, mut weights) = random.pick(corpus).clone();
    let mut config = config.into_bytes();
    random.damage(&mut config, b"0123456789.-e[]{}\",:ntf");
    match random.below(8) {
        0 => random.damage(&mut weights, b"0123456789.-e[]{}\",:ntf\xff\x00"),
        1..=3 => damage_header(&mut weights, random),
        _ => {}
    }
    opened(&MemoryFiles::new("damaged").with("config.json", config).with("model.safetensors", weights))
}

/// Damages what a safetensors file says of its tensors, and keeps the length in front true.
fn damage_header(bytes: &mut Vec<u8>, random: &mut Random) {
    let length = bytes.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    let mut rest = bytes.split_off(8);
    let length = random.damage_front(&mut rest, length, b"0123456789.-e[]{}\",:ntfIFU_") as u64;
    *bytes = [&length.to_le_bytes()[..], &rest].concat();
}

/// A file before it is damaged.
pub(super) struct Sound {
    bytes: Vec<u8>,
    /// Bytes of keys and table.
    front: usize,
}

/// A GGUF file in the making.
#[derive(Default)]
struct Made {
    keys: Vec<u8>,
    count: u64,
    tensors: Vec<(&'static str, Vec<u64>, u32, u64)>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Made {
    fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.extend(text(key));
        self.keys.extend(kind.to_le_bytes());
        self.keys.extend(value);
        self.count += 1;
        self
    }
    fn number(self, key: &str, value: u32) -> Self {
        self.key(key, 4, &value.to_le_bytes())
    }
    fn text(self, key: &str, value: &str) -> Self {
        self.key(key, 8, &text(value))
    }
    fn list(self, key: &str, kind: u32, values: &[Vec<u8>]) -> Self {
        let head = [&kind.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        self.key(key, 9, &[head, values.concat()].concat())
    }
    fn texts(self, key: &str, values: &[&str]) -> Self {
        self.list(key, 8, &values.iter().map(|v| text(v)).collect::<Vec<_>>())
    }
    /// A tensor of a type with so many values and bytes a block; axes fastest first.
    fn tensor(mut self, name: &'static str, axes: &[u64], (kind, values, bytes): (u32, u64, u64)) -> Self {
        self.tensors.push((name, axes.to_vec(), kind, axes.iter().product::<u64>() / values * bytes));
        self
    }
    fn sound(&self) -> Sound {
        let mut all = [b"GGUF", &3u32.to_le_bytes()[..]].concat();
        all.extend((self.tensors.len() as u64).to_le_bytes());
        all.extend(self.count.to_le_bytes());
        all.extend(&self.keys);
        let mut offset = 0u64;
        for (name, axes, kind, bytes) in &self.tensors {
            all.extend(text(name));
            all.extend((axes.len() as u32).to_le_bytes());
            axes.iter().for_each(|axis| all.extend(axis.to_le_bytes()));
            all.extend(kind.to_le_bytes());
            all.extend(offset.to_le_bytes());
            offset += bytes.next_multiple_of(32);
        }
        let front = all.len();
        all.resize(all.len().next_multiple_of(32) + offset as usize, 0x3c);
        Sound { bytes: all, front }
    }
}

const F32: (u32, u64, u64) = (0, 1, 4);
const F16: (u32, u64, u64) = (1, 1, 2);

/// A decoder of one layer; its matrices are blocks of one format.
fn decoder(architecture: &str, block: (u32, u64, u64), pieces: bool) -> Made {
    let key = |name: &str| format!("{architecture}.{name}");
    let made = Made::default()
        .text("general.architecture", architecture)
        .number("general.alignment", 32)
        .number(&key("block_count"), 1)
        .number(&key("embedding_length"), 256)
        .number(&key("feed_forward_length"), 256)
        .number(&key("attention.head_count"), 4)
        .number(&key("attention.head_count_kv"), 2)
        .number(&key("context_length"), 512)
        .key(&key("rope.freq_base"), 6, &5e5f32.to_le_bytes())
        .key(&key("attention.layer_norm_rms_epsilon"), 6, &1e-5f32.to_le_bytes())
        .number("tokenizer.ggml.bos_token_id", 0)
        .number("tokenizer.ggml.eos_token_id", 1)
        .key("tokenizer.ggml.add_bos_token", 7, &[1])
        .text("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}");
    let pairs: Vec<Vec<u8>> = [8i32, 12, 12, 0].iter().map(|pairs| pairs.to_le_bytes().to_vec()).collect();
    let made = made.list(&key("rope.dimension_sections"), 5, &pairs);
    let kinds: Vec<Vec<u8>> = [3i32, 3, 1, 1, 1, 4, 4, 4].iter().map(|k| k.to_le_bytes().to_vec()).collect();
    let made = if pieces {
        let scores: Vec<Vec<u8>> = (0..8).map(|i| (-(i as f32)).to_le_bytes().to_vec()).collect();
        made.text("tokenizer.ggml.model", "llama")
            .texts(
                "tokenizer.ggml.tokens",
                &["<s>", "</s>", "\u{2581}a", "a", "b", "<image>", "[IMG]", "<|image_pad|>"],
            )
            .list("tokenizer.ggml.scores", 6, &scores)
    } else {
        made.text("tokenizer.ggml.model", "gpt2")
            .text("tokenizer.ggml.pre", "llama-bpe")
            .texts(
                "tokenizer.ggml.tokens",
                &["<s>", "</s>", "a", "b", "ab", "<image>", "<IMG_CONTEXT>", "<|image_pad|>"],
            )
            .texts("tokenizer.ggml.merges", &["a b"])
    };
    made.list("tokenizer.ggml.token_type", 5, &kinds)
        .tensor("token_embd.weight", &[256, 8], block)
        .tensor("output_norm.weight", &[256], F32)
        .tensor("rope_freqs.weight", &[32], F32)
        .tensor("blk.0.attn_norm.weight", &[256], F32)
        .tensor("blk.0.attn_q.weight", &[256, 256], block)
        .tensor("blk.0.attn_k.weight", &[256, 128], block)
        .tensor("blk.0.attn_v.weight", &[256, 128], F16)
        .tensor("blk.0.attn_output.weight", &[256, 256], block)
        .tensor("blk.0.ffn_norm.weight", &[256], F32)
        .tensor("blk.0.ffn_gate.weight", &[256, 256], block)
        .tensor("blk.0.ffn_up.weight", &[256, 256], block)
        .tensor("blk.0.ffn_down.weight", &[256, 256], block)
}

/// A tower of one layer of the kind `projector`, and the decoder's token for pictures.
fn tower(projector: &str) -> Made {
    let third: Vec<Vec<u8>> = [0.5f32; 3].iter().map(|v| v.to_le_bytes().to_vec()).collect();
    let made = Made::default()
        .text("general.architecture", "clip")
        .key("clip.has_vision_encoder", 7, &[1])
        .text("clip.projector_type", projector)
        .number("clip.vision.image_size", 28)
        .number("clip.vision.patch_size", 14)
        .number("clip.vision.embedding_length", 32)
        .number("clip.vision.feed_forward_length", 64)
        .number("clip.vision.attention.head_count", 2)
        .number("clip.vision.block_count", 1)
        .list("clip.vision.image_mean", 6, &third)
        .list("clip.vision.image_std", 6, &third)
        .tensor("v.patch_embd.weight", &[14, 14, 3, 32], F16)
        .tensor("v.blk.0.ln1.weight", &[32], F32)
        .tensor("v.blk.0.attn_q.weight", &[32, 32], F16)
        .tensor("v.blk.0.ffn_down.weight", &[32, 64], F16)
        .tensor("v.blk.0.ffn_up.weight", &[64, 32], F16);
    rest_of_tower(made, projector)
}

/// What a kind has beside that.
fn rest_of_tower(made: Made, projector: &str) -> Made {
    let two = |made: Made, first| made.tensor(first, &[32, 256], F16).tensor("mm.2.weight", &[256, 256], F16);
    match projector {
        "mlp" => {
            let pairs: Vec<Vec<u8>> = [56i32, 28, 28, 56].iter().map(|v| v.to_le_bytes().to_vec()).collect();
            two(made, "mm.0.weight")
                .text("clip.vision.mm_patch_merge_type", "spatial_unpad")
                .list("clip.vision.image_grid_pinpoints", 5, &pairs)
                .tensor("v.class_embd", &[32], F32)
                .tensor("v.position_embd.weight", &[32, 5], F32)
                .tensor("v.pre_ln.weight", &[32], F32)
                .tensor("model.image_newline", &[256], F32)
        }
        "idefics3" => made
            .number("clip.vision.projector.scale_factor", 2)
            .number("clip.vision.preproc_image_size", 56)
            .tensor("v.patch_embd.bias", &[32], F32)
            .tensor("v.position_embd.weight", &[32, 4], F32)
            .tensor("v.post_ln.weight", &[32], F32)
            .tensor("mm.model.fc.weight", &[128, 256], F16),
        "internvl" => made
            .number("clip.vision.projector.scale_factor", 2)
            .number("clip.vision.preproc_min_tiles", 1)
            .number("clip.vision.preproc_max_tiles", 6)
            .tensor("v.class_embd", &[32], F32)
            .tensor("v.patch_embd.bias", &[32], F32)
            .tensor("v.position_embd.weight", &[32, 5], F32)
            .tensor("v.blk.0.ls1.weight", &[32], F32)
            .tensor("mm.model.mlp.0.weight", &[128], F32)
            .tensor("mm.model.mlp.1.weight", &[128, 256], F16)
            .tensor("mm.model.mlp.3.weight", &[256, 256], F16),
        "pixtral" => two(made, "mm.1.weight")
            .number("clip.vision.spatial_merge_size", 2)
            .tensor("v.pre_ln.weight", &[32], F32)
            .tensor("v.blk.0.ffn_gate.weight", &[32, 64], F16)
            .tensor("mm.patch_merger.weight", &[128, 32], F16),
        _ => {
            let made = if projector.starts_with("qwen2.5") {
                made.tensor("v.blk.0.ffn_gate.weight", &[32, 64], F16)
            } else {
                made.tensor("v.position_embd.weight", &[32, 100], F32)
            };
            two(made, "mm.0.weight")
                .number("clip.vision.spatial_merge_size", 2)
                .number("clip.vision.n_wa_pattern", 2)
                .number("clip.vision.window_size", 112)
                .number("clip.vision.image_min_pixels", 784)
                .tensor("v.patch_embd.weight.1", &[14, 14, 3, 32], F16)
                .tensor("v.post_ln.weight", &[32], F32)
        }
    }
}

/// Decoders of several formats, each with a picture part of another kind.
pub(super) fn gguf_corpus() -> Vec<[Sound; 2]> {
    let blocks = [(1, 1, 2), (2, 32, 18), (8, 32, 34), (12, 256, 144), (14, 256, 210), (39, 32, 17)];
    let kinds = ["mlp", "idefics3", "internvl", "pixtral", "qwen2vl_merger", "qwen2.5vl_merger"];
    let made = |(i, (block, kind)): (usize, (&(u32, u64, u64), &str))| {
        let architecture = match kind {
            _ if kind.starts_with("qwen") => "qwen2vl",
            _ if i % 2 == 0 => "llama",
            _ => "qwen2",
        };
        [decoder(architecture, *block, i % 3 == 0).sound(), tower(kind).sound()]
    };
    blocks.iter().zip(kinds).enumerate().map(made).collect()
}

type Tensor = (&'static str, DType, &'static [usize]);

/// A matrix `up_proj` [64, 128] in each layout of quantizing programs, with what its configuration says.
pub(super) fn quantized_corpus() -> Vec<(String, Vec<u8>)> {
    use DType::{BF16, F16, F32, I8, I32, U8};
    let group = |format: &str, bits: u32, strategy: &str| {
        format!(
            r#"{{"quant_method":"compressed-tensors","format":"{format}","config_groups":{{"group_0":{{"weights":
            {{"num_bits":{bits},"symmetric":true,"strategy":"{strategy}","group_size":32,"type":"int"}}}}}}}}"#
        )
    };
    let gptq: &[Tensor] =
        &[("qweight", I32, &[16, 64]), ("qzeros", I32, &[2, 8]), ("scales", F16, &[2, 64]), ("g_idx", I32, &[128])];
    let awq: &[Tensor] = &[("qweight", I32, &[128, 8]), ("qzeros", I32, &[4, 8]), ("scales", F16, &[4, 64])];
    let int8: &[Tensor] = &[("weight", I8, &[64, 128]), ("SCB", F32, &[64])];
    let nf4: &[Tensor] = &[
        ("weight", U8, &[4096, 1]),
        ("weight.absmax", F32, &[128]),
        ("weight.quant_map", F32, &[16]),
        ("weight.quant_state.bitsandbytes__nf4", U8, &[64]),
    ];
    let packed: &[Tensor] = &[("weight_packed", I32, &[64, 16]), ("weight_scale", BF16, &[64, 4])];
    let eight: &[Tensor] = &[("weight", I8, &[64, 128]), ("weight_scale", F32, &[64, 1])];
    let methods: [(&[Tensor], String); 6] = [
        (gptq, r#"{"quant_method":"gptq","bits":4,"group_size":64,"desc_act":true}"#.into()),
        (awq, r#"{"quant_method":"awq","bits":4,"group_size":32,"version":"gemm"}"#.into()),
        (int8, r#"{"quant_method":"bitsandbytes","load_in_8bit":true}"#.into()),
        (nf4, r#"{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4"}"#.into()),
        (packed, group("pack-quantized", 4, "group")),
        (eight, group("int-quantized", 8, "channel")),
    ];
    methods.into_iter().map(|(tensors, method)| (configuration(&method), weights(tensors))).collect()
}

fn configuration(method: &str) -> String {
    format!(
        r#"{{"model_type":"llama","hidden_size":128,"intermediate_size":64,"num_hidden_layers":1,"num_attention_heads":4,
        "vocab_size":8,"quantization_config":{method}}}"#
    )
}

fn weights(tensors: &[Tensor]) -> Vec<u8> {
    // The state of bitsandbytes is a text; the others count up.
    let state = br#"{"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[64,128]}"#;
    let bytes = |(name, dtype, shape): &Tensor| -> (String, DType, Vec<usize>, Vec<u8>) {
        let name = format!("model.layers.0.mlp.up_proj.{name}");
        if name.contains("quant_state") {
            return (name, *dtype, vec![state.len()], state.to_vec());
        }
        let length = shape.iter().product::<usize>() * dtype.size();
        (name, *dtype, shape.to_vec(), (0..length).map(|i| i as u8).collect())
    };
    let made: Vec<_> = tensors.iter().map(bytes).collect();
    let list: Vec<TensorBytes<'_>> =
        made.iter().map(|(name, dtype, shape, bytes)| TensorBytes { name, dtype: *dtype, shape, bytes }).collect();
    // These tensors are as long as their shapes say.
    encode_safetensors(&list, &Default::default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is damaged is sound before.
    #[test]
    fn the_corpus_is_read() {
        for [model, pictures] in gguf_corpus() {
            let source = |sound: Sound| Arc::new(MemoryFile::new("m", sound.bytes)) as Arc<dyn ReadAt>;
            let files = GgufFiles::new(source(model)).with_pictures(source(pictures));
            // Weights that count up are no frequencies.
            let spec = block_on(planned_spec(&files, None)).unwrap().1;
            assert!(spec.vision.is_some() && spec.decoder.is_some());
            read_all(&block_on(Checkpoint::open(&files)).unwrap()).unwrap();
        }
        for (config, weights) in quantized_corpus() {
            let files =
                MemoryFiles::new("m").with("config.json", config.into_bytes()).with("model.safetensors", weights);
            let config = block_on(Config::need(&files, "config.json")).unwrap();
            let checkpoint = block_on(Checkpoint::open(&files)).unwrap();
            let checkpoint = block_on(checkpoint.quantized_by(&config)).unwrap();
            assert!(checkpoint.find("model.layers.0.mlp.up_proj.weight").unwrap().packed.is_some(), "{config:?}");
            read_all(&checkpoint).unwrap();
        }
    }
}
