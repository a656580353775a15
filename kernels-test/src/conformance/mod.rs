//! Conformance packs: inputs and expected outputs of single operators, made by other programs (ONNX, ONNX Runtime,
//! ggml, AutoAWQ, ...), run on our kernels.
//!
//! A mapping turns a case into a short graph of kernels; the graph runs on the device, and what comes back is compared
//! under the tolerances of the pack. Nothing is computed on the CPU: a case that no kernel does is unsupported, with
//! the reason. A mapping does not see what is expected. Adding an operator is a function in the file of its group in
//! `ops/` and a line in that file's table.

mod builder;
mod compare;
mod dtype;
mod execute;
mod ops;
mod pack;
mod report;
mod tensor;

pub use builder::{Builder, Mapped, Mapping, Section, Stop};
pub use compare::Worst;
pub use dtype::Logical;
pub use pack::OpCase;
pub use report::{Row, Run, Status, summary, table};
pub use tensor::Tensor;

use compare::{Got, compare};
use execute::{Raw, execute, values};
use omma::gpu::Device;
use pack::{Expect, Pack, decode};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A pack that does not follow its format: where, and what is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct PackError {
    /// File, tensor or operand.
    pub at: String,
    /// What is wrong.
    pub reason: String,
}

/// Result of reading a pack.
pub type PackResult<T> = Result<T, PackError>;

impl PackError {
    fn new(at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { at: at.into(), reason: reason.into() }
    }
    fn within(self, outer: impl Into<String>) -> Self {
        Self { at: format!("{}: {}", outer.into(), self.at), ..self }
    }
}

/// What is run of the packs under a folder.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only this family.
    pub family: Option<String>,
    /// Only cases whose id contains this.
    pub filter: String,
    /// Writes the outputs of each case there, one safetensors file a case.
    pub dump: Option<PathBuf>,
}

/// Runs the packs under `dir`: a folder with families, a family, or a group. Prints what is not a pass.
///
/// Errors: a folder without packs, a pack that does not follow its format, a lost device, a dump that cannot be written.
pub async fn run(device: &Device, dir: &Path, options: &Options) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    if let Some(dump) = &options.dump {
        std::fs::create_dir_all(dump)?;
    }
    let folders = packs(dir)?;
    if folders.is_empty() {
        return Err(PackError::new(dir.display().to_string(), "holds no index.json, nor do its folders").into());
    }
    let mut rows = Vec::new();
    for folder in folders {
        let pack = Pack::read(&folder)?;
        if options.family.as_ref().is_some_and(|f| *f != pack.family) {
            continue;
        }
        let data = pack.tensors()?;
        for raw in pack.cases.iter().filter(|c| c.id.contains(&options.filter)) {
            let mut row = Row::new(&pack, raw);
            let start = Instant::now();
            match decode(&pack.family, raw, &data) {
                Ok((case, expects)) => one(device, &case, &expects, options, &mut row).await?,
                Err(error) => row.fail(format!("the pack: {error}")),
            }
            row.ms = start.elapsed().as_secs_f64() * 1e3;
            row.print();
            rows.push(row);
            device.check_lost()?;
        }
    }
    Ok(rows)
}

/// Folders with an `index.json`, at most two levels down, in order of their names.
fn packs(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut level = vec![dir.to_path_buf()];
    let mut found = Vec::new();
    for _ in 0..3 {
        let mut next = Vec::new();
        for folder in level {
            if folder.join("index.json").is_file() {
                found.push(folder);
                continue;
            }
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    next.push(path);
                }
            }
        }
        level = next;
    }
    found.sort();
    Ok(found)
}

/// Maps, runs and compares one case.
async fn one(
    device: &Device,
    case: &OpCase,
    expects: &[Option<Expect>],
    options: &Options,
    row: &mut Row,
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(mapping) = ops::lookup(&case.domain, &case.op) else {
        row.unsupported(format!("operator {} of {} is not mapped", case.op, case.domain));
        return Ok(());
    };
    let mut builder = Builder::new(case);
    let outputs = match mapping(&mut builder) {
        Ok(outputs) => outputs,
        Err(Stop::Unsupported(reason)) => {
            row.unsupported(reason);
            return Ok(());
        }
        Err(Stop::Failed(error)) => {
            row.fail(error.to_string());
            return Ok(());
        }
    };
    let (graph, uploads) = builder.finish();
    match execute(device, graph, &uploads, &outputs).await {
        Ok(raw) => {
            if let Some(dump) = &options.dump {
                report::dump(dump, case, expects, &raw, device)?;
            }
            judge(device, expects, &raw, row);
        }
        Err(error @ omma::Error::MissingCapability { .. }) => row.unsupported(error.to_string()),
        Err(error) => row.fail(error.to_string()),
    }
    Ok(())
}

/// Compares every output that the case compares.
fn judge(device: &Device, expects: &[Option<Expect>], raw: &[Option<Raw>], row: &mut Row) {
    row.status = Status::Pass;
    let mut excess = -1.0;
    for (i, expect) in expects.iter().enumerate() {
        let Some(expect) = expect else { continue };
        let Some(Some(raw)) = raw.get(i) else {
            row.fail(format!("output {i} ({}) was not made", expect.name));
            continue;
        };
        let (shape, got): (Vec<usize>, Got) = match values(expect.dtype, raw, device) {
            Ok(got) => got,
            Err(error) => {
                row.fail(error.to_string());
                continue;
            }
        };
        let verdict = compare(expect, &shape, &got);
        if verdict.excess > excess && verdict.worst.is_some() {
            (excess, row.worst) = (verdict.excess, verdict.worst);
        }
        if let Some(failure) = verdict.failure {
            row.fail(failure);
        }
    }
}

/// The case of that shape decoded, for tests.
#[cfg(test)]
fn decode_text(text: &str, data: &[u8]) -> PackResult<(OpCase, Vec<Option<Expect>>)> {
    let raw: pack::RawCase = serde_json::from_str(text).map_err(|e| PackError::new("case", e.to_string()))?;
    let data = safetensors::SafeTensors::deserialize(data).map_err(|e| PackError::new("data", e.to_string()))?;
    decode("onnx", &raw, &data)
}

#[cfg(test)]
mod tests;
