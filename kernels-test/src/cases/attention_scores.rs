//! attention_scores: every stage, with and without what is done to scores; more keys than lanes, ragged, blocks.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Attention, AttentionScores, Mask, ScoreBias, ScoreStage, TensorType};

const STAGES: [ScoreStage; 4] = [ScoreStage::Product, ScoreStage::Capped, ScoreStage::Score, ScoreStage::Weight];

/// Two ragged sequences in rows of q (41) and k (71), side by side.
fn case(name: &str, of: Attention, stage: ScoreStage, dtype: DType) -> Case {
    let spans = [0, 20, 0, 37, 20, 21, 37, 34];
    let hidden = if of.sinks { f32::NEG_INFINITY } else { 0.0 };
    let cols = |heads: usize| heads * of.head_dim;
    let mut inputs = vec![Input::float(dtype, &[41, cols(of.heads)]), Input::float(dtype, &[71, cols(of.kv_heads)])];
    inputs.push(Input::u32(&[2, 4], &spans));
    let kernel = AttentionScores { of, queries: 22, keys: 39, stage, hidden };
    inputs.extend(kernel.inputs_after(3).into_iter().map(|name| operand(name, kernel.of.heads)));
    Case::new(format!("{name} {stage:?}"), kernel, inputs)
}

trait After {
    fn inputs_after(&self, count: usize) -> Vec<&'static str>;
}

impl<K: omma::kernels::Kernel> After for K {
    fn inputs_after(&self, count: usize) -> Vec<&'static str> {
        self.inputs().split_off(count)
    }
}

fn operand(name: &str, heads: usize) -> Input {
    let holes = |i: usize| if i % 5 == 2 { f64::NEG_INFINITY } else { i as f64 / 1024.0 - 0.5 };
    match name {
        "score_table" => Input::f32(&[50, heads]),
        "score_index" => Input::new(TensorType::u32(&[22, 39]), Fill::Index(55)),
        "mask" => Input::new(TensorType::u32(&[2, 1, 22, 39]), Fill::Index(3)),
        "score_bias" => {
            let shape = [1, heads, 22, 39];
            Input::new(TensorType::f32(&shape), Fill::Values((0..shape.iter().product()).map(holes).collect()))
        }
        _ => Input::f32(&[heads]),
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for stage in STAGES {
        let capped = Attention { softcap: Some(1.5), ..Attention::apart(4, 2, 24) };
        let all = Attention {
            causal: true,
            window: Some(17),
            shift: -3,
            mask: Mask::Flags { off: None },
            bias: ScoreBias::Dense,
            sinks: true,
            ..capped.clone()
        };
        cases.push(case("capped", capped.clone(), stage, DType::F32));
        cases.push(case("all", all, stage, DType::F32));
        cases.push(case("f16", capped, stage, DType::F16));
    }
    let large = Attention { scale: 1e4, ..Attention::apart(2, 2, 8) };
    let added = Attention { mask: Mask::Flags { off: Some(-10_000.0) }, ..Attention::apart(2, 1, 130) };
    cases.push(case("logits of 1e4", large, ScoreStage::Weight, DType::F32));
    cases.push(case("flags add 2:1x130", added, ScoreStage::Weight, DType::F32));
    for (name, bias) in [("table", ScoreBias::Table), ("alibi", ScoreBias::Alibi)] {
        let biased = Attention { bias, shift: 2, ..Attention::apart(4, 2, 16) };
        cases.push(case(name, biased, ScoreStage::Score, DType::F32));
    }
    // A block of queries and keys a head, and a row of more keys than the tensor has.
    let blocks = Attention { q_block: Some(5), k_block: Some(300), ..Attention::apart(6, 3, 16) };
    for stage in [ScoreStage::Product, ScoreStage::Weight] {
        let (of, hidden) = (blocks.clone(), 0.0);
        let rows = |n: usize| Input::f32(&[n, 16]);
        let inputs = vec![rows(60), rows(1800), Input::u32(&[2, 4], &[0, 5, 0, 300, 30, 5, 900, 250])];
        cases.push(Case::new(
            format!("blocks {stage:?}"),
            AttentionScores { of, queries: 5, keys: 300, stage, hidden },
            inputs,
        ));
    }
    let clip = AttentionScores {
        of: Attention::apart(16, 16, 64),
        queries: 577,
        keys: 577,
        stage: ScoreStage::Weight,
        hidden: 0.0,
    };
    let rows = || Input::f32(&[577, 1024]);
    let inputs = vec![rows(), rows(), Input::u32(&[1, 4], &[0, 577, 0, 577])];
    cases.push(Case::new("16x577x64 weights", clip, inputs).bench_only());
    cases
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (kv_heads, group, dim) = (d.size(3), d.size(3), d.size(140));
    let stage = d.pick(&STAGES);
    let of = Attention {
        causal: d.flag(),
        window: d.maybe(&[1, 17]),
        shift: d.below(9) as i32 - 4,
        softcap: if stage == ScoreStage::Capped { Some(1.5) } else { d.maybe(&[1.5]) },
        mask: d.pick(&[Mask::None, Mask::Flags { off: None }, Mask::Flags { off: Some(-3.0) }, Mask::Runs { keys: 7 }]),
        bias: d.pick(&[ScoreBias::None, ScoreBias::Dense, ScoreBias::Table, ScoreBias::Alibi]),
        sinks: d.flag(),
        ..Attention::apart(kv_heads * group, kv_heads, dim)
    };
    let dtype = d.float();
    row!(case("drawn", of, stage, dtype))
}
