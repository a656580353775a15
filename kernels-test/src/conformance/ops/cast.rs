//! Numbers from one type to another.

use super::super::builder::{Builder, Mapped, Stop};
use super::super::dtype::Logical;
use super::elementwise::converted;
use super::made::data_type;
use super::shapes::{Kind, compare, copy, number, orders};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{FloatFormat, Minifloat, MinifloatMode, Orders, Rounding};

/// Mappings of this group.
pub static OPS: &[Entry] = &[(ONNX, "Cast", cast), (ONNX, "CastLike", cast_like)];

/// Formats whose values f32 holds; none for f32 and f64.
fn format(dtype: Logical) -> Option<FloatFormat> {
    Some(match dtype {
        Logical::F16 => FloatFormat::F16,
        Logical::BF16 => FloatFormat::BF16,
        Logical::F8E4M3FN => FloatFormat::E4M3FN,
        Logical::F8E4M3FNUZ => FloatFormat::E4M3FNUZ,
        Logical::F8E5M2 => FloatFormat::E5M2,
        Logical::F8E5M2FNUZ => FloatFormat::E5M2FNUZ,
        Logical::F8E8M0 => FloatFormat::E8M0,
        Logical::F4E2M1 => FloatFormat::E2M1,
        _ => return None,
    })
}

fn cast(b: &mut Builder<'_>) -> Mapped {
    let to = data_type(b.int("to")?)?;
    to_type(b, to)
}

fn cast_like(b: &mut Builder<'_>) -> Mapped {
    let to = b.host(1)?.dtype;
    to_type(b, to)
}

/// Floats pass through f32, other numbers go directly.
fn to_type(b: &mut Builder<'_>, to: Logical) -> Mapped {
    let from = b.host(0)?.dtype;
    let (mut kind, mut value) = (Kind::input(b, 0)?, b.input(0)?);
    if let (true, Some(format)) = (from.is_small_float(), format(from)) {
        let rounding = Rounding::Nearest;
        value = b.add(Minifloat { format, mode: MinifloatMode::Decode, saturate: false, rounding }, &[value])?;
        kind = Kind::Float;
    }
    if to == Logical::Bool {
        let zero = number(b, kind, 0);
        let other = Orders { neither: true, ..orders("<>") };
        return Ok(vec![Some(compare(b, other, kind, value, zero)?)]);
    }
    let target = if to.is_small_float() { Kind::Float } else { Kind::of(to) };
    let result = converted(b, value, kind, target)?;
    let result = rounded(b, result, to)?;
    // Nothing to do is a copy.
    let shape = b.shape(result);
    Ok(vec![Some(if result == value { copy(b, result, &shape)? } else { result })])
}

/// An f32 as the result's type holds it: rounded, or its bits.
fn rounded(b: &mut Builder<'_>, value: ValueId, to: Logical) -> Result<ValueId, Stop> {
    let Some(format) = format(to) else { return Ok(value) };
    let small = to.is_small_float();
    let saturate = small && b.opt_int("saturate")?.unwrap_or(1) != 0;
    let rounding = match b.opt_text("round_mode")?.unwrap_or("up") {
        "up" => Rounding::Up,
        "down" => Rounding::Down,
        "nearest" => Rounding::Nearest,
        other => return Stop::unsupported(format!("Cast with round_mode = {other}")),
    };
    let mode = if small { MinifloatMode::Encode } else { MinifloatMode::Round };
    b.add(Minifloat { format, mode, saturate, rounding }, &[value])
}
