//! Kernels at shapes of real models, on random data.

use super::{Row, Subject, Timing, between_ceilings};
use omma::gpu::Device;
use omma::graph::RunOptions;
use omma::kernels::{Act, Attention, Copy, FmaChain, Kernel, LayerNorm, MatMul, Softmax, TensorType, Unary, UnaryOp};
use omma::measure::{Single, ceilings, random, time};
use omma::reference::Array;
use omma::{DType, Result};
use std::sync::Arc;

/// A kernel with its inputs: type, and values where they are not random.
struct Case {
    name: &'static str,
    kernel: Arc<dyn Kernel>,
    inputs: Vec<(TensorType, Option<Vec<f64>>)>,
}

fn case(name: &'static str, kernel: impl Kernel, inputs: &[TensorType]) -> Case {
    Case { name, kernel: Arc::new(kernel), inputs: inputs.iter().map(|ty| (ty.clone(), None)).collect() }
}

fn matmul(name: &'static str, rows: usize, k: usize, n: usize, weights: DType) -> Case {
    let kernel = MatMul { bias: false, act: None, residual: false };
    case(name, kernel, &[TensorType::f32(&[rows, k]), TensorType::panels(weights, n, k)])
}

fn attention(name: &'static str, heads: usize, tokens: usize, head_dim: usize) -> Case {
    let qkv = TensorType::f32(&[tokens, 3 * heads * head_dim]);
    let mut case = case(name, Attention::fused(heads, head_dim), &[qkv.clone(), qkv.clone(), qkv]);
    let tokens = tokens as f64;
    case.inputs.push((TensorType::u32(&[1, 4]), Some(vec![0.0, tokens, 0.0, tokens])));
    case
}

fn cases() -> Vec<Case> {
    let rows = TensorType::f32(&[577, 1024]);
    let vector = TensorType::f32(&[1024]);
    let scores = TensorType::f32(&[16 * 577, 577]);
    let hidden = TensorType::f32(&[577, 4096]);
    vec![
        matmul("matmul 1024x1024x1024", 1024, 1024, 1024, DType::F32),
        matmul("matmul 577x1024x4096", 577, 1024, 4096, DType::F32),
        matmul("matmul 577x1024x4096 f16", 577, 1024, 4096, DType::F16),
        attention("attention 16x577x64", 16, 577, 64),
        case("layer_norm 577x1024", LayerNorm { eps: 1e-5, bias: true, stats: false }, &[rows, vector.clone(), vector]),
        case("softmax 9232x577", Softmax::default(), &[scores]),
        case("gelu 577x4096", Unary { op: UnaryOp::Act(Act::Gelu) }, &[hidden]),
    ]
}

/// Times every case whose name contains `filter`.
pub async fn rows(device: &Device, filter: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in cases().into_iter().filter(|c| c.name.contains(filter)) {
        let draw = |(i, (ty, values)): (usize, (TensorType, Option<Vec<f64>>))| {
            let array = match values {
                Some(values) => Array::new(ty.dtype, &ty.shape, values),
                None => random(&ty, i as u64 + 1, -1.0, 1.0),
            };
            (ty, array)
        };
        let types: Vec<String> = case.inputs.iter().map(|(ty, _)| ty.to_string()).collect();
        let inputs: Vec<_> = case.inputs.into_iter().enumerate().map(draw).collect();
        let weights = inputs.get(1).map_or(inputs[0].0.dtype, |(ty, _)| ty.dtype);
        let single = Single::new(device, case.kernel.clone(), &inputs).await?;
        let subject = Subject {
            name: case.name,
            kernel: case.kernel.name(),
            shape: types.join(" "),
            dtype: if weights == DType::F32 { "f32".into() } else { format!("f32, weights {weights}") },
            cost: single.program.plan().cost(),
        };
        rows.push(between_ceilings(device, &subject, async || timed(device, &single).await).await?);
    }
    Ok(rows)
}

async fn timed(device: &Device, single: &Single) -> Result<Timing> {
    // The first run compiles; what later ones allocate is counted.
    single.program.run(device, &RunOptions::default()).await?;
    device.idle().await?;
    let before = device.ledger().memory().allocations;
    let ms = time(device, &single.program).await?;
    let made = device.ledger().memory().allocations - before;
    Ok(Timing { ms, submits: 1, allocations: made as f64 })
}

/// The two ceilings as rows.
pub async fn ceiling_rows(device: &Device) -> Result<Vec<Row>> {
    let software = device.caps().software;
    let (rounds, count, quads) = if software { (2000, 8192, 1 << 20) } else { (20_000, 1 << 20, 8 << 20) };
    let pairs: [(&str, Arc<dyn Kernel>, TensorType); 2] = [
        ("FMA rate", Arc::new(FmaChain { rounds }), TensorType::f32(&[count])),
        ("copy bandwidth", Arc::new(Copy), TensorType::f32(&[quads, 4])),
    ];
    let best = ceilings(device).await?;
    let mut rows = Vec::new();
    for (name, kernel, ty) in pairs {
        let input = random(&ty, 1, -1.0, 1.0);
        let single = Single::new(device, kernel.clone(), &[(ty.clone(), input)]).await?;
        let mut cost = single.program.plan().cost();
        let ms = match kernel.name() {
            // The FMA kernel moves next to nothing, the copy computes nothing.
            "fma_chain" => {
                cost.bytes = 0;
                cost.flops as f64 / best.gflops / 1e6
            }
            _ => cost.bytes as f64 / best.gbps / 1e6,
        };
        let subject = Subject { name, kernel: kernel.name(), shape: ty.to_string(), dtype: "f32".into(), cost };
        let timing = Timing { ms, submits: 2, allocations: 0.0 };
        rows.push(Row::new(device, &subject, &timing, &best));
    }
    Ok(rows)
}
