//! Quantizing, dequantizing and casting.

use super::super::builder::{Builder, Mapped, Stop};
use super::super::dtype::Logical;
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Cast, Convert, Dequantize, Granularity, Number, PowerRounding, Quantize, SmallFloat, WordType};

/// Mappings of this group.
pub static OPS: &[Entry] =
    &[(ONNX, "Cast", cast), (ONNX, "DequantizeLinear", dequantize), (ONNX, "QuantizeLinear", quantize)];

/// The types of ONNX by number.
fn onnx_type(code: i64) -> Result<Logical, Stop> {
    Ok(match code {
        1 => Logical::F32,
        2 => Logical::U8,
        3 => Logical::I8,
        4 => Logical::U16,
        5 => Logical::I16,
        6 => Logical::I32,
        7 => Logical::I64,
        9 => Logical::Bool,
        10 => Logical::F16,
        11 => Logical::F64,
        12 => Logical::U32,
        13 => Logical::U64,
        16 => Logical::BF16,
        17 => Logical::F8E4M3FN,
        18 => Logical::F8E4M3FNUZ,
        19 => Logical::F8E5M2,
        20 => Logical::F8E5M2FNUZ,
        21 => Logical::U4,
        22 => Logical::I4,
        23 => Logical::F4E2M1,
        24 => Logical::F8E8M0,
        25 => Logical::U2,
        26 => Logical::I2,
        8 => return Stop::unsupported("strings"),
        other => return Stop::unsupported(format!("the ONNX type {other}")),
    })
}

/// The format of a logical type on the device; 64-bit integers have none.
pub fn number(ty: Logical) -> Result<Number, Stop> {
    Ok(match ty {
        // f64 runs in f32.
        Logical::F64 | Logical::F32 => Number::F32,
        Logical::F16 => Number::F16,
        Logical::BF16 => Number::BF16,
        Logical::Bool => Number::Bool,
        Logical::F8E4M3FN => Number::Small(SmallFloat::E4M3FN),
        Logical::F8E4M3FNUZ => Number::Small(SmallFloat::E4M3FNUZ),
        Logical::F8E5M2 => Number::Small(SmallFloat::E5M2),
        Logical::F8E5M2FNUZ => Number::Small(SmallFloat::E5M2FNUZ),
        Logical::F8E8M0 => Number::Small(SmallFloat::E8M0),
        Logical::F4E2M1 => Number::Small(SmallFloat::E2M1),
        Logical::I64 | Logical::U64 => return Stop::unsupported("arithmetic on integers of 64 bits"),
        other => Number::Int { bits: other.bits(), signed: other.is_signed() },
    })
}

/// The type of a cell for conversions from and to 64 bits, with its width.
fn word_type(ty: Logical) -> Option<(WordType, u32)> {
    match ty {
        Logical::I64 => Some((WordType::I64, 32)),
        Logical::U64 => Some((WordType::U64, 32)),
        Logical::F32 | Logical::F64 => Some((WordType::F32, 32)),
        _ if ty.is_float() || ty.is_small_float() || ty == Logical::Bool => None,
        _ if ty.is_signed() => Some((WordType::I32, ty.bits())),
        _ => Some((WordType::U32, ty.bits())),
    }
}

/// From or to integers of 64 bits. What has no direct way goes through f32, or bool through u32.
fn cast_wide(b: &mut Builder<'_>, x: ValueId, from: Logical, to: Logical) -> Result<ValueId, Stop> {
    let narrow = |b: &mut Builder<'_>, x: ValueId, from: Logical, to: Logical| {
        let cast = Cast { from: number(from)?, to: number(to)?, saturate: true, rounding: PowerRounding::Up };
        b.add(cast, &[x])
    };
    let middle = |ty: Logical| if ty == Logical::Bool { Logical::U32 } else { Logical::F32 };
    match (word_type(from), word_type(to)) {
        _ if from == to => Ok(x),
        (Some((source, _)), Some((result, bits))) => b.add(Convert { source, result, bits }, &[x]),
        (None, _) => {
            let x = narrow(b, x, from, middle(from))?;
            cast_wide(b, x, middle(from), to)
        }
        // Whether an integer is 0 survives the rounding to f32.
        (Some(_), None) => {
            let x = cast_wide(b, x, from, Logical::F32)?;
            narrow(b, x, Logical::F32, to)
        }
    }
}

fn cast(b: &mut Builder<'_>) -> Mapped {
    let (from, to) = (b.host(0)?.dtype, onnx_type(b.int("to")?)?);
    let x = b.input(0)?;
    if from.is_wide() || to.is_wide() {
        return Ok(vec![Some(cast_wide(b, x, from, to)?)]);
    }
    let rounding = match b.opt_text("round_mode")?.unwrap_or("up") {
        "up" => PowerRounding::Up,
        "down" => PowerRounding::Down,
        "nearest" => PowerRounding::Nearest,
        other => return Stop::unsupported(format!("Cast with round_mode = {other}")),
    };
    let saturate = b.opt_int("saturate")?.unwrap_or(1) != 0;
    let y = b.add(Cast { from: number(from)?, to: number(to)?, saturate, rounding }, &[x])?;
    Ok(vec![Some(y)])
}

/// Which cells of operand 0 share a scale of operand 1.
fn granularity(b: &Builder<'_>) -> Result<Granularity, Stop> {
    let (x, scale) = (b.host(0)?, b.host(1)?);
    let block = b.opt_int("block_size")?.unwrap_or(0);
    let axis = b.opt_int("axis")?.unwrap_or(1);
    if block == 0 && scale.len() == 1 {
        return Ok(Granularity::Tensor);
    }
    let axis = b.axis(axis, x.shape.len())?;
    Ok(if block == 0 { Granularity::Axis(axis) } else { Granularity::Blocks { axis, size: block.max(1) as usize } })
}

/// x, y_scale, y_zero_point -> y. The type of y is that of the zero point, else an attribute, else u8.
fn quantize(b: &mut Builder<'_>) -> Mapped {
    let ty = match (b.has(2), b.opt_int("output_dtype")?.unwrap_or(0)) {
        (true, _) => b.host(2)?.dtype,
        (false, 0) => Logical::U8,
        (false, code) => onnx_type(code)?,
    };
    let (to, by) = (number(ty)?, granularity(b)?);
    // The zero point of a small float can only be 0.
    let zero = b.has(2) && !ty.is_small_float();
    let kernel = Quantize { to, by, zero, saturate: b.opt_int("saturate")?.unwrap_or(1) != 0 };
    let mut x = b.input(0)?;
    let from = b.host(0)?.dtype;
    if !from.is_float() {
        let cast = Cast { from: number(from)?, to: Number::F32, saturate: true, rounding: PowerRounding::Up };
        x = b.add(cast, &[x])?;
    }
    let mut inputs = vec![x, b.input(1)?];
    if zero {
        inputs.push(b.input(2)?);
    }
    Ok(vec![Some(b.add(kernel, &inputs)?)])
}

/// x, x_scale, x_zero_point -> y.
fn dequantize(b: &mut Builder<'_>) -> Mapped {
    let from = number(b.host(0)?.dtype)?;
    let kernel = Dequantize { from, by: granularity(b)?, zero: b.has(2) };
    let mut inputs = vec![b.input(0)?, b.input(1)?];
    if kernel.zero {
        inputs.push(b.input(2)?);
    }
    Ok(vec![Some(b.add(kernel, &inputs)?)])
}
