//! Tensors that follow from shapes: constants, ranges, diagonals, triangles, the shapes themselves.

use super::super::builder::{Builder, Mapped, Stop};
use super::super::dtype::Logical;
use super::cast::converted;
use super::quantize::onnx_type;
use super::shapes::{Kind, compare, copy, counting, expand, integer, number, orders, select};
use super::{Entry, ONNX};
use omma::Error;
use omma::graph::ValueId;
use omma::kernels::{Binary, BinaryOp, Cast, IntegerOp, Number, PowerRounding};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "ConstantOfShape", constant_of_shape),
    (ONNX, "EyeLike", eye_like),
    (ONNX, "Range", range),
    (ONNX, "Shape", shape),
    (ONNX, "Size", size),
    (ONNX, "Trilu", trilu),
];

fn one(value: ValueId) -> Mapped {
    Ok(vec![Some(value)])
}

/// Numbers of 64 bits that are known from shapes.
fn longs(b: &mut Builder<'_>, values: &[usize], shape: &[usize]) -> Mapped {
    let words: Vec<u32> = values.iter().flat_map(|v| [*v as u32, (*v as u64 >> 32) as u32]).collect();
    let value = b.graph().constant_u32("shape", &[values.len(), 2], &words);
    one(copy(b, value, &[shape, &[2]].concat())?)
}

fn shape(b: &mut Builder<'_>) -> Mapped {
    let shape = b.host(0)?.shape.clone();
    let rank = shape.len() as i64;
    let bound = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
    let (start, end) = (bound(b.opt_int("start")?.unwrap_or(0)), bound(b.opt_int("end")?.unwrap_or(rank)));
    let part = shape.get(start..end).unwrap_or_default();
    longs(b, part, &[part.len()])
}

fn size(b: &mut Builder<'_>) -> Mapped {
    let count = b.host(0)?.shape.iter().product();
    longs(b, &[count], &[])
}

/// `value` is a tensor of one element: `{"tensor": [..], "dtype": .., "shape": [1]}`; without it a float 0.
fn constant_of_shape(b: &mut Builder<'_>) -> Mapped {
    let shape: Vec<usize> = b.host(0)?.ints().into_iter().map(|n| n.max(0) as usize).collect();
    let value = b.case().attrs.get("value").filter(|v| !v.is_null());
    let text = |v: &serde_json::Value| v.get("dtype").and_then(|d| d.as_str()).map(str::to_owned);
    let name = value.and_then(text).unwrap_or_else(|| "f32".into());
    let dtype = Logical::parse(&name).map_err(|e| Error::argument("attribute value", e.to_string()))?;
    let element = value.and_then(|v| v.get("tensor")).and_then(|t| t.as_array()).and_then(|a| a.first());
    let kind = Kind::of(dtype);
    let whole = element.and_then(|v| v.as_bool().map(i64::from).or_else(|| v.as_i64()));
    let cell = match (kind, whole, element.and_then(super::super::pack::number)) {
        (Kind::Float, _, Some(v)) => b.graph().constant_f32("value", &[1], &[v as f32]),
        (_, Some(v), _) => number(b, kind, v),
        _ if element.is_none() => number(b, kind, 0),
        _ => return Err(Error::argument("attribute value", "is no number of its type").into()),
    };
    one(expand(b, cell, kind, &shape)?)
}

/// Whether, on each place of an `n x m` matrix, the column is in an order to the row plus `k`: u32 `[n, m]`.
fn diagonal(b: &mut Builder<'_>, sign: &str, [n, m]: [usize; 2], k: i64) -> Result<ValueId, Stop> {
    let kind = Kind::Word { bits: 32, signed: true };
    let (rows, cols) = (counting(b, kind, n), counting(b, kind, m));
    let far = (n + m) as i64;
    let k = number(b, kind, k.clamp(-far, far));
    let rows = integer(b, IntegerOp::Add, kind, rows, k)?;
    let rows = b.reshape(rows, &[n, 1])?;
    compare(b, orders(sign), kind, cols, rows)
}

fn eye_like(b: &mut Builder<'_>) -> Mapped {
    let source = b.host(0)?;
    let [n, m] = source.shape[..] else {
        return Err(Error::argument("input", format!("{:?} is not a matrix", source.shape)).into());
    };
    let dtype = match b.opt_int("dtype")? {
        Some(number) => onnx_type(number)?,
        None => source.dtype,
    };
    let flag = Kind::Word { bits: 8, signed: false };
    let kept = diagonal(b, "=", [n, m], b.opt_int("k")?.unwrap_or(0))?;
    one(converted(b, kept, flag, Kind::of(dtype))?)
}

fn trilu(b: &mut Builder<'_>) -> Mapped {
    let (kind, shape) = (Kind::input(b, 0)?, b.host(0)?.shape.clone());
    let [.., n, m] = shape[..] else {
        return Err(Error::argument("input", format!("{shape:?} has no matrices")).into());
    };
    let k = if b.has(1) { b.host(1)?.ints().first().copied().unwrap_or(0) } else { 0 };
    let sign = if b.opt_int("upper")?.unwrap_or(1) != 0 { ">=" } else { "<=" };
    let kept = diagonal(b, sign, [n, m], k)?;
    let (x, zero) = (b.input(0)?, number(b, kind, 0));
    one(select(b, kept, kind, x, zero)?)
}

/// Start plus so many deltas, as many as lie before the limit. A bf16 range is computed in f32 and rounded.
fn range(b: &mut Builder<'_>) -> Mapped {
    let kind = Kind::input(b, 0)?;
    let dtype = b.host(0)?.dtype;
    let at = |i: usize| -> Result<f64, Stop> { Ok(b.host(i)?.values().first().copied().unwrap_or(0.0)) };
    let (start, limit, delta) = (at(0)?, at(1)?, at(2)?);
    let count = ((limit - start) / delta).ceil();
    if !(0.0..=268_435_456.0).contains(&count.max(0.0)) {
        return Err(Error::argument("limit", format!("from {start} to {limit} by {delta}")).into());
    }
    let steps = counting(b, kind, count.max(0.0) as usize);
    let (first, delta) = (b.input(0)?, b.input(2)?);
    if kind != Kind::Float {
        let scaled = integer(b, IntegerOp::Mul, kind, steps, delta)?;
        return one(integer(b, IntegerOp::Add, kind, scaled, first)?);
    }
    if count <= 0.0 {
        let shape = b.shape(steps);
        return one(copy(b, steps, &shape)?);
    }
    let scaled = b.add(Binary { op: BinaryOp::Mul }, &[steps, delta])?;
    let y = b.add(Binary { op: BinaryOp::Add }, &[scaled, first])?;
    let to = match dtype {
        Logical::BF16 => Number::BF16,
        Logical::F16 => Number::F16,
        _ => return one(y),
    };
    one(b.add(Cast { from: Number::F32, to, saturate: false, rounding: PowerRounding::Nearest }, &[y])?)
}
