//! minifloat: every code of every format, numbers between codes and ties, ends, denormals.

use crate::case::{Case, Fill, Input};
use omma::kernels::{FloatFormat, Kernel, Minifloat, MinifloatMode, Rounding, TensorType};

const FORMATS: [FloatFormat; 8] = [
    FloatFormat::F16,
    FloatFormat::BF16,
    FloatFormat::E4M3FN,
    FloatFormat::E4M3FNUZ,
    FloatFormat::E5M2,
    FloatFormat::E5M2FNUZ,
    FloatFormat::E8M0,
    FloatFormat::E2M1,
];

/// Bits of f32 that lie on codes, between them and on ties, of every size, and the ends.
fn floats() -> Vec<f64> {
    let mut all =
        vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 448.0, 464.0, 465.0, 6.0, 7.0, 8.0, 1e-45];
    all.extend([57344.0, 61440.0, 61439.0, 65504.0, 65519.0, 65520.0, 240.0, 248.0, 0.124, 0.25, 1.1]);
    for e in (0..255u32).step_by(2) {
        for m in [0u32, 1, 0x1000, 0x1001, 0x8000, 0x7fff, 0x18000, 0x80000, 0x280000, 0x400000, 0x400001, 0x7fffff] {
            let bits = e << 23 | m | (m & 1) << 31;
            all.push(f64::from(f32::from_bits(bits)));
        }
    }
    all
}

fn case(format: FloatFormat, mode: MinifloatMode, saturate: bool, rounding: Rounding) -> Case {
    let kernel = Minifloat { format, mode, saturate, rounding };
    let input = match mode {
        MinifloatMode::Decode => {
            let signs = if format == FloatFormat::E8M0 { 0 } else { 1 };
            let codes = 1u32 << (format.exponent + format.mantissa + signs);
            let all: Vec<f64> = (0..codes).map(f64::from).collect();
            Input::new(TensorType::u32(&[all.len() / 16, 16]), Fill::Values(all))
        }
        _ => {
            // Powers of 2 have no sign.
            let all: Vec<f64> = floats().into_iter().map(|v| if format.mantissa == 0 { v.abs() } else { v }).collect();
            Input::f32(&[all.len()]).fill(Fill::Values(all))
        }
    };
    Case::new(format!("{} saturate {saturate} {rounding:?}", kernel.show()), kernel, vec![input])
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for format in FORMATS {
        for saturate in [false, true] {
            all.push(case(format, MinifloatMode::Encode, saturate, Rounding::Nearest));
            all.push(case(format, MinifloatMode::Round, saturate, Rounding::Nearest));
        }
        all.push(case(format, MinifloatMode::Decode, false, Rounding::Nearest));
    }
    for rounding in [Rounding::Up, Rounding::Down] {
        all.push(case(FloatFormat::E8M0, MinifloatMode::Encode, true, rounding));
    }
    let kernel = Minifloat {
        format: FloatFormat::E4M3FN,
        mode: MinifloatMode::Encode,
        saturate: true,
        rounding: Rounding::Nearest,
    };
    for shape in [vec![1], vec![0], vec![70_001, 7]] {
        all.push(Case::new(format!("{shape:?}"), kernel.clone(), vec![Input::f32(&shape)]));
    }
    all.push(Case::new("577x1024", kernel, vec![Input::f32(&[577, 1024])]).bench());
    all
}
