//! Qwen-VL (Bai et al. 2023) and Monkey (Li et al. 2023) as their own code saves them: OpenCLIP's tower, a resampler of 256
//! queries, and the first Qwen's decoder. Monkey's tower sees windows of a picture, each with low-rank adapters of its
//! own, and then the whole.

use super::resampler::Stored;
use super::{divided, layer_count, llama};
use crate::blocks::{
    DecoderLayer, EncoderLayer, Layer, LayerAdapters, Linear, LowRank, Mlp, Norm, Part, PatchEmbedding, PatchOrder,
    Qkv, Resampler, RopeScaling, RopeSpec, SelfAttention,
};
use crate::checkpoint::Config;
use crate::kernels::Act;
use crate::models::{Bridge, Connector, Decoder, Dtypes, FeatureSelect, Positions, PromptForm, Spec, VisionTower};
use crate::{DType, Result};

/// Before the tensors of the tower.
const VISUAL: &str = "transformer.visual";
/// Added to the variance by all norms of tower and resampler.
const EPS: f32 = 1e-6;
/// Rows and columns of the table of positions, whatever the pictures.
const TABLE: usize = 16;
/// Tokens between the one that ends a text and the one that begins a picture.
const BEFORE_PICTURES: usize = 214;

/// How a conversation with Qwen-VL-Chat is written.
const CHAT: PromptForm = PromptForm {
    system: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>",
    own_system: ("<|im_start|>system\n", "<|im_end|>"),
    user: "\n<|im_start|>user\n",
    picture: ("Picture {n}: <img>", "</img>\n"),
    assistant: "<|im_end|>\n<|im_start|>assistant\n",
    answer: ("", "<|im_end|>"),
};
/// How Monkey is asked.
const ASKED: PromptForm = PromptForm { picture: ("<img>", "</img> "), assistant: " Answer: ", ..PromptForm::NONE };

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let decoder = decoder(config, dtypes)?;
    let visual = config.section("visual")?;
    let begin = visual.as_ref().map_or(Ok(151_857), |v| v.usize("image_start_id", 151_857))?;
    let mut eos = llama::eos(config)?;
    if eos.is_empty() {
        eos.extend(begin.checked_sub(BEFORE_PICTURES).map(|id| id as u32));
    }
    let pad = llama::pad(config)?.or(eos.first().copied());
    let spec = Spec { decoder: Some(decoder), eos, pad, ..Spec::default() };
    // A decoder alone has no sizes of a tower.
    let Some(visual) = visual.filter(|visual| visual.has("width")) else {
        return Ok(Spec { prompt: CHAT, ..spec });
    };
    let monkey = config.string("model_type", "")? == "monkey" || visual.has("lora_repeat_num");
    let tower = Tower::read(&visual, monkey)?;
    let width = spec.decoder.as_ref().map_or(0, |d| d.width);
    if tower.features != width {
        return Err(visual.broken("output_dim", format!("{} is not the decoder's width {width}", tower.features)));
    }
    let layers = layer_count(&visual, "layers", 0)?;
    let select = FeatureSelect { layers: vec![layers], drop_prefix: false };
    Ok(Spec {
        vision: Some(tower.tower(layers, dtypes)),
        connector: Some(Connector { select, bridge: Bridge::Resampler(Box::new(tower.resampler(&visual, dtypes)?)) }),
        image_token: Some((begin + 2) as u32),
        prompt: if monkey { ASKED } else { CHAT },
        ..spec
    })
}

/// What the tower is made of.
struct Tower {
    width: usize,
    mlp: usize,
    patch: usize,
    heads: SelfAttention,
    features: usize,
    /// Windows with adapters of their own, and the ranks of a layer's three.
    windows: usize,
    ranks: [usize; 3],
}

impl Tower {
    fn read(config: &Config, monkey: bool) -> Result<Self> {
        let need = |path: &str| {
            let found = config.optional::<usize>(path)?;
            found.filter(|n| (1..=1 << 24).contains(n)).ok_or_else(|| config.broken(path, "is not there, or no size"))
        };
        let (width, heads) = (need("width")?, need("heads")?);
        let head_dim = divided(config, "heads", width, heads)?;
        let ratio = config.f64("mlp_ratio", 4.9231)?;
        let mlp = (width as f64 * ratio) as usize;
        if !(ratio > 0.0 && (1..1 << 24).contains(&mlp)) {
            return Err(config.broken("mlp_ratio", format!("{ratio} of {width}")));
        }
        let windows = if monkey { config.usize("lora_repeat_num", 4)? } else { 0 };
        if windows > 64 {
            return Err(config.broken("lora_repeat_num", format!("{windows} windows")));
        }
        let rank = |name: &str, default| config.usize(&format!("lora_ranks.{name}"), default);
        Ok(Self {
            width,
            mlp,
            patch: need("patch_size")?.min(1 << 10),
            heads: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            features: config.usize("output_dim", 512)?,
            windows,
            ranks: [rank("in_proj", 16)?, rank("out_proj", 16)?, rank("mlp", 32)?],
        })
    }

    fn tower(&self, layers: usize, dtypes: &dyn Dtypes) -> VisionTower {
        let weight = format!("{VISUAL}.conv1.weight");
        let adapted = if self.windows > 0 { layers } else { 0 };
        VisionTower {
            stage: "vision.",
            patch: PatchEmbedding {
                dtype: dtypes.of(&weight),
                weight,
                bias: None,
                width: self.width,
                channels: 3,
                patch: self.patch,
            },
            image_size: TABLE * self.patch,
            prefix: Vec::new(),
            positions: Positions::Table(format!("{VISUAL}.positional_embedding")),
            order: PatchOrder::ROWS,
            pre_norm: Some(norm("ln_pre")),
            layers: (0..layers).map(|i| self.layer(i, dtypes)).collect(),
            adapters: (0..adapted).map(|i| self.adapters(i, dtypes)).collect(),
            post_norm: None,
        }
    }

    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> EncoderLayer {
        let at = |name: &str| format!("transformer.resblocks.{i}.{name}");
        let linear = |name: &str, n, k| {
            let name = format!("{VISUAL}.{}", at(name));
            Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
        };
        // Stored head by head.
        let fused = linear("attn.in_proj", self.width.saturating_mul(3), self.width);
        let sorted = |name: &str| Part::Sorted { name, parts: 3, unit: self.heads.head_dim }.to_string();
        EncoderLayer {
            norm1: norm(&at("ln_1")),
            qkv: Linear { weight: sorted(&fused.weight), bias: fused.bias.as_deref().map(sorted), ..fused },
            qk_norm: None,
            attention: self.heads,
            out: linear("attn.out_proj", self.width, self.width),
            norm2: norm(&at("ln_2")),
            mlp: Mlp::Plain {
                fc1: linear("mlp.c_fc", self.mlp, self.width),
                act: Act::Gelu,
                fc2: linear("mlp.c_proj", self.width, self.mlp),
            },
            scales: None,
            windowed: false,
        }
    }

    fn adapters(&self, i: usize, dtypes: &dyn Dtypes) -> LayerAdapters {
        let low = |name: &str, n: usize, rank: usize, fused: bool| {
            let set = |set: usize| {
                let at = format!("{VISUAL}.transformer.resblocks.{i}.{name}.{set}");
                let up = format!("{at}.lora_b.weight");
                let sorted = Part::Sorted { name: &up, parts: 3, unit: self.heads.head_dim };
                let up = if fused { sorted.to_string() } else { up.clone() };
                (format!("{at}.lora_a.weight"), up, format!("{at}.lora_scale"))
            };
            let sets: Vec<_> = (0..self.windows).map(set).collect();
            let dtype = sets.first().map_or(DType::F32, |(down, ..)| dtypes.of(down).float());
            LowRank { sets, rank, n, k: self.width, dtype }
        };
        LayerAdapters {
            qkv: low("attn.in_proj_lora", self.width.saturating_mul(3), self.ranks[0], true),
            out: low("attn.out_proj_lora", self.width, self.ranks[1], false),
            mlp: low("mlp_lora", self.width, self.ranks[2], false),
        }
    }

    fn resampler(&self, config: &Config, dtypes: &dyn Dtypes) -> Result<Resampler> {
        let stored = Stored {
            at: &format!("{VISUAL}.attn_pool"),
            post: &format!("{VISUAL}.ln_post"),
            proj: &format!("{VISUAL}.proj"),
            queries: ("n_queries", config.usize("n_queries", 256)?),
            features: self.width,
            width: ("output_dim", self.features),
        };
        stored.read(config, dtypes)
    }
}

fn norm(name: &str) -> Norm {
    Norm::Layer { name: format!("{VISUAL}.{name}"), eps: EPS }
}

/// The first Qwen's decoder.
fn decoder(config: &Config, dtypes: &dyn Dtypes) -> Result<Decoder> {
    let width = config.usize("hidden_size", 4096)?;
    let heads = config.usize("num_attention_heads", 32)?;
    let head_dim = divided(config, "num_attention_heads", width, heads)?;
    if config.usize("kv_channels", 128)? != head_dim {
        let reason = format!("heads of {head_dim} are, as num_attention_heads makes them of hidden_size");
        return Err(config.unsupported("kv_channels", reason));
    }
    let inner = config.usize("intermediate_size", 22_016)? / 2;
    let eps = config.f64("layer_norm_epsilon", 1e-6)? as f32;
    let bias = !config.bool("no_bias", true)?;
    let norm = |name: String| Norm::Rms { name, eps };
    let layer = |i: usize| {
        let at = format!("transformer.h.{i}");
        let linear = |name: &str, n, k, bias| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, bias, dtypes.of(&format!("{name}.weight")))
        };
        // The second is the gate.
        let gate_up = ["w2", "w1"].map(|name| (format!("{at}.mlp.{name}"), inner, bias));
        Layer::Own(DecoderLayer {
            norm1: norm(format!("{at}.ln_1")),
            qkv: Qkv::Stacked(linear("attn.c_attn", width.saturating_mul(3), width, true)),
            attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: true, window: None },
            out: linear("attn.c_proj", width, width, bias),
            norm2: norm(format!("{at}.ln_2")),
            mlp: Mlp::Gated {
                gate_up: Linear::stacked(&gate_up, width, dtypes.of(&format!("{at}.mlp.w2.weight"))),
                act: Act::Silu,
                down: linear("mlp.c_proj", width, inner, bias),
            },
            branch_scale: None,
        })
    };
    let vocab = config.usize("vocab_size", 151_936)?;
    let table = "transformer.wte.weight".to_owned();
    let tied = config.bool("tie_word_embeddings", false)?;
    let head = if tied { table.clone() } else { "lm_head.weight".to_owned() };
    let (rope, log_base) = positions(config, head_dim)?;
    Ok(Decoder {
        stage: "llm.",
        table_rows: vocab,
        vocab,
        width,
        dtype: dtypes.of(&table),
        embed_scale: None,
        layers: (0..layer_count(config, "num_hidden_layers", 32)?).map(layer).collect(),
        norm: norm("transformer.ln_f".into()),
        head_scale: None,
        head: Linear { dtype: dtypes.of(&head), weight: head, bias: None, n: vocab, k: width, stack: Vec::new() },
        table,
        rope,
        log_base,
        max_positions: config.usize("max_position_embeddings", 8192)?,
        cross: None,
    })
}

/// Rotary positions, and the base of the logarithm by which long sequences' queries grow.
fn positions(config: &Config, head_dim: usize) -> Result<(RopeSpec, Option<usize>)> {
    let part = config.f64("rotary_pct", 1.0)?;
    let rotary_dim = (head_dim as f64 * part) as usize;
    if rotary_dim < 2 || !rotary_dim.is_multiple_of(2) || rotary_dim > head_dim {
        return Err(config.broken("rotary_pct", format!("{rotary_dim} rotary dimensions of {head_dim}")));
    }
    let trained = config.usize("seq_length", 2048)?;
    let (steps, logarithm) = (config.bool("use_dynamic_ntk", true)?, config.bool("use_logn_attn", true)?);
    if (steps || logarithm) && (trained < 2 || rotary_dim < 4) {
        return Err(config.broken("seq_length", format!("{trained} tokens, heads of {rotary_dim}")));
    }
    if logarithm && rotary_dim != head_dim {
        return Err(config.unsupported("use_logn_attn", "true; with rotary_pct = 1 it is"));
    }
    let rope = RopeSpec {
        theta: config.f64("rotary_emb_base", 10_000.0)? as f32,
        rotary_dim,
        interleaved: false,
        scaling: if steps { RopeScaling::Steps { trained } } else { RopeScaling::None },
        factors: None,
        rounded: None,
        sections: None,
    };
    Ok((rope, logarithm.then_some(trained)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::UniformDtype;

    fn spec(json: &str) -> Result<Spec> {
        read(&Config::parse("config.json", json.as_bytes())?, &UniformDtype(DType::F32))
    }

    const VISUAL: &str = r#""heads": 16, "image_size": 448, "image_start_id": 151857, "layers": 48, "mlp_ratio": 4.9231,
        "output_dim": 4096, "patch_size": 14, "width": 1664"#;

    #[test]
    fn published_sizes() {
        let qwen = spec(&format!(r#"{{"model_type": "qwen", "visual": {{{VISUAL}}}}}"#)).unwrap();
        let tower = qwen.vision.as_ref().unwrap();
        assert_eq!((tower.layers.len(), tower.layers[0].mlp.inner(), tower.adapters.len()), (48, 8192, 0));
        assert_eq!((qwen.image_token, qwen.eos.as_slice(), qwen.pad), (Some(151_859), &[151_643][..], Some(151_643)));
        let decoder = qwen.decoder.unwrap();
        assert_eq!((decoder.layers.len(), decoder.log_base, decoder.vocab), (32, Some(2048), 151_936));
        assert_eq!(decoder.rope.scaling, RopeScaling::Steps { trained: 2048 });
        let monkey =
            spec(&format!(r#"{{"model_type": "monkey", "visual": {{{VISUAL}, "lora_repeat_num": 4}}}}"#)).unwrap();
        let adapters = monkey.vision.unwrap().adapters;
        assert_eq!((adapters.len(), adapters[0].mlp.rank, adapters[0].qkv.sets.len()), (48, 32, 4));
    }

    #[test]
    fn options_and_sizes_that_are_none() {
        let plain = spec(r#"{"model_type": "qwen", "use_dynamic_ntk": false, "use_logn_attn": false}"#).unwrap();
        assert!(plain.vision.is_none() && plain.decoder.unwrap().log_base.is_none());
        for json in [
            r#"{"kv_channels": 64}"#.to_owned(),
            r#"{"num_attention_heads": 0}"#.into(),
            r#"{"rotary_pct": 0.5}"#.into(),
            r#"{"seq_length": 0}"#.into(),
            r#"{"visual": {"width": 64}}"#.into(),
            format!(r#"{{"visual": {{{}}}}}"#, VISUAL.replace("4096", "512")),
            format!(r#"{{"visual": {{{VISUAL}, "n_queries": 250}}}}"#),
            format!(r#"{{"visual": {{{VISUAL}, "lora_repeat_num": 1000}}}}"#),
        ] {
            assert!(spec(&json).is_err(), "{json}");
        }
    }
}
