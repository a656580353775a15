//! Activation functions, and other functions of one cell.

use super::super::builder::{Builder, Mapped, Stop};
use super::shapes::{Kind, broadcast, compare, integer, number, orders, select};
use super::{Entry, MICROSOFT, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Act, Binary, BinaryOp, IntegerOp, Orders, Unary, UnaryOp};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Abs", abs),
    (ONNX, "Ceil", |b| unary(b, UnaryOp::Ceil)),
    (ONNX, "Celu", celu),
    (ONNX, "Cos", |b| unary(b, UnaryOp::Cos)),
    (ONNX, "Elu", elu),
    (ONNX, "Erf", |b| unary(b, UnaryOp::Erf)),
    (ONNX, "Exp", |b| unary(b, UnaryOp::Exp)),
    (ONNX, "Floor", |b| unary(b, UnaryOp::Floor)),
    (ONNX, "Gelu", gelu),
    (ONNX, "HardSigmoid", hard_sigmoid),
    (ONNX, "HardSwish", |b| unary(b, UnaryOp::HardSwish { slope: 1.0 / 6.0, shift: 0.5 })),
    (ONNX, "IsInf", is_inf),
    (ONNX, "IsNaN", is_nan),
    (ONNX, "LeakyRelu", leaky_relu),
    (ONNX, "Log", |b| unary(b, UnaryOp::Log)),
    (ONNX, "Mish", |b| unary(b, UnaryOp::Mish)),
    (ONNX, "Neg", neg),
    (ONNX, "PRelu", prelu),
    (ONNX, "Reciprocal", |b| unary(b, UnaryOp::Reciprocal)),
    (ONNX, "Relu", relu),
    (ONNX, "Round", |b| unary(b, UnaryOp::Round)),
    (ONNX, "Selu", selu),
    (ONNX, "Shrink", shrink),
    (ONNX, "Sigmoid", |b| unary(b, UnaryOp::Sigmoid)),
    (ONNX, "Sign", sign),
    (ONNX, "Sin", |b| unary(b, UnaryOp::Sin)),
    (ONNX, "Softplus", |b| unary(b, UnaryOp::Softplus)),
    (ONNX, "Softsign", |b| unary(b, UnaryOp::Softsign)),
    (ONNX, "Sqrt", |b| unary(b, UnaryOp::Sqrt)),
    (ONNX, "SwiGLU", swiglu),
    (ONNX, "Swish", swish),
    (ONNX, "Tanh", |b| unary(b, UnaryOp::Tanh)),
    (ONNX, "ThresholdedRelu", thresholded_relu),
    (MICROSOFT, "BiasGelu", |b| biased(b, Act::Gelu)),
    (MICROSOFT, "FastGelu", |b| biased(b, Act::GeluTanh)),
    (MICROSOFT, "Gelu", |b| unary(b, UnaryOp::Act(Act::Gelu))),
    (MICROSOFT, "QuickGelu", swish),
];

fn one(value: ValueId) -> Mapped {
    Ok(vec![Some(value)])
}

fn float(b: &Builder<'_>) -> Result<(), Stop> {
    match Kind::input(b, 0)? {
        Kind::Float => Ok(()),
        _ => Stop::unsupported(format!("{} of {}", b.case().op, b.host(0)?.dtype.name())),
    }
}

fn unary(b: &mut Builder<'_>, op: UnaryOp) -> Mapped {
    float(b)?;
    let x = b.input(0)?;
    one(b.add(Unary { op }, &[x])?)
}

fn gelu(b: &mut Builder<'_>) -> Mapped {
    match b.text("approximate")? {
        "none" => unary(b, UnaryOp::Act(Act::Gelu)),
        "tanh" => unary(b, UnaryOp::Act(Act::GeluTanh)),
        other => Stop::unsupported(format!("Gelu with approximate = {other}")),
    }
}

fn swish(b: &mut Builder<'_>) -> Mapped {
    let beta = b.float("alpha")?;
    unary(b, UnaryOp::Swish { beta })
}

/// The gate's swish times the other operand.
fn swiglu(b: &mut Builder<'_>) -> Mapped {
    let beta = b.float("alpha")?;
    let sides = [(b.input(0)?, Kind::Float), (b.input(1)?, Kind::Float)];
    let sides = broadcast(b, &sides)?;
    let gate = b.add(Unary { op: UnaryOp::Swish { beta } }, &sides[..1])?;
    one(b.add(Binary { op: BinaryOp::Mul }, &[gate, sides[1]])?)
}

fn biased(b: &mut Builder<'_>, act: Act) -> Mapped {
    let mut x = b.input(0)?;
    if b.has(1) {
        let bias = b.input(1)?;
        x = b.add(Binary { op: BinaryOp::Add }, &[x, bias])?;
    }
    one(b.add(Unary { op: UnaryOp::Act(act) }, &[x])?)
}

fn elu(b: &mut Builder<'_>) -> Mapped {
    let negative = b.float("alpha")?;
    unary(b, UnaryOp::Elu { positive: 1.0, negative, inner: 1.0 })
}

fn celu(b: &mut Builder<'_>) -> Mapped {
    let negative = b.float("alpha")?;
    unary(b, UnaryOp::Elu { positive: 1.0, negative, inner: 1.0 / negative })
}

fn selu(b: &mut Builder<'_>) -> Mapped {
    let (alpha, positive) = (b.float("alpha")?, b.float("gamma")?);
    unary(b, UnaryOp::Elu { positive, negative: positive * alpha, inner: 1.0 })
}

fn hard_sigmoid(b: &mut Builder<'_>) -> Mapped {
    let (slope, shift) = (b.float("alpha")?, b.float("beta")?);
    unary(b, UnaryOp::HardSigmoid { slope, shift })
}

fn leaky_relu(b: &mut Builder<'_>) -> Mapped {
    let slope = b.float("alpha")?;
    unary(b, UnaryOp::LeakyRelu { slope })
}

fn thresholded_relu(b: &mut Builder<'_>) -> Mapped {
    let bound = b.float("alpha")?;
    unary(b, UnaryOp::Threshold { bound, below: 0.0 })
}

fn shrink(b: &mut Builder<'_>) -> Mapped {
    let (bound, bias) = (b.float("lambd")?, b.float("bias")?);
    unary(b, UnaryOp::Shrink { bound, bias })
}

fn prelu(b: &mut Builder<'_>) -> Mapped {
    let (x, slope) = (b.input(0)?, b.input(1)?);
    let kind = Kind::input(b, 0)?;
    let sides = broadcast(b, &[(x, kind), (slope, kind)])?;
    if kind == Kind::Float {
        return one(b.add(Binary { op: BinaryOp::Prelu }, &sides)?);
    }
    let scaled = integer(b, IntegerOp::Mul, kind, x, slope)?;
    let zero = number(b, kind, 0);
    let below = compare(b, orders("<"), kind, sides[0], zero)?;
    one(select(b, below, kind, scaled, sides[0])?)
}

fn relu(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    if kind == Kind::Float {
        return unary(b, UnaryOp::Act(Act::Relu));
    }
    let (x, zero) = (b.input(0)?, number(b, kind, 0));
    one(integer(b, IntegerOp::Max, kind, x, zero)?)
}

fn neg(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    if kind == Kind::Float {
        return unary(b, UnaryOp::Neg);
    }
    let (x, zero) = (b.input(0)?, number(b, kind, 0));
    one(integer(b, IntegerOp::Sub, kind, zero, x)?)
}

fn abs(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let x = b.input(0)?;
    match kind {
        Kind::Float => unary(b, UnaryOp::Abs),
        Kind::Word { signed: true, .. } | Kind::Pair { signed: true } => {
            let zero = number(b, kind, 0);
            let other = integer(b, IntegerOp::Sub, kind, zero, x)?;
            one(integer(b, IntegerOp::Max, kind, x, other)?)
        }
        _ => {
            let shape = b.shape(x);
            one(super::shapes::copy(b, x, &shape)?)
        }
    }
}

fn sign(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let x = b.input(0)?;
    let mut y = x;
    match kind {
        Kind::Float => return unary(b, UnaryOp::Sign),
        Kind::Word { signed: true, .. } | Kind::Pair { signed: true } => {
            let low = number(b, kind, -1);
            y = integer(b, IntegerOp::Max, kind, y, low)?;
        }
        _ => {}
    }
    let high = number(b, kind, 1);
    one(integer(b, IntegerOp::Min, kind, y, high)?)
}

fn is_nan(b: &mut Builder<'_>) -> Mapped {
    float(b)?;
    let x = b.input(0)?;
    let wanted = Orders { neither: true, ..Orders::default() };
    one(compare(b, wanted, Kind::Float, x, x)?)
}

/// Equal to one infinity, or, by its size, to either.
fn is_inf(b: &mut Builder<'_>) -> Mapped {
    float(b)?;
    let (low, high) =
        (b.opt_int("detect_negative")?.unwrap_or(1) != 0, b.opt_int("detect_positive")?.unwrap_or(1) != 0);
    let mut x = b.input(0)?;
    if low && high {
        x = b.add(Unary { op: UnaryOp::Abs }, &[x])?;
    }
    let end = if high { f32::INFINITY } else { f32::NEG_INFINITY };
    let end = b.graph().constant_f32("infinity", &[1], &[end]);
    // Of neither kind: the order that no number has to it.
    let wanted = if low || high { orders("=") } else { Orders::default() };
    one(compare(b, wanted, Kind::Float, x, end)?)
}
