//! `omma bench pictures`: whole pictures to the normalised planes of all inputs of a tower, decoding aside, in two rows each.
//! Bytes of the first are those of the picture, read once, and of the planes: what passes between the kernels is not
//! counted, only paid for. Those of the second are what each kernel reads and writes, added up.

use super::{Row, Subject, Timing, between_ceilings};
use omma::gpu::Device;
use omma::graph::{Graph, Plan, Pool, Program, Store};
use omma::image::tiles::{Input, Levels, Tiling};
use omma::image::{Policy, Resample, Walk};
use omma::kernels::{Cost, Normalize, TensorType, chunks, resize_passes};
use omma::measure::time;
use omma::{DType, Error, Result};

/// Pictures with the policies that cut them: 48 megapixels into 4 x 6 tiles of 336 and more, a photo of a phone's screen, and
/// a small one that is enlarged.
const PICTURES: [(&str, (u32, u32)); 4] =
    [("internvl", (8000, 6000)), ("uhd", (8000, 6000)), ("anyres", (1344, 896)), ("none", (200, 150))];

/// Times each picture.
pub async fn rows(device: &Device, filter: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (policy, size) in PICTURES {
        let name = format!("picture {}x{} {policy}", size.0, size.1);
        if !name.contains(filter) {
            continue;
        }
        let tiling = Tiling::named(policy.parse::<Policy>()?)?;
        let (mean, std) = ([0.48, 0.46, 0.41], [0.27, 0.26, 0.28]);
        let levels = Levels { resample: Resample::Bicubic, rescale: 1.0 / 255.0, mean, std, over: None };
        let inputs = tiling.plan(size.0, size.1)?.inputs(&levels)?;
        rows.extend(both(device, &name, size, &inputs).await?);
    }
    Ok(rows)
}

async fn both(device: &Device, name: &str, (width, height): (u32, u32), inputs: &[Input]) -> Result<[Row; 2]> {
    let source = TensorType::u32(&[height as usize, width.next_multiple_of(4) as usize]);
    let (mut store, mut pool, mut programs) = (Store::new(), Pool::new(), Vec::new());
    store.ensure(device, "picture", &source).await?;
    let planes: Vec<TensorType> = inputs.iter().map(planes).collect();
    let largest = planes.iter().max_by_key(|ty| ty.bytes()).ok_or_else(|| Error::argument(name, "has no inputs"))?;
    store.ensure(device, "planes", largest).await?;
    let mut by_kernel = Cost { flops: 0, bytes: 0 };
    for input in inputs {
        let plan = Plan::new(graph(device, input, &source)?, device.caps())?;
        by_kernel.bytes += plan.cost().bytes;
        programs.push(Program::build(device, plan, &store, &mut pool).await?);
    }
    for program in &mut programs {
        program.refresh(device, &store, &pool).await?;
    }
    let bytes = u64::from(width) * u64::from(height) * 4 + planes.iter().map(TensorType::bytes).sum::<u64>();
    let shape = format!("{width}x{height} to {} inputs", inputs.len());
    let subject =
        |name, cost| Subject { name, kernel: "picture", shape: shape.clone(), dtype: "u8 to f32".into(), cost };
    let work = async || {
        let mut ms = 0.0;
        for program in &programs {
            ms += time(device, program).await?;
        }
        Ok(Timing { ms, submits: programs.len(), allocations: 0.0 })
    };
    let once = between_ceilings(device, &subject(name, Cost { flops: 0, bytes }), work).await?;
    let kernels = between_ceilings(device, &subject(&format!("{name}, by kernel"), by_kernel), work).await?;
    Ok([once, kernels])
}

fn planes(input: &Input) -> TensorType {
    let (width, height) = input.size();
    TensorType::new(DType::F32, &[3, height as usize, width as usize])
}

fn graph(device: &Device, input: &Input, source: &TensorType) -> Result<Graph> {
    let mut g = Graph::new();
    let chunked = chunks(source, device.caps()).len() > 1;
    let mut x = if chunked { g.weight("picture", source.clone()) } else { g.state("picture", source.clone()) };
    for step in &input.steps {
        for (pass, walk) in resize_passes(step, false, device.caps().software)? {
            let runs = g.constant_u32("runs", &[walk.runs.len() / 4, 4], &walk.runs);
            let steps = g.constant_i32("steps", &[walk.count(), Walk::row(walk.slots)], &walk.steps);
            x = g.apply(pass, &[x, runs, steps])?;
        }
    }
    let last = input.steps.last().ok_or_else(|| Error::graph("picture", "an input without steps"))?;
    let planes = g.apply(Normalize::new(last), &[x])?;
    g.store(planes, "planes");
    Ok(g)
}
