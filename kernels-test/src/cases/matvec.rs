//! matvec: one row and up to eight, odd sizes in every axis, every weight type and epilogue; the projections of a
//! LLaMA-7B decode step as bench rows.

use super::as_gpu::small_as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use crate::packed::{layouts, step_of_rows};
use omma::DType::{self, BF16, F16, F32};
use omma::kernels::{Act, Codes, MatVec, Packing, TensorType};

fn case(x: DType, w: DType, m: usize, k: usize, n: usize, kernel: MatVec) -> Case {
    let mut inputs = vec![Input::float(x, &[m, k]), Input::panels(w, n, k)];
    inputs.extend(kernel.bias.then(|| Input::f32(&[n])));
    inputs.extend(kernel.residual.then(|| Input::float(x, &[m, n])));
    let act = kernel.act.map_or("", Act::name);
    let (bias, residual) = (if kernel.bias { " bias" } else { "" }, if kernel.residual { " residual" } else { "" });
    Case::new(format!("{m}x{k}x{n} {x} {w}{bias} {act}{residual}"), kernel, inputs)
}

fn plain(m: usize, k: usize, n: usize) -> Case {
    case(F32, F32, m, k, n, MatVec::default())
}

/// A quantized weight. AWQ has n in eights.
fn packed(packing: Packing, m: usize, k: usize, n: usize) -> Case {
    let inputs = vec![Input::f32(&[m, k]), Input::packed(packing, n, k)];
    Case::new(format!("{m}x{k}x{n} {}", packing.name()), MatVec::default(), inputs)
}

pub fn cases() -> Vec<Case> {
    let full = |act| MatVec { bias: true, act: Some(act), residual: true };
    let mut cases = vec![
        plain(1, 1, 1),
        plain(1, 3, 5),
        plain(1, 31, 33),
        plain(1, 32, 31),
        plain(1, 33, 64),
        plain(1, 402, 110),
        plain(1, 90, 130),
        plain(1, 5, 65_541),
        plain(1, 896, 896),
        case(F16, F16, 1, 66, 70, full(Act::Silu)),
        case(F16, BF16, 3, 64, 64, full(Act::Relu2)),
        case(F32, F16, 1, 128, 96, full(Act::Gelu)),
        case(F32, BF16, 8, 110, 90, full(Act::GeluTanh)),
    ];
    cases.extend((2..=8).map(|m| plain(m, 36 + m, 61 + m)));
    for fill in [Fill::Outlier, Fill::Offset, Fill::Zeros, Fill::Huge, Fill::Tiny] {
        let mut case = plain(1, 515, 40);
        case.name = format!("{} {fill:?}", case.name);
        case.inputs[0].fill = fill;
        cases.push(case);
    }
    let mut rows = plain(2, 66, 21);
    rows.name = "2x66x21 rows".into();
    rows.inputs[1] = Input::new(TensorType::f32(&[21, 66]), Fill::Uniform(-1.0, 1.0));
    cases.push(rows);
    for (packing, step) in layouts() {
        cases.push(packed(packing, 1, 105usize.next_multiple_of(step), 40));
        if step == 1 {
            // Whole runs of 64 values.
            cases.push(packed(packing, 1, 192, 40));
        }
        if let Packing::Codes(c @ Codes { signed: true, .. }) = packing {
            // Its groups of 16 are too short for these.
            cases.push(packed(Packing::Codes(Codes { block: 32, align: 32, ..c }), 1, 192, 40));
        }
        cases.push(packed(packing, 5, 6usize.next_multiple_of(step), 24));
    }
    cases.extend(small_as_gpu(&cases, 50_000));
    for (packing, _) in layouts() {
        cases.push(packed(packing, 1, 4096, 4096).bench_only());
    }
    for w in [F32, F16, BF16] {
        cases.push(case(F32, w, 1, 4096, 4096, MatVec::default()).bench_only());
    }
    cases.push(case(F32, F16, 1, 4096, 11_008, MatVec::default()).bench_only());
    cases.push(case(F32, F16, 4, 4096, 4096, MatVec::default()).bench_only());
    cases
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (m, k, n) = (d.size(8), d.size(1200), d.size(300));
    if d.below(3) == 2 {
        let (packing, step) = d.pick(&layouts());
        let (k, n) = (
            k.next_multiple_of(if d.flag() { step } else { step.next_multiple_of(64) }),
            n.next_multiple_of(step_of_rows(packing)),
        );
        return row!(packed(packing, m, k, n));
    }
    let (x, w) = (d.float(), d.pick(&[F32, F16, BF16]));
    let kernel = MatVec { bias: d.flag(), act: d.maybe(&Act::ALL), residual: d.flag() };
    row!(case(x, w, m, k, n, kernel)).filled(0, d.fill_of(x))
}
