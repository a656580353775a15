//! Activation functions.

use super::super::builder::{Builder, Mapped, Stop};
use super::{Entry, MICROSOFT, ONNX};
use omma::kernels::{Act, Unary, UnaryOp};

/// Mappings of this group.
pub static OPS: &[Entry] =
    &[(ONNX, "Gelu", gelu), (ONNX, "Relu", |b| act(b, Act::Relu)), (MICROSOFT, "Gelu", |b| act(b, Act::Gelu))];

fn act(b: &mut Builder<'_>, act: Act) -> Mapped {
    let x = b.input(0)?;
    let y = b.add(Unary { op: UnaryOp::Act(act) }, &[x])?;
    Ok(vec![Some(y)])
}

fn gelu(b: &mut Builder<'_>) -> Mapped {
    match b.text("approximate")? {
        "none" => act(b, Act::Gelu),
        "tanh" => act(b, Act::GeluTanh),
        other => Stop::unsupported(format!("Gelu with approximate = {other}")),
    }
}
