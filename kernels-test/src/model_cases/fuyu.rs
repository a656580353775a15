//! Fuyu and OtterHD: patches through one linear layer into a Persimmon decoder (layer norms with biases, a projection fused
//! head by head, heads of queries and keys normalised, a part of each head turned).

use super::builder::Builder;
use omma::blocks::{Linear, Norm, Part, RopeScaling, RopeSpec, SelfAttention, rope_table, splice, two_layer};
use omma::checkpoint::Config;
use omma::graph::ValueId;
use omma::kernels::{Act, Binary, BinaryOp, EmbedTokens, Rearrange, Rope, TensorType};
use omma::{DType, Error, Result};

const FRONT: &str = "language_model.model";

/// The decoder as its configuration says.
struct Persimmon {
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    head_dim: usize,
    eps: f32,
    act: Act,
    normed: bool,
    rope: RopeSpec,
    head: String,
}

/// Sequences of a batch and what all layers read.
struct Shared {
    spans: ValueId,
    positions: ValueId,
    table: ValueId,
}

impl Persimmon {
    fn read(config: &Config) -> Result<Self> {
        let (width, heads) = (config.usize("hidden_size", 4096)?, config.usize("num_attention_heads", 64)?);
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(config.broken("num_attention_heads", format!("{heads} does not divide {width}")));
        }
        if config.has("rope_scaling") {
            return Err(config.unsupported("rope_scaling", "Persimmon's positions are not scaled here"));
        }
        let act = match config.string("hidden_act", "relu2")?.as_str() {
            "relu2" => Act::Relu2,
            "relu" => Act::Relu,
            "gelu" => Act::Gelu,
            "silu" => Act::Silu,
            other => return Err(config.unsupported("hidden_act", format!("`{other}`; relu2, relu, gelu, silu are"))),
        };
        let rotary = (config.f64("partial_rotary_factor", 0.5)? * (width / heads) as f64) as usize;
        let tied = config.bool("tie_word_embeddings", false)?;
        Ok(Self {
            width,
            inner: config.usize("intermediate_size", 16_384)?,
            layers: config.usize("num_hidden_layers", 36)?,
            heads,
            head_dim: width / heads,
            eps: config.f64("layer_norm_eps", 1e-5)? as f32,
            act,
            normed: config.bool("qk_layernorm", true)?,
            rope: RopeSpec {
                theta: config.f64("rope_theta", 25_000.0)? as f32,
                rotary_dim: rotary,
                interleaved: false,
                scaling: RopeScaling::None,
                rounded: None,
                factors: None,
                sections: None,
            },
            head: if tied { format!("{FRONT}.embed_tokens.weight") } else { "language_model.lm_head.weight".into() },
        })
    }
    fn norm(&self, name: String) -> Norm {
        Norm::Layer { name, eps: self.eps }
    }

    /// Queries (`part` 0) or keys (1) out of the fused rows: a copy, normalised head by head, turned.
    fn turned(&self, b: &mut Builder<'_>, qkv: ValueId, part: usize, norm: &str, of: &Shared) -> Result<ValueId> {
        let rows = b.graph.ty(qkv).rows();
        let own = Rearrange::all(&[rows, 3 * self.width]).slice(1, part * self.width, 1, self.width)?;
        let mut x = b.graph.apply(own, &[qkv])?;
        if self.normed {
            let by_head = b.graph.reshape(x, &[rows * self.heads, self.head_dim])?;
            let normed = self.norm(norm.to_owned()).apply(&mut b.graph, by_head)?;
            x = b.graph.reshape(normed, &[rows, self.width])?;
        }
        let rope = Rope { rotary_dim: self.rope.rotary_dim, ..Rope::whole(self.heads, self.head_dim) };
        b.graph.apply(rope, &[x, of.positions, of.table])
    }

    fn layer(&self, b: &mut Builder<'_>, i: usize, x: ValueId, of: &Shared) -> Result<ValueId> {
        let at = |name: &str| format!("{FRONT}.layers.{i}.{name}");
        let linear = |name: &str, n, k| Linear::new(&at(name), n, k, true, DType::F32);
        let sorted = |tensor: &str| Part::Sorted { name: tensor, parts: 3, unit: self.head_dim }.to_string();
        let (weight, bias) = (at("self_attn.query_key_value.weight"), at("self_attn.query_key_value.bias"));
        let bias = Some(sorted(&bias));
        let fused = Linear {
            weight: sorted(&weight),
            bias,
            n: 3 * self.width,
            k: self.width,
            dtype: DType::F32.into(),
            stack: Vec::new(),
        };
        let normed = self.norm(at("input_layernorm")).apply(&mut b.graph, x)?;
        let qkv = fused.apply(&mut b.graph, normed)?;
        let q = self.turned(b, qkv, 0, &at("self_attn.q_layernorm"), of)?;
        let k = self.turned(b, qkv, 1, &at("self_attn.k_layernorm"), of)?;
        let heads = SelfAttention {
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.head_dim,
            causal: true,
            window: None,
        };
        let mixed = b.graph.apply(heads.kernel([0, 0, 2 * self.width]), &[q, k, qkv, of.spans])?;
        let h = linear("self_attn.dense", self.width, self.width).apply_add(&mut b.graph, mixed, x)?;
        let normed = self.norm(at("post_attention_layernorm")).apply(&mut b.graph, h)?;
        let (up, down) =
            (linear("mlp.dense_h_to_4h", self.inner, self.width), linear("mlp.dense_4h_to_h", self.width, self.inner));
        let y = two_layer(&mut b.graph, normed, &up, self.act, &down)?;
        b.graph.apply(Binary { op: BinaryOp::Add }, &[y, h])
    }
}

/// From ids, patches and the place of each patch among the ids to logits.
pub fn whole(b: &mut Builder<'_>) -> Result<()> {
    let text = b.config().section("text_config")?;
    let decoder = Persimmon::read(text.as_ref().unwrap_or(b.config()))?;
    let (ids, indices) = (b.ints("input_ids")?, b.ints("indices")?);
    let [batch, tokens] = b.input_shape("input_ids").unwrap_or_default()[..] else {
        return Err(Error::malformed("input_ids", "is not [batch, tokens]"));
    };
    let [_, patches, pixels] = b.input_shape("patches").unwrap_or_default()[..] else {
        return Err(Error::malformed("patches", "is not there as [batch, patches, values]"));
    };
    if indices.len() != ids.len() {
        return Err(Error::malformed("indices", format!("{} for {} ids", indices.len(), ids.len())));
    }
    let given = b.input("patches", &[batch * patches, pixels])?;
    let embed = Linear::new("vision_embed_tokens", decoder.width, pixels, true, DType::F32);
    let features = embed.apply(&mut b.graph, given)?;
    b.stage("patch", features);
    let name = format!("{FRONT}.embed_tokens.weight");
    let vocab = b.weight_shape(&name)?[0];
    let known: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).unwrap_or(0)).collect();
    let known = b.graph.constant_u32("ids", &[ids.len()], &known);
    let table = b.graph.weight(&name, TensorType::panels(DType::F32, vocab, decoder.width));
    let words = b.graph.apply(EmbedTokens { dtype: DType::F32 }, &[known, table])?;
    let row = |(i, index): (usize, &i64)| match usize::try_from(*index) {
        Ok(patch) if patch < patches => (ids.len() + i / tokens * patches + patch) as u32,
        _ => i as u32,
    };
    let index: Vec<u32> = indices.iter().enumerate().map(row).collect();
    let mut x = splice(&mut b.graph, words, features, &index, None)?;
    let shared = shared(b, &decoder, batch, tokens);
    for i in 0..decoder.layers {
        x = decoder.layer(b, i, x, &shared)?;
        b.stage(&format!("layer.{i}"), x);
    }
    let normed = decoder.norm(format!("{FRONT}.final_layernorm")).apply(&mut b.graph, x)?;
    let head = Linear {
        weight: decoder.head.clone(),
        bias: None,
        n: vocab,
        k: decoder.width,
        dtype: DType::F32.into(),
        stack: Vec::new(),
    };
    let logits = head.apply(&mut b.graph, normed)?;
    b.stage("logits", logits);
    Ok(())
}

fn shared(b: &mut Builder<'_>, decoder: &Persimmon, batch: usize, tokens: usize) -> Shared {
    let spans: Vec<u32> = (0..batch).flat_map(|i| [i * tokens, tokens, i * tokens, tokens]).map(|n| n as u32).collect();
    let positions: Vec<u32> = (0..batch).flat_map(|_| 0..tokens as u32).collect();
    let table = rope_table(&decoder.rope, tokens);
    Shared {
        spans: b.graph.constant_u32("spans", &[batch, 4], &spans),
        positions: b.graph.constant_u32("positions", &[batch * tokens], &positions),
        table: b.graph.constant_f32("rope", &[tokens, decoder.rope.rotary_dim], &table),
    }
}
