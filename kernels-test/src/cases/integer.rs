//! integer: every function in every width, the ends of each, wrapping, shifts beyond all bits.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Integer, IntegerOp, TensorType, Whole};

const OPS: [IntegerOp; 14] = [
    IntegerOp::Add,
    IntegerOp::Sub,
    IntegerOp::Mul,
    IntegerOp::Div,
    IntegerOp::Rem,
    IntegerOp::Mod,
    IntegerOp::Pow,
    IntegerOp::Max,
    IntegerOp::Min,
    IntegerOp::And,
    IntegerOp::Or,
    IntegerOp::Xor,
    IntegerOp::ShiftUp,
    IntegerOp::ShiftDown,
];

/// Numbers of a width: its ends, what is near 0, and others of every size.
pub fn numbers(count: usize, bits: u32, signed: bool) -> Vec<i128> {
    let (low, high) =
        if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
    let mut all = vec![0, 1, 2, 3, -1, -2, -7, low, high, low + 1, high - 1, 7, 31, 32, 33, 63, 64];
    let mut state = 0x1234_5678_9abc_def1u64;
    while all.len() < count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size = i128::from(state >> (64 - bits)) >> (state as u32 % bits);
        all.push(if state & 256 == 0 { size } else { -size });
    }
    all.into_iter().map(|v| if (low..=high).contains(&v) { v } else { v.rem_euclid(high) }).collect()
}

/// Words of numbers, one or two each.
pub fn device(numbers: &[i128], wide: bool) -> Vec<f64> {
    let words = |v: &i128| [(*v as u64 & 0xffff_ffff) as f64, (*v as u64 >> 32) as f64];
    if wide { numbers.iter().flat_map(words).collect() } else { numbers.iter().map(|v| *v as f64).collect() }
}

/// Every number of a list with every one of another, by two primes.
fn case(op: IntegerOp, dtype: DType, whole: Whole, bits: u32, count: usize) -> Case {
    let wide = bits == 64;
    let signed = dtype == DType::I32 || whole == Whole::Pair { signed: true };
    let (left, right) = (numbers(61, bits, signed), numbers(53, bits, signed));
    let fix = |b: i128| if b == 0 && matches!(op, IntegerOp::Div | IntegerOp::Rem | IntegerOp::Mod) { 5 } else { b };
    let x: Vec<i128> = (0..count).map(|i| left[i % 61]).collect();
    let b: Vec<i128> = (0..count).map(|i| fix(right[i % 53])).collect();
    let shape = if wide { vec![count, 2] } else { vec![count] };
    let input = |v: &[i128]| Input::new(TensorType::new(dtype, &shape), Fill::Values(device(v, wide)));
    Case::new(format!("{op:?} {whole:?} {dtype} {count}"), Integer { op, whole }, vec![input(&x), input(&b)])
}

pub fn cases() -> Vec<Case> {
    use DType::{I32, U32};
    let mut all = Vec::new();
    for op in OPS {
        for bits in [32, 8, 16] {
            all.push(case(op, I32, Whole::Word { bits }, bits, 3233));
            all.push(case(op, U32, Whole::Word { bits }, bits, 3233));
        }
        all.push(case(op, U32, Whole::Pair { signed: true }, 64, 3233));
        all.push(case(op, U32, Whole::Pair { signed: false }, 64, 3233));
    }
    let add = IntegerOp::Add;
    all.push(case(add, I32, Whole::Word { bits: 4 }, 4, 1));
    all.push(case(add, I32, Whole::Word { bits: 32 }, 32, 300_001));
    all.push(case(add, U32, Whole::Pair { signed: true }, 64, 0));
    all.push(case(IntegerOp::Mul, I32, Whole::Word { bits: 32 }, 32, 577 * 1024).bench());
    all.push(case(IntegerOp::Mul, U32, Whole::Pair { signed: true }, 64, 577 * 1024).bench());
    let kernel = Integer { op: add, whole: Whole::Word { bits: 32 } };
    let words = || Input::new(TensorType::u32(&[1000]), Fill::Index(u32::MAX));
    all.extend(as_gpu("Add 1000", &kernel, &[words(), words()]));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (op, count) = (d.pick(&OPS), d.size(4000));
    if d.flag() {
        let whole = Whole::Pair { signed: d.flag() };
        return row!(case(op, DType::U32, whole, 64, count));
    }
    let (bits, dtype) = (d.pick(&[32, 16, 8, 4, 12]), d.pick(&[DType::I32, DType::U32]));
    row!(case(op, dtype, Whole::Word { bits }, bits, count))
}
