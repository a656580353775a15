//! The engine inside an application that has a GPU device of its own: the picture is a texture, the encode goes into
//! the application's command encoder, and the features stay on the GPU as a buffer.
//!
//! `cargo run --example host_device -- MODEL_DIR PICTURE` (without arguments a small model of the repository)

use omma::checkpoint::Directory;
use omma::generate::{LoadOptions, Model, OpenModel, PictureSource, Session, SessionOptions};
use omma::gpu::{Device, HostOptions, Slice, requirements};
use omma::image::{Limits, Picture, Policy};
use omma::wgpu;
use std::path::PathBuf;
use std::sync::Arc;

type Any = Box<dyn std::error::Error>;

fn main() -> Result<(), Any> {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens/llava15_gqa");
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, file] = match &arguments[..] {
        [folder, file] => [folder.clone(), file.clone()],
        _ => [golden.clone(), golden.join("image.png")],
    };
    pollster::block_on(run(&folder, &file))
}

async fn run(folder: &PathBuf, file: &PathBuf) -> Result<(), Any> {
    // The application's own device, with what the engine would like to have; nothing of it is required.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    let (required_features, required_limits) = requirements(&adapter, 0);
    let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    let (device, queue) = adapter.request_device(&descriptor).await?;

    let engine = Device::from_host(device.clone(), queue.clone(), &HostOptions::default());
    let files = Directory::open(folder)?;
    let model = Arc::new(Model::load(&engine, &files, OpenModel::default(), LoadOptions::default()).await?);
    let mut session = Session::new(model.clone(), SessionOptions::default());
    let picture = Picture::decode(&file.display().to_string(), &std::fs::read(file)?, &Limits::default())?;

    // Once per picture size: pipelines, buffers, bind groups. Then, every frame, only commands are recorded.
    let source = PictureSource::Texture(texture(&device, &queue, &picture));
    let recording = session.prepare_encode(&[model.pixels(source, Policy::Auto)?]).await?;
    let mut encoder = device.create_command_encoder(&Default::default());
    let features = session.record_encode(&mut encoder, &recording)?;
    queue.submit([encoder.finish()]);
    println!("{}: {} rows in a buffer of {} bytes", engine.title(), recording.rows(), features.buffer.wgpu().size());

    // The same picture from the host's memory, to compare.
    let other = model.pixels(PictureSource::Host(Arc::new(picture)), Policy::Auto)?;
    let uploaded = session.prepare_encode(&[other]).await?;
    let mut encoder = device.create_command_encoder(&Default::default());
    session.record_encode(&mut encoder, &uploaded)?;
    queue.submit([encoder.finish()]);
    let (a, b) = (read(&engine, &features).await?, read(&engine, uploaded.result()).await?);
    let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference between texture and upload: {largest}");
    Ok(())
}

/// A texture as a renderer or a video decoder would have it; all that matters is the usage COPY_SRC.
fn texture(device: &wgpu::Device, queue: &wgpu::Queue, picture: &Picture) -> wgpu::Texture {
    let size = wgpu::Extent3d { width: picture.width, height: picture.height, depth_or_array_layers: 1 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let bytes: Vec<u8> = picture.pixels.iter().flat_map(|p| p.to_le_bytes()).collect();
    let bytes_per_row = Some(4 * picture.width);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
    queue.write_texture(texture.as_image_copy(), &bytes, layout, size);
    texture
}

/// Only to print a number: an application would bind the buffer to its own pipelines.
async fn read(engine: &Device, slice: &Slice) -> Result<Vec<f32>, Any> {
    let bytes = engine.read(slice).await?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
