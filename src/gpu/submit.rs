//! Recording dispatches into an encoder (ours or the host's) and handing them to the queue.

use super::{Device, Pipeline, Slice};
use crate::{Error, Result};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks running work to stop at its next piece. Clones share the request.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// Takes the request back, before the next run.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
    /// [`Error::Cancelled`] if asked.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Records dispatches and copies into one command encoder.
#[derive(Debug)]
pub struct Recorder<'e> {
    encoder: &'e mut wgpu::CommandEncoder,
}

impl<'e> Recorder<'e> {
    /// Over an encoder, which may be the host's.
    pub fn new(encoder: &'e mut wgpu::CommandEncoder) -> Self {
        Self { encoder }
    }
    /// Records dispatches in one compute pass; wgpu orders those that touch the same buffer.
    pub fn pass<'a>(
        &mut self,
        label: &str,
        steps: impl Iterator<Item = (&'a Pipeline, &'a [wgpu::BindGroup], [u32; 3])>,
    ) {
        let descriptor = wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes: None };
        let mut pass = self.encoder.begin_compute_pass(&descriptor);
        for (pipeline, groups, grid) in steps {
            pass.set_pipeline(&pipeline.raw);
            for (i, group) in groups.iter().enumerate() {
                pass.set_bind_group(i as u32, group, &[]);
            }
            pass.dispatch_workgroups(grid[0], grid[1], grid[2]);
        }
    }
    /// Records a copy of `bytes` bytes.
    pub fn copy(&mut self, from: &Slice, to: &Slice, bytes: u64) {
        let (source, target) = (&from.buffer.raw, &to.buffer.raw);
        self.encoder.copy_buffer_to_buffer(source, from.offset, target, to.offset, bytes);
    }
}

impl Recorder<'_> {
    /// Records a copy of some rows of a texture's first layer and level, into rows of `pitch` bytes (a multiple of
    /// 256).
    pub fn copy_texture(&mut self, from: &wgpu::Texture, rows: Range<u32>, to: &Slice, pitch: u32) {
        let target = wgpu::TexelCopyBufferInfo {
            buffer: &to.buffer.raw,
            layout: wgpu::TexelCopyBufferLayout { offset: to.offset, bytes_per_row: Some(pitch), rows_per_image: None },
        };
        let size = wgpu::Extent3d { width: from.width(), height: rows.len() as u32, depth_or_array_layers: 1 };
        let origin = wgpu::Origin3d { x: 0, y: rows.start, z: 0 };
        let source = wgpu::TexelCopyTextureInfo { origin, ..from.as_image_copy() };
        self.encoder.copy_texture_to_buffer(source, target, size);
    }
}

/// Whether the bytes of a texture are blue first; an error for formats that are not four bytes of colour.
pub fn is_bgra(texture: &wgpu::Texture) -> Result<bool> {
    match texture.format() {
        wgpu::TextureFormat::Rgba8Unorm | wgpu::TextureFormat::Rgba8UnormSrgb => Ok(false),
        wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb => Ok(true),
        other => {
            Err(Error::unsupported(format!("texture format {other:?}"), "Rgba8Unorm and Bgra8Unorm, also sRGB, are"))
        }
    }
}

/// Checks that a texture of the host can be copied from: a copy that cannot be made would only be reported when
/// the host finishes its encoder.
pub fn check_texture(texture: &wgpu::Texture) -> Result<()> {
    is_bgra(texture)?;
    let refuse = |reason: &str| Err(Error::argument("picture texture", reason));
    if texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
        return refuse("is not a two-dimensional texture of one sample");
    }
    if !texture.usage().contains(wgpu::TextureUsages::COPY_SRC) {
        return refuse("lacks the usage COPY_SRC");
    }
    Ok(())
}

impl Device {
    /// Records with `record` into an encoder of ours and submits it; what the device reports is an error.
    pub async fn submit(&self, label: &str, record: impl FnOnce(&mut Recorder<'_>)) -> Result<wgpu::SubmissionIndex> {
        self.scoped(label, || self.record_and_submit(label, record)).await
    }
    /// [`Device::submit`] without awaiting the device's reports, for a hot loop whose programs were checked
    /// when they were built. Off the web reports are there at once, and are errors here too.
    pub fn submit_now(&self, label: &str, record: impl FnOnce(&mut Recorder<'_>)) -> Result<wgpu::SubmissionIndex> {
        self.scoped_now(label, || self.record_and_submit(label, record))
    }
    fn record_and_submit(&self, label: &str, record: impl FnOnce(&mut Recorder<'_>)) -> wgpu::SubmissionIndex {
        let mut encoder = self.wgpu().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) });
        record(&mut Recorder::new(&mut encoder));
        self.queue().submit([encoder.finish()])
    }
}
