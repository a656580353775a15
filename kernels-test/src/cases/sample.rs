//! sample: greedy and drawn, every cut alone and together, ties, penalties, extreme settings, real vocabularies.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Sample, SampleSettings, TensorType};

/// Rows of settings as the kernel reads them; the seed of row `r` is that of `settings` plus `r`.
fn words(rows: usize, settings: &SampleSettings) -> Input {
    let row = |r: usize| SampleSettings { seed: settings.seed + r as u64, ..settings.clone() };
    let words: Vec<u32> = (0..rows).flat_map(|r| row(r).words().expect("settings of a case")).collect();
    Input::u32(&[rows, 8], &words)
}

fn case(name: &str, logits: Input, settings: &SampleSettings) -> Case {
    let (rows, vocab) = (logits.ty.rows(), logits.ty.cols());
    let seen = Input::new(TensorType::u32(&[rows, vocab.div_ceil(32)]), Fill::Index(u32::MAX));
    let steps = Input::new(TensorType::u32(&[rows]), Fill::Index(1000));
    let name = format!("{rows}x{vocab} {name}");
    Case::new(name, Sample, vec![logits, seen, words(rows, settings), steps])
}

fn logits(rows: usize, vocab: usize, spread: f64) -> Input {
    Input::f32(&[rows, vocab]).fill(Fill::Uniform(-spread, spread))
}

/// Cuts, penalties and temperatures on a small vocabulary.
fn settings_cases() -> Vec<Case> {
    let warm = || SampleSettings { temperature: 1.0, seed: 1 << 40, ..Default::default() };
    let row = |spread: f64| logits(16, 1009, spread);
    vec![
        case("greedy", row(10.0), &SampleSettings::default()),
        case("greedy, penalty", row(10.0), &SampleSettings { repetition_penalty: 1.3, ..Default::default() }),
        case("warm", row(10.0), &warm()),
        case("cold", row(10.0), &SampleSettings { temperature: 0.01, ..warm() }),
        case("coldest", row(10.0), &SampleSettings { temperature: 1e-30, ..warm() }),
        case("hottest", row(10.0), &SampleSettings { temperature: 1e30, ..warm() }),
        case("penalty", row(3.0), &SampleSettings { repetition_penalty: 1.2, ..warm() }),
        case("top_k 1", row(3.0), &SampleSettings { top_k: 1, ..warm() }),
        case("top_k 50", row(3.0), &SampleSettings { top_k: 50, ..warm() }),
        case("top_k beyond", row(3.0), &SampleSettings { top_k: u32::MAX, ..warm() }),
        case("top_p 0.9", row(3.0), &SampleSettings { top_p: 0.9, ..warm() }),
        case("top_p 1e-9", row(3.0), &SampleSettings { top_p: 1e-9, ..warm() }),
        case("min_p 0.1", row(3.0), &SampleSettings { min_p: 0.1, ..warm() }),
        case("min_p 1", row(3.0), &SampleSettings { min_p: 1.0, ..warm() }),
        case(
            "all",
            row(5.0),
            &SampleSettings { temperature: 0.7, top_k: 40, top_p: 0.8, min_p: 0.05, repetition_penalty: 1.1, seed: 3 },
        ),
    ]
}

pub fn cases() -> Vec<Case> {
    let warm = || SampleSettings { temperature: 1.0, seed: 9, ..Default::default() };
    let usual = SampleSettings { temperature: 0.7, top_k: 50, top_p: 0.9, seed: 5, ..Default::default() };
    let ties = |fill: Fill| Input::f32(&[16, 300]).fill(fill);
    let mut cases = vec![
        case("one token", logits(2, 1, 1.0), &warm()),
        case("two tokens", logits(5, 2, 1.0), &warm()),
        case("equal", ties(Fill::Zeros), &warm()),
        case("equal, top_k 3", ties(Fill::Zeros), &SampleSettings { top_k: 3, ..warm() }),
        case("few values", ties(Fill::Index(4)), &SampleSettings { top_p: 0.5, ..warm() }),
        case("few values, greedy", ties(Fill::Index(4)), &SampleSettings::default()),
        case("beyond the grid", ties(Fill::Huge), &warm()),
        case("far beyond the grid", ties(Fill::Uniform(-3e38, 3e38)), &warm()),
        case("f16", Input::float(DType::F16, &[7, 131]).fill(Fill::Uniform(-8.0, 8.0)), &usual),
        // Grid folding is argmax's; here it takes minutes on SwiftShader.
        case("greedy", logits(65_537, 3, 2.0), &SampleSettings::default()).bench_only(),
        // More tokens within a quarter octave of the drawn one than the shader lists, and fewer.
        case("warm, flat", logits(3, 5000, 0.1), &warm()),
        case("warm, flat, top_k 2000", logits(3, 5000, 0.1), &SampleSettings { top_k: 2000, ..warm() }),
        case("usual, flat", logits(3, 5000, 1.0), &usual),
        case("usual", logits(1, 151_936, 10.0), &usual).bench(),
        case("warm", logits(2, 32_000, 12.0), &warm()),
        case("greedy", logits(1, 151_936, 10.0), &SampleSettings::default()).bench(),
    ];
    cases.extend(settings_cases());
    cases
}

fn sampled(rows: usize, vocab: usize, fill: Fill, settings: &SampleSettings) -> Case {
    case(&format!("{settings:?}"), Input::f32(&[rows, vocab]).fill(fill), settings)
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (rows, vocab) = (d.size(16), d.size(5000));
    let settings = SampleSettings {
        temperature: d.pick(&[0.0, 1.0, 0.7, 0.01, 1e30]),
        top_k: d.pick(&[0, 1, 3, 50, u32::MAX]),
        top_p: d.pick(&[1.0, 0.9, 0.5, 1e-9]),
        min_p: d.pick(&[0.0, 0.05, 1.0]),
        repetition_penalty: d.pick(&[1.0, 1.3]),
        seed: d.below(1 << 16) as u64,
    };
    let fill = d.pick(&[Fill::Uniform(-10.0, 10.0), Fill::Uniform(-0.1, 0.1), Fill::Zeros, Fill::Index(4), Fill::Huge]);
    row!(sampled(rows, vocab, fill, &settings))
}
