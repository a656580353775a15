//! Numbers from one type to another.

use super::super::builder::{Builder, Mapped, Stop};
use super::super::dtype::Logical;
use super::quantize::{number, onnx_type};
use super::shapes::{self, Kind, compare, copy, orders};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Cast, Convert, Number, Orders, PowerRounding, WordType};

/// Mappings of this group.
pub static OPS: &[Entry] = &[(ONNX, "Cast", cast), (ONNX, "CastLike", cast_like)];

fn cast(b: &mut Builder<'_>) -> Mapped {
    let to = onnx_type(b.int("to")?)?;
    to_type(b, to)
}

fn cast_like(b: &mut Builder<'_>) -> Mapped {
    let to = b.host(1)?.dtype;
    to_type(b, to)
}

/// Numbers of 64 bits go through f32 to and from formats of floats, and directly otherwise.
fn to_type(b: &mut Builder<'_>, to: Logical) -> Mapped {
    let rounding = match b.opt_text("round_mode")?.unwrap_or("up") {
        "up" => PowerRounding::Up,
        "down" => PowerRounding::Down,
        "nearest" => PowerRounding::Nearest,
        other => return Stop::unsupported(format!("{} with round_mode = {other}", b.case().op)),
    };
    let saturate = b.opt_int("saturate")?.unwrap_or(1) != 0;
    let (from, mut x) = (b.host(0)?.dtype, b.input(0)?);
    let kind = Kind::of(from);
    if from.is_wide() && to == Logical::Bool {
        let zero = shapes::number(b, kind, 0);
        let other = Orders { neither: true, ..orders("<>") };
        return Ok(vec![Some(compare(b, other, kind, x, zero)?)]);
    }
    let mut format = number(if from.is_wide() { Logical::F32 } else { from })?;
    let floats = |ty: Logical| ty.is_float() || ty.is_small_float();
    if from.is_wide() {
        let result = if floats(to) { Kind::Float } else { Kind::of(to) };
        x = converted(b, x, kind, result)?;
        if !floats(to) {
            let shape = b.shape(x);
            return Ok(vec![Some(if from == to { copy(b, x, &shape)? } else { x })]);
        }
        format = Number::F32;
    }
    if to.is_wide() {
        let mut source = kind;
        if from.is_small_float() {
            x = b.add(Cast { from: format, to: Number::F32, saturate, rounding }, &[x])?;
            source = Kind::Float;
        }
        return Ok(vec![Some(converted(b, x, source, Kind::of(to))?)]);
    }
    Ok(vec![Some(b.add(Cast { from: format, to: number(to)?, saturate, rounding }, &[x])?)])
}

/// How the kernel `cast` names a kind of words.
fn word(kind: Kind) -> Option<Number> {
    match kind {
        Kind::Float => Some(Number::F32),
        Kind::Word { bits, signed } => Some(Number::Int { bits, signed }),
        Kind::Pair { .. } => None,
    }
}

/// How the kernel `convert` names a kind.
fn word_type(kind: Kind) -> WordType {
    match kind {
        Kind::Float => WordType::F32,
        Kind::Word { signed: true, .. } => WordType::I32,
        Kind::Word { signed: false, .. } => WordType::U32,
        Kind::Pair { signed: true } => WordType::I64,
        Kind::Pair { signed: false } => WordType::U64,
    }
}

/// A value of one kind as another.
pub fn converted(b: &mut Builder<'_>, value: ValueId, source: Kind, result: Kind) -> Result<ValueId, Stop> {
    if source == result {
        return Ok(value);
    }
    if let (Some(from), Some(to)) = (word(source), word(result)) {
        return b.add(Cast { from, to, saturate: true, rounding: PowerRounding::Nearest }, &[value]);
    }
    let bits = if let Kind::Word { bits, .. } = result { bits } else { 32 };
    b.add(Convert { source: word_type(source), result: word_type(result), bits }, &[value])
}
