//! compare: every order of every type, ends, NaN, infinities, zeros of both signs, denormals.

use super::integer::{device, numbers};
use crate::case::{Case, Fill, Input};
use omma::DType;
use omma::kernels::{Compare, Orders, TensorType};

fn orders() -> Vec<Orders> {
    let of = |below, equal, above, neither| Orders { below, equal, above, neither };
    vec![
        of(true, false, false, false),
        of(true, true, false, false),
        of(false, true, false, false),
        of(false, false, true, false),
        of(false, true, true, false),
        of(true, false, true, true),
        of(false, false, false, true),
    ]
}

/// Every value with every other.
fn case(name: &str, dtype: DType, pair: Option<bool>, values: &[f64], wanted: Orders) -> Case {
    let words = if pair.is_some() { 2 } else { 1 };
    let count = values.len() / words;
    let of = |i: usize| &values[i * words..(i + 1) * words];
    let x: Vec<f64> = (0..count * count).flat_map(|i| of(i / count)).copied().collect();
    let b: Vec<f64> = (0..count * count).flat_map(|i| of(i % count)).copied().collect();
    let shape = if pair.is_some() { vec![count, count, 2] } else { vec![count, count] };
    let input = |v: Vec<f64>| Input::new(TensorType::new(dtype, &shape), Fill::Values(v));
    let kernel = Compare { wanted, pair };
    let show = omma::kernels::Kernel::show(&kernel);
    Case::new(format!("{name} {show}"), kernel, vec![input(x), input(b)])
}

pub fn cases() -> Vec<Case> {
    use DType::{F32, I32, U32};
    let (inf, denormal) = (f64::INFINITY, f64::from(f32::from_bits(3)));
    let floats = [0.0, -0.0, 1.0, -1.0, 1.000_000_1, 3e38, -3e38, inf, -inf, f64::NAN, denormal, -denormal];
    let floats = floats.map(|v| f64::from(v as f32));
    let mut all = Vec::new();
    for wanted in orders() {
        all.push(case("f32", F32, None, &floats, wanted));
        all.push(case("i32", I32, None, &device(&numbers(30, 32, true), false), wanted));
        all.push(case("u32", U32, None, &device(&numbers(30, 32, false), false), wanted));
        all.push(case("i64", U32, Some(true), &device(&numbers(30, 64, true), true), wanted));
        all.push(case("u64", U32, Some(false), &device(&numbers(30, 64, false), true), wanted));
    }
    let less = Compare { wanted: orders()[0], pair: None };
    for shape in [vec![1], vec![0], vec![70_001, 7]] {
        all.push(Case::new(format!("{shape:?}"), less.clone(), vec![Input::f32(&shape), Input::f32(&shape)]));
    }
    let shape = [577, 1024];
    all.push(Case::new("577x1024", less, vec![Input::f32(&shape), Input::f32(&shape)]).bench());
    all
}
