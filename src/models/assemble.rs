//! Graphs of a model's programs: encode texts, score, prefill, decode. Pictures are encoded by `encode`.
//!
//! Buffers that programs share live in the store under [`names`].

use super::encode::embed;
use super::spec::{Decoder, Spec, TextTower};
use crate::blocks::{
    CacheType, CrossCache, CrossFlow, EncoderFlow, Flow, KvCache, Layer, TokenTable, apply_layer, cross_keys,
    encoder_layer,
};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Advance, Binary, BinaryOp, MatMul, Sample, SpliceRows, TensorType, Unary, UnaryOp};
use crate::{DType, Error, Result};

/// Store names of the buffers that programs share.
#[allow(missing_docs)]
pub mod names {
    pub const PIXELS: &str = "pixels";
    pub const ENCODED: &str = "encoded";
    pub const ROWS: &str = "rows";
    pub const FEATURES: &str = "features";
    pub const IMAGE_EMBEDS: &str = "image_embeds";
    pub const TEXT_EMBEDS: &str = "text_embeds";
    pub const SCORES: &str = "logits_per_image";
    pub const CLASS_LOGITS: &str = "class_logits";
    pub const IDS: &str = "ids";
    pub const SPLICE: &str = "splice";
    pub const POSITIONS: &str = "positions";
    pub const SLOTS: &str = "slots";
    pub const SPANS: &str = "spans";
    pub const LAST: &str = "last";
    pub const ROPE: &str = "rope";
    pub const QUERY_ROPE: &str = "rope.query";
    pub const LOGITS: &str = "logits";
    pub const TOKEN: &str = "decode.token";
    pub const POSITION: &str = "decode.position";
    pub const LEN: &str = "decode.len";
    pub const SLOT: &str = "decode.slot";
    pub const STEP: &str = "decode.step";
    pub const SEEN: &str = "decode.seen";
    pub const HISTORY: &str = "decode.history";
    pub const SETTINGS: &str = "decode.settings";
    pub const LOGPROB: &str = "decode.logprob";
    pub const CHOSEN: &str = "decode.chosen";
    pub const CROSS_SLOTS: &str = "cross.slots";
    pub const CROSS_SPANS: &str = "cross.spans";
    pub const CROSS_SIGHT: &str = "cross.sight";
    pub const CROSS_SEEN: &str = "cross.seen";
    pub const DECODE_CROSS_SPANS: &str = "decode.cross.spans";
    pub const DECODE_CROSS_SIGHT: &str = "decode.cross.sight";
    pub const DECODE_CROSS_SEEN: &str = "decode.cross.seen";
}

pub(super) fn missing(what: &str, spec: &Spec) -> Error {
    Error::unsupported(what, format!("a model of type {} has none", spec.model_type))
}

/// Texts of these lengths -> [`names::TEXT_EMBEDS`]. Reads `ids` \[rows\], `positions` \[rows\] and `last` \[texts\]:
/// the pooled row of each text.
pub fn text_graph(spec: &Spec, lens: &[usize], compute: DType) -> Result<Graph> {
    let tower = spec.text.as_ref().ok_or_else(|| missing("a text tower", spec))?;
    let contrast = spec.contrast.as_ref().ok_or_else(|| missing("a contrastive head", spec))?;
    let mut g = Graph::new();
    let rows = lens.iter().sum();
    let pooled = g.scoped("text", |g| text_tower(g, tower, lens, rows, compute))?;
    let embeds = embed(&mut g, pooled, contrast.text.as_ref())?;
    g.tap("text_embeds", embeds);
    g.store(embeds, names::TEXT_EMBEDS);
    Ok(g)
}

fn text_tower(g: &mut Graph, tower: &TextTower, lens: &[usize], rows: usize, compute: DType) -> Result<ValueId> {
    let ids = g.state(names::IDS, TensorType::u32(&[rows]));
    let table = TokenTable { table: &tower.table, vocab: tower.vocab, width: tower.width, dtype: tower.dtype };
    let tokens = table.apply(g, ids, compute)?;
    let positions = g.weight(&tower.positions, TensorType::f32(&[tower.max_positions, tower.width]));
    let own: Vec<u32> = (0..rows as u32).collect();
    let own = g.constant_u32("rows", &[rows], &own);
    let place = g.state(names::POSITIONS, TensorType::u32(&[rows]));
    let mut x = g.apply(SpliceRows { two: false, add: true }, &[tokens, own, positions, place])?;
    g.tap("text.embeddings", x);
    let mut start = 0;
    let mut spans = Vec::new();
    for len in lens {
        spans.extend([start, *len as u32, start, *len as u32]);
        start += *len as u32;
    }
    let flow = EncoderFlow::new(g.constant_u32("spans", &[lens.len(), 4], &spans));
    for (i, layer) in tower.layers.iter().enumerate() {
        x = g.scoped(&format!("layer.{i}"), |g| encoder_layer(g, layer, x, &flow))?;
        g.tap(&format!("text.layer.{i}"), x);
    }
    let last = g.state(names::LAST, TensorType::u32(&[lens.len()]));
    let pooled = g.apply(SpliceRows { two: false, add: false }, &[x, last])?;
    let normed = tower.post_norm.apply(g, pooled)?;
    let pooled = match &tower.head {
        Some(head) => head.apply(g, normed)?,
        None => normed,
    };
    g.tap("text.pooled", pooled);
    Ok(pooled)
}

/// [`names::IMAGE_EMBEDS`] x [`names::TEXT_EMBEDS`] -> [`names::SCORES`] \[pictures, texts\].
pub fn score_graph(spec: &Spec, pictures: usize, texts: usize, compute: DType) -> Result<Graph> {
    let contrast = spec.contrast.as_ref().ok_or_else(|| missing("a contrastive head", spec))?;
    let mut g = Graph::new();
    let dim = contrast.dim;
    let images = g.state(names::IMAGE_EMBEDS, TensorType::new(compute, &[pictures, dim]));
    let text = g.state(names::TEXT_EMBEDS, TensorType::new(compute, &[texts, dim]));
    let scores = g.scoped("score", |g| {
        let cosine = g.apply(MatMul { bias: false, act: None, residual: false }, &[images, text])?;
        let one = TensorType::new(g.ty(cosine).dtype, &[1]);
        let scale = g.weight(&contrast.logit_scale, one.clone());
        let scale = g.apply(Unary { op: UnaryOp::Exp }, &[scale])?;
        let scaled = g.apply(Binary { op: BinaryOp::Mul }, &[cosine, scale])?;
        let Some(bias) = &contrast.logit_bias else { return Ok(scaled) };
        let bias = g.weight(bias, one);
        g.apply(Binary { op: BinaryOp::Add }, &[scaled, bias])
    })?;
    g.tap("logits_per_image", scores);
    g.store(scores, names::SCORES);
    Ok(g)
}

/// Shape of a prefill program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrefillShape {
    /// New tokens of every sequence.
    pub lens: Vec<usize>,
    /// Feature rows that are spliced in; 0 for text only.
    pub feature_rows: usize,
    /// Cache sizes: sequences and tokens.
    pub cache: (usize, usize),
    /// New tokens that a session can note.
    pub max_new: usize,
    /// Logits of every row, for dumps.
    pub all_logits: bool,
    /// Feature rows that cross-attention layers have room for, by sequence; 0 leaves the layers out.
    pub cross_rows: usize,
}

/// Shape of a decode program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DecodeShape {
    /// Cache sizes: sequences and tokens.
    pub cache: (usize, usize),
    /// New tokens that a session can note.
    pub max_new: usize,
    /// Parts that the keys are split into.
    pub splits: usize,
    /// Feature rows that cross-attention layers have room for, by sequence; 0 leaves the layers out.
    pub cross_rows: usize,
}

fn decoder_of(spec: &Spec) -> Result<&Decoder> {
    spec.decoder.as_ref().ok_or_else(|| missing("a decoder", spec))
}

/// Prompt rows -> caches, logits of the last rows, first sampled tokens.
///
/// Reads `ids`, `positions`, `slots` u32 \[rows\] (`positions` \[3, rows\] where tokens have three), `spans` u32 \[sequences, 4\], `last` u32 \[sequences\], the rotary
/// table, the sampling state, and with pictures [`names::FEATURES`] and `splice` u32 \[rows\] (a row below `rows`
/// is that token, others are feature rows). A decoder with cross-attention layers reads what [`CrossFlow`] says instead.
pub fn prefill_graph(spec: &Spec, shape: &PrefillShape, kv: CacheType) -> Result<Graph> {
    let decoder = decoder_of(spec)?;
    let mut g = Graph::new();
    let rows: usize = shape.lens.iter().sum();
    let state = |g: &mut Graph, name: &str| g.state(name, TensorType::u32(&[rows]));
    let ids = state(&mut g, names::IDS);
    let x = g.scoped("embed", |g| {
        let tokens = embedded(g, decoder, ids, kv.compute)?;
        if shape.feature_rows == 0 {
            return Ok(tokens);
        }
        let features = g.state(names::FEATURES, TensorType::new(kv.compute, &[shape.feature_rows, decoder.width]));
        let index = g.state(names::SPLICE, TensorType::u32(&[rows]));
        g.apply(SpliceRows { two: true, add: false }, &[tokens, features, index])
    })?;
    g.tap(if decoder.stage.is_empty() { "embed" } else { "llm.input" }, x);
    let spans = g.state(names::SPANS, TensorType::u32(&[shape.lens.len(), 4]));
    let longest = shape.lens.iter().copied().max().unwrap_or(0);
    let slots = state(&mut g, names::SLOTS);
    let pair_axis = decoder.rope.pair_axis().map(|axis| g.constant_u32("pair_axis", &[axis.len()], &axis));
    let axes = if pair_axis.is_some() { 3 } else { 1 };
    let flow = Flow {
        positions: g.state(names::POSITIONS, TensorType::u32(&[axes * rows])),
        pair_axis,
        slots,
        spans: Some(spans),
        cross: cross_flow(&mut g, decoder, (shape.cache.0, shape.cross_rows), (rows, longest), kv),
        ..flow(&mut g, decoder, shape.cache, kv)
    };
    let x = decoder_layers(&mut g, decoder, x, &flow)?;
    let last = g.state(names::LAST, TensorType::u32(&[shape.lens.len()]));
    let logits = g.scoped("head", |g| {
        let x = if shape.all_logits {
            let normed = decoder.norm.apply(g, x)?;
            g.tap(&format!("{}norm", decoder.stage), normed);
            let logits = head(g, decoder, normed)?;
            g.tap("logits", logits);
            g.apply(SpliceRows { two: false, add: false }, &[normed, last])?
        } else {
            let picked = g.apply(SpliceRows { two: false, add: false }, &[x, last])?;
            decoder.norm.apply(g, picked)?
        };
        head(g, decoder, x)
    })?;
    g.store(logits, names::LOGITS);
    sample(&mut g, logits, shape.lens.len(), decoder.vocab, (shape.cache.1, shape.max_new))?;
    Ok(g)
}

/// One token of every sequence -> its logits and the next tokens, all state staying on the GPU.
pub fn decode_graph(spec: &Spec, shape: &DecodeShape, kv: CacheType) -> Result<Graph> {
    let decoder = decoder_of(spec)?;
    let mut g = Graph::new();
    let batch = shape.cache.0;
    let state = |g: &mut Graph, name: &str| g.state(name, TensorType::u32(&[batch]));
    let token = state(&mut g, names::TOKEN);
    let x = g.scoped("embed", |g| embedded(g, decoder, token, kv.compute))?;
    let flow = Flow {
        positions: state(&mut g, names::POSITION),
        slots: state(&mut g, names::SLOT),
        lens: Some(state(&mut g, names::LEN)),
        splits: shape.splits,
        cross: cross_flow(&mut g, decoder, (batch, shape.cross_rows), (batch, 0), kv),
        ..flow(&mut g, decoder, shape.cache, kv)
    };
    let x = decoder_layers(&mut g, decoder, x, &flow)?;
    let logits = g.scoped("head", |g| {
        let normed = decoder.norm.apply(g, x)?;
        head(g, decoder, normed)
    })?;
    g.store(logits, names::LOGITS);
    sample(&mut g, logits, batch, decoder.vocab, (shape.cache.1, shape.max_new))?;
    Ok(g)
}

/// The parts of a [`Flow`] that prefill and decode share; the placeholders are set by the caller.
fn flow(g: &mut Graph, decoder: &Decoder, cache: (usize, usize), kv: CacheType) -> Flow {
    let rope = &decoder.rope;
    let ty = TensorType::f32(&[cache.1, rope.rotary_dim]);
    let table = g.state(names::ROPE, ty.clone());
    let query_table = decoder.log_base.map(|_| g.state(names::QUERY_ROPE, ty));
    let cache = KvCache { batch: cache.0, max_len: cache.1, ty: kv };
    let (positions, slots, rope) = (table, table, rope.clone());
    Flow {
        table,
        query_table,
        positions,
        pair_axis: None,
        slots,
        rope,
        cache,
        spans: None,
        lens: None,
        splits: 1,
        cross: None,
    }
}

/// Rows of the token table.
fn embedded(g: &mut Graph, decoder: &Decoder, ids: ValueId, compute: DType) -> Result<ValueId> {
    let tokens = decoder.tokens().apply(g, ids, compute)?;
    scaled(g, tokens, decoder.embed_scale)
}

/// Logits of normed rows.
fn head(g: &mut Graph, decoder: &Decoder, normed: ValueId) -> Result<ValueId> {
    let x = scaled(g, normed, decoder.head_scale)?;
    decoder.head.apply(g, x)
}

fn scaled(g: &mut Graph, x: ValueId, scale: Option<f32>) -> Result<ValueId> {
    match scale {
        Some(scale) => g.apply(Unary { op: UnaryOp::Affine { scale, shift: 0.0 } }, &[x]),
        None => Ok(x),
    }
}

/// What cross-attention layers read, with room for so many feature rows of each sequence; `longest` rows of a sequence
/// in a prefill, 0 in a decode step.
fn cross_flow(
    g: &mut Graph,
    decoder: &Decoder,
    (batch, cross_rows): (usize, usize),
    (rows, longest): (usize, usize),
    kv: CacheType,
) -> Option<CrossFlow> {
    let cache = cross_cache(decoder, batch, cross_rows, kv)?;
    let [spans, sight, seen] = match longest {
        0 => [names::DECODE_CROSS_SPANS, names::DECODE_CROSS_SIGHT, names::DECODE_CROSS_SEEN],
        _ => [names::CROSS_SPANS, names::CROSS_SIGHT, names::CROSS_SEEN],
    };
    Some(CrossFlow {
        spans: g.state(spans, TensorType::u32(&[batch, 4])),
        sight: g.state(sight, TensorType::u32(&[batch, 1, longest.max(1), cache.tiles()])),
        seen: g.state(seen, TensorType::u32(&[rows])),
        cache,
    })
}

fn cross_cache(decoder: &Decoder, batch: usize, rows: usize, ty: CacheType) -> Option<CrossCache> {
    let cross = decoder.cross.filter(|_| rows > 0)?;
    Some(CrossCache { batch, rows, tile: cross.tile_rows, ty })
}

/// [`names::FEATURES`] -> keys and values of the cross-attention layers. Reads [`names::CROSS_SLOTS`] u32
/// \[feature rows\]: where each row goes among those of its sequence.
///
/// # Errors
/// [`Error::Unsupported`] for a decoder without such layers.
pub fn cross_graph(spec: &Spec, feature_rows: usize, (batch, rows): (usize, usize), kv: CacheType) -> Result<Graph> {
    let decoder = decoder_of(spec)?;
    let cache = cross_cache(decoder, batch, rows, kv).ok_or_else(|| missing("cross-attention", spec))?;
    let mut g = Graph::new();
    let features = g.state(names::FEATURES, TensorType::new(kv.compute, &[feature_rows, decoder.width]));
    let slots = g.state(names::CROSS_SLOTS, TensorType::u32(&[feature_rows]));
    for (i, layer) in decoder.layers.iter().enumerate() {
        if let Layer::Cross(layer) = layer {
            g.scoped(&format!("llm.layer.{i}.keys"), |g| cross_keys(g, layer, i, features, slots, &cache))?;
        }
    }
    Ok(g)
}

fn decoder_layers(g: &mut Graph, decoder: &Decoder, mut x: ValueId, flow: &Flow) -> Result<ValueId> {
    for (i, layer) in decoder.layers.iter().enumerate() {
        x = g.scoped(&format!("llm.layer.{i}"), |g| apply_layer(g, layer, i, x, flow))?;
        g.tap(&format!("{}layer.{i}", decoder.stage), x);
    }
    Ok(x)
}

fn sample(
    g: &mut Graph,
    logits: ValueId,
    batch: usize,
    vocab: usize,
    (max_len, max_new): (usize, usize),
) -> Result<()> {
    g.scoped("sample", |g| {
        let column = |g: &mut Graph, name: &str, cols: usize| g.state(name, TensorType::u32(&[batch, cols]));
        let row = |g: &mut Graph, name: &str| g.state(name, TensorType::u32(&[batch]));
        let seen = column(g, names::SEEN, vocab.div_ceil(32));
        let settings = column(g, names::SETTINGS, 8);
        let steps = row(g, names::STEP);
        let out = g.add(Sample, &[logits, seen, settings, steps])?;
        g.store(out[0], names::CHOSEN);
        g.store(out[1], names::LOGPROB);
        let rest =
            [row(g, names::TOKEN), row(g, names::POSITION), row(g, names::LEN), row(g, names::SLOT), steps, seen];
        let history = column(g, names::HISTORY, max_new);
        let mut operands = vec![out[0]];
        operands.extend(rest);
        operands.push(history);
        g.add(Advance { max_len }, &operands)?;
        Ok(())
    })
}
