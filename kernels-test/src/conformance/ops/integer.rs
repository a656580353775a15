//! Products and convolutions of 8-bit integers.

use super::super::builder::{Builder, Mapped, Stop};
use super::quantize::number;
use super::windows::window;
use super::{Entry, MICROSOFT, ONNX};
use omma::graph::ValueId;
use omma::kernels::{
    Binary, BinaryOp, ConvInt, Dequantize, Each, Granularity, MatMulInt, Number, PackBytes, Quantize, QuantizeRange,
    Rearrange,
};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "ConvInteger", conv_integer),
    (ONNX, "DynamicQuantizeLinear", dynamic_quantize),
    (ONNX, "MatMulInteger", matmul_integer),
    (ONNX, "QLinearConv", qlinear_conv),
    (ONNX, "QLinearMatMul", qlinear_matmul),
    (MICROSOFT, "DynamicQuantizeMatMul", dynamic_quantize_matmul),
    (MICROSOFT, "MatMulIntegerToFloat", matmul_integer_to_float),
];

const U8: Number = Number::Int { bits: 8, signed: false };

/// An integer operand with its zero points.
pub struct Operand {
    /// A word a cell.
    pub value: ValueId,
    /// Signed.
    pub signed: bool,
    /// Zero points; none means 0.
    pub zero: Option<ValueId>,
}

/// Operand `i` with the zero points of operand `zero`.
fn operand(b: &mut Builder<'_>, i: usize, zero: usize) -> Result<Operand, Stop> {
    let dtype = b.host(i)?.dtype;
    if dtype.bits() != 8 || dtype.is_small_float() {
        return Stop::unsupported(format!("integer products of {}", dtype.name()));
    }
    let zero = if b.has(zero) { Some(b.input(zero)?) } else { None };
    Ok(Operand { value: b.input(i)?, signed: dtype.is_signed(), zero })
}

/// Zero points as a value, and how many there are for `lines` lines of `batch` matrices.
fn zeros(b: &mut Builder<'_>, zero: Option<ValueId>, batch: usize, lines: usize) -> Result<(ValueId, Each), Stop> {
    let Some(zero) = zero else {
        let name = format!("zero{lines}");
        return Ok((b.graph().constant_i32(&name, &[1], &[0]), Each::One));
    };
    match b.shape(zero).iter().product::<usize>() {
        1 => Ok((zero, Each::One)),
        n if n == lines => Ok((zero, Each::Line)),
        n if n == batch * lines => Ok((zero, Each::BatchLine)),
        n => Stop::unsupported(format!("{n} zero points for {batch} matrices of {lines} lines")),
    }
}

/// `x w` with `x` [.., m, k] and `w` [.., k, n], as numpy multiplies matrices; `scales` of the rows and of the columns.
pub fn product(
    b: &mut Builder<'_>,
    x: &Operand,
    w: &Operand,
    scales: Option<(ValueId, ValueId)>,
) -> Result<ValueId, Stop> {
    let (mut x_shape, mut w_shape) = (b.shape(x.value), b.shape(w.value));
    let (x_line, w_line) = (x_shape.len() == 1, w_shape.len() == 1);
    if x_line {
        x_shape.insert(0, 1);
    }
    if w_line {
        w_shape.push(1);
    }
    if x_shape.len() < 2 || w_shape.len() < 2 {
        return Stop::unsupported("a product with a scalar");
    }
    let lead = common(&x_shape[..x_shape.len() - 2], &w_shape[..w_shape.len() - 2])?;
    let x_value = b.reshape(x.value, &x_shape)?;
    let w_value = b.reshape(w.value, &w_shape)?;
    let ([rows, inner], [_, cols]) = (last_two(&x_shape), last_two(&w_shape));
    let x_value = spread(b, x_value, &[&lead[..], &[rows, inner]].concat())?;
    let many = w_shape[..w_shape.len() - 2].iter().product::<usize>() > 1;
    let w_to = if many { [&lead[..], &[inner, cols]].concat() } else { vec![inner, cols] };
    let w_value = if many { spread(b, w_value, &w_to)? } else { b.reshape(w_value, &w_to)? };
    let mut perm: Vec<usize> = (0..w_to.len()).collect();
    perm.swap(w_to.len() - 1, w_to.len() - 2);
    let w_value = b.add(Rearrange::transpose(&w_to, &perm)?, &[w_value])?;
    let batch = lead.iter().product();
    let (x_zero, x_each) = zeros(b, x.zero, batch, rows)?;
    let (w_zero, w_each) = zeros(b, w.zero, batch, cols)?;
    let kernel = MatMulInt {
        inner,
        x_signed: x.signed,
        w_signed: w.signed,
        x_zero: x_each,
        w_zero: w_each,
        scaled: scales.is_some(),
    };
    let mut inputs = vec![b.add(PackBytes, &[x_value])?, b.add(PackBytes, &[w_value])?, x_zero, w_zero];
    inputs.extend(scales.into_iter().flat_map(|(x, w)| [x, w]));
    let y = b.add(kernel, &inputs)?;
    let mut shape = lead;
    shape.extend((!x_line).then_some(rows));
    shape.extend((!w_line).then_some(cols));
    b.reshape(y, &shape)
}

fn last_two(shape: &[usize]) -> [usize; 2] {
    [shape[shape.len() - 2], shape[shape.len() - 1]]
}

/// The shape that two broadcast to.
fn common(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Stop> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let one = |i: usize| match (at(a, i), at(b, i)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        (x, y) => Stop::unsupported(format!("axes of {x} and {y} do not broadcast")),
    };
    (0..rank).map(one).collect()
}

/// A value repeated to `shape`.
fn spread(b: &mut Builder<'_>, value: ValueId, shape: &[usize]) -> Result<ValueId, Stop> {
    let has = b.shape(value);
    if has == shape { Ok(value) } else { b.add(Rearrange::expand(&has, shape)?, &[value]) }
}

fn matmul_integer(b: &mut Builder<'_>) -> Mapped {
    let (x, w) = (operand(b, 0, 2)?, operand(b, 1, 3)?);
    Ok(vec![Some(product(b, &x, &w, None)?)])
}

/// A, B, a_scale, b_scale, a_zero_point, b_zero_point, bias -> Y.
fn matmul_integer_to_float(b: &mut Builder<'_>) -> Mapped {
    let (x, w) = (operand(b, 0, 4)?, operand(b, 1, 5)?);
    let scales = (b.input(2)?, b.input(3)?);
    let y = product(b, &x, &w, Some(scales))?;
    Ok(vec![Some(biased(b, y, 6)?)])
}

/// `y` plus the row of operand `i`, if it is given.
fn biased(b: &mut Builder<'_>, y: ValueId, i: usize) -> Result<ValueId, Stop> {
    if !b.has(i) {
        return Ok(y);
    }
    let bias = b.input(i)?;
    b.add(Binary { op: BinaryOp::Add }, &[y, bias])
}

/// `x` quantized to u8 by its own range: codes, scale, zero point.
fn quantized(b: &mut Builder<'_>, x: ValueId) -> Result<(ValueId, ValueId, ValueId), Stop> {
    let shape = b.shape(x);
    let flat = b.reshape(x, &[1, shape.iter().product()])?;
    let range = b.add_all(QuantizeRange { symmetric: false, levels: 255.0 }, &[flat])?;
    let (scale, zero) = (range[0], range[1]);
    let kernel = Quantize { to: U8, by: Granularity::Tensor, zero: true, saturate: true };
    let codes = b.add(kernel, &[x, scale, zero])?;
    Ok((codes, scale, zero))
}

fn dynamic_quantize(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let (codes, scale, zero) = quantized(b, x)?;
    let (scale, zero) = (b.reshape(scale, &[])?, b.reshape(zero, &[])?);
    Ok(vec![Some(codes), Some(scale), Some(zero)])
}

/// A, B, b_scale, b_zero_point, bias -> Y.
fn dynamic_quantize_matmul(b: &mut Builder<'_>) -> Mapped {
    let a = b.input(0)?;
    let (codes, scale, zero) = quantized(b, a)?;
    let x = Operand { value: codes, signed: false, zero: Some(zero) };
    let w = operand(b, 1, 3)?;
    let w_scale = b.input(2)?;
    let y = product(b, &x, &w, Some((scale, w_scale)))?;
    Ok(vec![Some(biased(b, y, 4)?)])
}

/// `w * x / y` of the operands with these scales. ONNX Runtime and the reference of ONNX multiply the sums by it, and
/// codes that end at a tie hang on the order.
fn rescale(b: &mut Builder<'_>, [x, w, y]: [usize; 3]) -> Result<ValueId, Stop> {
    if b.host(y)?.len() != 1 || b.host(x)?.len() != 1 {
        return Stop::unsupported("a scale for each row, or several of the result");
    }
    let (x, w, y) = (b.input(x)?, b.input(w)?, b.input(y)?);
    let both = b.add(Binary { op: BinaryOp::Mul }, &[w, x])?;
    b.add(Binary { op: BinaryOp::Div }, &[both, y])
}

/// Codes of `y`, whose scale is 1, with the zero point of operand `zero`.
fn requantized(b: &mut Builder<'_>, y: ValueId, zero: usize) -> Result<ValueId, Stop> {
    let to = number(b.host(zero)?.dtype)?;
    let one = b.graph().constant_f32("one", &[1], &[1.0]);
    let inputs = [y, one, b.input(zero)?];
    b.add(Quantize { to, by: Granularity::Tensor, zero: true, saturate: true }, &inputs)
}

/// a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point -> y.
fn qlinear_matmul(b: &mut Builder<'_>) -> Mapped {
    let (x, w) = (operand(b, 0, 2)?, operand(b, 3, 5)?);
    let scale = rescale(b, [1, 4, 6])?;
    let one = b.graph().constant_f32("unscaled", &[1], &[1.0]);
    let y = product(b, &x, &w, Some((one, scale)))?;
    Ok(vec![Some(requantized(b, y, 7)?)])
}

/// The sums of a convolution of operand `x` with operand `w`.
fn convolution(b: &mut Builder<'_>, x: &Operand, w: &Operand, bias: Option<usize>) -> Result<ValueId, Stop> {
    let (x_shape, w_shape) = (b.shape(x.value), b.shape(w.value));
    let window = window(b, &x_shape, w_shape.get(2..).unwrap_or_default())?;
    let groups = usize::try_from(b.opt_int("group")?.unwrap_or(1)).unwrap_or(0).max(1);
    let (x_zero, _) = zeros(b, x.zero, 1, 1)?;
    let (w_zero, _) = zeros(b, w.zero, 1, w_shape.first().copied().unwrap_or(0))?;
    let mut inputs = vec![x.value, w.value, x_zero, w_zero];
    if let Some(bias) = bias {
        inputs.push(b.input(bias)?);
    }
    b.add(ConvInt { window, groups, bias: bias.is_some() }, &inputs)
}

fn conv_integer(b: &mut Builder<'_>) -> Mapped {
    let (x, w) = (operand(b, 0, 2)?, operand(b, 1, 3)?);
    Ok(vec![Some(convolution(b, &x, &w, None)?)])
}

/// x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B -> y. Scales of `w` are one, or one each
/// output channel; B has the scale of the products.
fn qlinear_conv(b: &mut Builder<'_>) -> Mapped {
    let (x, w) = (operand(b, 0, 2)?, operand(b, 3, 5)?);
    let sums = convolution(b, &x, &w, b.has(8).then_some(8))?;
    let scale = rescale(b, [1, 4, 6])?;
    let by = if b.host(4)?.len() == 1 { Granularity::Tensor } else { Granularity::Axis(1) };
    let from = Number::Int { bits: 32, signed: true };
    let y = b.add(Dequantize { from, by, zero: false }, &[sums, scale])?;
    Ok(vec![Some(requantized(b, y, 7)?)])
}
