//! Attention in the forms of ONNX and ONNX Runtime, and what keeps its state.

use super::super::builder::{Builder, Mapped, Stop};
use super::attention_ms::{attention, grouped, multi_head};
use super::matmul::floats;
use super::recurrent::{causal_conv, linear_attention, tensor_scatter};
use super::sequences::{Heads, axes, constant, copied, joined, numbers, to_blocks};
use super::{Entry, MICROSOFT, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Attention, AttentionScores, CachePlaces, Concat, Mask, ScoreBias, ScoreStage};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Attention", onnx),
    (ONNX, "CausalConvWithState", causal_conv),
    (ONNX, "LinearAttention", linear_attention),
    (ONNX, "TensorScatter", tensor_scatter),
    ("ai.onnx.preview", "FlexAttention", flex),
    (MICROSOFT, "Attention", attention),
    (MICROSOFT, "GroupQueryAttention", grouped),
    (MICROSOFT, "MultiHeadAttention", multi_head),
];

/// An attention under construction: its kernel, its operands, and the sizes that go with them.
pub struct Attending {
    /// The kernel; mask, bias and sinks are set by [`Attending::add`].
    pub kernel: Attention,
    /// Queries, in columns or blocks.
    pub q: ValueId,
    /// Keys.
    pub k: ValueId,
    /// Values.
    pub v: ValueId,
    /// Sequences.
    pub batch: usize,
    /// Queries of a sequence.
    pub queries: usize,
    /// Keys of a sequence, as far as the tensor goes.
    pub keys: usize,
    /// Spans that follow from lengths on the device; without, every sequence has all its keys.
    pub spans: Option<ValueId>,
    /// Flags, and what is added where they are 0 (nothing: the key is hidden).
    pub flags: Option<(ValueId, Option<f32>)>,
    /// Added to scores, [sequences, heads, queries, keys].
    pub bias: Option<ValueId>,
    /// Sinks.
    pub sinks: Option<ValueId>,
}

impl Attending {
    /// Heads side by side or in blocks, all keys, no mask.
    pub fn new(q: (ValueId, Heads), k: (ValueId, Heads), v: (ValueId, Heads), sizes: [usize; 3]) -> Self {
        let plain = Attention::apart(q.1.count, k.1.count, q.1.dim);
        let kernel = Attention { value_dim: v.1.dim, q_block: q.1.block, k_block: k.1.block, ..plain };
        let [batch, queries, keys] = sizes;
        let (q, k, v) = (q.0, k.0, v.0);
        Self { kernel, q, k, v, batch, queries, keys, spans: None, flags: None, bias: None, sinks: None }
    }

    /// Rows from sequence to sequence of q, and of k.
    pub fn steps(&self) -> [usize; 2] {
        let blocks = |block: Option<usize>, heads: usize| if block.is_some() { heads } else { 1 };
        [
            self.queries * blocks(self.kernel.q_block, self.kernel.heads),
            self.keys * blocks(self.kernel.k_block, self.kernel.kv_heads),
        ]
    }

    /// Spans in which every sequence has `lens` u32 \[batch\] keys.
    pub fn by_length(&mut self, b: &mut Builder<'_>, lens: ValueId) -> Result<(), Stop> {
        let [q_step, k_step] = self.steps();
        let (queries, rows) = (self.queries, self.keys);
        let heads = k_step / self.keys.max(1);
        let places = CachePlaces { queries, heads, rows, q_step, plus: 0, wrap: false };
        self.spans = Some(b.add_all(places, &[lens])?[0]);
        Ok(())
    }

    /// The operands in order, the kernel knowing of them.
    fn operands(&mut self, b: &mut Builder<'_>) -> Vec<ValueId> {
        let [q_step, k_step] = self.steps();
        let words = |s: usize| [s * q_step, self.queries, s * k_step, self.keys].map(|n| n as u32);
        let all: Vec<u32> = (0..self.batch).flat_map(words).collect();
        let batch = self.batch;
        let spans = self.spans.unwrap_or_else(|| b.graph().constant_u32("spans", &[batch, 4], &all));
        let mut operands = vec![spans];
        if let Some((flags, off)) = self.flags {
            self.kernel.mask = Mask::Flags { off };
            operands.push(flags);
        }
        if let Some(bias) = self.bias {
            self.kernel.bias = ScoreBias::Dense;
            operands.push(bias);
        }
        self.kernel.sinks = self.sinks.is_some();
        operands.extend(self.sinks);
        operands
    }

    /// The output, in this shape.
    pub fn add(&mut self, b: &mut Builder<'_>, shape: &[usize]) -> Result<ValueId, Stop> {
        let mut operands = vec![self.q, self.k, self.v];
        operands.extend(self.operands(b));
        let y = b.add(self.kernel.clone(), &operands)?;
        b.reshape(y, shape)
    }

    /// Scores or weights, [batch, heads, queries, keys]; `hidden` is the score of a key that is not seen.
    pub fn scores(&mut self, b: &mut Builder<'_>, stage: ScoreStage, hidden: f32) -> Result<ValueId, Stop> {
        let mut operands = vec![self.q, self.k];
        let more = self.operands(b);
        let raw = matches!(stage, ScoreStage::Product | ScoreStage::Capped);
        let sink = usize::from(self.sinks.is_some() && stage == ScoreStage::Score);
        operands.extend(&more[..if raw { 1 } else { more.len() - sink }]);
        let (of, queries, keys) = (self.kernel.clone(), self.queries, self.keys);
        b.add(AttentionScores { of, queries, keys, stage, hidden }, &operands)
    }
}

/// Operand `i`, [batch, rows, heads * dim] or [batch, heads, rows, dim]: batch, rows, and its heads.
pub fn heads_of(b: &Builder<'_>, i: usize, count: Option<i64>) -> Result<(usize, usize, Heads), Stop> {
    match (&b.host(i)?.shape[..], count) {
        ([batch, count, rows, dim], _) => Ok((*batch, *rows, Heads { count: *count, dim: *dim, block: Some(*rows) })),
        ([batch, rows, cols], Some(count)) if count > 0 && cols.is_multiple_of(count as usize) => {
            let count = count as usize;
            Ok((*batch, *rows, Heads { count, dim: cols / count, block: None }))
        }
        (shape, count) => Stop::unsupported(format!("{:?} heads of a tensor {shape:?}", count)),
    }
}

/// Operand `i` as [batch, heads, rows, dim].
fn blocked(b: &mut Builder<'_>, x: ValueId, heads: Heads) -> Result<ValueId, Stop> {
    if heads.block.is_some() { Ok(x) } else { to_blocks(b, x, heads.count) }
}

/// Keys or values: what came before (operand `past`), then operand `i`, as blocks.
pub fn with_past(b: &mut Builder<'_>, x: ValueId, heads: Heads, past: usize) -> Result<(ValueId, Heads), Stop> {
    let new = blocked(b, x, heads)?;
    let old = b.input(past)?;
    let all = joined(b, 2, old, new)?;
    let [_, _, rows, _] = axes(b, all)?;
    Ok((all, Heads { block: Some(rows), ..heads }))
}

/// A mask or bias as [sequences, heads, queries, keys], keys that it does not reach being filled with `rest`.
pub fn spread(b: &mut Builder<'_>, i: usize, keys: usize, rest: f32) -> Result<ValueId, Stop> {
    let mut x = b.input(i)?;
    let mut shape = b.shape(x);
    if shape.is_empty() || shape.len() > 4 {
        return Stop::unsupported(format!("a mask {shape:?}"));
    }
    while shape.len() < 4 {
        shape.insert(0, 1);
    }
    x = b.reshape(x, &shape)?;
    if shape[3] == keys || shape[3] == 1 {
        return Ok(x);
    }
    if shape[3] > keys {
        return Stop::unsupported(format!("a mask {shape:?} for {keys} keys"));
    }
    let mut missing = shape.clone();
    missing[3] = keys - shape[3];
    let count = missing.iter().product();
    let ty = b.graph().ty(x).dtype;
    let filler = if ty == omma::DType::F32 {
        constant(b, "rest", &missing, &vec![rest; count])?
    } else {
        b.graph().constant_u32("rest", &missing, &vec![0; count])
    };
    b.add(Concat { axis: 3 }, &[x, filler])
}

/// ai.onnx Attention, operator sets 23 to 25.
fn onnx(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2, 4, 5])?;
    let (q_count, k_count) = (b.opt_int("q_num_heads")?, b.opt_int("kv_num_heads")?);
    let (batch, queries, q_heads) = heads_of(b, 0, q_count)?;
    let (_, new_keys, mut k_heads) = heads_of(b, 1, k_count)?;
    let (_, _, mut v_heads) = heads_of(b, 2, k_count)?;
    let (q, mut k, mut v) = (b.input(0)?, b.input(1)?, b.input(2)?);
    if b.has(4) && b.has(5) {
        (k, k_heads) = with_past(b, k, k_heads, 4)?;
        (v, v_heads) = with_past(b, v, v_heads, 5)?;
    }
    let keys = if b.has(4) { k_heads.block.unwrap_or(new_keys) } else { new_keys };
    let mut all = Attending::new((q, q_heads), (k, k_heads), (v, v_heads), [batch, queries, keys]);
    all.kernel.scale = b.opt_float("scale")?.unwrap_or(all.kernel.scale);
    // ONNX Runtime takes a single query behind a cache for the next token, which sees all keys.
    let next = b.of_runtime() && queries == 1 && keys > new_keys;
    all.kernel.causal = b.int("is_causal")? != 0 && !next;
    all.kernel.softcap = b.opt_float("softcap")?.filter(|cap| *cap > 0.0);
    let side = |name: &str| b.opt_int(name).map(|n| n.and_then(|n| u32::try_from(n).ok()));
    (all.kernel.window, all.kernel.ahead) = (side("left_window_size")?.map(|n| n + 1), side("right_window_size")?);
    // A query stands behind what is cached, and the first one of no cache at the first key.
    all.kernel.shift = queries as i32 - new_keys as i32;
    if b.has(6) {
        let lens = numbers(b, 6, keys + 1)?;
        all.by_length(b, lens)?;
        all.kernel.shift = 0;
    }
    if b.has(3) {
        let flags = !b.host(3)?.dtype.is_float();
        let mask = spread(b, 3, keys, f32::NEG_INFINITY)?;
        if flags { all.flags = Some((mask, None)) } else { all.bias = Some(mask) }
    }
    let shape: Vec<usize> = match q_heads.block {
        Some(rows) => vec![batch, q_heads.count, rows, v_heads.dim],
        None => vec![batch, queries, q_heads.count * v_heads.dim],
    };
    let mut outputs = vec![Some(all.add(b, &shape)?)];
    for (i, x, heads) in [(1, k, k_heads), (2, v, v_heads)] {
        let present = if b.wanted(i) { Some(blocked(b, x, heads)?) } else { None };
        // An operand that passes through becomes a value of its own.
        outputs.push(present.map(|x| copied(b, x)).transpose()?);
    }
    if b.wanted(3) {
        let stage = match b.opt_int("qk_matmul_output_mode")?.unwrap_or(0) {
            1 if all.kernel.softcap.is_some() => ScoreStage::Capped,
            0 | 1 => ScoreStage::Product,
            2 => ScoreStage::Score,
            3 => ScoreStage::Weight,
            mode => return Stop::unsupported(format!("qk_matmul_output_mode {mode}")),
        };
        // ONNX Runtime hides a key by the lowest number.
        let hidden = if b.of_runtime() { f32::MIN } else { f32::NEG_INFINITY };
        outputs.push(Some(all.scores(b, stage, hidden)?));
    }
    Ok(outputs.into_iter().take(b.case().wanted.len()).collect())
}

/// ai.onnx.preview FlexAttention without functions of scores or weights, which are graphs of their own.
fn flex(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2])?;
    for name in ["score_mod", "prob_mod"] {
        if b.case().attrs.get(name).is_some_and(|v| !v.is_null()) {
            return Stop::unsupported(format!("FlexAttention with {name}: a graph given as an attribute"));
        }
    }
    let (batch, queries, q_heads) = heads_of(b, 0, None)?;
    let (_, keys, k_heads) = heads_of(b, 1, None)?;
    let (_, _, v_heads) = heads_of(b, 2, None)?;
    let (q, k, v) = (b.input(0)?, b.input(1)?, b.input(2)?);
    let mut all = Attending::new((q, q_heads), (k, k_heads), (v, v_heads), [batch, queries, keys]);
    all.kernel.scale = b.opt_float("scale")?.unwrap_or(all.kernel.scale);
    let y = all.add(b, &[batch, q_heads.count, queries, v_heads.dim])?;
    Ok(vec![Some(y)])
}
