//! Products with quantized operands.

use super::super::builder::{Builder, Mapped, Section, Stop};
use super::super::dtype::Logical;
use super::{Entry, MICROSOFT};
use omma::DType;
use omma::graph::ValueId;
use omma::kernels::{Codes, Gather, MatMul, MatVec, Packing, Picks, ReadWeight, RowIndex, ScaleType, Zero};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (MICROSOFT, "GatherBlockQuantized", gather_block_quantized),
    (MICROSOFT, "MatMulBnb4", matmul_bnb4),
    (MICROSOFT, "MatMulNBits", matmul_nbits),
];

/// The 16 levels of NF4, and those of FP4 (Dettmers et al. 2023), as ONNX Runtime has them.
const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];
const FP4: [f32; 16] = [
    0.0,
    0.005_208_333_5,
    0.666_666_7,
    1.0,
    0.333_333_34,
    0.5,
    0.166_666_67,
    0.25,
    -0.0,
    -0.005_208_333_5,
    -0.666_666_7,
    -1.0,
    -0.333_333_34,
    -0.5,
    -0.166_666_67,
    -0.25,
];

/// `x w^T (+ bias)` with the kernel that a decode step or a prompt would take.
pub fn product(b: &mut Builder<'_>, x: ValueId, w: ValueId, bias: Option<ValueId>) -> Result<ValueId, Stop> {
    let rows: usize = b.shape(x).iter().rev().skip(1).product();
    let mut inputs = vec![x, w];
    inputs.extend(bias);
    if rows <= MatVec::MOST_ROWS {
        return b.add(MatVec { bias: bias.is_some(), ..MatVec::default() }, &inputs);
    }
    b.add(MatMul { bias: bias.is_some(), ..MatMul::default() }, &inputs)
}

/// The outputs w_dequant and y = x w^T (+ bias) of a case whose operand 0 is x.
pub fn both(b: &mut Builder<'_>, w: ValueId, bias: Option<usize>) -> Mapped {
    let dequantised =
        if b.wanted(0) { Some(b.add(ReadWeight { picked: false, dtype: DType::F32 }, &[w])?) } else { None };
    let x = b.input(0)?;
    let bias = match bias {
        Some(i) if b.has(i) => Some(b.input(i)?),
        _ => None,
    };
    let y = product(b, x, w, bias)?;
    Ok(vec![dequantised, Some(y)])
}

/// Type of the scales of operand `i`.
pub fn scale_type(b: &Builder<'_>, i: usize) -> Result<ScaleType, Stop> {
    match b.host(i)?.dtype {
        Logical::F32 => Ok(ScaleType::F32),
        Logical::F16 => Ok(ScaleType::F16),
        Logical::BF16 => Ok(ScaleType::BF16),
        other => Stop::unsupported(format!("scales of type {}", other.name())),
    }
}

/// Bits of a code.
pub fn code_bits(bits: i64) -> Result<u32, Stop> {
    match bits {
        1 | 2 | 4 | 8 => Ok(bits as u32),
        other => Stop::unsupported(format!("codes of {other} bits; there are 1, 2, 4 and 8")),
    }
}

/// A, B, scales, zero_points, g_idx, bias -> Y.
fn matmul_nbits(b: &mut Builder<'_>) -> Mapped {
    let (n, k) = (b.int("N")? as usize, b.int("K")? as usize);
    let (bits, block) = (code_bits(b.int("bits")?)?, b.int("block_size")?.max(1) as usize);
    if b.opt_int("weight_prepacked")?.unwrap_or(0) != 0 {
        return Stop::unsupported("MatMulNBits with weights in a layout of one runtime's own (weight_prepacked)");
    }
    let zero = match b.has(3) {
        false => Zero::Fixed(1 << (bits - 1)),
        true if b.host(3)?.dtype == Logical::U8 => Zero::Packed { align: 8 },
        true if b.host(3)?.dtype == b.host(2)?.dtype => Zero::Number,
        true => return Stop::unsupported("zero points that are neither u8 nor of the type of the scales"),
    };
    let align = (block * bits as usize) as u32;
    let codes = Codes { bits, signed: false, block, align, scale: scale_type(b, 2)?, zero, ordered: b.has(4) };
    let mut sections = vec![Section::Input(1), Section::Input(2)];
    sections.extend(b.has(3).then_some(Section::Input(3)));
    sections.extend(b.has(4).then_some(Section::Input(4)));
    let w = b.weight(Packing::Codes(codes), (n, k), &sections)?;
    let x = b.input(0)?;
    let bias = if b.has(5) { Some(b.input(5)?) } else { None };
    Ok(vec![Some(product(b, x, w, bias)?)])
}

/// A, B, absmax -> Y.
fn matmul_bnb4(b: &mut Builder<'_>) -> Mapped {
    let (n, k) = (b.int("N")? as usize, b.int("K")? as usize);
    if b.opt_int("transB")?.unwrap_or(1) == 0 {
        return Stop::unsupported("MatMulBnb4 with transB = 0");
    }
    let table: &[f32] = if b.int("quant_type")? == 0 { &FP4 } else { &NF4 };
    let packing = Packing::Table4 { block: b.int("block_size")?.max(1) as usize, nested: 0 };
    if b.host(2)?.dtype != Logical::F32 {
        return Stop::unsupported("MatMulBnb4 with an absmax that is not f32");
    }
    let w = b.weight(packing, (n, k), &[Section::Input(1), Section::Input(2), Section::Constant(table)])?;
    let x = b.input(0)?;
    Ok(vec![Some(product(b, x, w, None)?)])
}

/// data, indices, scales, zero_points -> output: parts of a quantized table. Rows along the first axis are picked from the
/// codes; otherwise the table is read first.
fn gather_block_quantized(b: &mut Builder<'_>) -> Mapped {
    let data = b.host(0)?;
    let rank = data.shape.len();
    let axis = b.axis(b.int("gather_axis")?, rank)?;
    if b.axis(b.int("quantize_axis")?, rank)? + 1 != rank {
        return Stop::unsupported("GatherBlockQuantized of a table quantized along another axis than the last");
    }
    let w = quantized_table(b)?;
    let mut shape = data.shape.clone();
    let k = b.shape(w).last().copied().unwrap_or(1);
    if let Some(last) = shape.last_mut() {
        *last = k;
    }
    if axis == 0 && rank == 2 {
        let wide = b.host(1)?.dtype.is_wide();
        let ids = b.input(1)?;
        let ids = b.add(RowIndex { extents: vec![shape[0]], wide }, &[ids])?;
        let y = b.add(ReadWeight { picked: true, dtype: DType::F32 }, &[ids, w])?;
        let shape = [&b.host(1)?.shape[..], &[k]].concat();
        return Ok(vec![Some(b.reshape(y, &shape)?)]);
    }
    let table = b.add(ReadWeight { picked: false, dtype: DType::F32 }, &[w])?;
    let table = b.reshape(table, &shape)?;
    Ok(vec![Some(gather_along(b, table, 1, axis)?)])
}

/// Slices of `x` along `axis` by the indices of operand `i`.
fn gather_along(b: &mut Builder<'_>, x: ValueId, i: usize, axis: usize) -> Result<ValueId, Stop> {
    let (shape, index) = (b.shape(x), &b.host(i)?.shape);
    let wide = b.host(i)?.dtype.is_wide();
    let ids = b.input(i)?;
    let rows = b.add(RowIndex { extents: vec![shape[axis]], wide }, &[ids])?;
    let picks = Picks {
        batches: shape[..axis].iter().product(),
        picks: index.iter().product(),
        cols: shape[axis + 1..].iter().product(),
        strides: [0, 1, 0],
        wide: false,
    };
    let shape = [&shape[..axis], index, &shape[axis + 1..]].concat();
    b.add(Gather { picks, shape }, &[x, rows])
}

/// Operand 0 with the scales of operand 2 and the zero points of operand 3, as a matrix of its last axis.
fn quantized_table(b: &mut Builder<'_>) -> Result<ValueId, Stop> {
    let data = b.host(0)?;
    // Bytes hold several codes; types of fewer bits are one element a code.
    let (bits, per, default) = match data.dtype {
        Logical::U8 => {
            let bits = code_bits(b.int("bits")?)?;
            (bits, 8 / bits as usize, 1 << (bits - 1))
        }
        Logical::U4 | Logical::I4 | Logical::U2 | Logical::I2 => (data.dtype.bits(), 1, 0),
        other => return Stop::unsupported(format!("GatherBlockQuantized of {}", other.name())),
    };
    let (rows, last) = data.shape.split_at(data.shape.len() - 1);
    let zero_align = if data.dtype == Logical::U8 { 8 } else { bits };
    let zero = if b.has(3) { Zero::Packed { align: zero_align } } else { Zero::Fixed(default) };
    let (block, signed) = (b.int("block_size")?.max(1) as usize, data.dtype.is_signed());
    let codes = Codes { bits, signed, block, align: bits, scale: scale_type(b, 2)?, zero, ordered: false };
    let mut sections = vec![Section::Input(0), Section::Input(2)];
    sections.extend(b.has(3).then_some(Section::Input(3)));
    b.weight(Packing::Codes(codes), (rows.iter().product(), last[0] * per), &sections)
}
