//! config.json and generation_config.json from the metadata of a GGUF file. Keys are those of the GGUF specification.

use serde_json::{Map, Value, json};

use super::Gguf;
use crate::checkpoint::Config;
use crate::{Error, Result};

/// A file name and what the file says.
pub(super) type File = (&'static str, Value);

/// The configuration of the decoder in `file`.
///
/// # Errors
/// [`Error::Unsupported`] for another architecture or an option that is not done; [`Error::Malformed`].
pub(super) fn files(file: &Gguf) -> Result<Vec<File>> {
    let all = Config::of_value(file.source.name(), file.metadata.clone())?;
    let architecture = all.string("general.architecture", "")?;
    let decoder = match architecture.as_str() {
        "llama" | "qwen2" => decoder(&all, file, &architecture)?,
        "clip" => {
            let reason = "it is the picture part of a checkpoint; give the language model's file as the model";
            return Err(all.unsupported("general.architecture", reason));
        }
        other => return Err(all.unsupported("general.architecture", format!("`{other}`; llama and qwen2 are"))),
    };
    let mut ends: Vec<usize> = Vec::new();
    for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
        ends.extend(all.optional::<usize>(&format!("tokenizer.ggml.{key}"))?.filter(|id| !ends.contains(id)));
    }
    let pad = all.optional::<usize>("tokenizer.ggml.padding_token_id")?;
    let generation = json!({ "eos_token_id": ends, "pad_token_id": pad });
    Ok(vec![("config.json", decoder), ("generation_config.json", generation)])
}

fn decoder(all: &Config, file: &Gguf, architecture: &str) -> Result<Value> {
    let empty = || Config::of_value(all.file(), json!({}));
    let own = all.section(architecture)?.map_or_else(empty, Ok)?;
    if own.usize("expert_count", 0)? > 0 {
        return Err(own.unsupported("expert_count", "mixtures of experts are not read from GGUF yet"));
    }
    let has = |name: &str| file.tensors.iter().any(|t| t.name == name);
    if has("rope_freqs.weight") {
        return Err(Error::unsupported(
            format!("{}: tensor `rope_freqs.weight`", all.file()),
            "frequencies of its own are not",
        ));
    }
    let heads: usize = own.require("attention.head_count")?;
    let width: usize = own.require("embedding_length")?;
    let head_dim = own.usize("attention.key_length", width / heads.max(1))?;
    if own.usize("attention.value_length", head_dim)? != head_dim {
        return Err(own.unsupported("attention.value_length", "values as wide as keys are"));
    }
    let rotary = own.usize("rope.dimension_count", head_dim)?;
    // Bias of q, k, v and of the output come together in the configurations of this architecture.
    let (qkv, out) = (has("blk.0.attn_q.bias"), has("blk.0.attn_output.bias"));
    if architecture == "llama" && qkv != out {
        let what = format!("{}: tensor `blk.0.attn_q.bias`", all.file());
        return Err(Error::unsupported(what, "a bias of the attention is read where its output has one, too"));
    }
    let tokens = file.metadata.pointer("/tokenizer/ggml/tokens").and_then(Value::as_array).map(Vec::len);
    let table = file.tensors.iter().find(|t| t.name == "token_embd.weight").and_then(|t| t.shape.first().copied());
    let vocab = table.or(own.optional("vocab_size")?).or(tokens);
    let mut config = json!({
        "model_type": architecture,
        "hidden_size": width,
        "num_hidden_layers": own.require::<usize>("block_count")?,
        "intermediate_size": own.require::<usize>("feed_forward_length")?,
        "num_attention_heads": heads,
        "num_key_value_heads": own.usize("attention.head_count_kv", heads)?,
        "head_dim": head_dim,
        "rms_norm_eps": own.f64("attention.layer_norm_rms_epsilon", 1e-5)?,
        "rope_theta": own.f64("rope.freq_base", 10_000.0)?,
        // Rows of q and k are permuted for pairs of neighbours.
        "rope_interleaved": architecture == "llama",
        "max_position_embeddings": own.usize("context_length", 2048)?,
        "vocab_size": vocab,
        "tie_word_embeddings": !has("output.weight"),
        "attention_bias": qkv && architecture == "llama",
        "sliding_window": own.optional::<usize>("attention.sliding_window")?,
        "bos_token_id": all.optional::<usize>("tokenizer.ggml.bos_token_id")?,
        "eos_token_id": all.optional::<usize>("tokenizer.ggml.eos_token_id")?,
        "pad_token_id": all.optional::<usize>("tokenizer.ggml.padding_token_id")?,
    });
    if rotary != head_dim {
        // A little more, for it is rounded down where it is read.
        config["partial_rotary_factor"] = json!((rotary as f64 + 0.25) / head_dim.max(1) as f64);
    }
    if let Some(scaling) = scaling(&own)? {
        config["rope_scaling"] = Value::Object(scaling);
    }
    Ok(config)
}

fn scaling(own: &Config) -> Result<Option<Map<String, Value>>> {
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
