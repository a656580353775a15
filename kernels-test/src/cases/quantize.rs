//! quantize and dequantize: every kind of code, scales for the tensor, along an axis and in blocks, ties, what saturates.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::{Dequantize, Granularity, Kernel, Number, Quantize, SmallFloat, TensorType};

fn int(bits: u32, signed: bool) -> Number {
    Number::Int { bits, signed }
}

fn scales(shape: &[usize]) -> Input {
    Input::f32(shape).fill(Fill::Uniform(0.01, 0.2))
}

/// Shape of the scales of `shape`.
fn scale_shape(by: Granularity, shape: &[usize]) -> Vec<usize> {
    match by {
        Granularity::Tensor => Vec::new(),
        Granularity::Axis(axis) => vec![shape[axis]],
        Granularity::Blocks { axis, size } => {
            let mut scales = shape.to_vec();
            scales[axis] = scales[axis].div_ceil(size);
            scales
        }
    }
}

fn zeros(codes: Number, shape: &[usize]) -> Input {
    let fill = match codes {
        Number::Int { bits, signed: true } => {
            let half = f64::powi(2.0, bits as i32 - 1);
            Fill::Uniform(-half, half)
        }
        Number::Int { bits, .. } => Fill::Index(1 << bits),
        _ => Fill::Zeros,
    };
    Input::new(TensorType::new(codes.dtype(), shape), fill)
}

fn to(codes: Number, by: Granularity, zero: bool, shape: &[usize], fill: Fill) -> Case {
    let kernel = Quantize { to: codes, by, zero, saturate: true };
    let group = scale_shape(by, shape);
    let mut inputs = vec![Input::f32(shape).fill(fill.clone()), scales(&group)];
    inputs.extend(zero.then(|| zeros(codes, &group)));
    Case::new(format!("{} {shape:?} {}", kernel.show(), short(&fill)), kernel, inputs)
}

fn back(codes: Number, by: Granularity, zero: bool, shape: &[usize]) -> Case {
    let kernel = Dequantize { from: codes, by, zero };
    let group = scale_shape(by, shape);
    let fill = match codes {
        // Codes below those of infinity and NaN.
        Number::Small(SmallFloat::E2M1) => Fill::Index(16),
        Number::Small(_) => Fill::Index(0x7c),
        _ => zeros(codes, &group).fill,
    };
    let mut inputs = vec![Input::new(TensorType::new(codes.dtype(), shape), fill), scales(&group)];
    inputs.extend(zero.then(|| zeros(codes, &group)));
    Case::new(format!("{} {shape:?}", kernel.show()), kernel, inputs)
}

fn short(fill: &Fill) -> String {
    if let Fill::Values(_) = fill { "values".into() } else { format!("{fill:?}") }
}

const WAYS: [(Granularity, &[usize]); 7] = [
    (Granularity::Tensor, &[5, 33]),
    (Granularity::Tensor, &[]),
    (Granularity::Axis(0), &[6, 10]),
    (Granularity::Axis(1), &[4, 7, 9]),
    (Granularity::Blocks { axis: 1, size: 16 }, &[3, 64]),
    (Granularity::Blocks { axis: 1, size: 3 }, &[3, 10, 5]),
    (Granularity::Blocks { axis: 0, size: 2 }, &[5, 3]),
];

pub fn quantize() -> Vec<Case> {
    let mut all = Vec::new();
    for (by, shape) in WAYS {
        all.push(to(int(8, true), by, true, shape, Fill::Uniform(-9.0, 9.0)));
    }
    for (bits, signed) in [(2, false), (2, true), (4, false), (4, true), (8, false), (16, false), (16, true)] {
        all.push(to(int(bits, signed), Granularity::Tensor, true, &[7, 11], Fill::Uniform(-2.0, 2.0)));
        all.push(to(int(bits, signed), Granularity::Tensor, false, &[65], Fill::Huge));
    }
    for small in [SmallFloat::E4M3FN, SmallFloat::E5M2, SmallFloat::E4M3FNUZ, SmallFloat::E2M1] {
        all.push(to(Number::Small(small), Granularity::Axis(0), false, &[3, 67], Fill::Uniform(-9.0, 9.0)));
        all.push(to(Number::Small(small), Granularity::Tensor, false, &[67], Fill::Huge));
    }
    let mut ties = to(int(8, true), Granularity::Tensor, false, &[81], Fill::Zeros);
    ties.name += " ties";
    ties.inputs[0].fill = Fill::Values((-40..=40).map(|i| f64::from(i) * 0.25).collect());
    ties.inputs[1].fill = Fill::Const(0.5);
    all.push(ties);
    let ends = vec![f64::INFINITY, f64::NEG_INFINITY, 3e38, -3e38, 0.0];
    all.push(to(int(8, true), Granularity::Tensor, true, &[5], Fill::Values(ends)));
    all.push(to(int(8, true), Granularity::Axis(0), true, &[65_537, 5], Fill::Uniform(-9.0, 9.0)));
    all.push(to(int(8, true), Granularity::Axis(0), false, &[577, 4096], Fill::Uniform(-9.0, 9.0)).bench());
    all
}

pub fn dequantize() -> Vec<Case> {
    let mut all = Vec::new();
    for (by, shape) in WAYS {
        all.push(back(int(8, true), by, true, shape));
    }
    for (bits, signed) in [(2, false), (2, true), (4, false), (4, true), (8, false), (16, false), (16, true)] {
        all.push(back(int(bits, signed), Granularity::Axis(1), true, &[7, 11]));
        all.push(back(int(bits, signed), Granularity::Tensor, false, &[65]));
    }
    let mut wide = back(int(32, true), Granularity::Tensor, false, &[65]);
    wide.inputs[0].fill = Fill::Uniform(-2e9, 2e9);
    all.push(wide);
    for small in [SmallFloat::E4M3FN, SmallFloat::E5M2, SmallFloat::E5M2FNUZ, SmallFloat::E2M1] {
        all.push(back(Number::Small(small), Granularity::Tensor, true, &[3, 67]));
        all.push(back(Number::Small(small), Granularity::Blocks { axis: 1, size: 32 }, false, &[3, 67]));
    }
    all.push(back(int(8, true), Granularity::Axis(0), true, &[65_537, 5]));
    all.push(back(int(8, true), Granularity::Axis(0), false, &[577, 4096]).bench());
    all
}

/// Codes, a shape, what shares a scale, and whether there are zero points.
fn drawn(d: &mut Draw) -> (Number, Granularity, bool, Vec<usize>) {
    let ints = [(8, true), (8, false), (4, true), (4, false), (2, true), (2, false), (16, true), (16, false)];
    let mut codes = ints.map(|(bits, signed)| int(bits, signed)).to_vec();
    codes.extend([SmallFloat::E4M3FN, SmallFloat::E5M2, SmallFloat::E2M1].map(Number::Small));
    let (codes, rank) = (d.pick(&codes), d.size(4));
    let shape = d.shape(rank, 300, 8000);
    let axis = d.below(rank);
    let by = match d.below(3) {
        0 => Granularity::Tensor,
        1 => Granularity::Axis(axis),
        _ => Granularity::Blocks { axis, size: d.size(40) },
    };
    let zero = matches!(codes, Number::Int { .. }) && d.flag();
    (codes, by, zero, shape)
}

pub fn draw_quantize(d: &mut Draw) -> Drawn {
    let (codes, by, zero, shape) = drawn(d);
    let fill = d.pick(&[Fill::Uniform(-2.0, 2.0), Fill::Uniform(-9.0, 9.0), Fill::Huge, Fill::Zeros]);
    row!(to(codes, by, zero, &shape, fill))
}

pub fn draw_dequantize(d: &mut Draw) -> Drawn {
    let (codes, by, zero, shape) = drawn(d);
    row!(back(codes, by, zero, &shape))
}
