//! Encoding pictures inside a host's own command encoder: everything that can fail or allocate happens in
//! [`Session::prepare_encode`], recording only records. Submitting and polling are the host's.

use super::Session;
use super::encoding::result_name;
use super::parts::groups;
use super::pictures::{BoundPicture, PictureSource, Pixels, tower_inputs};
use crate::gpu::{CommandEncoder, Device, Recorder, Slice, Texture, Use};
use crate::graph::{FuseOptions, Graph, Plan, Pool, Program, Store, fuse};
use crate::kernels::TensorType;
use crate::models::{Assembly, TowerInputs, encode_graph, features_graph, names, pixels_type};
use crate::{Error, Result};
use std::ops::Range;

/// What is recorded, in order.
#[derive(Debug)]
enum Op {
    /// A texture to where its passes read it.
    Texture(usize),
    /// A picture to the planes of one of its inputs.
    Input { picture: usize, input: usize },
    /// A copy of `bytes` bytes.
    Copy { from: Slice, to: Slice, bytes: u64 },
    /// A program of the tower, or the one that places its features.
    Encode(usize),
}

/// The encoding of some pictures, ready to be recorded any number of times, a frame each: buffers, pipelines and
/// bind groups are made, and its memory is its own. Send and Sync.
#[derive(Debug)]
pub struct EncodeRecording {
    device: Device,
    pictures: Vec<BoundPicture>,
    programs: Vec<Program>,
    ops: Vec<Op>,
    name: &'static str,
    result: Slice,
    rows: usize,
}

impl EncodeRecording {
    /// The result: `[rows, width]` in the model's type of activations. For a model with a decoder these are the
    /// features of all pictures, else their embeddings or class logits. The buffer is the same for all recordings.
    pub fn result(&self) -> &Slice {
        &self.result
    }
    /// Rows of the result.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Replaces the texture of a picture, e.g. by the next frame's.
    ///
    /// Errors: [`Error::InvalidArgument`] when the picture is no texture or the new one differs in size or format.
    pub fn set_texture(&mut self, picture: usize, texture: Texture) -> Result<()> {
        let refuse = |reason: &str| Err(Error::argument("texture", reason));
        let Some(bound) = self.pictures.get_mut(picture) else { return refuse("there is no such picture") };
        let PictureSource::Texture(old) = &bound.source else { return refuse("the picture was no texture") };
        if (old.width(), old.height(), old.format()) != (texture.width(), texture.height(), texture.format()) {
            return refuse("differs in size or format from the one prepared");
        }
        let source = PictureSource::Texture(texture);
        source.check(&self.device)?;
        bound.source = source;
        Ok(())
    }
    fn record(&self, encoder: &mut CommandEncoder) {
        for op in &self.ops {
            match op {
                Op::Texture(i) => self.pictures[*i].copy_texture(&mut Recorder::new(encoder)),
                Op::Input { picture, input } => {
                    let program = &self.pictures[*picture].programs[*input];
                    program.record(encoder, 0..program.steps());
                }
                Op::Copy { from, to, bytes } => Recorder::new(encoder).copy(from, to, *bytes),
                Op::Encode(i) => self.programs[*i].record(encoder, 0..self.programs[*i].steps()),
            }
        }
    }
}

/// A recording being built.
struct Builder {
    store: Store,
    pool: Pool,
    programs: Vec<Program>,
    pictures: Vec<BoundPicture>,
    ops: Vec<Op>,
}

impl Builder {
    fn new(weights: &Store) -> Self {
        let (programs, pictures, ops) = (Vec::new(), Vec::new(), Vec::new());
        Self { store: weights.clone(), pool: Pool::new(), programs, pictures, ops }
    }
    /// Records the planes of the inputs `range`.
    fn planes(&mut self, range: Range<usize>) -> Result<()> {
        let target = self.store.slice(names::PIXELS)?.clone();
        let (mut first, mut offset) = (0, 0);
        for (i, picture) in self.pictures.iter().enumerate() {
            let own = 0..picture.programs.len();
            let inside: Vec<usize> = own.clone().filter(|input| range.contains(&(first + input))).collect();
            first += own.len();
            if !inside.is_empty() {
                self.ops.push(Op::Texture(i));
            }
            for input in inside {
                let (from, bytes) = picture.planes(input)?;
                self.ops.push(Op::Input { picture: i, input });
                self.ops.push(Op::Copy { from, to: at(&target, offset), bytes });
                offset += bytes;
            }
        }
        Ok(())
    }
    async fn refresh(&mut self, device: &Device) -> Result<()> {
        for program in &mut self.programs {
            program.refresh(device, &self.store, &self.pool).await?;
        }
        for picture in &mut self.pictures {
            for program in &mut picture.programs {
                program.refresh(device, &picture.store, &self.pool).await?;
            }
        }
        Ok(())
    }
    /// Adds a program; what of its states the store lacks is made.
    async fn program(&mut self, device: &Device, graph: Graph, options: &FuseOptions) -> Result<&Plan> {
        let plan = Plan::new(fuse(graph, options), device.caps())?;
        for (state, ty) in plan.graph.states() {
            self.store.ensure(device, state, ty).await?;
        }
        self.programs.push(Program::build(device, plan, &self.store, &mut self.pool).await?);
        self.ops.push(Op::Encode(self.programs.len() - 1));
        Ok(self.programs[self.programs.len() - 1].plan())
    }
}

impl Session {
    /// Builds everything that an encode of these pictures needs. Pictures on the host are uploaded now, textures and
    /// buffers are read when the host submits what [`Session::record_encode`] recorded.
    ///
    /// Errors: those of [`Session::preprocess`] and [`Session::encode`].
    pub async fn prepare_encode(&mut self, pictures: &[Pixels]) -> Result<EncodeRecording> {
        let (device, model) = (self.device(), self.model().clone());
        if pictures.is_empty() {
            return Err(Error::argument("pictures", "are none"));
        }
        let inputs = tower_inputs(pictures);
        let assembly = model.spec.connector.as_ref().map(|_| Assembly::new(&model.spec, &inputs)).transpose()?;
        let mut b = Builder::new(&model.weights);
        for picture in pictures {
            let bound = BoundPicture::build(&device, &mut b.pool, picture, model.compute).await?;
            bound.upload(&device);
            b.pictures.push(bound);
        }
        let mut name = result_name(&model.spec);
        let mut result = self.record_groups(&mut b, &inputs, name).await?;
        if let Some(assembly) = assembly.filter(|a| !a.is_identity()) {
            b.store.put(names::ROWS, vec![result.0.clone()]);
            let graph = features_graph(&model.spec, &assembly, model.compute)?;
            b.program(&device, graph, &self.programs.fuse).await?;
            result = (b.store.slice(names::FEATURES)?.clone(), assembly.rows());
            name = names::ENCODED;
        }
        // Slots may have grown since the first programs were bound.
        b.refresh(&device).await?;
        let Builder { pictures, programs, ops, .. } = b;
        Ok(EncodeRecording { device, pictures, programs, ops, name, result: result.0, rows: result.1 })
    }

    /// Adds the programs of all groups with their planes; returns where their results are together, and their rows.
    async fn record_groups(&self, b: &mut Builder, inputs: &TowerInputs, name: &str) -> Result<(Slice, usize)> {
        let (device, model) = (self.device(), self.model());
        let ranges = groups(&model.spec, device.caps(), inputs, model.compute);
        let parts: Vec<TowerInputs> = ranges.iter().map(|range| inputs.part(range.clone())).collect();
        let pixels = parts.iter().map(|part| pixels_type(&part.sizes, 3, model.compute));
        if let Some(largest) = pixels.max_by_key(TensorType::bytes) {
            b.store.ensure(&device, names::PIXELS, &largest).await?;
        }
        // Copies of the results, put behind their programs once the size of the whole is known.
        let (mut types, mut ends) = (Vec::new(), Vec::new());
        for (part, range) in parts.iter().zip(ranges) {
            b.planes(range)?;
            let graph = encode_graph(&model.spec, part, false, model.compute)?;
            let plan = b.program(&device, graph, &self.programs.fuse).await?;
            let found = plan.graph.states().find(|(state, _)| *state == name).map(|(_, ty)| ty.clone());
            types.push(found.ok_or_else(|| Error::graph(name, "is not a result of the encoder"))?);
            ends.push(b.ops.len());
        }
        let whole: u64 = types.iter().map(TensorType::bytes).sum();
        let result = Slice::first(device.buffer("encoded", whole, Use::Storage).await?, whole);
        let (from, mut offset) = (b.store.slice(name)?.clone(), 0);
        for (i, (ty, end)) in types.iter().zip(ends).enumerate() {
            let copy = Op::Copy { from: from.clone(), to: at(&result, offset), bytes: ty.bytes() };
            b.ops.insert(end + i, copy);
            offset += ty.bytes();
        }
        Ok((result, types.iter().map(TensorType::rows).sum()))
    }

    /// Records the encoding into an encoder of the host, outside of any pass; the host submits it. Nothing is
    /// allocated and nothing waits. The result is a buffer of the device, valid on the queue after that submit.
    ///
    /// The session takes the features as its own: once the host has submitted, [`Session::prefill`] uses them.
    ///
    /// Errors: [`Error::InvalidArgument`] for a recording of another device, [`Error::DeviceLost`].
    pub fn record_encode(&mut self, encoder: &mut CommandEncoder, recording: &EncodeRecording) -> Result<Slice> {
        let device = self.device();
        if !device.is(&recording.device) {
            return Err(Error::argument("recording", "was prepared on another device"));
        }
        device.check_lost()?;
        recording.record(encoder);
        let name = if recording.name == names::ENCODED { names::FEATURES } else { recording.name };
        let known = self.store.slice(name).is_ok_and(|s| std::sync::Arc::ptr_eq(&s.buffer, &recording.result.buffer));
        if !known {
            self.store.put(name, vec![recording.result.clone()]);
        }
        if name == names::FEATURES {
            self.feature_rows = recording.rows;
        }
        Ok(recording.result.clone())
    }
}

fn at(slice: &Slice, offset: u64) -> Slice {
    Slice { offset: slice.offset + offset, ..slice.clone() }
}
