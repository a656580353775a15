//! Pictures to normalised planes on the GPU: resize, crop, normalise by kernels; the host only decodes.

use super::Programs;
use crate::gpu::{Buffer, Device, Recorder, Slice, Texture};
use crate::graph::{Graph, Plan as GraphPlan, Program, RunOptions, Store};
use crate::image::{Picture, Plan};
use crate::kernels::{Normalize, TensorType, chunks, resize_passes};
use crate::models::names;
use crate::{Error, Result};
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
    /// Geometry.
    pub plan: Plan,
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
    /// Words from row to row.
    fn pitch(&self) -> u32 {
        match self {
            Self::Host(picture) => picture.width,
            // A texture is copied with rows of whole 256 bytes.
            Self::Texture(texture) => texture.width().next_multiple_of(64),
            Self::Buffer { pitch, .. } => *pitch,
        }
    }
}

pub(super) const PICTURE: &str = "picture";
pub(super) const PLANES: &str = "planes";

/// Resizes, crops and normalises `pictures` into [`names::PIXELS`] \[pictures, 3, height, width\] of the store.
///
/// Errors: pictures whose outputs differ in size; a picture larger than the device's memory.
pub(super) async fn preprocess(
    device: &Device,
    store: &mut Store,
    programs: &mut Programs,
    pictures: &[Pixels],
    options: &RunOptions,
) -> Result<(usize, usize)> {
    let (width, height) = pictures.first().map_or((0, 0), |p| p.plan.output());
    let size = (height as usize, width as usize);
    let each = TensorType::f32(&[3, size.0, size.1]);
    store.ensure(device, names::PIXELS, &TensorType::f32(&[pictures.len(), 3, size.0, size.1])).await?;
    let target = store.slice(names::PIXELS)?.clone();
    for (i, picture) in pictures.iter().enumerate() {
        if picture.plan.output() != (width, height) {
            return Err(Error::argument("pictures", "of one batch must have one size after preprocessing"));
        }
        let mut own = Store::new();
        upload(device, &mut own, picture).await?;
        own.ensure(device, PLANES, &each).await?;
        let chunked = own.get(PICTURE).is_some_and(|c| c.len() > 1);
        let graph = picture_graph(&picture.plan, picture.source.ty(), picture.source.bgra()?, chunked)?;
        let plan = GraphPlan::new(graph, device.caps())?;
        let program = Program::build(device, plan, &own, &mut programs.pool).await?;
        program.run(device, options).await?;
        let from = own.slice(PLANES)?.clone();
        let to = Slice { offset: target.offset + i as u64 * each.bytes(), ..target.clone() };
        device.submit("pixels", |r: &mut Recorder<'_>| r.copy(&from, &to, each.bytes())).await?;
    }
    Ok(size)
}

/// The resize passes in their order, then the normalisation. `ty` is the picture's type on the device, `chunked`
/// whether it is kept there in several pieces.
pub(super) fn picture_graph(plan: &Plan, ty: TensorType, bgra: bool, chunked: bool) -> Result<Graph> {
    let mut g = Graph::new();
    let mut x = if chunked { g.weight(PICTURE, ty) } else { g.state(PICTURE, ty) };
    for (kernel, taps) in resize_passes(plan, bgra)? {
        let n = taps.outputs();
        let first = g.constant_u32("first", &[n], &taps.first);
        let count = g.constant_u32("count", &[n], &taps.count);
        let weights = g.constant_i32("weights", &[taps.width, n], &taps.weights);
        x = g.scoped("resize", |g| g.add_shared(kernel.into(), &[x, first, count, weights]))?[0];
    }
    let planes = g.scoped("normalize", |g| g.apply(Normalize::new(plan), &[x]))?;
    g.store(planes, PLANES);
    Ok(g)
}

/// Puts the pixels where the first pass reads them.
async fn upload(device: &Device, store: &mut Store, picture: &Pixels) -> Result<()> {
    let (width, height) = picture.source.size();
    let ty = picture.source.ty();
    match &picture.source {
        PictureSource::Buffer { buffer, pitch, .. } => {
            let need = u64::from(*pitch) * u64::from(height) * 4;
            if *pitch < width || buffer.bytes() < need {
                let reason = format!("{} bytes do not hold {height} rows of {pitch} words", buffer.bytes());
                return Err(Error::argument("picture buffer", reason));
            }
            store.put(PICTURE, vec![Slice::first(buffer.clone(), need)]);
        }
        PictureSource::Host(picture) => {
            store.ensure(device, PICTURE, &ty).await?;
            let words: &[u8] = bytemuck::cast_slice(&picture.pixels);
            let pieces = store.get(PICTURE).unwrap_or_default();
            for (chunk, slice) in chunks(&ty, device.caps()).iter().zip(pieces) {
                let row = ty.row_bytes();
                device.write(&slice.buffer, 0, &words[chunk.first * row..][..chunk.rows * row]);
            }
        }
        PictureSource::Texture(texture) => {
            store.ensure(device, PICTURE, &ty).await?;
            let target = store.slice(PICTURE)?.clone();
            let pitch = picture.source.pitch();
            device.submit("picture", |r| r.copy_texture(texture, &target, pitch * 4)).await?;
        }
    }
    Ok(())
}
