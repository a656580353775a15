//! attention: what is done to scores (biases, flags, caps, sinks), places of queries, heads in blocks, wide heads.

use super::{cached, fused, own, sequences};
use crate::case::{Case, Fill, Input};
use omma::kernels::{Attention, Mask, ScoreBias, TensorType};

/// The case with further operands.
fn with(mut case: Case, operands: Vec<Input>) -> Case {
    case.inputs.extend(operands);
    case
}

fn biased(bias: ScoreBias, heads: usize, dim: usize) -> Attention {
    Attention { bias, ..Attention::fused(heads, dim) }
}

/// A bias that hides every third key of every second query, and all keys of query 4.
fn holes(shape: [usize; 4]) -> Input {
    let [s, h, q, k] = shape;
    let value = |i: usize| {
        let (query, key) = (i / k % q, i % k);
        let hidden = query == 4 || query % 2 == 1 && key % 3 == 0;
        if hidden { f64::NEG_INFINITY } else { f64::from((i * 7919 % 1009) as f32 / 300.0) - 1.5 }
    };
    Input::new(TensorType::f32(&shape), Fill::Values((0..s * h * q * k).map(value).collect()))
}

fn flags(shape: [usize; 4]) -> Input {
    let values: Vec<u32> = (0..shape.iter().product()).map(|i| (i * 7919 % 1009 % 3) as u32).collect();
    Input::u32(&shape, &values)
}

fn biases() -> Vec<Case> {
    let dense = || biased(ScoreBias::Dense, 3, 32);
    let two = sequences(2, 37);
    let f32s = |shape: &[usize]| Input::new(TensorType::f32(shape), Fill::Uniform(-3.0, 3.0));
    let table = || biased(ScoreBias::Table, 4, 32);
    let index = Input::new(TensorType::u32(&[49, 49]), Fill::Index(171));
    // 40 queries after a cache of 60 keys: ALiBi counts from the place.
    let alibi = Attention { bias: ScoreBias::Alibi, ..cached(4, 2, 64) };
    let rows = |n: usize, cols: usize| Input::f32(&[n, cols]);
    let behind = super::case("alibi cache", alibi, [rows(40, 256), rows(100, 128), rows(100, 128)], &[[0, 40, 0, 100]]);
    let lowest = f64::from(f32::MIN);
    vec![
        with(fused("bias of each", dense(), &two), vec![f32s(&[2, 3, 37, 37])]),
        with(fused("bias by head", dense(), &two), vec![f32s(&[1, 3, 37, 37])]),
        with(fused("bias by sequence", dense(), &two), vec![f32s(&[2, 1, 37, 37])]),
        with(fused("bias by key", dense(), &two), vec![f32s(&[1, 1, 1, 37])]),
        with(fused("bias with holes", dense(), &two), vec![holes([2, 1, 37, 37])]),
        with(fused("bias of the lowest", dense(), &two), vec![f32s(&[1, 1, 1, 37]).fill(Fill::Const(lowest))]),
        with(fused("bias too small", dense(), &two), vec![f32s(&[1, 1, 1, 5])]),
        with(fused("table", table(), &sequences(3, 49)), vec![f32s(&[169, 4]), index]),
        with(behind, vec![f32s(&[4]).fill(Fill::Uniform(0.01, 0.9))]),
        with(fused("bias causal 70", Attention { causal: true, ..dense() }, &own(70)), vec![holes([1, 3, 70, 70])]),
    ]
}

fn masks() -> Vec<Case> {
    let masked = |off| Attention { mask: Mask::Flags { off }, ..Attention::fused(3, 32) };
    let two = sequences(2, 37);
    let both = Attention { bias: ScoreBias::Dense, ..masked(Some(-10_000.0)) };
    let by = |keys| Attention { mask: Mask::Runs { keys }, ..Attention::fused(3, 32) };
    // Two prompts of 13 and 1 rows, each over the tiles of its own picture.
    let rows = |n: usize, cols: usize| Input::f32(&[n, cols]);
    let tiles = Attention { mask: Mask::Runs { keys: 17 }, ..Attention::apart(2, 1, 72) };
    let spans = [[0, 13, 0, 68], [13, 1, 68, 51]];
    let cross = super::case("runs of tiles", tiles, [rows(14, 144), rows(136, 72), rows(136, 72)], &spans);
    let i32s = Input::new(TensorType::new(omma::DType::I32, &[2, 1, 1, 37]), Fill::Index(2));
    vec![
        with(fused("flags hide", masked(None), &two), vec![flags([2, 1, 37, 37])]),
        with(fused("flags hide all", masked(None), &two), vec![flags([1, 1, 1, 37]).fill(Fill::Zeros)]),
        with(fused("flags by head", masked(None), &two), vec![flags([1, 3, 37, 37])]),
        with(fused("flags add", masked(Some(-10_000.0)), &two), vec![flags([2, 1, 1, 37])]),
        with(fused("flags of i32", masked(Some(-3.0)), &two), vec![i32s]),
        with(fused("flags add to all", masked(Some(-10_000.0)), &two), vec![flags([1, 1, 1, 37]).fill(Fill::Zeros)]),
        with(fused("runs of 5", by(5), &two), vec![flags([2, 1, 37, 8])]),
        with(fused("runs of 1 by head", by(1), &two), vec![flags([1, 3, 1, 37])]),
        with(fused("runs hide all", by(40), &two), vec![flags([2, 1, 1, 1]).fill(Fill::Zeros)]),
        with(fused("runs too few", by(3), &two), vec![flags([2, 1, 37, 4])]),
        with(cross, vec![flags([2, 1, 13, 4])]),
        with(fused("flags and bias", both, &two), vec![flags([2, 1, 1, 37]), holes([1, 3, 37, 37])]),
    ]
}

fn caps() -> Vec<Case> {
    let capped = |softcap, scale| Attention { softcap: Some(softcap), scale, ..Attention::fused(2, 64) };
    let sinks = |causal| Attention { sinks: true, causal, ..Attention::fused(3, 32) };
    let sink = |fill| Input::new(TensorType::f32(&[3]), fill);
    let hidden = Attention { mask: Mask::Keys, ..sinks(false) };
    let all = Attention { softcap: Some(4.0), mask: Mask::Flags { off: None }, bias: ScoreBias::Dense, ..sinks(true) };
    vec![
        fused("cap 50", capped(50.0, 0.125), &own(45)),
        fused("cap 2 of large", capped(2.0, 3.0), &own(45)),
        fused("cap 30 of 1e4", capped(30.0, 1e4), &own(45)),
        fused("cap 1e6", capped(1e6, 0.125), &own(45)),
        fused_zeros("cap of zeros", capped(5.0, 0.125)),
        with(fused("sinks", sinks(false), &own(41)), vec![sink(Fill::Uniform(-2.0, 4.0))]),
        with(fused("sinks of 0 causal", sinks(true), &own(70)), vec![sink(Fill::Zeros)]),
        with(fused("sinks of 1e4", sinks(true), &own(33)), vec![sink(Fill::Const(1e4))]),
        with(fused("sinks of -1e4", sinks(true), &own(33)), vec![sink(Fill::Const(-1e4))]),
        with(fused("sinks, no key", hidden, &own(39)), vec![sink(Fill::Zeros)]),
        with(
            fused("cap, bias, flags, sinks", all, &own(37)),
            vec![flags([1, 1, 37, 37]), holes([1, 3, 37, 37]), sink(Fill::Uniform(-1.0, 1.0))],
        ),
    ]
}

fn fused_zeros(name: &str, kernel: Attention) -> Case {
    super::fused_as(name, kernel, &own(35), omma::DType::F32, Fill::Zeros)
}

fn places() -> Vec<Case> {
    let rows = |n: usize, cols: usize| Input::f32(&[n, cols]);
    let sliding = |window, ahead| Attention { window, ahead, ..Attention::fused(2, 32) };
    let shifted = |shift| Attention { shift, ..cached(2, 2, 32) };
    let spans = [[0, 41, 0, 67]];
    let moved =
        |name: &str, shift| super::case(name, shifted(shift), [rows(41, 64), rows(67, 64), rows(67, 64)], &spans);
    vec![
        fused("window 2 on both sides", sliding(Some(3), Some(2)), &own(71)),
        fused("ahead 5", sliding(None, Some(5)), &own(71)),
        fused("ahead over all", sliding(None, Some(1 << 29)), &own(71)),
        moved("aligned with the first keys", 41 - 67),
        moved("before every key", -80),
        moved("beyond every key", 80),
    ]
}

/// [batch, heads, rows, dim], q and k each with blocks of their own.
fn blocks(name: &str, batch: usize, kernel: Attention) -> Case {
    let (q_len, k_len) = (kernel.q_block.unwrap_or(1), kernel.k_block.unwrap_or(1));
    let (heads, kv_heads) = (kernel.heads, kernel.kv_heads);
    let word = |n: usize| n as u32;
    let span = |b: usize| [word(b * heads * q_len), word(q_len), word(b * kv_heads * k_len), word(k_len)];
    let spans: Vec<[u32; 4]> = (0..batch).map(span).collect();
    let rows = |heads: usize, len: usize, dim: usize| Input::f32(&[batch * heads * len, dim]);
    let qkv = [
        rows(heads, q_len, kernel.head_dim),
        rows(kv_heads, k_len, kernel.head_dim),
        rows(kv_heads, k_len, kernel.value_dim),
    ];
    super::case(name, kernel, qkv, &spans)
}

fn layouts() -> Vec<Case> {
    let apart = |dim, value_dim, q, k| {
        let (q_block, k_block) = (Some(q), Some(k));
        Attention { value_dim, q_block, k_block, ..Attention::apart(4, 2, dim) }
    };
    let dims = |dim, value_dim| Attention { value_dim, causal: true, ..Attention::apart(2, 1, dim) };
    let case = |name: &str, kernel: Attention| {
        let (cols, value_cols) = (kernel.head_dim, kernel.value_dim);
        let rows = |cols| Input::f32(&[70, cols]);
        super::case(name, kernel, [rows(2 * cols), rows(cols), rows(value_cols)], &[[0, 35, 0, 35], [35, 35, 35, 35]])
    };
    // More keys than a block of any variant, and no whole number of blocks.
    let long = |name: &str, kernel: Attention| {
        let rows = |n: usize, cols: usize| Input::f32(&[n, cols]);
        let (cols, value_cols) = (kernel.head_dim, kernel.value_dim);
        super::case(name, kernel, [rows(37, 2 * cols), rows(150, cols), rows(150, value_cols)], &[[0, 37, 0, 150]])
    };
    let hostile = [[0, 33, 0, u32::MAX], [132, u32::MAX, 100, 7]];
    let mut wild = blocks("hostile blocks", 2, apart(16, 16, 33, 41));
    let words: Vec<f64> = hostile.iter().flatten().map(|w| f64::from(*w)).collect();
    wild.inputs[3].fill = Fill::Values(words);
    vec![
        blocks("blocks", 3, apart(32, 32, 37, 37)),
        blocks("blocks causal", 2, Attention { causal: true, ..apart(8, 10, 5, 70) }),
        blocks("blocks of one query", 2, apart(64, 64, 1, 300)),
        wild,
        case("values 48 of 32", dims(32, 48)),
        case("values 9 of 65", dims(65, 9)),
        case("values 1 of 128", dims(128, 1)),
        case("wide 160", dims(160, 160)),
        case("wide 129 values 7", dims(129, 7)),
        case("wide values 256 of 64", dims(64, 256)),
        case("wide 576 values 512", dims(576, 512)),
        long("wide 136, 150 keys", dims(136, 136)),
        long("wide window", Attention { window: Some(80), ..dims(130, 64) }),
    ]
}

/// Windows of Swin, buckets of T5, Gemma's and PaliGemma's heads.
fn models() -> Vec<Case> {
    let f32s = |shape: &[usize]| Input::f32(shape);
    let swin = with(
        fused("swin 64 windows 3x49x32", biased(ScoreBias::Table, 3, 32), &sequences(64, 49)),
        vec![f32s(&[169, 3]), Input::new(TensorType::u32(&[49, 49]), Fill::Index(169))],
    );
    let t5 = with(fused("t5 8x512x64 bias", biased(ScoreBias::Dense, 8, 64), &own(512)), vec![f32s(&[1, 8, 512, 512])]);
    let gemma = Attention { softcap: Some(50.0), ..Attention::fused(8, 256) };
    vec![swin.bench_only(), t5.bench_only(), fused("gemma 8x256x256 softcap", gemma, &own(256)).bench_only()]
}

pub fn cases() -> Vec<Case> {
    [biases(), masks(), caps(), places(), layouts(), models()].into_iter().flatten().collect()
}
