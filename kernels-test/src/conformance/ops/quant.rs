//! Quantized checkpoints: AWQ, GPTQ, compressed-tensors, bitsandbytes, fp8 blocks.

use super::super::builder::{Builder, Mapped, Section, Stop};
use super::super::dtype::Logical;
use super::{Entry, quant_matmul};
use omma::graph::ValueId;
use omma::kernels::{Codes, Each, MatMulInt, PackBytes, Packing, ScaleType, Unary, UnaryOp, Zero};

const LAYOUT: &str = "checkpoint_layout";

/// Mappings of this group. Operand 0 is x; outputs are w_dequant and y.
pub static OPS: &[Entry] = &[
    (LAYOUT, "awq_int4_gemm", awq),
    (LAYOUT, "bnb_fp4", table),
    (LAYOUT, "bnb_int8", int8),
    (LAYOUT, "bnb_nf4", table),
    (LAYOUT, "compressed_tensors_pack_quantized", compressed_tensors),
    (LAYOUT, "fp8_e4m3_block", fp8),
    (LAYOUT, "gptq_int", gptq),
];

fn shape(b: &Builder<'_>) -> Result<(usize, usize), Stop> {
    Ok((b.int("N")? as usize, b.int("K")? as usize))
}

/// Values of a group; -1 is a whole row.
fn group(b: &Builder<'_>, name: &str, k: usize) -> Result<usize, Stop> {
    let size = b.int(name)?;
    Ok(if size > 0 { size as usize } else { k })
}

fn bits(b: &Builder<'_>, name: &str) -> Result<u32, Stop> {
    match b.int(name)? {
        bits @ (2 | 4 | 8) => Ok(bits as u32),
        other => Stop::unsupported(format!("codes of {other} bits; there are 2, 4 and 8")),
    }
}

fn awq(b: &mut Builder<'_>) -> Mapped {
    let (n, k) = shape(b)?;
    if bits(b, "bits")? != 4 || b.text("version")? != "gemm" || b.int("zero_point")? == 0 {
        return Stop::unsupported("AWQ other than 4 bits with zero points in the layout gemm");
    }
    let packing = Packing::Awq { block: group(b, "group_size", k)? };
    let w = b.weight(packing, (n, k), &[Section::Input(1), Section::Input(2), Section::Input(3)])?;
    quant_matmul::both(b, w, Some(4))
}

fn gptq(b: &mut Builder<'_>) -> Mapped {
    let (n, k) = shape(b)?;
    let (bits, ordered) = (bits(b, "bits")?, b.int("desc_act")? != 0);
    let plus = u32::from(b.int("zero_stored_minus_one")? != 0);
    let packing = Packing::Gptq { bits, block: group(b, "group_size", k)?, plus, ordered };
    let mut sections = vec![Section::Input(1), Section::Input(2), Section::Input(3)];
    sections.extend(ordered.then_some(Section::Input(4)));
    let w = b.weight(packing, (n, k), &sections)?;
    quant_matmul::both(b, w, Some(5))
}

/// Operands weight_packed, weight_scale, weight_zero_point where there is one, weight_shape.
fn compressed_tensors(b: &mut Builder<'_>) -> Mapped {
    let (n, k) = shape(b)?;
    let bits = bits(b, "num_bits")?;
    let symmetric = b.int("symmetric")? != 0;
    let strategy = b.text("strategy")?;
    if !matches!(strategy, "group" | "channel") {
        return Stop::unsupported(format!("compressed-tensors with the strategy {strategy}"));
    }
    let scale = match b.host(2)?.dtype {
        Logical::F16 => ScaleType::F16,
        Logical::BF16 => ScaleType::BF16,
        _ => ScaleType::F32,
    };
    // Codes and zero points are both stored with 2^(bits - 1) added.
    let zero = if symmetric { Zero::Fixed(1 << (bits - 1)) } else { Zero::Down };
    let codes =
        Codes { bits, signed: false, block: group(b, "group_size", k)?, align: 32, scale, zero, ordered: false };
    let mut sections = vec![Section::Input(1), Section::Input(2)];
    sections.extend((!symmetric).then_some(Section::Input(3)));
    let w = b.weight(Packing::Codes(codes), (n, k), &sections)?;
    quant_matmul::both(b, w, None)
}

/// NF4 and FP4 of bitsandbytes: weight, absmax, quant_map, then nested_absmax, nested_quant_map, nested_offset.
fn table(b: &mut Builder<'_>) -> Mapped {
    let shape = shape(b)?;
    let nested = if b.int("double_quant")? != 0 { b.int("nested_blocksize")? as usize } else { 0 };
    let packing = Packing::Table4 { block: b.int("blocksize")? as usize, nested };
    let count = if nested > 0 { 7 } else { 4 };
    let sections: Vec<Section<'_>> = (1..count).map(Section::Input).collect();
    let w = b.weight(packing, shape, &sections)?;
    quant_matmul::both(b, w, None)
}

fn int8(b: &mut Builder<'_>) -> Mapped {
    let (n, k) = shape(b)?;
    let packing = Packing::Bytes { e4m3: false, tile: [1, k] };
    let w = b.weight(packing, (n, k), &[Section::Input(1), Section::Input(2)])?;
    let mut outputs = quant_matmul::both(b, w, None)?;
    if b.wanted(2) || b.wanted(3) {
        let (sums, scaled) = int8_product(b, k)?;
        outputs.extend([Some(sums), Some(scaled)]);
    }
    Ok(outputs)
}

/// The product of x_int8 (operand 4) with the codes, and its value: times x_absmax (operand 5) and SCB over 127^2.
fn int8_product(b: &mut Builder<'_>, k: usize) -> Result<(ValueId, ValueId), Stop> {
    let kernel =
        MatMulInt { inner: k, x_signed: true, w_signed: true, x_zero: Each::One, w_zero: Each::One, scaled: false };
    let zero = b.graph().constant_i32("zero", &[1], &[0]);
    let (x, w) = (b.input(4)?, b.input(1)?);
    let (x, w) = (b.add(PackBytes, &[x])?, b.add(PackBytes, &[w])?);
    let sums = b.add(kernel, &[x, w, zero, zero])?;
    let scales = [b.input(5)?, b.input(2)?];
    let y = b.add(MatMulInt { scaled: true, ..kernel }, &[x, w, zero, zero, scales[0], scales[1]])?;
    let scaled = b.add(Unary { op: UnaryOp::Affine { scale: 1.0 / (127.0 * 127.0), shift: 0.0 } }, &[y])?;
    Ok((sums, scaled))
}

fn fp8(b: &mut Builder<'_>) -> Mapped {
    let shape = shape(b)?;
    let [rows, cols] = b.ints("weight_block_size")?[..] else {
        return Stop::unsupported("fp8 blocks that are not of two extents");
    };
    let packing = Packing::Bytes { e4m3: true, tile: [rows.max(1) as usize, cols.max(1) as usize] };
    let w = b.weight(packing, shape, &[Section::Input(1), Section::Input(2)])?;
    quant_matmul::both(b, w, None)
}
