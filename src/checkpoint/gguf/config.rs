//! config.json and generation_config.json from the metadata of a GGUF file. Keys are those of the GGUF specification.

use serde_json::{Map, Value, json};

use super::Gguf;
use crate::checkpoint::Config;
use crate::{DType, Error, Result};

/// Most factors of frequencies: half of the widest head.
const MAX_FACTORS: usize = 1 << 15;

/// A file name and what the file says.
pub(super) type File = (&'static str, Value);

/// The configuration of the decoder in `file`, first, and that of its answers.
///
/// # Errors
/// [`Error::Unsupported`] for another architecture or an option that is not done; [`Error::Malformed`].
pub(super) async fn files(file: &Gguf) -> Result<Vec<File>> {
    let all = Config::of_value(file.source.name(), file.metadata.clone())?;
    let architecture = all.string("general.architecture", "")?;
    let decoder = match architecture.as_str() {
        "llama" | "mistral3" | "qwen2" | "qwen2vl" => with_factors(decoder(&all, file, &architecture)?, file).await?,
        "clip" => {
            let reason = "it is the picture part of a checkpoint; give the language model's file as the model";
            return Err(all.unsupported("general.architecture", reason));
        }
        other => {
            return Err(
                all.unsupported("general.architecture", format!("`{other}`; llama, mistral3, qwen2 and qwen2vl are"))
            );
        }
    };
    let mut ends: Vec<usize> = Vec::new();
    for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
        ends.extend(all.optional::<usize>(&format!("tokenizer.ggml.{key}"))?.filter(|id| !ends.contains(id)));
    }
    let pad = all.optional::<usize>("tokenizer.ggml.padding_token_id")?;
    let generation = json!({ "eos_token_id": ends, "pad_token_id": pad });
    Ok(vec![("config.json", decoder), ("generation_config.json", generation)])
}

/// Refuses what is not done.
fn check(own: &Config, place: &str, file: &Gguf) -> Result<()> {
    if own.usize("expert_count", 0)? > 0 {
        return Err(own.unsupported("expert_count", "mixtures of experts are not read from GGUF yet"));
    }
    for key in ["attention.temperature_scale", "rope.scaling.yarn_log_multiplier"] {
        if own.has(key) {
            return Err(own.unsupported(key, "what Ministral 3 does to long texts"));
        }
    }
    for tensor in ["rope_factors_long.weight", "rope_factors_short.weight"] {
        if file.tensors.iter().any(|t| t.name == tensor) {
            let what = format!("{place}: tensor `{tensor}`");
            return Err(Error::unsupported(what, "factors that depend on the length; rope_freqs.weight is read"));
        }
    }
    Ok(())
}

fn decoder(all: &Config, file: &Gguf, architecture: &str) -> Result<Value> {
    let empty = || Config::of_value(all.file(), json!({}));
    let own = all.section(architecture)?.map_or_else(empty, Ok)?;
    check(&own, all.file(), file)?;
    // Rows of q and k are permuted for pairs of neighbours.
    let paired = matches!(architecture, "llama" | "mistral3");
    let has = |name: &str| file.tensors.iter().any(|t| t.name == name);
    let heads: usize = own.require("attention.head_count")?;
    let width: usize = own.require("embedding_length")?;
    let head_dim = own.usize("attention.key_length", width / heads.max(1))?;
    if own.usize("attention.value_length", head_dim)? != head_dim {
        return Err(own.unsupported("attention.value_length", "values as wide as keys are"));
    }
    let rotary = own.usize("rope.dimension_count", head_dim)?;
    // Bias of q, k, v and of the output come together in the configurations of this architecture.
    let (qkv, out) = (has("blk.0.attn_q.bias"), has("blk.0.attn_output.bias"));
    if paired && qkv != out {
        let what = format!("{}: tensor `blk.0.attn_q.bias`", all.file());
        return Err(Error::unsupported(what, "a bias of the attention is read where its output has one, too"));
    }
    let tokens = file.metadata.pointer("/tokenizer/ggml/tokens").and_then(Value::as_array).map(Vec::len);
    let table = file.tensors.iter().find(|t| t.name == "token_embd.weight").and_then(|t| t.shape.first().copied());
    let vocab = table.or(own.optional("vocab_size")?).or(tokens);
    let mut config = json!({
        "model_type": match architecture {
            "qwen2vl" => "qwen2_vl_text",
            "mistral3" => "llama",
            other => other,
        },
        "hidden_size": width,
        "num_hidden_layers": own.require::<usize>("block_count")?,
        "intermediate_size": own.require::<usize>("feed_forward_length")?,
        "num_attention_heads": heads,
        "num_key_value_heads": own.usize("attention.head_count_kv", heads)?,
        "head_dim": head_dim,
        "rms_norm_eps": own.f64("attention.layer_norm_rms_epsilon", 1e-5)?,
        "rope_theta": own.f64("rope.freq_base", 10_000.0)?,
        "rope_interleaved": paired,
        "max_position_embeddings": own.usize("context_length", 2048)?,
        "vocab_size": vocab,
        "tie_word_embeddings": !has("output.weight"),
        "attention_bias": qkv && paired,
        "sliding_window": own.optional::<usize>("attention.sliding_window")?,
        "bos_token_id": all.optional::<usize>("tokenizer.ggml.bos_token_id")?,
        "eos_token_id": all.optional::<usize>("tokenizer.ggml.eos_token_id")?,
        "pad_token_id": all.optional::<usize>("tokenizer.ggml.padding_token_id")?,
    });
    if rotary != head_dim {
        // A little more, for it is rounded down where it is read.
        config["partial_rotary_factor"] = json!((rotary as f64 + 0.25) / head_dim.max(1) as f64);
    }
    if let Some(scaling) = scaling(&own, architecture)? {
        config["rope_scaling"] = Value::Object(scaling);
    }
    Ok(config)
}

/// The configuration with what the frequencies are divided by (LLaMA 3.1), where the file has such a tensor.
async fn with_factors(mut config: Value, file: &Gguf) -> Result<Value> {
    let Some(entry) = file.tensors.iter().find(|t| t.name == "rope_freqs.weight") else { return Ok(config) };
    let wrong = |reason: String| Error::malformed(file.source.name(), format!("tensor `rope_freqs.weight`: {reason}"));
    if entry.dtype != DType::F32 || entry.packed.is_some() || entry.shape.len() != 1 || entry.shape[0] > MAX_FACTORS {
        return Err(wrong(format!("is {} {:?}, not a list of at most {MAX_FACTORS} f32", entry.dtype, entry.shape)));
    }
    let mut bytes = vec![0; 4 * entry.shape[0]];
    file.source.read_at(entry.offset, &mut bytes).await?;
    let factors: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    if let Some(bad) = factors.iter().find(|f| !f.is_finite() || **f <= 0.0) {
        return Err(wrong(format!("holds {bad}")));
    }
    config["rope_factors"] = json!(factors);
    Ok(config)
}

/// How positions turn: longer texts than those trained with, and pairs by time, row and column.
fn scaling(own: &Config, architecture: &str) -> Result<Option<Map<String, Value>>> {
    let mut scaling = longer(own)?;
    if architecture != "qwen2vl" {
        return Ok(scaling);
    }
    if let Some(mut sections) = own.list::<usize>("rope.dimension_sections")? {
        // A fourth stands for a position that pictures do not have.
        if sections.len() == 4 && sections[3] == 0 {
            sections.truncate(3);
        }
        scaling.get_or_insert_default().insert("mrope_section".into(), json!(sections));
    }
    Ok(scaling)
}

fn longer(own: &Config) -> Result<Option<Map<String, Value>>> {
    let old = own.optional::<f64>("rope.scale_linear")?;
    let kind = own.string("rope.scaling.type", if old.is_some_and(|s| s != 1.0) { "linear" } else { "none" })?;
    let factor = own.f64("rope.scaling.factor", old.unwrap_or(1.0))?;
    let mut scaling = Map::new();
    match kind.as_str() {
        "none" => return Ok(None),
        "linear" | "yarn" => {
            scaling.insert("rope_type".into(), json!(kind));
            scaling.insert("factor".into(), json!(factor));
        }
        other => return Err(own.unsupported("rope.scaling.type", format!("`{other}`; none, linear and yarn are"))),
    }
    if let Some(trained) = own.optional::<usize>("rope.scaling.original_context_length")? {
        scaling.insert("original_max_position_embeddings".into(), json!(trained));
    }
    Ok(Some(scaling))
}
