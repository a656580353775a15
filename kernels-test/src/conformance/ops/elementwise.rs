//! Arithmetic, comparisons and logic, element by element with broadcasting.

use super::super::builder::{Builder, Mapped, Stop};
use super::cast::converted;
use super::shapes::{Kind, broadcast, compare, copy, expand, integer, logical, number, orders, select};
use super::{Entry, ONNX};
use omma::graph::ValueId;
use omma::kernels::{Binary, BinaryOp, IntegerOp};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Add", |b| binary(b, BinaryOp::Add, IntegerOp::Add)),
    (ONNX, "And", |b| whole(b, IntegerOp::And)),
    (ONNX, "BitShift", bit_shift),
    (ONNX, "BitwiseAnd", |b| whole(b, IntegerOp::And)),
    (ONNX, "BitwiseNot", not),
    (ONNX, "BitwiseOr", |b| whole(b, IntegerOp::Or)),
    (ONNX, "BitwiseXor", |b| whole(b, IntegerOp::Xor)),
    (ONNX, "Clip", clip),
    (ONNX, "Div", |b| binary(b, BinaryOp::Div, IntegerOp::Div)),
    (ONNX, "Dropout", dropout),
    (ONNX, "Equal", |b| comparison(b, "=")),
    (ONNX, "Greater", |b| comparison(b, ">")),
    (ONNX, "GreaterOrEqual", |b| comparison(b, ">=")),
    (ONNX, "Identity", identity),
    (ONNX, "Less", |b| comparison(b, "<")),
    (ONNX, "LessOrEqual", |b| comparison(b, "<=")),
    (ONNX, "Max", |b| fold(b, BinaryOp::Max, IntegerOp::Max)),
    (ONNX, "Mean", mean),
    (ONNX, "Min", |b| fold(b, BinaryOp::Min, IntegerOp::Min)),
    (ONNX, "Mod", modulo),
    (ONNX, "Mul", |b| binary(b, BinaryOp::Mul, IntegerOp::Mul)),
    (ONNX, "Not", not),
    (ONNX, "Or", |b| whole(b, IntegerOp::Or)),
    (ONNX, "Pow", pow),
    (ONNX, "Sub", |b| binary(b, BinaryOp::Sub, IntegerOp::Sub)),
    (ONNX, "Sum", |b| fold(b, BinaryOp::Add, IntegerOp::Add)),
    (ONNX, "Where", choose),
    (ONNX, "Xor", |b| whole(b, IntegerOp::Xor)),
];

fn one(value: ValueId) -> Mapped {
    Ok(vec![Some(value)])
}

/// `x op other`, broadcast. A row or a single cell on the right is repeated by the kernel itself.
fn apply(
    b: &mut Builder<'_>,
    kind: Kind,
    ops: (BinaryOp, IntegerOp),
    x: ValueId,
    other: ValueId,
) -> Result<ValueId, Stop> {
    if kind != Kind::Float {
        return integer(b, ops.1, kind, x, other);
    }
    let op = Binary { op: ops.0 };
    let (whole, part) = (b.shape(x), b.shape(other));
    let rank_fits = part.len() <= whole.len();
    let row = part.iter().rev().skip(1).all(|e| *e == 1) && part.last() == whole.last();
    let cell = part.iter().all(|e| *e == 1);
    if rank_fits && (row || cell) && whole.iter().product::<usize>() > 0 {
        return b.add(op, &[x, other]);
    }
    let sides = broadcast(b, &[(x, kind), (other, kind)])?;
    b.add(op, &sides)
}

fn binary(b: &mut Builder<'_>, float: BinaryOp, int: IntegerOp) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let (x, other) = (b.input(0)?, b.input(1)?);
    one(apply(b, kind, (float, int), x, other)?)
}

fn whole(b: &mut Builder<'_>, op: IntegerOp) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let (x, other) = (b.input(0)?, b.input(1)?);
    one(integer(b, op, kind, x, other)?)
}

/// Any number of operands, one after the other.
fn folded(b: &mut Builder<'_>, float: BinaryOp, int: IntegerOp) -> Result<ValueId, Stop> {
    let kind = Kind::input(b, 0)?;
    let mut y = b.input(0)?;
    let count = b.case().inputs.len();
    if count == 1 {
        let shape = b.shape(y);
        return copy(b, y, &shape);
    }
    for i in 1..count {
        let other = b.input(i)?;
        y = apply(b, kind, (float, int), y, other)?;
    }
    Ok(y)
}

fn fold(b: &mut Builder<'_>, float: BinaryOp, int: IntegerOp) -> Mapped {
    one(folded(b, float, int)?)
}

fn mean(b: &mut Builder<'_>) -> Mapped {
    let sum = folded(b, BinaryOp::Add, IntegerOp::Add)?;
    let count = number(b, Kind::Float, b.case().inputs.len() as i64);
    one(b.add(Binary { op: BinaryOp::Div }, &[sum, count])?)
}

fn modulo(b: &mut Builder<'_>) -> Mapped {
    match b.opt_int("fmod")?.unwrap_or(0) {
        0 => binary(b, BinaryOp::Mod, IntegerOp::Mod),
        _ => binary(b, BinaryOp::Rem, IntegerOp::Rem),
    }
}

fn bit_shift(b: &mut Builder<'_>) -> Mapped {
    match b.text("direction")? {
        "LEFT" => whole(b, IntegerOp::ShiftUp),
        "RIGHT" => whole(b, IntegerOp::ShiftDown),
        other => Stop::unsupported(format!("BitShift with direction = {other}")),
    }
}

/// All bits of a number, or the one of a boolean.
fn not(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let x = b.input(0)?;
    let ones = number(b, kind, if b.case().op == "Not" { 1 } else { -1 });
    one(integer(b, IntegerOp::Xor, kind, x, ones)?)
}

fn comparison(b: &mut Builder<'_>, sign: &str) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let (x, other) = (b.input(0)?, b.input(1)?);
    one(compare(b, orders(sign), kind, x, other)?)
}

fn choose(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 1)?;
    let (condition, x, other) = (b.input(0)?, b.input(1)?, b.input(2)?);
    one(select(b, condition, kind, x, other)?)
}

fn identity(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let shape = b.shape(x);
    one(copy(b, x, &shape)?)
}

/// Bounds are operands since opset 11, attributes before.
fn clip(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let mut y = b.input(0)?;
    let sides = [("min", (BinaryOp::Max, IntegerOp::Max)), ("max", (BinaryOp::Min, IntegerOp::Min))];
    let mut copied = true;
    for (i, (name, ops)) in sides.into_iter().enumerate() {
        let bound = match b.opt_float(name)? {
            _ if b.has(i + 1) => b.input(i + 1)?,
            Some(value) => b.graph().constant_f32(name, &[1], &[value]),
            None => continue,
        };
        y = apply(b, kind, ops, y, bound)?;
        copied = false;
    }
    let shape = b.shape(y);
    one(if copied { copy(b, y, &shape)? } else { y })
}

/// Without training, or with a ratio of 0, what comes in goes out.
fn dropout(b: &mut Builder<'_>) -> Mapped {
    let training = b.has(2) && b.host(2)?.ints().first() == Some(&1);
    let ratio = if b.has(1) { b.host(1)?.values().first().copied().unwrap_or(0.0) } else { 0.5 };
    if training && ratio != 0.0 {
        return Stop::unsupported("Dropout while training: the random numbers are the implementation's own");
    }
    let kind = Kind::input(b, 0)?;
    let x = b.input(0)?;
    let shape = b.shape(x);
    let y = copy(b, x, &shape)?;
    if b.case().wanted.len() < 2 {
        return one(y);
    }
    let flag = Kind::Word { bits: 8, signed: false };
    let shape = logical(b, x, kind);
    let kept = number(b, flag, 1);
    let mask = expand(b, kept, flag, &shape)?;
    Ok(vec![Some(y), Some(mask)])
}

/// The result has the type of the base. Powers of floats are made in floats; a whole base with a float exponent is
/// one too, exact up to 2^22.
fn pow(b: &mut Builder<'_>) -> Mapped {
    let (base, exponent) = (Kind::input(b, 0)?, Kind::input(b, 1)?);
    let (x, other) = (b.input(0)?, b.input(1)?);
    let both = (BinaryOp::Pow, IntegerOp::Pow);
    if base == Kind::Float || exponent == Kind::Float {
        let x = converted(b, x, base, Kind::Float)?;
        let other = converted(b, other, exponent, Kind::Float)?;
        let y = apply(b, Kind::Float, both, x, other)?;
        return one(converted(b, y, Kind::Float, base)?);
    }
    let other = converted(b, other, exponent, base)?;
    one(apply(b, base, both, x, other)?)
}
