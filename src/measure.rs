//! Timing programs, and an adapter's own ceilings to hold them against.

use crate::gpu::{Device, Slice, Use};
use crate::graph::{BadCell, Graph, Plan, Pool, Program, Store, bisect, encode};
use crate::kernels::{Copy, FmaChain, Kernel, TensorType};
use crate::reference::Array;
use crate::{DType, Result};
use std::sync::Arc;
use std::time::Instant;

/// What an adapter reaches on kernels that do nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceilings {
    /// 1e9 flops a second: eight independent vec4 fma chains a lane.
    pub gflops: f64,
    /// 1e9 bytes a second, read and written: a copy of 16 bytes a lane.
    pub gbps: f64,
}

impl Ceilings {
    /// The larger of each.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        Self { gflops: self.gflops.max(other.gflops), gbps: self.gbps.max(other.gbps) }
    }
}

/// Runs in a sample, after one that is not counted.
const RUNS: usize = 5;
/// A sample repeats the program until it takes about this long.
const SAMPLE_MS: f64 = 30.0;
const MOST_REPEATS: f64 = 256.0;
/// Runs are handed over together until they take about this long, so that a submit's overhead does not count and no
/// submit takes long.
const SUBMIT_MS: f64 = 5.0;

/// Median milliseconds of a run of the whole program.
pub async fn time(device: &Device, program: &Program) -> Result<f64> {
    let first = sample(device, program, [1, 1]).await?.max(1e-3);
    let together = (SUBMIT_MS / first).clamp(1.0, MOST_REPEATS) as usize;
    let submits = (SAMPLE_MS / first).clamp(1.0, MOST_REPEATS) as usize / together;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(sample(device, program, [submits.max(1), together]).await?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// Milliseconds of a run, of `together` runs in each of `submits`.
async fn sample(device: &Device, program: &Program, [submits, together]: [usize; 2]) -> Result<f64> {
    device.idle().await?;
    let start = Instant::now();
    for _ in 0..submits {
        device.submit("time", |r| (0..together).for_each(|_| program.record_into(r, 0..program.steps()))).await?;
    }
    device.idle().await?;
    Ok(start.elapsed().as_secs_f64() * 1e3 / (submits * together) as f64)
}

/// A program of one kernel on zero-filled operands.
pub async fn single(device: &Device, kernel: impl Kernel + 'static, inputs: &[TensorType]) -> Result<Program> {
    let mut graph = Graph::new();
    let mut store = Store::new();
    let mut ids = Vec::new();
    for (i, ty) in inputs.iter().enumerate() {
        let name = format!("in{i}");
        let buffer = device.buffer(&name, ty.bytes(), Use::Storage).await?;
        store.put(&name, vec![Slice::first(buffer, ty.bytes())]);
        ids.push(graph.state(&name, ty.clone()));
    }
    graph.add(kernel, &ids)?;
    let plan = Plan::new(graph, device.caps())?;
    Program::build(device, plan, &store, &mut Pool::new()).await
}

/// A program of one kernel with its operands.
#[derive(Debug)]
pub struct Single {
    /// The program.
    pub program: Program,
    store: Store,
    pool: Pool,
}

impl Single {
    /// Binds `kernel` to these inputs.
    pub async fn new(device: &Device, kernel: Arc<dyn Kernel>, inputs: &[(TensorType, Array)]) -> Result<Self> {
        let (mut graph, mut store, mut pool) = (Graph::new(), Store::new(), Pool::new());
        let mut ids = Vec::new();
        for (i, (ty, array)) in inputs.iter().enumerate() {
            let name = format!("in{i}");
            let mut slices = Vec::new();
            for bytes in encode(ty, array, device.caps())? {
                slices.push(Slice::whole(device.buffer_with(&name, &bytes).await?));
            }
            let whole = slices.len() == 1;
            store.put(&name, slices);
            ids.push(if whole { graph.state(&name, ty.clone()) } else { graph.weight(&name, ty.clone()) });
        }
        for id in graph.add_shared(kernel, &ids)? {
            graph.values[id.0].keep = true;
        }
        let plan = Plan::new(graph, device.caps())?;
        let program = Program::build(device, plan, &store, &mut pool).await?;
        Ok(Self { program, store, pool })
    }
    /// Runs it once and compares the outputs with the oracle; the worst cell outside its bound.
    pub async fn check(&self, device: &Device) -> Result<Option<BadCell>> {
        Ok(bisect(device, &self.program, &self.store, &self.pool).await?.map(|record| record.cell))
    }
}

/// Values for `ty`, uniform in `[low, high)` and rounded to its element type, from a seed (SplitMix64).
pub fn random(ty: &TensorType, seed: u64, low: f64, high: f64) -> Array {
    let mut state = seed;
    let mut unit = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 11) as f64 / (1u64 << 53) as f64
    };
    let round = |value: f64| match ty.dtype {
        DType::F16 => half::f16::from_f64(value).to_f64(),
        DType::BF16 => half::bf16::from_f64(value).to_f64(),
        DType::F32 => f64::from(value as f32),
        _ => value.trunc(),
    };
    let data = (0..ty.elements()).map(|_| round(low + (high - low) * unit())).collect();
    Array::new(ty.dtype, &ty.shape, data)
}

/// Measures the ceilings: the best of the samples, since whatever disturbs a ceiling only lowers it.
pub async fn ceilings(device: &Device) -> Result<Ceilings> {
    let rounds = if device.caps().software { 2000 } else { 20_000 };
    let count = if device.caps().software { 8192 } else { 1 << 20 };
    let quads = if device.caps().software { 1 << 20 } else { 8 << 20 };
    let fma = single(device, FmaChain { rounds }, &[TensorType::f32(&[count])]).await?;
    let copy = single(device, Copy, &[TensorType::f32(&[quads, 4])]).await?;
    Ok(Ceilings { gflops: best(device, &fma, |c| c.flops).await?, gbps: best(device, &copy, |c| c.bytes).await? })
}

async fn best(device: &Device, program: &Program, work: impl Fn(&crate::kernels::Cost) -> u64) -> Result<f64> {
    sample(device, program, [1, 1]).await?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        best = best.min(sample(device, program, [2, 1]).await?);
    }
    Ok(work(&program.plan().cost()) as f64 / best / 1e6)
}
