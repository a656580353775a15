//! batch_matmul: broadcasting in every form, transposed operands, tile edges, residuals of every shape, many pairs.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::{BatchMatMul, Strides};

fn case(a: &[usize], b: &[usize], across: [bool; 2], dtype: DType) -> Case {
    let kernel = BatchMatMul::numpy(a, b, across).expect("the shapes of the case match");
    let name = format!("{a:?} {b:?} {across:?} {dtype}");
    Case::new(name, kernel, vec![Input::float(dtype, a), Input::float(dtype, b)])
}

fn plain(a: &[usize], b: &[usize]) -> Case {
    case(a, b, [false; 2], F32)
}

/// `alpha a b + beta c`, c of `shape`, read by these strides along rows and columns.
fn gemm(shape: &[usize], [outer, inner]: [usize; 2]) -> Case {
    let mut kernel = BatchMatMul::numpy(&[19, 33], &[33, 37], [false; 2]).expect("the shapes match");
    (kernel.alpha, kernel.beta) = (0.5, -1.75);
    kernel.residual = Some(Strides { batch: Vec::new(), outer, inner });
    let inputs = vec![Input::f32(&[19, 33]), Input::f32(&[33, 37]), Input::f32(shape)];
    Case::new(format!("19x33x37 c {shape:?}"), kernel, inputs)
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        plain(&[1, 1], &[1, 1]),
        plain(&[7], &[7]),
        plain(&[7], &[3, 7, 5]),
        plain(&[3, 5, 7], &[7]),
        plain(&[65, 63], &[63, 67]),
        plain(&[2, 3, 17, 19], &[2, 3, 19, 23]),
        plain(&[2, 1, 17, 19], &[3, 19, 23]),
        plain(&[5, 1, 2, 1, 3, 9], &[1, 4, 1, 3, 9, 6]),
        plain(&[6, 5, 4, 33], &[33, 31]),
        plain(&[70_000, 2, 3], &[70_000, 3, 2]),
        plain(&[1, 65_541, 3], &[1, 3, 2]),
        case(&[3, 19, 17], &[3, 19, 23], [true, false], F32),
        case(&[3, 17, 19], &[3, 23, 19], [false, true], F32),
        case(&[3, 19, 17], &[23, 19], [true, true], F32),
        case(&[4, 33, 64], &[4, 64, 36], [false; 2], F16),
        gemm(&[19, 37], [37, 1]),
        gemm(&[37], [0, 1]),
        gemm(&[19, 1], [1, 0]),
        gemm(&[1], [0, 0]),
    ];
    for fill in [Fill::Outlier, Fill::Zeros, Fill::Tiny] {
        let mut case = plain(&[2, 35, 130], &[2, 130, 30]);
        case.name = format!("{} {fill:?}", case.name);
        case.inputs[0].fill = fill;
        cases.push(case);
    }
    // q k^T and weights v of ViT-B/16.
    cases.push(case(&[12, 197, 64], &[12, 197, 64], [false, true], F32).bench_only());
    cases.push(plain(&[12, 197, 197], &[12, 197, 64]).bench_only());
    cases
}

/// Batches of either operand: an axis is that of the product, or 1, or not there.
fn batch(d: &mut Draw, of: &[usize]) -> Vec<usize> {
    let from = d.below(of.len() + 1);
    of[from..].iter().map(|extent| if d.flag() { 1 } else { *extent }).collect()
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (m, k, n) = (d.size(80), d.size(200), d.size(80));
    let rank = d.below(4);
    let both = d.shape(rank, 7, 30);
    let (mut a, mut b) = (batch(d, &both), batch(d, &both));
    let (across, dtype) = ([d.flag(), d.flag()], d.float());
    a.extend(if across[0] { [k, m] } else { [m, k] });
    b.extend(if across[1] { [n, k] } else { [k, n] });
    row!(case(&a, &b, across, dtype)).filled(0, d.fill_of(dtype))
}
