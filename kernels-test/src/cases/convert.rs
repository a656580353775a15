//! convert: every type to every other, ends, ties, narrow results, floats far out.

use super::integer::{device, numbers};
use crate::case::{Case, Fill, Input};
use omma::DType;
use omma::kernels::{Convert, TensorType, WordType};

fn input(source: WordType) -> Input {
    let whole = |dtype, bits: u32, signed: bool| {
        let mut all = numbers(400, bits, signed);
        // Ties of every size, and their neighbours.
        for shift in (1..bits - 25).step_by(3) {
            all.extend([-1, 0, 1].map(|d| ((0x0180_0001i128 << shift) | 1 << (shift - 1)) + d));
        }
        let wide = bits == 64;
        let shape = if wide { vec![all.len(), 2] } else { vec![all.len()] };
        Input::new(TensorType::new(dtype, &shape), Fill::Values(device(&all, wide)))
    };
    match source {
        WordType::F32 => {
            let mut all = vec![0.0, -0.0, 0.99, -0.99, 1.5, -1.5, 255.0, 256.5, -129.0, 3e9, -3e9, 1e18, -1e18];
            all.extend([9.3e18, -9.3e18, 1.9e19, 3e38, -3e38, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40]);
            all.extend((0..300).map(|i| f64::from(i) * 1.37e7 * if i % 2 == 0 { 1.0 } else { -1.0 }));
            let all: Vec<f64> = all.into_iter().map(|v| f64::from(v as f32)).collect();
            Input::f32(&[all.len()]).fill(Fill::Values(all))
        }
        WordType::I32 => whole(DType::I32, 32, true),
        WordType::U32 => whole(DType::U32, 32, false),
        WordType::I64 => whole(DType::U32, 64, true),
        WordType::U64 => whole(DType::U32, 64, false),
    }
}

pub fn cases() -> Vec<Case> {
    use WordType::{F32, I32, I64, U32, U64};
    let mut all = Vec::new();
    let case = |source, result, bits| {
        Case::new(format!("{source:?} to {result:?} {bits}"), Convert { source, result, bits }, vec![input(source)])
    };
    for source in [F32, I32, U32, I64, U64] {
        for result in [F32, I32, U32, I64, U64] {
            if (source, result) != (F32, F32) {
                all.push(case(source, result, 32));
            }
        }
        for bits in [2, 4, 8, 16] {
            all.push(case(source, I32, bits));
            all.push(case(source, U32, bits));
        }
    }
    let one = |shape: &[usize]| {
        let input = Input::f32(shape).fill(Fill::Uniform(-100.0, 100.0));
        Case::new(format!("{shape:?}"), Convert { source: F32, result: I32, bits: 32 }, vec![input])
    };
    all.extend([one(&[]), one(&[0]), one(&[70_001, 7]), one(&[577, 1024]).bench()]);
    all
}
