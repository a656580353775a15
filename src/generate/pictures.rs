//! Pictures to the normalised planes of the tower's inputs on the GPU: resize, cut, normalise by kernels; the host only
//! decodes.

use crate::gpu::{Buffer, Device, Recorder, Slice, Texture};
use crate::graph::{Graph, Plan as GraphPlan, Pool, Program, RunOptions, Store, ValueId};
use crate::image::tiles::{Input, TilePlan};
use crate::image::{Picture, Sampling, Walk};
use crate::kernels::{Normalize, Resample, TensorType, chunks, resize_passes};
use crate::models::{TowerInputs, names};
use crate::{DType, Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// Where a picture's pixels are.
#[derive(Debug, Clone)]
pub enum PictureSource {
    /// Decoded on the host.
    Host(Arc<Picture>),
    /// In a texture of the host's device, `Rgba8Unorm(Srgb)` or `Bgra8Unorm(Srgb)`, with the usage COPY_SRC. The
    /// bytes are taken as they are stored, as those of a decoded file would be.
    Texture(Texture),
    /// In a buffer: rows of `pitch` words `0xAABBGGRR`.
    Buffer {
        /// Pixels.
        buffer: Arc<Buffer>,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Words from row to row.
        pitch: u32,
    },
}

/// A picture with its way into the model.
#[derive(Debug, Clone)]
pub struct Pixels {
    /// The picture.
    pub source: PictureSource,
    /// Its tiles, and the order in which their features stand.
    pub plan: TilePlan,
    /// The ways to the inputs of the tower, in the order of their features.
    pub inputs: Vec<Input>,
}

/// The tower's inputs of these pictures.
pub(super) fn tower_inputs(pictures: &[Pixels]) -> TowerInputs {
    TowerInputs::of(pictures.iter().map(|p| (&p.plan, p.inputs.as_slice())))
}

impl PictureSource {
    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        match self {
            Self::Host(picture) => (picture.width, picture.height),
            Self::Texture(texture) => (texture.width(), texture.height()),
            Self::Buffer { width, height, .. } => (*width, *height),
        }
    }
    fn bgra(&self) -> Result<bool> {
        match self {
            Self::Texture(texture) => crate::gpu::is_bgra(texture),
            _ => Ok(false),
        }
    }
    /// Type of the pixels on the device: rows of words.
    fn ty(&self) -> TensorType {
        TensorType::u32(&[self.size().1 as usize, self.pitch() as usize])
    }
    /// Checks what the device would only report when the work is submitted.
    pub(super) fn check(&self, device: &Device) -> Result<()> {
        match self {
            Self::Host(_) => Ok(()),
            Self::Texture(texture) => crate::gpu::check_texture(texture),
            Self::Buffer { buffer, width, height, pitch } => {
                let need = self.ty().bytes();
                if *pitch < *width || *width == 0 || *height == 0 || buffer.bytes() < need {
                    let reason = format!(
                        "{} bytes do not hold {width}x{height} pixels in rows of {pitch} words",
                        buffer.bytes()
                    );
                    return Err(Error::argument("picture buffer", reason));
                }
                if !buffer.is_storage() {
                    return Err(Error::argument("picture buffer", "lacks the usage STORAGE"));
                }
                let limit = device.caps().max_binding;
                if need > limit {
                    return Err(Error::MissingCapability {
                        what: "picture buffer".into(),
                        needs: format!("a binding of {need} bytes"),
                        has: format!("{limit} bytes; a texture is split where it is larger"),
                    });
                }
                Ok(())
            }
        }
    }
    /// Words from row to row.
    fn pitch(&self) -> u32 {
        match self {
            Self::Host(picture) => host_type((picture.width, picture.height)).cols() as u32,
            // A texture is copied with rows of whole 256 bytes.
            Self::Texture(texture) => texture.width().next_multiple_of(64),
            Self::Buffer { pitch, .. } => *pitch,
        }
    }
}

pub(super) const PICTURE: &str = "picture";
pub(super) const PLANES: &str = "planes";
/// Rows of a picture of odd width that are padded at a time.
const PADDED_ROWS: usize = 64;

/// Resizes, cuts and normalises `pictures` into [`names::PIXELS`] of the store, the planes of all inputs one after the
/// other. A picture goes to the device once.
///
/// Errors: no pictures; a picture larger than the device's memory.
pub(super) async fn preprocess(
    device: &Device,
    store: &mut Store,
    pool: &mut Pool,
    pictures: &[Pixels],
    (compute, options): (DType, &RunOptions),
) -> Result<TowerInputs> {
    if pictures.is_empty() {
        return Err(Error::argument("pictures", "are none"));
    }
    let inputs = tower_inputs(pictures);
    store.ensure_whole(device, names::PIXELS, TensorType::new(compute, &[inputs.values(3)]).bytes()).await?;
    let target = store.slice(names::PIXELS)?.clone();
    let mut offset = 0;
    for picture in pictures {
        let mut bound = BoundPicture::build(device, pool, picture, compute).await?;
        bound.upload(device);
        device.submit("picture", |r| bound.copy_texture(r)).await?;
        for i in 0..bound.programs.len() {
            bound.programs[i].refresh(device, &bound.store, pool).await?;
            bound.programs[i].run(device, options).await?;
            let (from, bytes) = bound.planes(i)?;
            let to = Slice { offset: target.offset + offset, ..target.clone() };
            device.submit("pixels", |r: &mut Recorder<'_>| r.copy(&from, &to, bytes)).await?;
            offset += bytes;
        }
    }
    Ok(inputs)
}

/// A picture's buffers with the programs from its pixels to the planes of its inputs.
#[derive(Debug)]
pub(super) struct BoundPicture {
    /// Where the pixels are.
    pub source: PictureSource,
    /// The passes to each input, bound.
    pub programs: Vec<Program>,
    /// Its own buffers; the planes of one input at a time.
    pub store: Store,
}

impl BoundPicture {
    /// Allocates, compiles and binds; the pixels come later.
    pub async fn build(device: &Device, pool: &mut Pool, picture: &Pixels, compute: DType) -> Result<Self> {
        let (width, height) = picture.source.size();
        let mut store = Store::new();
        picture.source.check(device)?;
        if picture.plan.size != (width, height) {
            let reason = format!("is of {width}x{height} pixels, its plan of {:?}", picture.plan.size);
            return Err(Error::argument("picture", reason));
        }
        match &picture.source {
            PictureSource::Buffer { buffer, .. } => {
                store.put(PICTURE, vec![Slice::first(buffer.clone(), picture.source.ty().bytes())]);
            }
            _ => store.ensure(device, PICTURE, &picture.source.ty()).await?,
        }
        let largest = picture.inputs.iter().map(|input| planes_type(input, compute)).max_by_key(TensorType::bytes);
        let largest = largest.ok_or_else(|| Error::argument("picture", "has no inputs in its plan"))?;
        store.ensure(device, PLANES, &largest).await?;
        let chunked = store.get(PICTURE).is_some_and(|c| c.len() > 1);
        let (mut programs, how) = (Vec::new(), (compute, device.caps().software));
        for input in &picture.inputs {
            let graph = picture_graph(input, picture.source.ty(), (picture.source.bgra()?, chunked), how)?;
            let plan = GraphPlan::new(graph, device.caps())?;
            programs.push(Program::build(device, plan, &store, pool).await?);
        }
        Ok(Self { source: picture.source.clone(), programs, store })
    }
    /// The planes of input `i` after its program has run, and their bytes.
    pub fn planes(&self, i: usize) -> Result<(Slice, u64)> {
        let states = self.programs.get(i).map(|p| p.plan().graph.states());
        let found = states.and_then(|mut s| s.find(|(name, _)| *name == PLANES)).map(|(_, ty)| ty.bytes());
        let bytes = found.ok_or_else(|| Error::graph(PLANES, "is not made"))?;
        Ok((self.store.slice(PLANES)?.clone(), bytes))
    }
    /// Chunks of the pixels with their rows.
    fn pieces(&self, device: &Device) -> Vec<(Range<usize>, Slice)> {
        let slices = self.store.get(PICTURE).unwrap_or_default();
        let rows = chunks(&self.source.ty(), device.caps());
        rows.iter().map(|c| c.first..c.first + c.rows).zip(slices.iter().cloned()).collect()
    }
    /// Puts a picture of the host where the first pass reads it; other sources are on the device.
    pub fn upload(&self, device: &Device) {
        let PictureSource::Host(picture) = &self.source else { return };
        let (width, pitch) = (picture.width as usize, self.source.pitch() as usize);
        for (rows, slice) in self.pieces(device) {
            if width == pitch {
                let words = &picture.pixels[rows.start * width..rows.end * width];
                device.write(&slice.buffer, slice.offset, bytemuck::cast_slice(words));
                continue;
            }
            // Some rows at a time, so that the padded copy stays small.
            for part in rows.clone().step_by(PADDED_ROWS) {
                let end = (part + PADDED_ROWS).min(rows.end);
                let mut words = vec![0u32; (end - part) * pitch];
                for (to, from) in words.chunks_exact_mut(pitch).zip(picture.pixels[part * width..].chunks_exact(width))
                {
                    to[..width].copy_from_slice(from);
                }
                let offset = ((part - rows.start) * pitch * 4) as u64;
                device.write(&slice.buffer, slice.offset + offset, bytemuck::cast_slice(&words));
            }
        }
    }
    /// Records the copy of a texture to where the first pass reads it; other sources need none.
    pub fn copy_texture(&self, recorder: &mut Recorder<'_>) {
        let PictureSource::Texture(texture) = &self.source else { return };
        let row = self.source.ty().row_bytes();
        let mut first = 0;
        for slice in self.store.get(PICTURE).unwrap_or_default() {
            let last = (first + (slice.bytes / row as u64) as u32).min(texture.height());
            recorder.copy_texture(texture, first..last, slice, row as u32);
            first = last;
        }
    }
}

/// A picture of the host on the device. Rows of whole quads are read 16 bytes at a time.
pub(super) fn host_type((width, height): (u32, u32)) -> TensorType {
    TensorType::u32(&[height as usize, width.next_multiple_of(4) as usize])
}

/// Planes of an input.
pub(super) fn planes_type(input: &Input, compute: DType) -> TensorType {
    let (width, height) = input.size();
    TensorType::new(compute, &[3, height as usize, width as usize])
}

/// The steps of an input: resize passes in their order, normalisation, and shrinking of the planes where it is planned.
/// `ty` is the picture's type on the device; with `bgra` its bytes are swapped, `chunked` it is kept in several pieces; `software` as
/// [`resize_passes`] takes it.
pub(super) fn picture_graph(
    input: &Input,
    ty: TensorType,
    (bgra, chunked): (bool, bool),
    (compute, software): (DType, bool),
) -> Result<Graph> {
    let mut g = Graph::new();
    let mut x = if chunked { g.weight(PICTURE, ty) } else { g.state(PICTURE, ty) };
    for (i, step) in input.steps.iter().enumerate() {
        for (pass, walk) in resize_passes(step, bgra && i == 0, software)? {
            let runs = g.constant_u32("runs", &[walk.runs.len() / 4, 4], &walk.runs);
            let steps = g.constant_i32("steps", &[walk.count(), Walk::row(walk.slots)], &walk.steps);
            x = g.scoped("resize", |g| g.apply(pass, &[x, runs, steps]))?;
        }
    }
    let last = input.steps.last().ok_or_else(|| Error::graph("picture", "an input without steps"))?;
    let normalize = Normalize { dtype: compute, ..Normalize::new(last) };
    let mut planes = g.scoped("normalize", |g| g.apply(normalize, &[x]))?;
    if let Some((width, height)) = input.shrunk {
        planes = g.scoped("shrink", |g| {
            let rows = torch_bicubic(g, planes, 1, height as usize)?;
            torch_bicubic(g, rows, 2, width as usize)
        })?;
    }
    g.store(planes, PLANES);
    Ok(g)
}

/// An axis of planes resized by torch's bicubic filter, without antialias and corners not aligned.
fn torch_bicubic(g: &mut Graph, planes: ValueId, axis: usize, to: usize) -> Result<ValueId> {
    let taps = Sampling::torch(g.ty(planes).shape[axis], to, true, false, false)?;
    let first = g.constant_u32("first", &[to], &taps.first);
    let count = g.constant_u32("count", &[to], &taps.count);
    let weights = g.constant_f32("weights", &[taps.width, to], &taps.weights);
    g.apply(Resample { axis, outside: 0.0 }, &[planes, first, count, weights])
}
