//! Mixtures of experts.

use super::super::builder::{Builder, Mapped, Section, Stop};
use super::quant_matmul::{code_bits, scale_type};
use super::{Entry, MICROSOFT};
use omma::graph::ValueId;
use omma::kernels::{
    Act, Binary, BinaryOp, Codes, ExpertCombine, ExpertMatMul, ExpertSort, Packing, Route, Score, Swiglu, Unary,
    UnaryOp, Zero,
};

/// Mappings of this group.
pub static OPS: &[Entry] = &[(MICROSOFT, "MoE", moe), (MICROSOFT, "QMoE", quantized_moe)];

/// A matrix for each expert, and their biases.
struct Layer {
    w: ValueId,
    bias: Option<ValueId>,
}

/// The three layers of a mixture.
struct Layers {
    first: Layer,
    second: Layer,
    /// A second factor beside the first layer.
    gate: Option<Layer>,
}

/// A layer of operand `w` [experts, n, k] in rows, and of the bias at `w + 1`.
fn layer(b: &mut Builder<'_>, w: usize) -> Result<Layer, Stop> {
    let value = b.input(w)?;
    let [experts, n, k] = b.shape(value)[..] else {
        return Stop::unsupported("experts' weights that are not of three axes");
    };
    let bias = if b.has(w + 1) { Some(b.input(w + 1)?) } else { None };
    Ok(Layer { w: b.reshape(value, &[experts * n, k])?, bias })
}

/// input, router_probs, fc1 and bias, fc2 and bias, fc3 and bias -> output.
fn moe(b: &mut Builder<'_>) -> Mapped {
    let gate = if b.has(6) { Some(layer(b, 6)?) } else { None };
    let layers = Layers { first: layer(b, 2)?, second: layer(b, 4)?, gate };
    let normalise = b.int("normalize_routing_weights")? != 0;
    mixture(b, &layers, normalise)
}

/// A layer of codes: weights, scales, bias at `w`, zero points at `zero`.
fn quantized_layer(b: &mut Builder<'_>, w: usize, zero: usize) -> Result<Layer, Stop> {
    let bits = code_bits(b.int("expert_weight_bits")?)?;
    let [experts, n, bytes] = b.host(w)?.shape[..] else {
        return Stop::unsupported("experts' weights that are not of three axes");
    };
    let k = bytes * 8 / bits as usize;
    let block = match b.opt_int("block_size")?.unwrap_or(0) {
        0 => k,
        size => usize::try_from(size).unwrap_or(k),
    };
    let zeros = if b.has(zero) { Zero::Packed { align: 8 } } else { Zero::Fixed(1 << (bits - 1)) };
    let codes =
        Codes { bits, signed: false, block, align: 8, scale: scale_type(b, w + 1)?, zero: zeros, ordered: false };
    let mut sections = vec![Section::Input(w), Section::Input(w + 1)];
    sections.extend(b.has(zero).then_some(Section::Input(zero)));
    let value = b.weight(Packing::Codes(codes), (experts * n, k), &sections)?;
    let bias = if b.has(w + 2) { Some(b.input(w + 2)?) } else { None };
    Ok(Layer { w: value, bias })
}

/// input, router_probs, then weights, scales and bias of fc1, fc2 and fc3, then their zero points -> output.
fn quantized_moe(b: &mut Builder<'_>) -> Mapped {
    if b.opt_text("quant_type")?.unwrap_or("int") != "int" {
        return Stop::unsupported(format!("QMoE with quant_type = {}", b.text("quant_type")?));
    }
    if b.opt_int("weights_prepacked")?.unwrap_or(-1) > 0 || b.has(14) {
        return Stop::unsupported("QMoE with weights in a layout of one runtime's own, or with weights of the router");
    }
    let gate = if b.has(8) { Some(quantized_layer(b, 8, 13)?) } else { None };
    let layers = Layers { first: quantized_layer(b, 2, 11)?, second: quantized_layer(b, 5, 12)?, gate };
    // ONNX Runtime normalises the weights here whatever the attribute says.
    mixture(b, &layers, true)
}

fn mixture(b: &mut Builder<'_>, layers: &Layers, normalise: bool) -> Mapped {
    if b.opt_int("use_sparse_mixer")?.unwrap_or(0) != 0 {
        return Stop::unsupported("routing by SparseMixer");
    }
    let x = b.input(0)?;
    let logits = b.input(1)?;
    let shape = b.shape(x);
    let experts = b.shape(logits).last().copied().unwrap_or(0);
    let top = usize::try_from(b.int("k")?).unwrap_or(0);
    let hidden = shape.last().copied().unwrap_or(0);
    let x = b.reshape(x, &[shape.iter().rev().skip(1).product(), hidden])?;
    let routed = b.add_all(Route { top, score: Score::Softmax, normalise, scale: 1.0 }, &[logits])?;
    let sorted = b.add_all(ExpertSort { experts, capacity: None }, &[routed[0]])?;
    let (order, spans, place) = (sorted[0], sorted[1], sorted[2]);
    let product = |b: &mut Builder<'_>, x: ValueId, layer: &Layer, per: Option<usize>| {
        let mut inputs = vec![x, layer.w, order, spans];
        inputs.extend(layer.bias);
        b.add(ExpertMatMul { per, capacity: None, bias: layer.bias.is_some() }, &inputs)
    };
    let first = product(b, x, &layers.first, Some(top))?;
    let mut hidden = activation(b, first, layers.gate.is_some())?;
    if let Some(gate) = &layers.gate {
        let up = product(b, x, gate, Some(top))?;
        hidden = b.add(Binary { op: BinaryOp::Mul }, &[hidden, up])?;
    }
    let second = product(b, hidden, &layers.second, None)?;
    let y = b.add(ExpertCombine, &[second, place, routed[1]])?;
    Ok(vec![Some(b.reshape(y, &shape)?)])
}

/// The activation between the layers; `gated`: the up projection is a layer of its own.
fn activation(b: &mut Builder<'_>, x: ValueId, gated: bool) -> Result<ValueId, Stop> {
    let act = match b.text("activation_type")? {
        "relu" => Act::Relu,
        // The approximation, as ONNX Runtime computes it here.
        "gelu" => Act::GeluTanh,
        "silu" => Act::Silu,
        "identity" => return Ok(x),
        "swiglu" if gated => Act::Silu,
        "swiglu" => {
            let interleaved = match b.opt_int("swiglu_fusion")?.unwrap_or(0) {
                1 => true,
                2 => false,
                other => return Stop::unsupported(format!("swiglu with swiglu_fusion = {other} and no third layer")),
            };
            let kernel = Swiglu {
                interleaved,
                alpha: b.opt_float("activation_alpha")?.unwrap_or(1.0),
                beta: b.opt_float("activation_beta")?.unwrap_or(0.0),
                limit: b.opt_float("swiglu_limit")?,
            };
            return b.add(kernel, &[x]);
        }
        other => return Stop::unsupported(format!("experts with the activation {other}")),
    };
    b.add(Unary { op: UnaryOp::Act(act) }, &[x])
}
