//! rope: half-split and interleaved, partial, out of a fused q, k, v matrix, positions beyond the table.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Rope, TensorType};

/// Cosines and sines of `positions` rows, as LLaMA computes them (base 10000).
fn table(positions: usize, rotary_dim: usize) -> Input {
    let half = rotary_dim / 2;
    let mut values = Vec::with_capacity(positions * rotary_dim);
    for position in 0..positions {
        let angle = |i: usize| position as f64 / 10_000f64.powf(2.0 * i as f64 / rotary_dim as f64);
        values.extend((0..half).map(|i| angle(i).cos()));
        values.extend((0..half).map(|i| angle(i).sin()));
    }
    Input::new(TensorType::f32(&[positions, rotary_dim]), Fill::Values(values))
}

fn rope(heads: usize, head_dim: usize) -> Rope {
    Rope::whole(heads, head_dim)
}

fn case(name: &str, rope: Rope, tokens: usize, cols: usize, dtype: DType) -> Case {
    let positions = Input::new(TensorType::u32(&[tokens]), Fill::Index(50));
    // Fewer rows than positions: the last ones are clamped.
    let table = table(47, rope.rotary_dim);
    Case::new(name, rope, vec![Input::float(dtype, &[tokens, cols]), positions, table])
}

/// Positions on several axes; `axis` says which one a pair takes.
fn axes(name: &str, rope: Rope, tokens: usize, axis: impl Fn(usize) -> u32) -> Case {
    let cols = if rope.block.is_some() { rope.head_dim } else { rope.x_offset + rope.heads * rope.head_dim };
    let rows = if rope.block.is_some() { tokens * rope.heads } else { tokens };
    let count = rope.axes.unwrap_or(1);
    let positions = Input::new(TensorType::u32(&[count, tokens]), Fill::Index(40));
    let pairs: Vec<u32> = (0..rope.rotary_dim / 2).map(axis).collect();
    let table = table(40, rope.rotary_dim);
    let mut inputs = vec![Input::f32(&[rows, cols]), positions, table];
    inputs.extend(rope.axes.map(|_| Input::u32(&[pairs.len()], &pairs)));
    Case::new(name, rope, inputs)
}

fn several_axes() -> Vec<Case> {
    let with = |n, heads, dim| Rope { axes: Some(n), ..rope(heads, dim) };
    // Qwen2-VL: of 64 pairs 16 turn by time, 24 by row, 24 by column.
    let sections = |pair: usize| if pair < 16 { 0 } else { 1 + u32::from(pair >= 40) };
    let blocks = Rope { block: Some(7), rotary_dim: 12, ..rope(3, 16) };
    vec![
        axes("9x4x128 16 24 24", with(3, 4, 128), 9, sections),
        axes("12x28x128 16 24 24", with(3, 28, 128), 12, sections).bench(),
        axes("picture 35x2x64", with(2, 2, 64), 35, |pair| u32::from(pair >= 16)),
        axes("interleaved axes 11x3x12", Rope { interleaved: true, ..with(3, 3, 12) }, 11, |pair| pair as u32 % 3),
        axes("axes beyond 5x2x8", with(2, 2, 8), 5, |pair| [0, 1, 2, u32::MAX][pair % 4]),
        axes("blocks 14x3x16", blocks.clone(), 14, |_| 0),
        axes("blocks interleaved 14x3x16", Rope { interleaved: true, ..blocks }, 14, |_| 0),
        axes("blocks of axes 12x5x10", Rope { block: Some(4), ..with(3, 5, 10) }, 12, |pair| pair as u32 / 2),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = several_axes();
    cases.extend(one_axis());
    cases
}

fn one_axis() -> Vec<Case> {
    let f32 = DType::F32;
    let far = [0, u32::MAX, 1 << 31, 46, 47];
    vec![
        case("1x1x2", rope(1, 2), 1, 2, f32),
        case("5x3x8", rope(3, 8), 5, 24, f32),
        case("7x3x8 interleaved", Rope { interleaved: true, ..rope(3, 8) }, 7, 24, f32),
        case("5x2x10 rotary 6 offset 3", Rope { rotary_dim: 6, x_offset: 3, ..rope(2, 10) }, 5, 29, f32),
        case(
            "5x2x11 rotary 6 offset 3 interleaved",
            Rope { rotary_dim: 6, x_offset: 3, interleaved: true, ..rope(2, 11) },
            5,
            29,
            f32,
        ),
        case("9x4x64 f16", rope(4, 64), 9, 256, DType::F16),
        case("13x2x80 fused offset 160", Rope { x_offset: 160, ..rope(2, 80) }, 13, 480, f32),
        case("13x3x80 rotary 32 offset 240", Rope { rotary_dim: 32, x_offset: 240, ..rope(3, 80) }, 13, 484, f32),
        case("13x5x16 rotary 8 f16", Rope { rotary_dim: 8, ..rope(5, 16) }, 13, 80, DType::F16),
        case("70001x1x2", rope(1, 2), 70_001, 3, f32),
        case("70001x1x130", rope(1, 130), 70_001, 130, f32).bench_only(),
        Case::new("positions beyond", rope(1, 4), vec![Input::f32(&[5, 4]), Input::u32(&[5], &far), table(47, 4)]),
        Case::new(
            "512x32x128",
            rope(32, 128),
            vec![Input::f32(&[512, 4096]), Input::new(TensorType::u32(&[512]), Fill::Index(512)), table(512, 128)],
        )
        .bench(),
    ]
}

fn on_axes(rope: Rope, tokens: usize) -> Case {
    let count = rope.axes.unwrap_or(1) as u32;
    axes("drawn", rope, tokens, |pair| pair as u32 * 7 % (count + 1))
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (heads, head_dim, tokens) = (d.size(9), 1 + d.size(130), d.size(70));
    let rotary_dim = 2 * d.below(head_dim / 2 + 1);
    let mut rope = Rope { rotary_dim, interleaved: d.flag(), ..rope(heads, head_dim) };
    if rotary_dim > 0 && d.flag() {
        rope.axes = d.flag().then(|| d.size(4));
        rope.block = d.flag().then(|| d.size(9));
        let tokens = tokens.next_multiple_of(rope.block.unwrap_or(1));
        return row!(on_axes(rope, tokens));
    }
    // A table has at least a column.
    rope.rotary_dim = rotary_dim.max(2);
    rope.x_offset = d.below(20);
    let (cols, dtype) = (rope.x_offset + heads * head_dim + d.below(5), d.float());
    row!(case("drawn", rope, tokens, cols, dtype))
}
