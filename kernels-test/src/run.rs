//! Running a case on a device between canaries, and comparing it with the oracle.

use crate::case::Case;
use omma::gpu::{Device, Slice, Use};
use omma::graph::{Graph, Plan, Pool, Program, RunOptions, Store, ValueId, decode, encode, excess};
use omma::kernels::{TensorType, chunks};
use omma::reference::Array;
use omma::{DType, Error, Result};

/// Bytes of canary before and after every operand: the largest alignment that adapters ask for.
const GUARD: u64 = 256;
const CANARY: u32 = 0xC0DE_CAFE;
/// NaN with a payload: what outputs hold before the run.
const POISON: u32 = 0x7FC0_BEEF;

/// The worst cell of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Error over bound; above 1 is a failure.
    pub excess: f64,
    /// Output port, row, column.
    pub cell: (String, usize, usize),
    /// Computed on the device.
    pub got: f64,
    /// Computed by the oracle.
    pub want: f64,
    /// Allowed error.
    pub bound: f64,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Within its bound.
    Pass(Worst),
    /// Outside, or a canary died, or two runs differ.
    Fail(String),
    /// The device lacks something, which is named.
    Unsupported(String),
}

/// A case bound to a device, ready to be run again and again.
pub struct Prepared {
    /// The program: one node.
    pub program: Program,
    store: Store,
    pool: Pool,
    outputs: Vec<(&'static str, ValueId)>,
    inputs: Vec<ValueId>,
    arrays: Vec<Array>,
    guarded: Vec<Slice>,
}

impl Prepared {
    /// Builds the program of a case, its operands between canaries.
    pub async fn new(device: &Device, case: &Case) -> Result<Self> {
        Self::with(device, case, case.arrays()).await
    }

    async fn with(device: &Device, case: &Case, arrays: Vec<Array>) -> Result<Self> {
        let mut graph = Graph::new();
        let mut ids = Vec::new();
        for (i, input) in case.inputs.iter().enumerate() {
            let name = format!("in{i}");
            let chunked = chunks(&input.ty, device.caps()).len() > 1;
            ids.push(if chunked {
                graph.weight(&name, input.ty.clone())
            } else {
                graph.state(&name, input.ty.clone())
            });
        }
        let outputs = graph.add_shared(case.kernel.clone(), &ids)?;
        let updates = case.kernel.updates();
        for (o, id) in outputs.iter().enumerate() {
            if !updates.iter().any(|(output, _)| *output == o) {
                graph.store(*id, &format!("out{o}"));
            }
        }
        let plan = Plan::new(graph, device.caps())?;
        let (mut store, mut guarded) = (Store::new(), Vec::new());
        for (i, value) in plan.graph.values.iter().enumerate() {
            let parts = match case.inputs.get(i).and_then(|input| input.packed_bytes(case.seed(i))) {
                Some(bytes) => cut(device, &value.ty, &bytes),
                None => fill(device, &value.ty, arrays.get(i))?,
            };
            let mut slices = Vec::new();
            for part in parts {
                slices.push(guard(device, &value.name, &part).await?);
            }
            guarded.extend(slices.iter().cloned());
            store.put(&value.name, slices);
        }
        let mut pool = Pool::new();
        let program = Program::build(device, plan, &store, &mut pool).await?;
        let outputs = case.kernel.outputs().into_iter().zip(outputs).collect();
        Ok(Self { program, store, pool, outputs, inputs: ids, arrays, guarded })
    }

    /// Runs once and waits.
    pub async fn run(&self, device: &Device) -> Result<()> {
        self.program.run(device, &RunOptions::default()).await?;
        device.idle().await
    }

    /// Reads the outputs' bytes.
    async fn read(&self, device: &Device) -> Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        for (_, id) in &self.outputs {
            all.push(device.read(&self.program.output(*id, &self.store, &self.pool)?).await?);
        }
        Ok(all)
    }

    /// Puts the operands that the kernel updates in place back to their first contents.
    async fn restore(&self, device: &Device, case: &Case) -> Result<()> {
        for (_, input) in case.kernel.updates() {
            let value = &self.program.plan().graph.values[self.inputs[input].0];
            let bytes = match case.inputs[input].packed_bytes(case.seed(input)) {
                Some(bytes) => bytes,
                None => encode(&value.ty, &self.arrays[input], device.caps())?.concat(),
            };
            self.store.write(device, &value.name, &bytes)?;
        }
        Ok(())
    }
}

fn fill(device: &Device, ty: &TensorType, contents: Option<&Array>) -> Result<Vec<Vec<u8>>> {
    match contents {
        Some(array) => encode(ty, array, device.caps()),
        None => Ok(vec![poison(ty.bytes())]),
    }
}

/// The chunks of a packed weight: rows of blocks follow each other without gaps.
fn cut(device: &Device, ty: &TensorType, bytes: &[u8]) -> Vec<Vec<u8>> {
    let pieces = chunks(ty, device.caps());
    if pieces.len() == 1 {
        return vec![bytes.to_vec()];
    }
    let row = ty.row_bytes();
    pieces.iter().map(|p| bytes[p.first * row..][..p.rows * row].to_vec()).collect()
}

/// `bytes` bytes of a NaN with a payload.
pub(crate) fn poison(bytes: u64) -> Vec<u8> {
    POISON.to_le_bytes().repeat((bytes / 4) as usize)
}

/// The first word beside a guarded operand that was written to.
pub(crate) async fn dead_canary(device: &Device, guarded: &[Slice]) -> Result<Option<String>> {
    for slice in guarded {
        let bytes = device.read(&Slice::whole(slice.buffer.clone())).await?;
        let words: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let end = ((slice.offset + slice.bytes) / 4) as usize;
        let outside = (0..(GUARD / 4) as usize).chain(end..words.len());
        if let Some(word) = outside.into_iter().find(|w| words[*w] != CANARY) {
            let distance = word as i64 - end as i64;
            return Ok(Some(format!("word {distance} after the end of an operand was overwritten")));
        }
    }
    Ok(None)
}

/// A buffer with these contents between canaries.
pub(crate) async fn guard(device: &Device, name: &str, contents: &[u8]) -> Result<Slice> {
    let bytes = contents.len() as u64;
    let total = GUARD + bytes.next_multiple_of(4) + GUARD;
    let buffer = device.buffer(name, total, Use::Storage).await?;
    let mut all = CANARY.to_le_bytes().repeat((total / 4) as usize);
    all[GUARD as usize..][..contents.len()].copy_from_slice(contents);
    device.write(&buffer, 0, &all);
    Ok(Slice { buffer, offset: GUARD, bytes })
}

/// Rows of an output that are compared: all up to this many cells of work, else a spread with first and last.
fn rows_to_check(got: &Array) -> Vec<usize> {
    let rows = got.rows();
    let stride = rows.div_ceil(61).max(1);
    let mut list: Vec<usize> = if rows <= 4096 && got.data.len() <= 1 << 14 {
        (0..rows).collect()
    } else {
        (0..rows).step_by(stride).chain(rows.saturating_sub(9)..rows).collect()
    };
    list.sort_unstable();
    list.dedup();
    list
}

/// Runs a case twice between canaries on poisoned outputs and compares it with the oracle.
pub async fn check(device: &Device, case: &Case) -> Result<Outcome> {
    let prepared = match Prepared::new(device, case).await {
        Ok(prepared) => prepared,
        Err(e @ Error::MissingCapability { .. }) => return Ok(Outcome::Unsupported(e.to_string())),
        Err(e) => return Err(e),
    };
    prepared.run(device).await?;
    let first = prepared.read(device).await?;
    if let Some(dead) = dead_canary(device, &prepared.guarded).await? {
        return Ok(Outcome::Fail(dead));
    }
    prepared.restore(device, case).await?;
    prepared.run(device).await?;
    if prepared.read(device).await? != first {
        return Ok(Outcome::Fail("two runs on the same inputs differ".into()));
    }
    let mut got = Vec::new();
    for ((_, id), bytes) in prepared.outputs.iter().zip(first) {
        let ty = prepared.program.plan().graph.ty(*id).clone();
        got.push(decode(&ty, &[bytes], device.caps())?);
    }
    Ok(judge(case, &prepared.arrays, &got))
}

/// Compares the outputs of a case, in port order, with the oracle on `arrays`.
pub fn judge(case: &Case, arrays: &[Array], outputs: &[Array]) -> Outcome {
    let mut worst = Worst { excess: 0.0, cell: (String::new(), 0, 0), got: 0.0, want: 0.0, bound: 0.0 };
    for (o, (port, got)) in case.kernel.outputs().into_iter().zip(outputs).enumerate() {
        compare(case, arrays, o, port, got, &mut worst);
    }
    if worst.excess > 1.0 {
        let (port, row, col) = &worst.cell;
        let Worst { got, want, bound, excess, .. } = worst;
        return Outcome::Fail(format!(
            "{port}[{row}, {col}] is {got:e}, should be {want:e} +- {bound:e} ({excess:.2} x the bound)"
        ));
    }
    Outcome::Pass(worst)
}

fn compare(case: &Case, arrays: &[Array], output: usize, port: &str, got: &Array, worst: &mut Worst) {
    for row in rows_to_check(got) {
        let cells = case.kernel.oracle(arrays, output, row);
        if cells.len() != got.cols() {
            let message = format!("{port}: the oracle gives {} columns, the kernel {}", cells.len(), got.cols());
            *worst = Worst { excess: f64::INFINITY, cell: (message, row, 0), got: 0.0, want: 0.0, bound: 0.0 };
            return;
        }
        for (col, (cell, value)) in cells.iter().zip(got.row(row)).enumerate() {
            let excess = if value.is_nan() != cell.want.is_nan() { f64::INFINITY } else { excess(cell, *value) };
            if excess > worst.excess || worst.cell.0.is_empty() {
                let cell_name = (port.to_owned(), row, col);
                *worst = Worst { excess, cell: cell_name, got: *value, want: cell.want, bound: cell.bound };
            }
        }
    }
}

/// Whether a case uses f16 anywhere.
pub fn uses_f16(case: &Case) -> bool {
    case.inputs.iter().any(|i| i.ty.dtype == DType::F16)
}
