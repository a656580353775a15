//! Softmax and its relatives.

use super::super::builder::{Builder, Mapped, Stop};
use super::{Entry, ONNX};
use omma::kernels::Softmax;

/// Mappings of this group.
pub static OPS: &[Entry] = &[(ONNX, "Softmax", softmax)];

fn softmax(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let shape = b.shape(x);
    let axis = b.axis(b.int("axis")?, shape.len())?;
    if axis + 1 != shape.len() || b.case().since_version < 13 {
        return Stop::unsupported(format!("Softmax along axis {axis} of {} (opset {})", shape.len(), b.case().opset));
    }
    let y = b.add(Softmax::default(), &[x])?;
    Ok(vec![Some(y)])
}
