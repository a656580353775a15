//! matmul: odd sizes in every axis, tile edges, more rows than one grid dimension holds, every weight type and
//! epilogue, projections of real models as bench rows.

use super::as_gpu::small_as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use crate::packed::{layouts, step_of_rows};
use omma::DType::{self, BF16, F16, F32};
use omma::kernels::{Act, Block, MatMul, Packing, TensorType};

fn case(x: DType, w: DType, m: usize, k: usize, n: usize, kernel: MatMul) -> Case {
    let mut inputs = vec![Input::float(x, &[m, k]), Input::panels(w, n, k)];
    inputs.extend(kernel.bias.then(|| Input::f32(&[n])));
    inputs.extend(kernel.residual.then(|| Input::float(x, &[m, n])));
    let act = kernel.act.map_or("", Act::name);
    let (bias, residual) = (if kernel.bias { " bias" } else { "" }, if kernel.residual { " residual" } else { "" });
    Case::new(format!("{m}x{k}x{n} {x} {w}{bias} {act}{residual}"), kernel, inputs)
}

fn plain(m: usize, k: usize, n: usize) -> Case {
    case(F32, F32, m, k, n, MatMul::default())
}

fn full(act: Act) -> MatMul {
    MatMul { bias: true, act: Some(act), residual: true }
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        plain(1, 1, 1),
        plain(2, 3, 5),
        plain(7, 13, 11),
        plain(31, 17, 33),
        plain(33, 64, 31),
        plain(32, 32, 32),
        plain(63, 40, 65),
        plain(65, 36, 63),
        plain(129, 110, 130),
        plain(16, 90, 402),
        plain(130, 402, 110),
        plain(65_537, 5, 3),
        plain(3, 4, 65_541),
    ];
    for act in Act::ALL {
        cases.push(case(F32, F32, 37, 24, 44, full(act)));
        // One product a sum, so that the bound is that of the activation, over its whole range.
        let mut wide = case(F32, F32, 33, 1, 36, MatMul { act: Some(act), ..MatMul::default() });
        wide.name += " wide";
        wide.inputs[0].fill = Fill::Uniform(-16.0, 16.0);
        cases.push(wide);
    }
    for w in [F16, BF16] {
        cases.push(case(F32, w, 19, 90, 130, full(Act::Gelu)));
        cases.push(case(F32, w, 40, 64, 64, MatMul { bias: true, ..MatMul::default() }));
    }
    for w in [F32, F16, BF16] {
        cases.push(case(F16, w, 35, 66, 70, full(Act::Silu)));
        cases.push(case(F16, w, 64, 128, 64, MatMul { residual: true, ..MatMul::default() }));
    }
    for (packing, step) in layouts() {
        cases.push(packed(packing, 9, 68usize.next_multiple_of(step), 40));
        cases.push(packed(packing, 33, 7usize.next_multiple_of(step), 72));
    }
    cases.push(rows(29, 66, 21));
    cases.push(rows(64, 64, 64));
    for fill in [Fill::Outlier, Fill::Offset, Fill::Zeros, Fill::Huge, Fill::Tiny] {
        let mut case = plain(35, 260, 30);
        case.name = format!("{} {fill:?}", case.name);
        case.inputs[0].fill = fill;
        cases.push(case);
    }
    cases.extend(small_as_gpu(&cases, 20_000));
    cases.extend(bench());
    cases
}

/// A quantized weight. AWQ has n in eights.
fn packed(packing: Packing, m: usize, k: usize, n: usize) -> Case {
    let kernel = MatMul { bias: true, ..MatMul::default() };
    let inputs = vec![Input::f32(&[m, k]), Input::packed(packing, n, k), Input::f32(&[n])];
    Case::new(format!("{m}x{k}x{n} {}", packing.name()), kernel, inputs)
}

/// The second operand is an activation, row-major.
fn rows(m: usize, k: usize, n: usize) -> Case {
    let mut case = plain(m, k, n);
    case.name = format!("{m}x{k}x{n} rows");
    case.inputs[1] = Input::new(TensorType::f32(&[n, k]), Fill::Uniform(-1.0, 1.0));
    case
}

/// A square, CLIP ViT-L/14 at 336 (MLP up and down), ViT-B/16 (MLP up), with weights of every type.
fn bench() -> Vec<Case> {
    let gelu = || MatMul { bias: true, act: Some(Act::QuickGelu), residual: false };
    let down = || MatMul { bias: true, act: None, residual: true };
    vec![
        plain(1024, 1024, 1024).bench(),
        plain(577, 1024, 4096).bench(),
        case(F32, F32, 577, 1024, 4096, gelu()).bench_only(),
        case(F32, F32, 577, 4096, 1024, down()).bench_only(),
        case(F32, F16, 577, 1024, 4096, MatMul::default()).bench_only(),
        case(F32, BF16, 577, 1024, 4096, MatMul::default()).bench_only(),
        plain(197, 768, 3072).bench(),
        packed(Packing::Block(Block::Q4_0), 577, 1024, 4096).bench_only(),
        packed(Packing::Block(Block::Q4K), 577, 1024, 4096).bench_only(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (m, k, n) = (d.size(140), d.size(400), d.size(140));
    let kernel = MatMul { bias: d.flag(), act: d.maybe(&Act::ALL), residual: d.flag() };
    match d.below(4) {
        3 => row!(rows(m, k, n)),
        2 => {
            let (packing, step) = d.pick(&layouts());
            let (k, n) = (k.next_multiple_of(step), n.next_multiple_of(step_of_rows(packing)));
            row!(packed(packing, m, k, n))
        }
        _ => {
            let (x, w) = (d.float(), d.pick(&[F32, F16, BF16]));
            row!(case(x, w, m, k, n, kernel)).filled(0, d.fill_of(x))
        }
    }
}
