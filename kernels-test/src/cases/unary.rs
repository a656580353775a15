//! unary: every function around its bends and far out, odd sizes, the activations of CLIP's MLP.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use omma::DType;
use omma::kernels::{Act, Unary, UnaryOp};

fn case(op: UnaryOp, dtype: DType, shape: &[usize], fill: Fill) -> Case {
    let kernel = Unary { op };
    let name = format!("{} {shape:?} {fill:?} {dtype}", omma::kernels::Kernel::show(&kernel));
    Case::new(name, kernel, vec![Input::float(dtype, shape).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut ops: Vec<UnaryOp> = Act::ALL.into_iter().map(UnaryOp::Act).collect();
    ops.extend([UnaryOp::Exp, UnaryOp::Tanh, UnaryOp::Sigmoid, UnaryOp::SoftCap { cap: 30.0 }]);
    ops.push(UnaryOp::Affine { scale: 0.125, shift: -0.5 });
    for op in ops {
        all.push(case(op, DType::F32, &[5, 1001], Fill::Uniform(-12.0, 12.0)));
        all.push(case(op, DType::F32, &[1000], Fill::Uniform(-1.0, 1.0)));
        all.push(case(op, DType::F32, &[3, 64], Fill::Huge));
        all.push(case(op, DType::F32, &[130], Fill::Tiny));
        all.push(case(op, DType::F32, &[7], Fill::Zeros));
        all.push(case(op, DType::F16, &[3, 100], Fill::Uniform(-4.0, 4.0)));
    }
    let silu = UnaryOp::Act(Act::Silu);
    all.push(case(silu, DType::F32, &[1], Fill::Uniform(-1.0, 1.0)));
    all.push(case(silu, DType::F32, &[65_537, 5], Fill::Uniform(-1.0, 1.0)));
    for act in Act::ALL {
        all.push(case(UnaryOp::Act(act), DType::F32, &[577, 4096], Fill::Uniform(-6.0, 6.0)).bench());
    }
    let inputs = [Input::f32(&[5, 1001]).fill(Fill::Uniform(-12.0, 12.0))];
    all.extend(as_gpu("gelu 5x1001", &Unary { op: UnaryOp::Act(Act::Gelu) }, &inputs));
    all
}
