//! A record as files: `step.json` to read, `inputs.safetensors`, `expected.safetensors`, the linked WGSL of each
//! dispatch, and `README.md`. Names and bytes only; where they are kept is the caller's matter.

use super::{InputRecord, LaunchRecord, OutputRecord, Piece, StepRecord};
use crate::checkpoint::{TensorBytes, encode_safetensors};
use crate::graph::BadCell;
use crate::{DType, Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const STEP: &str = "step.json";
const INPUTS: &str = "inputs.safetensors";
const EXPECTED: &str = "expected.safetensors";

/// `step.json`.
#[derive(Serialize, Deserialize)]
struct StepFile {
    format: u32,
    kernel: String,
    step: String,
    node: usize,
    adapter: String,
    /// Lines of the kernel's attributes.
    attributes: Vec<String>,
    inputs: Vec<InputFile>,
    outputs: Vec<OutputFile>,
    launches: Vec<LaunchFile>,
    worst: WorstFile,
}

#[derive(Serialize, Deserialize)]
struct InputFile {
    port: String,
    ty: String,
    pieces: usize,
}

#[derive(Serialize, Deserialize)]
struct OutputFile {
    port: String,
    dtype: String,
    shape: Vec<usize>,
    updates_input: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct LaunchFile {
    wgsl: String,
    files: Vec<String>,
    overrides: Vec<(String, f64)>,
    params: Vec<(String, u32)>,
    grid: [u32; 3],
    /// Input and piece.
    chunk: Option<(usize, usize)>,
}

/// Texts, for JSON has no NaN and no infinity.
#[derive(Serialize, Deserialize)]
struct WorstFile {
    output: String,
    row: usize,
    col: usize,
    got: String,
    want: String,
    bound: String,
}

impl StepRecord {
    /// The files of the record, by name.
    ///
    /// Errors: a tensor that safetensors cannot hold.
    pub fn to_files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut all = vec![
            ("README.md".to_owned(), self.readme().into_bytes()),
            (STEP.to_owned(), self.step_file()?),
            (INPUTS.to_owned(), self.inputs_file()?),
            (EXPECTED.to_owned(), self.expected_file()?),
        ];
        let text = |(i, launch): (usize, &LaunchRecord)| (wgsl_name(i), launch.wgsl.clone().into_bytes());
        all.extend(self.launches.iter().enumerate().map(text));
        Ok(all)
    }

    /// The record that [`StepRecord::to_files`] wrote; `read` gives the bytes of a file.
    ///
    /// Errors: what `read` says; a file that does not hold what it should.
    pub fn from_files(read: impl Fn(&str) -> Result<Vec<u8>>) -> Result<Self> {
        let step: StepFile = serde_json::from_slice(&read(STEP)?).map_err(|e| bad(STEP, e.to_string()))?;
        if step.format != 1 {
            return Err(bad(STEP, format!("has format {}, this reads 1", step.format)));
        }
        let (inputs, expected) = (read(INPUTS)?, read(EXPECTED)?);
        let inputs = SafeTensors::deserialize(&inputs).map_err(|e| bad(INPUTS, e.to_string()))?;
        let expected = SafeTensors::deserialize(&expected).map_err(|e| bad(EXPECTED, e.to_string()))?;
        let number = |text: &str| text.parse::<f64>().map_err(|e| bad(STEP, format!("{text:?}: {e}")));
        let worst = &step.worst;
        let cell = BadCell {
            node: step.node,
            step: step.step,
            kernel: step.kernel,
            output: worst.output.clone(),
            cell: (worst.row, worst.col),
            got: number(&worst.got)?,
            want: number(&worst.want)?,
            bound: number(&worst.bound)?,
        };
        let text = |name: &str| String::from_utf8(read(name)?).map_err(|e| bad(name, e.to_string()));
        let launch = |launch: LaunchFile| {
            // A name in the folder, not a way out of it.
            let plain = launch.wgsl.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
            let wgsl =
                if plain { text(&launch.wgsl)? } else { return Err(bad(STEP, "names a file elsewhere".into())) };
            let LaunchFile { files, overrides, params, grid, chunk, .. } = launch;
            Ok(LaunchRecord { files, overrides, params, grid, chunk, wgsl })
        };
        Ok(Self {
            cell,
            adapter: step.adapter,
            attributes: step.attributes.join("\n"),
            inputs: step.inputs.into_iter().map(|input| input.record(&inputs)).collect::<Result<_>>()?,
            outputs: step.outputs.into_iter().map(|output| output.record(&expected)).collect::<Result<_>>()?,
            launches: step.launches.into_iter().map(launch).collect::<Result<_>>()?,
        })
    }

    fn readme(&self) -> String {
        let BadCell { step, kernel, output, cell, got, want, bound, .. } = &self.cell;
        format!(
            "# {kernel} outside its bound\n\n    {step}\n\n{output} {cell:?} was {got:e} on {}, and should be {want:e} \
             +- {bound:e}.\n\nRun it again, in this folder:\n\n```sh\nomma bisect --replay .                    # with \
             the shaders recorded here\nomma bisect --replay . --shaders built    # with those of the `omma` that \
             runs\n```\n\nThe exit code is 1 when a cell is outside its bound. `{STEP}` has the kernel's attributes, \
             its dispatches with overrides and params, and the worst cell; `{INPUTS}` what the step read; \
             `{EXPECTED}` the compared rows: `want` and `bound` of the f64 oracle, `got` of the adapter.\n",
            self.adapter
        )
    }

    fn step_file(&self) -> Result<Vec<u8>> {
        let inputs = self.inputs.iter();
        let outputs = self.outputs.iter();
        let launches = self.launches.iter().enumerate();
        let cell = &self.cell;
        let step = StepFile {
            format: 1,
            kernel: cell.kernel.clone(),
            step: cell.step.clone(),
            node: cell.node,
            adapter: self.adapter.clone(),
            attributes: self.attributes.lines().map(str::to_owned).collect(),
            inputs: inputs.map(InputFile::of).collect(),
            outputs: outputs.map(OutputFile::of).collect(),
            launches: launches.map(LaunchFile::of).collect(),
            worst: WorstFile {
                output: cell.output.clone(),
                row: cell.cell.0,
                col: cell.cell.1,
                got: format!("{:e}", cell.got),
                want: format!("{:e}", cell.want),
                bound: format!("{:e}", cell.bound),
            },
        };
        serde_json::to_vec_pretty(&step).map_err(|e| bad(STEP, e.to_string()))
    }

    fn inputs_file(&self) -> Result<Vec<u8>> {
        let names = |input: &InputRecord| piece_names(&input.port, input.pieces.len());
        let names: Vec<String> = self.inputs.iter().flat_map(names).collect();
        let mut tensors = Vec::new();
        for (name, Piece { dtype, shape, bytes }) in names.iter().zip(self.inputs.iter().flat_map(|i| &i.pieces)) {
            tensors.push(TensorBytes { name, dtype: *dtype, shape, bytes });
        }
        encode_safetensors(&tensors, &BTreeMap::new())
    }

    fn expected_file(&self) -> Result<Vec<u8>> {
        let mut parts = Vec::new();
        for output in &self.outputs {
            let shape = vec![output.rows.len(), output.ty().cols()];
            let rows: Vec<u8> = output.rows.iter().flat_map(|row| (*row as u64).to_le_bytes()).collect();
            parts.push((format!("{}.rows", output.port), DType::U64, vec![output.rows.len()], rows));
            for (what, values) in [("want", &output.want), ("bound", &output.bound), ("got", &output.got)] {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                parts.push((format!("{}.{what}", output.port), DType::F64, shape.clone(), bytes));
            }
        }
        let mut tensors = Vec::new();
        for (name, dtype, shape, bytes) in &parts {
            tensors.push(TensorBytes { name, dtype: *dtype, shape, bytes });
        }
        encode_safetensors(&tensors, &BTreeMap::new())
    }
}

fn bad(file: &str, reason: String) -> Error {
    Error::malformed(file, reason)
}

fn wgsl_name(launch: usize) -> String {
    format!("launch_{launch}.wgsl")
}

/// Names of the pieces of an operand in the file.
fn piece_names(port: &str, pieces: usize) -> Vec<String> {
    if pieces == 1 { vec![port.to_owned()] } else { (0..pieces).map(|i| format!("{port}.{i}")).collect() }
}

impl InputFile {
    fn of(input: &InputRecord) -> Self {
        Self { port: input.port.clone(), ty: input.ty.clone(), pieces: input.pieces.len() }
    }
    fn record(self, tensors: &SafeTensors<'_>) -> Result<InputRecord> {
        if self.pieces > tensors.len() {
            return Err(bad(STEP, format!("{} has {} pieces", self.port, self.pieces)));
        }
        let piece = |name: String| {
            let view = tensors.tensor(&name).map_err(|e| bad(INPUTS, e.to_string()))?;
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                Dtype::U32 => DType::U32,
                Dtype::I32 => DType::I32,
                Dtype::U8 => DType::U8,
                other => return Err(bad(INPUTS, format!("{name} is {other:?}"))),
            };
            Ok(Piece { dtype, shape: view.shape().to_vec(), bytes: view.data().to_vec() })
        };
        let pieces = piece_names(&self.port, self.pieces).into_iter().map(piece).collect::<Result<_>>()?;
        Ok(InputRecord { port: self.port, ty: self.ty, pieces })
    }
}

impl OutputFile {
    fn of(output: &OutputRecord) -> Self {
        let (port, dtype) = (output.port.clone(), output.dtype.name().to_owned());
        Self { port, dtype, shape: output.shape.clone(), updates_input: output.updates }
    }
    fn record(self, tensors: &SafeTensors<'_>) -> Result<OutputRecord> {
        let known = [DType::F32, DType::F16, DType::U32, DType::I32].into_iter().find(|d| d.name() == self.dtype);
        let dtype = known.ok_or_else(|| bad(STEP, format!("an output of {}", self.dtype)))?;
        let bytes = self.shape.iter().try_fold(4usize, |n, extent| n.checked_mul(*extent));
        bytes.ok_or_else(|| bad(STEP, format!("an output of {:?}", self.shape)))?;
        let numbers = |what: &str| -> Result<Vec<[u8; 8]>> {
            let view = tensors.tensor(&format!("{}.{what}", self.port)).map_err(|e| bad(EXPECTED, e.to_string()))?;
            if !matches!(view.dtype(), Dtype::F64 | Dtype::U64) {
                return Err(bad(EXPECTED, format!("{what} is {:?}", view.dtype())));
            }
            Ok(view.data().as_chunks().0.to_vec())
        };
        let floats = |what: &str| Ok(numbers(what)?.into_iter().map(f64::from_le_bytes).collect::<Vec<f64>>());
        let rows: Vec<usize> = numbers("rows")?.into_iter().map(|b| u64::from_le_bytes(b) as usize).collect();
        let (port, shape, updates) = (self.port.clone(), self.shape.clone(), self.updates_input);
        let (want, bound, got) = (floats("want")?, floats("bound")?, floats("got")?);
        let record = OutputRecord { port, dtype, shape, updates, rows, want, bound, got };
        let ty = record.ty();
        let cells = record.rows.len().checked_mul(ty.cols());
        let fits = [&record.want, &record.bound, &record.got].iter().all(|v| Some(v.len()) == cells);
        if !fits || record.rows.iter().any(|row| *row >= ty.rows()) {
            return Err(bad(EXPECTED, format!("does not hold rows of {} {ty}", record.port)));
        }
        Ok(record)
    }
}

impl LaunchFile {
    fn of((i, launch): (usize, &LaunchRecord)) -> Self {
        let LaunchRecord { files, overrides, params, grid, chunk, .. } = launch.clone();
        Self { wgsl: wgsl_name(i), files, overrides, params, grid, chunk }
    }
}
