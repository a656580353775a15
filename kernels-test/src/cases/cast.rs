//! cast: every format to and from f32, at the ends of its range, between its values, and integers cut to other widths.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::{Cast, Number, PowerRounding, SmallFloat, TensorType};

const SMALL: [SmallFloat; 6] = [
    SmallFloat::E4M3FN,
    SmallFloat::E4M3FNUZ,
    SmallFloat::E5M2,
    SmallFloat::E5M2FNUZ,
    SmallFloat::E8M0,
    SmallFloat::E2M1,
];

fn int(bits: u32, signed: bool) -> Number {
    Number::Int { bits, signed }
}

fn case(from: Number, to: Number, shape: &[usize], fill: Fill) -> Case {
    with(Cast { from, to, saturate: true, rounding: PowerRounding::Up }, shape, fill)
}

fn with(kernel: Cast, shape: &[usize], fill: Fill) -> Case {
    use omma::kernels::Kernel;
    let mut name = format!("{} {shape:?} {fill:?}", kernel.show());
    if name.len() > 70 {
        name = format!("{} {shape:?} {:?} values", kernel.show(), kernel.rounding);
    }
    Case::new(name, kernel, vec![Input::new(TensorType::new(kernel.from.dtype(), shape), fill)])
}

/// The codes of a format that are numbers.
fn codes(small: SmallFloat) -> Fill {
    let nan = |c: &u32| match small {
        SmallFloat::E4M3FN => c & 0x7f == 0x7f,
        SmallFloat::E5M2 => c & 0x7f >= 0x7c,
        SmallFloat::E4M3FNUZ | SmallFloat::E5M2FNUZ => *c == 0x80,
        SmallFloat::E8M0 => *c == 255,
        SmallFloat::E2M1 => false,
    };
    let count = if small == SmallFloat::E2M1 { 16 } else { 256 };
    let mut all: Vec<f64> = (0..count).filter(|c| !nan(c)).map(f64::from).collect();
    all.resize(256, 1.0);
    Fill::Values(all)
}

/// Numbers of every size and at every eighth between powers of two: all ties of formats of up to three bits.
fn steps() -> Fill {
    let number = |i: usize| {
        let value = (1.0 + (i % 16) as f64 / 16.0) * f64::powi(2.0, (i / 32) as i32 - 18);
        if (i / 16).is_multiple_of(2) { value } else { -value }
    };
    Fill::Values((0..1152).map(number).collect())
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for small in SMALL {
        let format = Number::Small(small);
        all.push(case(format, Number::F32, &[16, 16], codes(small)));
        all.push(case(format, Number::F16, &[256], codes(small)));
        for saturate in [true, false] {
            let kernel = Cast { from: Number::F32, to: format, saturate, rounding: PowerRounding::Up };
            all.push(with(kernel, &[3, 384], steps()));
            all.push(with(kernel, &[1001], Fill::Uniform(-8.0, 8.0)));
            all.push(with(kernel, &[130], Fill::Huge));
        }
        all.push(case(Number::F32, format, &[130], Fill::Tiny));
        all.push(case(Number::F32, format, &[3], Fill::Values(vec![0.0, -0.0, f64::INFINITY])));
    }
    for rounding in [PowerRounding::Down, PowerRounding::Nearest] {
        let kernel = Cast { from: Number::F32, to: Number::Small(SmallFloat::E8M0), saturate: true, rounding };
        all.push(with(kernel, &[3, 384], steps()));
    }
    for to in [Number::F16, Number::BF16, Number::F32] {
        all.push(case(Number::F32, to, &[1001], Fill::Uniform(-2.0, 2.0)));
        all.push(case(Number::F32, to, &[3, 384], steps()));
        all.push(case(Number::F32, to, &[130], Fill::Huge));
        // Ties of both halves, and what is just beside them.
        let beside = [2048.0, 2048.0 * 8.0].map(|tie| [tie - 1.0, tie, tie + 1.0].map(|n| 1.0 + 2.0 * n / 8_388_608.0));
        all.push(case(Number::F32, to, &[2, 3], Fill::Values(beside.concat())));
        let ends = [65_504.0, 65_519.0, 65_520.0, 1e38, -1e38, 3.4e38, f64::INFINITY, 0.0, 1.0];
        all.push(case(Number::F32, to, &[9], Fill::Values(ends.to_vec())));
    }
    for (bits, signed) in [(2, true), (2, false), (4, true), (4, false), (8, true), (8, false), (16, true), (32, true)]
    {
        let to = int(bits, signed);
        all.push(case(Number::F32, to, &[1001], Fill::Uniform(-300.0, 300.0)));
        all.push(case(int(32, true), to, &[7, 13], Fill::Uniform(-70_000.0, 70_000.0)));
        all.push(case(int(8, false), to, &[256], Fill::Index(256)));
        all.push(case(to, Number::F32, &[33], Fill::Index(2)));
    }
    all.push(case(int(8, true), Number::Bool, &[5, 5], Fill::Uniform(-2.0, 2.0)));
    all.push(case(Number::Bool, Number::F32, &[65], Fill::Index(2)));
    all.push(case(Number::F32, Number::F16, &[1], Fill::Uniform(-1.0, 1.0)));
    all.push(case(Number::F32, Number::F16, &[65_537, 3], Fill::Uniform(-1.0, 1.0)));
    all.push(case(Number::F32, Number::Small(SmallFloat::E4M3FN), &[577, 4096], Fill::Uniform(-6.0, 6.0)).bench());
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let mut formats = vec![Number::F32, Number::F16, Number::BF16];
    formats.extend(SMALL.map(Number::Small));
    formats.extend([(2, true), (4, false), (8, true), (8, false), (16, true), (32, true)].map(|(b, s)| int(b, s)));
    let (to, saturate) = (d.pick(&formats), d.flag());
    let rounding = d.pick(&[PowerRounding::Up, PowerRounding::Down, PowerRounding::Nearest]);
    let rank = d.below(4);
    let shape = d.shape(rank, 3000, 20_000);
    let far = d.pick(&[2.0, 300.0, 1e4]);
    row!(from_f32(to, saturate, rounding, &shape, far))
}

fn from_f32(to: Number, saturate: bool, rounding: PowerRounding, shape: &[usize], far: f64) -> Case {
    with(Cast { from: Number::F32, to, saturate, rounding }, shape, Fill::Uniform(-far, far))
}
