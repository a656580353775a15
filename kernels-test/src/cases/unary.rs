//! unary: every function around its bends, far out and where it ends, odd sizes, the activations of CLIP's MLP.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Act, Unary, UnaryOp};

fn case(op: UnaryOp, dtype: DType, shape: &[usize], fill: Fill) -> Case {
    let kernel = Unary { op };
    let name = format!("{} {shape:?} {fill:?} {dtype}", omma::kernels::Kernel::show(&kernel));
    Case::new(name, kernel, vec![Input::float(dtype, shape).fill(fill)])
}

fn ops() -> Vec<UnaryOp> {
    use UnaryOp::{
        Abs, Acos, Acosh, Affine, Asin, Asinh, Atan, Atanh, Ceil, Cos, Cosh, Elu, Erf, Exp, Floor, HardSigmoid,
        HardSwish, LeakyRelu, Log, Mish, Neg, Reciprocal, Round, Shrink, Sigmoid, Sign, Sin, Sinh, SoftCap, Softplus,
        Softsign, Sqrt, Swish, Tanh, Threshold,
    };
    let mut ops: Vec<UnaryOp> = Act::ALL.into_iter().map(UnaryOp::Act).collect();
    ops.extend([Tanh, Sigmoid, SoftCap { cap: 30.0 }, Affine { scale: 0.125, shift: -0.5 }, Erf, Swish { beta: 0.5 }]);
    ops.extend([Exp, Elu { positive: 1.05, negative: 1.75, inner: 0.5 }, Softplus, Log, Sqrt, Reciprocal, Mish]);
    ops.extend([Abs, Neg, Sign, Floor, Ceil, Round, LeakyRelu { slope: 0.1 }, HardSigmoid { slope: 0.2, shift: 0.5 }]);
    ops.extend([HardSwish { slope: 1.0 / 6.0, shift: 0.5 }, Threshold { bound: 0.75, below: 0.0 }, Softsign]);
    ops.extend([Shrink { bound: 0.5, bias: 0.25 }, Sin, Cos, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh]);
    ops
}

/// Where functions bend, overflow and end.
fn ends() -> Fill {
    let far = [0.0, 0.5, 1.5, 2.5, 20.0, 87.5, 88.7, 88.8, 103.0, 104.5, 1e4, 3e38, f64::INFINITY];
    let mut all: Vec<f64> = far.iter().flat_map(|v| [*v, -v]).collect();
    all.extend([f64::NAN, 1.0, -1.0, 0.35, -0.35, 0.6, 0.7]);
    Fill::Values(all)
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for op in ops() {
        // The series for sine and cosine is argued to 10^5, their reduction ends there.
        let turns = matches!(op, UnaryOp::Sin | UnaryOp::Cos);
        all.push(case(op, DType::F32, &[5, 1001], Fill::Uniform(-12.0, 12.0)));
        let far = if turns { 1e5 } else { 104.0 };
        all.push(case(op, DType::F32, &[3001], Fill::Uniform(-far, far)));
        all.push(case(op, DType::F32, &[1000], Fill::Uniform(-1.0, 1.0)));
        all.push(case(op, DType::F32, &[3, 64], Fill::Huge));
        all.push(case(op, DType::F32, &[130], Fill::Tiny));
        all.push(case(op, DType::F32, &[7], Fill::Zeros));
        all.push(case(op, DType::F16, &[3, 100], Fill::Uniform(-4.0, 4.0)));
        // Overflow inside of products is not what these two promise.
        let grows = matches!(op, UnaryOp::Act(Act::Relu2) | UnaryOp::SoftCap { .. } | UnaryOp::Affine { .. });
        if !turns && !grows {
            all.push(case(op, DType::F32, &[33], ends()));
        }
    }
    let silu = UnaryOp::Act(Act::Silu);
    all.push(case(silu, DType::F32, &[1], Fill::Uniform(-1.0, 1.0)));
    all.push(case(silu, DType::F32, &[65_537, 5], Fill::Uniform(-1.0, 1.0)));
    for act in Act::ALL {
        all.push(case(UnaryOp::Act(act), DType::F32, &[577, 4096], Fill::Uniform(-6.0, 6.0)).bench());
    }
    for op in [UnaryOp::Exp, UnaryOp::Erf, UnaryOp::Log, UnaryOp::Sin] {
        all.push(case(op, DType::F32, &[577, 1024], Fill::Uniform(0.0, 6.0)).bench());
    }
    let inputs = [Input::f32(&[5, 1001]).fill(Fill::Uniform(-12.0, 12.0))];
    all.extend(as_gpu("gelu 5x1001", &Unary { op: UnaryOp::Act(Act::Gelu) }, &inputs));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (op, dtype, rank) = (d.pick(&ops()), d.float(), d.below(5));
    let shape = d.shape(rank, 3000, 20_000);
    let turns = matches!(op, UnaryOp::Sin | UnaryOp::Cos);
    let f32s = [1.0, 12.0, if turns { 1e5 } else { 104.0 }].map(|far| Fill::Uniform(-far, far));
    let fill = if dtype == DType::F16 { Fill::Uniform(-4.0, 4.0) } else { d.pick(&f32s) };
    row!(case(op, dtype, &shape, fill))
}
