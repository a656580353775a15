//! Running a mapped graph: operands and outputs between canaries, outputs and intermediates poisoned before.

use super::builder::Upload;
use super::compare::Got;
use super::dtype::Logical;
use crate::run::{dead_canary, guard, poison};
use omma::gpu::Device;
use omma::graph::{Graph, Plan, Pool, Program, Role, RunOptions, Store, ValueId, decode};
use omma::kernels::TensorType;
use omma::{DType, Error, Result};

/// Type and bytes of one output as they came back.
pub type Raw = (TensorType, Vec<u8>);

/// Runs a graph once; one entry an output, in order.
///
/// Errors: those of planning, compiling and running; [`Error::Graph`] when a canary died.
pub async fn execute(
    device: &Device,
    mut graph: Graph,
    uploads: &[Upload],
    outputs: &[Option<ValueId>],
) -> Result<Vec<Option<Raw>>> {
    for (i, id) in outputs.iter().enumerate() {
        if let Some(id) = id {
            keep(&mut graph, *id, i)?;
        }
    }
    let plan = Plan::new(graph, device.caps())?;
    let (mut store, mut guarded) = (Store::new(), Vec::new());
    for value in plan.graph.values.iter().filter(|v| v.role == Role::State) {
        if store.get(&value.name).is_some() {
            continue;
        }
        let bytes = match uploads.iter().find(|u| u.name == value.name) {
            Some(upload) => upload.bytes.clone(),
            None => poison(value.ty.bytes()),
        };
        let slice = guard(device, &value.name, &bytes).await?;
        guarded.push(slice.clone());
        store.put(&value.name, vec![slice]);
    }
    let mut pool = Pool::new();
    pool.grow(device, &plan.slots).await?;
    for slot in pool.slots() {
        device.write(slot, 0, &poison(slot.bytes()));
    }
    let program = Program::build(device, plan, &store, &mut pool).await?;
    program.run(device, &RunOptions::default()).await?;
    let mut all = Vec::new();
    for id in outputs {
        let Some(id) = id else {
            all.push(None);
            continue;
        };
        let bytes = device.read(&program.output(*id, &store, &pool)?).await?;
        all.push(Some((program.plan().graph.ty(*id).clone(), bytes)));
    }
    match dead_canary(device, &guarded).await? {
        Some(dead) => Err(Error::graph("canary", dead)),
        None => Ok(all),
    }
}

/// Makes an output live in the store, with every value that shows its bytes.
fn keep(graph: &mut Graph, id: ValueId, output: usize) -> Result<()> {
    let root = graph.root(id);
    let name = format!("out{output}");
    match graph.values.get(root.0).map(|v| v.role.clone()) {
        Some(Role::Temp) => graph.store(root, &name),
        Some(_) => return Ok(()),
        None => return Err(Error::graph(name, format!("there is no value {}", root.0))),
    }
    for value in graph.values.iter_mut().filter(|v| v.alias == Some(root)) {
        value.name.clone_from(&name);
        value.keep = true;
    }
    Ok(())
}

/// Shape and values of an output of type `want` from what the device holds.
///
/// Errors: a device type that cannot hold that logical type.
pub fn values(want: Logical, (ty, bytes): &Raw, device: &Device) -> Result<(Vec<usize>, Got)> {
    let words = || bytes.chunks_exact(4).take(ty.elements()).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut shape = ty.shape.clone();
    let got = match ty.dtype {
        DType::F32 | DType::F16 | DType::BF16 if want.is_float() => {
            Got::Floats(decode(ty, std::slice::from_ref(bytes), device.caps())?.data)
        }
        DType::U32 if want.is_small_float() => Got::Floats(words().map(|w| want.value(w.into())).collect()),
        DType::U32 | DType::I32 if want.is_wide() && shape.pop() == Some(2) => {
            let pairs: Vec<u32> = words().collect();
            let wide = pairs.chunks_exact(2).map(|p| u64::from(p[0]) | u64::from(p[1]) << 32);
            Got::Ints(wide.map(|w| want.integer(w)).collect())
        }
        DType::U32 if !want.is_float() && !want.is_wide() => Got::Ints(words().map(i128::from).collect()),
        DType::I32 if !want.is_float() && !want.is_wide() => Got::Ints(words().map(|w| i128::from(w as i32)).collect()),
        _ => return Err(Error::graph("output", format!("{ty} on the device does not hold {}", want.name()))),
    };
    Ok((shape, got))
}
