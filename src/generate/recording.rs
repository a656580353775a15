//! Encoding pictures inside a host's own command encoder: everything that can fail or allocate happens in
//! [`Session::prepare_encode`], recording only records. Submitting and polling are the host's.

use super::Session;
use super::encoding::result_name;
use super::parts::group_size;
use super::pictures::{BoundPicture, PictureSource, Pixels, common_size};
use crate::gpu::{CommandEncoder, Device, Recorder, Slice, Texture, Use};
use crate::graph::{Plan, Pool, Program, Store, fuse};
use crate::kernels::TensorType;
use crate::models::{encode_graph, names};
use crate::{Error, Result};
use std::ops::Range;

/// What is recorded, in order.
#[derive(Debug)]
enum Op {
    /// A picture to its planes.
    Picture(usize),
    /// A copy of `bytes` bytes.
    Copy { from: Slice, to: Slice, bytes: u64 },
    /// A program of the tower.
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
                Op::Picture(i) => {
                    let picture = &self.pictures[*i];
                    picture.copy_texture(&mut Recorder::new(encoder));
                    picture.program.record(encoder, 0..picture.program.steps());
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
    /// Records the planes of a group of pictures, `each` bytes a picture.
    fn planes(&mut self, range: Range<usize>, each: u64) -> Result<()> {
        let target = self.store.slice(names::PIXELS)?.clone();
        for (i, picture) in range.enumerate() {
            let from = self.pictures[picture].planes()?.clone();
            self.ops.push(Op::Picture(picture));
            self.ops.push(Op::Copy { from, to: at(&target, i as u64 * each), bytes: each });
        }
        Ok(())
    }
    async fn refresh(&mut self, device: &Device) -> Result<()> {
        for program in &mut self.programs {
            program.refresh(device, &self.store, &self.pool).await?;
        }
        for picture in &mut self.pictures {
            picture.program.refresh(device, &picture.store, &self.pool).await?;
        }
        Ok(())
    }
    /// Inserts a copy of each group's result behind its program.
    fn collect(&mut self, name: &str, result: &Slice, types: &[TensorType]) -> Result<()> {
        let from = self.store.slice(name)?.clone();
        let mut offset = 0;
        let mut ops = Vec::new();
        for op in self.ops.drain(..) {
            let bytes = match op {
                Op::Encode(i) => types[i].bytes(),
                _ => 0,
            };
            ops.push(op);
            if bytes > 0 {
                ops.push(Op::Copy { from: from.clone(), to: at(result, offset), bytes });
                offset += bytes;
            }
        }
        self.ops = ops;
        Ok(())
    }
}

impl Session {
    /// Builds everything that an encode of these pictures needs. Pictures on the host are uploaded now, textures and
    /// buffers are read when the host submits what [`Session::record_encode`] recorded.
    ///
    /// Errors: those of [`Session::preprocess`] and [`Session::encode`].
    pub async fn prepare_encode(&mut self, pictures: &[Pixels]) -> Result<EncodeRecording> {
        let (device, model) = (self.device(), self.model().clone());
        let size = common_size(pictures)?;
        let name = result_name(&model.spec);
        let group = group_size(&model.spec, model.device.caps(), size).min(pictures.len()).max(1);
        let part = TensorType::f32(&[group, 3, size.0, size.1]);
        let mut b = Builder::new(&model.weights);
        b.store.ensure(&device, names::PIXELS, &part).await?;
        for picture in pictures {
            let bound = BoundPicture::build(&device, &mut b.pool, picture).await?;
            bound.upload(&device);
            b.pictures.push(bound);
        }
        // Types of the groups' results, a row of pictures each.
        let mut types = Vec::new();
        for first in (0..pictures.len()).step_by(group) {
            let count = group.min(pictures.len() - first);
            b.planes(first..first + count, part.bytes() / group as u64)?;
            types.push(self.encode_program(&mut b, count, size, name).await?);
        }
        // Slots may have grown since the first programs were bound.
        b.refresh(&device).await?;
        let whole: u64 = types.iter().map(TensorType::bytes).sum();
        let result = Slice::first(device.buffer("encoded", whole, Use::Storage).await?, whole);
        b.collect(name, &result, &types)?;
        let rows = types.iter().map(TensorType::rows).sum();
        let Builder { pictures, programs, ops, .. } = b;
        Ok(EncodeRecording { device, pictures, programs, ops, name, result, rows })
    }

    /// Adds the tower's program over `count` pictures; returns the type of its result.
    async fn encode_program(
        &self,
        b: &mut Builder,
        count: usize,
        size: (usize, usize),
        name: &str,
    ) -> Result<TensorType> {
        let (device, model) = (self.device(), self.model());
        let graph = encode_graph(&model.spec, &vec![size; count], false, model.compute)?;
        let plan = Plan::new(fuse(graph, &self.programs.fuse), device.caps())?;
        for (state, ty) in plan.graph.states() {
            b.store.ensure(&device, state, ty).await?;
        }
        let found = plan.graph.states().find(|(state, _)| *state == name).map(|(_, ty)| ty.clone());
        let ty = found.ok_or_else(|| Error::graph(name, "is not a result of the encoder"))?;
        b.programs.push(Program::build(&device, plan, &b.store, &mut b.pool).await?);
        b.ops.push(Op::Encode(b.programs.len() - 1));
        Ok(ty)
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
