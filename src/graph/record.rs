//! A step that left its bound, with all that it takes to run it again on any device: inputs, dispatches, shader text,
//! and what the oracle expects. As files: `record/files.rs`.

mod files;

use super::bisect::{BadCell, excess, rows_compared};
use super::host::decode;
use super::{Plan, Program, Store};
use crate::gpu::{BindGroup, Device, Pipeline, Slice, Use};
use crate::graph::Pool;
use crate::kernels::{Layout, TensorType};
use crate::reference::{Array, Cell};
use crate::wgsl::{self, Linked};
use crate::{DType, Error, Result};

/// Bytes of NaN in outputs before a run: what is not written is seen.
const POISON: [u8; 4] = 0x7fc0_beefu32.to_le_bytes();

/// A step with everything that it read, and what it should have written.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// Its worst cell.
    pub cell: BadCell,
    /// The adapter that computed it.
    pub adapter: String,
    /// The kernel's attributes, as Rust prints them.
    pub attributes: String,
    /// Operands that it reads.
    pub inputs: Vec<InputRecord>,
    /// What it writes.
    pub outputs: Vec<OutputRecord>,
    /// Its dispatches.
    pub launches: Vec<LaunchRecord>,
}

/// An operand as the device held it before the step.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRecord {
    /// Binding name.
    pub port: String,
    /// Type, as plans print it.
    pub ty: String,
    /// Element type and shape of each piece; bytes where the layout is no plain row-major one.
    pub pieces: Vec<Piece>,
}

/// A buffer's contents.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Element type.
    pub dtype: DType,
    /// Shape.
    pub shape: Vec<usize>,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// An output: some of its rows as the oracle has them and as the device had them.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRecord {
    /// Binding name.
    pub port: String,
    /// Element type.
    pub dtype: DType,
    /// Shape.
    pub shape: Vec<usize>,
    /// The input that it updates in place.
    pub updates: Option<usize>,
    /// Which rows.
    pub rows: Vec<usize>,
    /// Their cells by the oracle, row after row.
    pub want: Vec<f64>,
    /// The error that each may have.
    pub bound: Vec<f64>,
    /// What the device had.
    pub got: Vec<f64>,
}

/// A dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchRecord {
    /// Shader files, kernel first.
    pub files: Vec<String>,
    /// Values of `override` constants.
    pub overrides: Vec<(String, f64)>,
    /// Words of `Params`.
    pub params: Vec<(String, u32)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Which piece of which input it binds.
    pub chunk: Option<(usize, usize)>,
    /// The linked text.
    pub wgsl: String,
}

/// Which shaders a record is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayShaders {
    /// The text in the record.
    Recorded,
    /// The files of the same names in this build, e.g. after a fix.
    Built,
}

/// Bytes of every piece of a node's operands.
pub(super) type Pieces = Vec<Vec<Vec<u8>>>;

impl StepRecord {
    /// Records a node of a program. `inputs` are its operands before the step, `cell` its worst cell.
    pub(super) fn new(
        device: &Device,
        plan: &Plan,
        cell: BadCell,
        (pieces, inputs): (&Pieces, &[Array]),
        outputs: &[Array],
    ) -> Result<Self> {
        let node = &plan.graph.nodes[cell.node];
        let kernel = &node.kernel;
        let steps = plan.steps.iter().filter(|step| step.node == cell.node);
        let launches = steps.map(|step| LaunchRecord::of(device, &step.launch)).collect::<Result<_>>()?;
        let mut read = Vec::new();
        for ((port, id), pieces) in kernel.inputs().into_iter().zip(&node.inputs).zip(pieces) {
            read.push(InputRecord::of(port, plan.graph.ty(*id), pieces));
        }
        let updates = kernel.updates();
        let mut results = Vec::new();
        for (o, (port, got)) in kernel.outputs().into_iter().zip(outputs).enumerate() {
            let rows = rows_compared(got.rows());
            let cells: Vec<Cell> = rows.iter().flat_map(|row| kernel.oracle(inputs, o, *row)).collect();
            results.push(OutputRecord {
                port: port.to_owned(),
                dtype: got.dtype,
                shape: got.shape.clone(),
                updates: updates.iter().find(|(output, _)| *output == o).map(|(_, input)| *input),
                want: cells.iter().map(|c| c.want).collect(),
                bound: cells.iter().map(|c| c.bound).collect(),
                got: rows.iter().flat_map(|row| got.row(*row)).copied().collect(),
                rows,
            });
        }
        Ok(Self {
            adapter: device.title(),
            attributes: format!("{kernel:#?}"),
            inputs: read,
            outputs: results,
            launches,
            cell,
        })
    }

    /// Runs the step on a device and compares it with what the oracle expects; the worst cell outside its bound.
    /// Shaders are bounds-checked, as a record may come from anywhere.
    ///
    /// Errors: a shader file that this build does not have, params that the shader does not take, a feature or limit
    /// that the device lacks.
    pub async fn replay(&self, device: &Device, shaders: ReplayShaders) -> Result<Option<BadCell>> {
        let (inputs, outputs) = self.buffers(device).await?;
        let mut bound = Vec::new();
        for launch in &self.launches {
            let pipeline = launch.pipeline(device, shaders).await?;
            let groups = self.bind(device, launch, &pipeline, (&inputs, &outputs)).await?;
            bound.push((pipeline, groups, launch.grid));
        }
        let steps = bound.iter().map(|(pipeline, groups, grid)| (pipeline, groups.as_slice(), *grid));
        device.submit("replay", |recorder| recorder.pass("replay", steps)).await?;
        let mut worst: Option<(f64, BadCell)> = None;
        for (record, slice) in self.outputs.iter().zip(&outputs) {
            let ty = record.ty();
            let got = decode(&ty, &[device.read(slice).await?], device.caps())?;
            for (cell, value, place) in record.cells(&got) {
                let excess = excess(&cell, value);
                if excess > 1.0 && worst.as_ref().is_none_or(|(w, _)| excess > *w) {
                    let output = record.port.clone();
                    let (want, bound) = (cell.want, cell.bound);
                    let bad = BadCell { output, cell: place, got: value, want, bound, ..self.cell.clone() };
                    worst = Some((excess, bad));
                }
            }
        }
        Ok(worst.map(|(_, bad)| bad))
    }

    /// Buffers with the inputs, by piece, and of the outputs.
    async fn buffers(&self, device: &Device) -> Result<(Vec<Vec<Slice>>, Vec<Slice>)> {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for input in &self.inputs {
            let mut slices = Vec::new();
            for piece in &input.pieces {
                let mut bytes = piece.bytes.clone();
                bytes.resize(bytes.len().next_multiple_of(4).max(4), 0);
                slices.push(Slice::whole(device.buffer_with(&input.port, &bytes).await?));
            }
            inputs.push(slices);
        }
        for output in &self.outputs {
            let updated = output.updates.map(|i| inputs.get(i).and_then(|slices: &Vec<Slice>| slices.first()));
            outputs.push(match updated {
                Some(Some(slice)) => slice.clone(),
                Some(None) => return Err(Error::graph(&output.port, "updates an input that is not there")),
                None => {
                    let bytes = output.ty().bytes();
                    // Before memory is taken for the contents.
                    let buffer = device.buffer(&output.port, bytes, Use::Storage).await?;
                    device.write(&buffer, 0, &POISON.repeat((bytes / 4) as usize));
                    Slice::first(buffer, bytes)
                }
            });
        }
        Ok((inputs, outputs))
    }

    async fn bind(
        &self,
        device: &Device,
        launch: &LaunchRecord,
        pipeline: &Pipeline,
        (inputs, outputs): (&[Vec<Slice>], &[Slice]),
    ) -> Result<Vec<BindGroup>> {
        let words: Vec<u32> = launch.params.iter().map(|(_, word)| *word).collect();
        let size = (words.len() as u64 * 4).max(16);
        let params = device.buffer("params", size, Use::Uniform).await?;
        device.write(&params, 0, bytemuck::cast_slice(&words));
        let mut slices = vec![("params", Slice::whole(params))];
        slices.extend(self.outputs.iter().zip(outputs).map(|(record, slice)| (record.port.as_str(), slice.clone())));
        for (i, (record, pieces)) in self.inputs.iter().zip(inputs).enumerate() {
            let piece = launch.chunk.filter(|(input, _)| *input == i).map_or(0, |(_, piece)| piece);
            let slice = pieces.get(piece).ok_or_else(|| Error::graph(&record.port, format!("has no piece {piece}")))?;
            slices.push((record.port.as_str(), slice.clone()));
        }
        device.bind(pipeline, &self.cell.kernel, &slices).await
    }
}

impl InputRecord {
    fn of(port: &str, ty: &TensorType, pieces: &[Vec<u8>]) -> Self {
        let plain = ty.layout == Layout::Rows;
        let piece = |bytes: &Vec<u8>| {
            let whole = ty.elements() * ty.dtype.size();
            if plain && pieces.len() == 1 && bytes.len() >= whole {
                return Piece { dtype: ty.dtype, shape: ty.shape.clone(), bytes: bytes[..whole].to_vec() };
            }
            Piece { dtype: DType::U8, shape: vec![bytes.len()], bytes: bytes.clone() }
        };
        Self { port: port.to_owned(), ty: ty.to_string(), pieces: pieces.iter().map(piece).collect() }
    }
}

impl OutputRecord {
    fn ty(&self) -> TensorType {
        TensorType::new(self.dtype, &self.shape)
    }
    /// The recorded cells with the values of `got`, and where they are.
    fn cells<'a>(&'a self, got: &'a Array) -> impl Iterator<Item = (Cell, f64, (usize, usize))> + 'a {
        let cols = self.ty().cols();
        let cells = self.want.iter().zip(&self.bound).enumerate();
        cells.map(move |(i, (want, bound))| {
            let (row, col) = (self.rows[i / cols], i % cols);
            (Cell { want: *want, bound: *bound }, got.row(row)[col], (row, col))
        })
    }
}

impl LaunchRecord {
    fn of(device: &Device, launch: &crate::kernels::Launch) -> Result<Self> {
        let named = |name: &str| name.to_owned();
        Ok(Self {
            files: launch.files.iter().map(|file| named(file)).collect(),
            overrides: launch.overrides.iter().map(|(name, value)| (named(name), *value)).collect(),
            params: launch.params.iter().map(|(name, word)| (named(name), *word)).collect(),
            grid: launch.grid,
            chunk: launch.chunk,
            wgsl: device.link(&launch.files)?.text,
        })
    }

    async fn pipeline(&self, device: &Device, shaders: ReplayShaders) -> Result<Pipeline> {
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        let linked = match shaders {
            ReplayShaders::Recorded => Linked::whole(files.first().unwrap_or(&"shader"), &self.wgsl),
            ReplayShaders::Built => wgsl::link(&files)?,
        };
        let overrides: Vec<(&str, f64)> = self.overrides.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let pipeline = device.foreign_pipeline(&linked, &overrides).await?;
        pipeline.check_words(linked.name(), &self.params.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
        Ok(pipeline)
    }
}

/// Bytes of a node's operands, piece by piece, and their values.
pub(super) async fn read_operands(
    device: &Device,
    program: &Program,
    (store, pool): (&Store, &Pool),
    ids: &[super::ValueId],
) -> Result<(Pieces, Vec<Array>)> {
    let (mut pieces, mut arrays) = (Vec::new(), Vec::new());
    for id in ids {
        let mut bytes = Vec::new();
        for slice in program.slices(*id, store, pool)? {
            bytes.push(device.read(&slice).await?);
        }
        arrays.push(decode(program.plan().graph.ty(*id), &bytes, device.caps())?);
        pieces.push(bytes);
    }
    Ok((pieces, arrays))
}
