//! Pictures to normalised planes on the GPU: resize, crop, normalise by kernels; the host only decodes.

use super::Programs;
use crate::gpu::{Buffer, Device, Recorder, Slice, Texture};
use crate::graph::{Graph, Plan as GraphPlan, Pool, Program, RunOptions, Store};
use crate::image::{Picture, Plan};
use crate::kernels::{Normalize, TensorType, chunks, resize_passes};
use crate::models::names;
use crate::{Error, Result};
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
    let size = common_size(pictures)?;
    let each = TensorType::f32(&[3, size.0, size.1]);
    let all = TensorType::f32(&[pictures.len(), 3, size.0, size.1]);
    store.ensure_whole(device, names::PIXELS, all.bytes()).await?;
    let target = store.slice(names::PIXELS)?.clone();
    for (i, picture) in pictures.iter().enumerate() {
        let bound = BoundPicture::build(device, &mut programs.pool, picture).await?;
        bound.upload(device);
        device.submit("picture", |r| bound.copy_texture(r)).await?;
        bound.program.run(device, options).await?;
        let from = bound.planes()?.clone();
        let to = Slice { offset: target.offset + i as u64 * each.bytes(), ..target.clone() };
        device.submit("pixels", |r: &mut Recorder<'_>| r.copy(&from, &to, each.bytes())).await?;
    }
    Ok(size)
}

/// Height and width of the planes, the same for all pictures.
pub(super) fn common_size(pictures: &[Pixels]) -> Result<(usize, usize)> {
    let Some(first) = pictures.first() else { return Err(Error::argument("pictures", "are none")) };
    let (width, height) = first.plan.output();
    if pictures.iter().any(|p| p.plan.output() != (width, height)) {
        return Err(Error::argument("pictures", "of one batch must have one size after preprocessing"));
    }
    Ok((height as usize, width as usize))
}

/// A picture's buffers with the program from its pixels to its planes.
#[derive(Debug)]
pub(super) struct BoundPicture {
    /// Where the pixels are.
    pub source: PictureSource,
    /// Its passes, bound.
    pub program: Program,
    /// Its own buffers.
    pub store: Store,
}

impl BoundPicture {
    /// Allocates, compiles and binds; the pixels come later.
    pub async fn build(device: &Device, pool: &mut Pool, picture: &Pixels) -> Result<Self> {
        let (width, height) = picture.source.size();
        let mut store = Store::new();
        picture.source.check(device)?;
        if picture.plan.source != (width, height) {
            let reason = format!("is of {width}x{height} pixels, its plan of {:?}", picture.plan.source);
            return Err(Error::argument("picture", reason));
        }
        match &picture.source {
            PictureSource::Buffer { buffer, .. } => {
                store.put(PICTURE, vec![Slice::first(buffer.clone(), picture.source.ty().bytes())]);
            }
            _ => store.ensure(device, PICTURE, &picture.source.ty()).await?,
        }
        let (width, height) = picture.plan.output();
        store.ensure(device, PLANES, &TensorType::f32(&[3, height as usize, width as usize])).await?;
        let chunked = store.get(PICTURE).is_some_and(|c| c.len() > 1);
        let graph = picture_graph(&picture.plan, picture.source.ty(), picture.source.bgra()?, chunked)?;
        let plan = GraphPlan::new(graph, device.caps())?;
        let program = Program::build(device, plan, &store, pool).await?;
        Ok(Self { source: picture.source.clone(), program, store })
    }
    /// The planes.
    pub fn planes(&self) -> Result<&Slice> {
        self.store.slice(PLANES)
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
        let (words, row): (&[u8], _) = (bytemuck::cast_slice(&picture.pixels), self.source.ty().row_bytes());
        for (rows, slice) in self.pieces(device) {
            device.write(&slice.buffer, slice.offset, &words[rows.start * row..rows.end * row]);
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
