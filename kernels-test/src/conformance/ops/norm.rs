//! Normalisations.

use super::super::builder::{Builder, Mapped, Stop};
use super::axes::{brought_last, flattened, put_back, spread, transposed};
use super::{Entry, MICROSOFT, ONNX};
use omma::graph::ValueId;
use omma::kernels::{
    BatchNorm, Binary, BinaryOp, Gather, GroupNorm, L2Norm, LayerNorm, Picks, Rearrange, Reduce, ReduceOp, RmsNorm,
    TensorType, Unary, UnaryOp,
};

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (ONNX, "BatchNormalization", batch_norm),
    (ONNX, "GroupNormalization", group_norm),
    (ONNX, "InstanceNormalization", instance_norm),
    (ONNX, "LayerNormalization", layer_norm),
    (ONNX, "LpNormalization", lp_norm),
    (ONNX, "MeanVarianceNormalization", mean_variance),
    (ONNX, "RMSNormalization", rms_norm),
    (MICROSOFT, "EmbedLayerNormalization", embed_layer_norm),
    (MICROSOFT, "SkipLayerNormalization", |b| skip_norm(b, false)),
    (MICROSOFT, "SkipSimplifiedLayerNormalization", |b| skip_norm(b, true)),
];

/// The smallest length that a row is divided by: rows of zeros stay zero.
const LEAST: f32 = 1e-18;

/// Operand `i` as a vector for rows of the axes `shape`.
fn vector(b: &mut Builder<'_>, i: usize, shape: &[usize]) -> Result<ValueId, Stop> {
    let v = b.input(i)?;
    spread(b, v, shape)
}

fn layer_norm(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let shape = b.shape(x);
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(-1), shape.len())?;
    let rows = flattened(b, x, axis)?;
    let mut operands = vec![rows, vector(b, 1, &shape[axis..])?];
    if b.has(2) {
        operands.push(vector(b, 2, &shape[axis..])?);
    }
    let stats = b.wanted(1) || b.wanted(2);
    let found = b.add_all(LayerNorm { eps: b.float("epsilon")?, bias: b.has(2), stats }, &operands)?;
    let mut outputs = vec![Some(b.reshape(found[0], &shape)?)];
    let mut reduced = shape[..axis].to_vec();
    reduced.resize(shape.len(), 1);
    for stat in &found[1..] {
        outputs.push(Some(b.reshape(*stat, &reduced)?));
    }
    Ok(outputs)
}

fn rms_norm(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let shape = b.shape(x);
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(-1), shape.len())?;
    let rows = flattened(b, x, axis)?;
    let gain = vector(b, 1, &shape[axis..])?;
    let y = b.add(RmsNorm { eps: b.float("epsilon")? }, &[rows, gain])?;
    Ok(vec![Some(b.reshape(y, &shape)?)])
}

fn group_norm(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let groups = usize::try_from(b.int("num_groups")?).unwrap_or(0);
    let channels = b.shape(x).get(1).copied().unwrap_or(0);
    // Operator set 18 has one gain a group, 21 one a channel.
    let mut each = |i: usize| -> Result<ValueId, Stop> {
        let v = b.input(i)?;
        if b.shape(v) == [channels] || groups == 0 {
            return Ok(v);
        }
        let v = b.reshape(v, &[groups, 1])?;
        let v = b.add(Rearrange::expand(&[groups, 1], &[groups, channels / groups])?, &[v])?;
        b.reshape(v, &[channels])
    };
    let operands = [x, each(1)?, each(2)?];
    Ok(vec![Some(b.add(GroupNorm { groups, eps: b.float("epsilon")? }, &operands)?)])
}

fn instance_norm(b: &mut Builder<'_>) -> Mapped {
    let operands = [b.input(0)?, b.input(1)?, b.input(2)?];
    let groups = b.shape(operands[0]).get(1).copied().unwrap_or(0);
    Ok(vec![Some(b.add(GroupNorm { groups, eps: b.float("epsilon")? }, &operands)?)])
}

fn batch_norm(b: &mut Builder<'_>) -> Mapped {
    let operands = [b.input(0)?, b.input(1)?, b.input(2)?, b.input(3)?, b.input(4)?];
    let eps = b.float("epsilon")?;
    if b.opt_int("training_mode")?.unwrap_or(0) == 0 {
        return Ok(vec![Some(b.add(BatchNorm { eps }, &operands)?)]);
    }
    let [x, gain, bias, old_mean, old_variance] = operands;
    let (mean, variance) = channel_moments(b, x)?;
    let y = b.add(BatchNorm { eps }, &[x, gain, bias, mean, variance])?;
    let momentum = b.float("momentum")?;
    let mut running = |old: ValueId, new: ValueId| -> Result<ValueId, Stop> {
        let old = b.add(Unary { op: UnaryOp::Affine { scale: momentum, shift: 0.0 } }, &[old])?;
        let new = b.add(Unary { op: UnaryOp::Affine { scale: 1.0 - momentum, shift: 0.0 } }, &[new])?;
        b.add(Binary { op: BinaryOp::Add }, &[old, new])
    };
    Ok(vec![Some(y), Some(running(old_mean, mean)?), Some(running(old_variance, variance)?)])
}

/// Mean and variance of the channels of `[images, channels, ..]`, in two passes.
fn channel_moments(b: &mut Builder<'_>, x: ValueId) -> Result<(ValueId, ValueId), Stop> {
    let shape = b.shape(x);
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.swap(0, 1);
    let x = transposed(b, x, &order)?;
    let x = flattened(b, x, 1)?;
    let shape = b.shape(x);
    let mean = b.add(Reduce { op: ReduceOp::Mean, axis: 1 }, &[x])?;
    let column = b.reshape(mean, &[shape[0], 1])?;
    let away = b.add(Binary { op: BinaryOp::Sub }, &[x, column])?;
    let squares = b.add(Reduce { op: ReduceOp::SumSquares, axis: 1 }, &[away])?;
    let share = UnaryOp::Affine { scale: 1.0 / shape[1] as f32, shift: 0.0 };
    Ok((mean, b.add(Unary { op: share }, &[squares])?))
}

fn lp_norm(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let rank = b.shape(x).len();
    let axis = b.axis(b.opt_int("axis")?.unwrap_or(-1), rank)?;
    let turned = brought_last(b, x, &[axis])?;
    let shape = b.shape(turned);
    let rows = flattened(b, turned, rank - 1)?;
    let y = match b.opt_int("p")?.unwrap_or(2) {
        1 => {
            let sums = b.add(Reduce { op: ReduceOp::L1, axis: 1 }, &[rows])?;
            let least = b.graph().constant_f32("least", &[1], &[LEAST]);
            let sums = b.add(Binary { op: BinaryOp::Max }, &[sums, least])?;
            let count = b.shape(rows)[0];
            let column = b.reshape(sums, &[count, 1])?;
            b.add(Binary { op: BinaryOp::Div }, &[rows, column])?
        }
        2 => b.add(L2Norm { eps: LEAST }, &[rows])?,
        p => return Stop::unsupported(format!("LpNormalization with p = {p}: ONNX defines 1 and 2")),
    };
    let y = b.reshape(y, &shape)?;
    Ok(vec![Some(put_back(b, y, &[axis])?)])
}

/// `(x - mean) / (deviation + 1e-9)` over some axes: a layer normalisation without gain.
fn mean_variance(b: &mut Builder<'_>) -> Mapped {
    let x = b.input(0)?;
    let rank = b.shape(x).len();
    let axes = b.opt_ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes.into_iter().map(|a| b.axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let turned = brought_last(b, x, &axes)?;
    let shape = b.shape(turned);
    let rows = flattened(b, turned, rank - axes.len())?;
    let cols = b.shape(rows)[1];
    let gain = b.graph().constant_f32("gain", &[cols], &vec![1.0; cols]);
    let y = b.add(LayerNorm { eps: LEAST, bias: false, stats: false }, &[rows, gain])?;
    let y = b.reshape(y, &shape)?;
    Ok(vec![Some(put_back(b, y, &axes)?)])
}

/// `x + v` with `v` like `x`, or repeated along the first axes of `x`.
fn plus(b: &mut Builder<'_>, x: ValueId, v: ValueId) -> Result<ValueId, Stop> {
    let (shape, own) = (b.shape(x), b.shape(v));
    let cols: usize = own.iter().product();
    let all: usize = shape.iter().product();
    if cols == 0 || !all.is_multiple_of(cols) {
        return Stop::unsupported(format!("the sum of {shape:?} and {own:?}"));
    }
    let rows = b.reshape(x, &[all / cols, cols])?;
    let row = b.reshape(v, &[cols])?;
    let sum = b.add(Binary { op: BinaryOp::Add }, &[rows, row])?;
    b.reshape(sum, &shape)
}

/// Operands: input, skip, gamma, beta (not of the simplified form), bias. Outputs: y, mean, inverse deviation (both
/// of no use in inference), the sum that is normalised.
fn skip_norm(b: &mut Builder<'_>, simplified: bool) -> Mapped {
    let (x, skip, gain) = (b.input(0)?, b.input(1)?, b.input(2)?);
    let (beta, bias) = if simplified { (None, 3) } else { (Some(3).filter(|i| b.has(*i)), 4) };
    let shape = b.shape(x);
    let mut sum = plus(b, x, skip)?;
    if b.has(bias) {
        let bias = b.input(bias)?;
        sum = plus(b, sum, bias)?;
    }
    let rows = flattened(b, sum, shape.len() - 1)?;
    let eps = b.float("epsilon")?;
    let found = match (simplified, beta) {
        (true, _) => vec![b.add(RmsNorm { eps }, &[rows, gain])?],
        (_, None) => b.add_all(LayerNorm { eps, bias: false, stats: b.wanted(1) }, &[rows, gain])?,
        (_, Some(beta)) => {
            let beta = b.input(beta)?;
            b.add_all(LayerNorm { eps, bias: true, stats: b.wanted(1) }, &[rows, gain, beta])?
        }
    };
    if b.wanted(1) && simplified {
        return Stop::unsupported("the statistics of SkipSimplifiedLayerNormalization, which are of training");
    }
    let y = b.reshape(found[0], &shape)?;
    let mut reduced = shape.clone();
    reduced[shape.len() - 1] = 1;
    let stat = |b: &mut Builder<'_>, i: usize| found.get(i).map(|v| b.reshape(*v, &reduced)).transpose();
    let (mean, scale) = (stat(b, 1)?, stat(b, 2)?);
    Ok(vec![Some(y), mean, scale, Some(sum)])
}

/// Rows of operand `table` by the numbers of operand `ids`.
fn rows_of(b: &mut Builder<'_>, table: usize, ids: usize) -> Result<ValueId, Stop> {
    let (table, ids) = (b.input(table)?, b.input(ids)?);
    let (mut shape, cols) = (b.shape(ids), b.shape(table)[1]);
    let ids = b.view(ids, TensorType::u32(&shape))?;
    let picks = Picks { batches: 1, picks: shape.iter().product(), cols, strides: [0, 1, 0], wide: false };
    shape.push(cols);
    b.add(Gather { picks, shape }, &[table, ids])
}

/// Operands: ids, segment ids, word, position and segment tables, gamma, beta, mask, position ids.
fn embed_layer_norm(b: &mut Builder<'_>) -> Mapped {
    let mut sum = rows_of(b, 2, 0)?;
    let shape = b.shape(sum);
    let [batch, length, cols] = shape[..] else {
        return Stop::unsupported(format!("EmbedLayerNormalization of ids that give {shape:?}"));
    };
    let places = if b.has(8) {
        rows_of(b, 3, 8)?
    } else {
        let table = b.input(3)?;
        let first = Rearrange::all(&b.shape(table)).slice(0, 0, 1, length)?;
        b.add(first, &[table])?
    };
    sum = plus(b, sum, places)?;
    if b.has(1) && b.has(4) {
        let segments = rows_of(b, 4, 1)?;
        sum = plus(b, sum, segments)?;
    }
    let rows = b.reshape(sum, &[batch * length, cols])?;
    let operands = [rows, b.input(5)?, b.input(6)?];
    let y = b.add(LayerNorm { eps: b.float("epsilon")?, bias: true, stats: false }, &operands)?;
    let y = b.reshape(y, &shape)?;
    let lengths = if b.has(7) {
        let mask = b.input(7)?;
        b.add(Reduce { op: ReduceOp::Sum, axis: 1 }, &[mask])?
    } else {
        b.graph().constant_i32("no mask", &[batch], &vec![0; batch])
    };
    Ok(vec![Some(y), Some(lengths), Some(sum)])
}
