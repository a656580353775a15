//! Running the graph of a case and writing its stages.

use super::builder::{Builder, Stage};
use super::case::StageSpec;
use omma::checkpoint::{TensorBytes, write_safetensors};
use omma::generate::{LoadOptions, load_weights};
use omma::gpu::Device;
use omma::graph::{FuseOptions, Plan, Pool, Program, Role, RunOptions, Store, decode, fuse};
use omma::kernels::TensorType;
use omma::{DType, Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs what was built and writes the stages that are wanted to `path`.
///
/// # Errors
/// A wanted stage that the builder did not make or that has another number of elements; errors of planning, loading
/// and running.
pub async fn execute(device: &Device, builder: Builder<'_>, path: &Path) -> Result<()> {
    let wanted = builder.wanted();
    let missing: Vec<&str> =
        wanted.iter().map(|s| s.name.as_str()).filter(|name| !builder.stages.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(Error::unsupported(format!("stages {}", missing.join(", ")), "the builder does not make them"));
    }
    let Builder { mut graph, checkpoint, uploads, stages, .. } = builder;
    let of_case = |name: &str| wanted.iter().any(|spec| spec.name == name);
    for (name, stage) in &stages {
        if let Stage::Rows(value, _) = stage
            && of_case(name)
        {
            graph.values[value.0].keep = true;
        }
    }
    let plan = Plan::new(fuse(graph, &FuseOptions::default()), device.caps())?;
    let read: Vec<&str> = used(&plan);
    let weights: Vec<(String, TensorType)> = plan
        .graph
        .weights()
        .filter(|(name, _)| read.contains(name))
        .map(|(name, ty)| (name.to_owned(), ty.clone()))
        .collect();
    let mut store = Store::new();
    load_weights(device, &checkpoint, &weights, &mut store, LoadOptions::default()).await?;
    for (name, ty) in plan.graph.states() {
        store.ensure(device, name, ty).await?;
        if let Some(values) = uploads.get(name) {
            store.write(device, name, bytemuck::cast_slice(values))?;
        }
    }
    let mut pool = Pool::new();
    let program = Program::build(device, plan, &store, &mut pool).await?;
    program.run(device, &RunOptions::default()).await?;
    let mut tensors = Vec::new();
    for spec in wanted {
        let values = match &stages[&spec.name] {
            Stage::Ints(values) => Values::Ints(values.clone()),
            Stage::Floats(values) => Values::Floats(values.clone()),
            Stage::Rows(value, rows) => {
                let ty = program.plan().graph.ty(*value).clone();
                let bytes = device.read(&program.output(*value, &store, &pool)?).await?;
                let all = decode(&ty, &[bytes], device.caps())?.data;
                let (first, count) = rows.unwrap_or((0, ty.rows()));
                let part = all.get(first * ty.cols()..(first + count) * ty.cols()).unwrap_or_default();
                Values::Floats(part.iter().map(|v| *v as f32).collect())
            }
        };
        tensors.push((spec, values));
    }
    write(&tensors, path)
}

/// Names of the weights that nodes read.
fn used(plan: &Plan) -> Vec<&str> {
    let values = &plan.graph.values;
    let read = plan.graph.nodes.iter().flat_map(|node| &node.inputs).map(|id| &values[id.0]);
    read.filter(|value| value.role == Role::Weight).map(|value| value.name.as_str()).collect()
}

enum Values {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

fn write(tensors: &[(&StageSpec, Values)], path: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for (spec, values) in tensors {
        let (dtype, count, bytes): (_, _, &[u8]) = match values {
            Values::Floats(values) => (DType::F32, values.len(), bytemuck::cast_slice(values)),
            Values::Ints(values) => (DType::I64, values.len(), bytemuck::cast_slice(values)),
        };
        if count != spec.shape.iter().product::<usize>() || spec.integer != (dtype == DType::I64) {
            let reason = format!("{count} values of {dtype} for the shape {:?}", spec.shape);
            return Err(Error::graph(format!("stage {}", spec.name), reason));
        }
        rows.push(TensorBytes { name: &spec.name, dtype, shape: &spec.shape, bytes });
    }
    write_safetensors(path, &rows, &BTreeMap::new())
}
