//! Matrix products of floats.

use super::super::builder::{Builder, Mapped, Stop};
use super::einsum::einsum;
use super::{Entry, MICROSOFT, ONNX};
use omma::graph::ValueId;
use omma::kernels::{BatchMatMul, MatMul, MatVec, Rearrange, Strides};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "Einsum", einsum),
    (ONNX, "Gemm", gemm),
    (ONNX, "MatMul", matmul),
    (MICROSOFT, "FusedMatMul", fused_matmul),
];

/// Operands that are not floats, or empty, have mappings of their own or none.
pub fn floats(b: &Builder<'_>, operands: &[usize]) -> Result<(), Stop> {
    for i in operands.iter().filter(|i| b.has(**i)) {
        let tensor = b.host(*i)?;
        if !tensor.dtype.is_float() {
            return Stop::unsupported(format!(
                "{} of {}: it is computed of floats only",
                b.case().op,
                tensor.dtype.name()
            ));
        }
        if tensor.shape.contains(&0) {
            return Stop::unsupported(format!("{} of a tensor without elements", b.case().op));
        }
    }
    Ok(())
}

/// `x` \[.., k\] times a weight in panels, as the engine multiplies by weights.
pub fn by_weight(b: &mut Builder<'_>, x: ValueId, panels: ValueId, bias: Option<ValueId>) -> Result<ValueId, Stop> {
    let rows: usize = b.shape(x).iter().rev().skip(1).product();
    let given = bias.is_some();
    let mut operands = vec![x, panels];
    operands.extend(bias);
    if rows <= MatVec::MOST_ROWS {
        b.add(MatVec { bias: given, ..MatVec::default() }, &operands)
    } else {
        b.add(MatMul { bias: given, ..MatMul::default() }, &operands)
    }
}

fn matmul(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1])?;
    let x = b.input(0)?;
    let (first, second) = (b.shape(x), b.host(1)?.shape.clone());
    if first.len() > 1 && second.len() == 2 && first.last() == second.first() {
        let w = b.panels(1, true)?;
        return Ok(vec![Some(by_weight(b, x, w, None)?)]);
    }
    let w = b.input(1)?;
    let y = b.add(BatchMatMul::numpy(&first, &second, [false; 2])?, &[x, w])?;
    Ok(vec![Some(y)])
}

fn gemm(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1, 2])?;
    let (alpha, beta) = (b.float("alpha")?, b.float("beta")?);
    let across = [b.int("transA")? != 0, b.int("transB")? != 0];
    let x = b.input(0)?;
    let (first, second) = (b.shape(x), b.host(1)?.shape.clone());
    let mut kernel = BatchMatMul::numpy(&first, &second, across)?;
    let (rows, cols) = (kernel.rows, kernel.cols);
    let c = if b.has(2) { Some(b.input(2)?) } else { None };
    let by_column =
        |b: &Builder<'_>, c: ValueId| b.shape(c).last() == Some(&cols) && b.shape(c).iter().product::<usize>() == cols;
    let plain = !across[0] && alpha == 1.0 && c.is_none_or(|c| beta == 1.0 && by_column(b, c));
    if plain {
        let w = b.panels(1, !across[1])?;
        let bias = c.map(|c| b.reshape(c, &[cols])).transpose()?;
        return Ok(vec![Some(by_weight(b, x, w, bias)?)]);
    }
    let w = b.input(1)?;
    let mut operands = vec![x, w];
    kernel.alpha = alpha;
    if let Some(c) = c {
        kernel.beta = beta;
        kernel.residual = Some(spread(&b.shape(c), rows, cols)?);
        operands.push(c);
    }
    Ok(vec![Some(b.add(kernel, &operands)?)])
}

/// How a matrix of this shape is broadcast to rows and columns.
fn spread(shape: &[usize], rows: usize, cols: usize) -> Result<Strides, Stop> {
    let (m, n) = match shape {
        [] => (1, 1),
        [n] => (1, *n),
        [m, n] => (*m, *n),
        _ => return Stop::unsupported(format!("a C of shape {shape:?}")),
    };
    if (m != 1 && m != rows) || (n != 1 && n != cols) {
        return Stop::unsupported(format!("a C of shape {shape:?} for {rows} x {cols}"));
    }
    Ok(Strides { batch: Vec::new(), outer: if m == 1 { 0 } else { n }, inner: usize::from(n > 1) })
}

/// transBatch moves the first axis behind the batch axes; trans exchanges the last two.
fn fused_matmul(b: &mut Builder<'_>) -> Mapped {
    floats(b, &[0, 1])?;
    let mut operands = Vec::new();
    let mut across = [false; 2];
    let names = [("transA", "transBatchA"), ("transB", "transBatchB")];
    for (i, (own, batch)) in names.into_iter().enumerate() {
        let mut x = b.input(i)?;
        let shape = b.shape(x);
        across[i] = b.opt_int(own)?.unwrap_or(0) != 0 && shape.len() > 1;
        if b.opt_int(batch)?.unwrap_or(0) != 0 && shape.len() > 2 {
            let mut order: Vec<usize> = (1..shape.len() - 1).collect();
            order.extend([0, shape.len() - 1]);
            x = b.add(Rearrange::transpose(&shape, &order)?, &[x])?;
        }
        operands.push(x);
    }
    let mut kernel = BatchMatMul::numpy(&b.shape(operands[0]), &b.shape(operands[1]), across)?;
    kernel.alpha = b.opt_float("alpha")?.unwrap_or(1.0);
    Ok(vec![Some(b.add(kernel, &operands)?)])
}
