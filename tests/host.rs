//! The engine inside a host: the host's device, its command encoder, its textures and buffers, its polling.

mod support;

use omma::generate::{Model, PictureSource, Session};
use omma::gpu::{Buffer, Cancel, Device, HostOptions, Waiting};
use omma::image::Picture;
use omma::{Error, wgpu};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use support::*;

/// What may cross threads. `Session` is used by one task at a time, but that task may move.
const _: () = {
    const fn both<T: Send + Sync>() {}
    const fn send<T: Send>() {}
    both::<Device>();
    both::<Buffer>();
    both::<omma::gpu::Slice>();
    both::<Cancel>();
    both::<Error>();
    both::<Model>();
    both::<omma::generate::EncodeRecording>();
    both::<PictureSource>();
    send::<Session>();
};

/// Tasks of a session can be spawned on an executor of many threads.
#[allow(dead_code, reason = "only has to compile")]
fn futures_are_send(session: &mut Session, golden: &Golden) {
    fn send(_: impl Send) {}
    send(session.decode());
    send(session.arrived());
    send(session.chosen(false));
    let inputs = omma::models::TowerInputs::same((1, 1), 1);
    send(session.encode(&inputs, &nothing));
    send(session.prepare_encode(&[]));
    send(answer(session, golden, 1));
}

fn texture(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    picture: &Picture,
    format: wgpu::TextureFormat,
) -> wgpu::Texture {
    let size = wgpu::Extent3d { width: picture.width, height: picture.height, depth_or_array_layers: 1 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("the host's picture"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let swap = format == wgpu::TextureFormat::Bgra8Unorm;
    let order = |p: &u32| {
        let [r, g, b, a] = p.to_le_bytes();
        if swap { [b, g, r, a] } else { [r, g, b, a] }
    };
    let bytes: Vec<u8> = picture.pixels.iter().flat_map(order).collect();
    let layout =
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * picture.width), rows_per_image: None };
    queue.write_texture(texture.as_image_copy(), &bytes, layout, size);
    texture
}

fn buffer(device: &wgpu::Device, queue: &wgpu::Queue, picture: &Picture) -> PictureSource {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let size = 4 * picture.pixels.len() as u64;
    let raw = device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    let bytes: Vec<u8> = picture.pixels.iter().flat_map(|p| p.to_le_bytes()).collect();
    queue.write_buffer(&raw, 0, &bytes);
    let (width, height) = (picture.width, picture.height);
    PictureSource::Buffer { buffer: Buffer::from_host(raw), width, height, pitch: width }
}

/// Records into the host's encoder, submits, and gives the bytes of the features.
fn through_the_host(session: &mut Session, sources: Vec<PictureSource>, queue: &wgpu::Queue) -> Vec<u8> {
    let model = session.model().clone();
    let pictures: Vec<_> = sources.into_iter().map(|source| pixels(&model, source)).collect();
    let recording = pollster::block_on(session.prepare_encode(&pictures)).unwrap();
    let before = model.device.ledger().memory().allocations;
    let mut encoder = model.device.wgpu().create_command_encoder(&Default::default());
    let features = session.record_encode(&mut encoder, &recording).unwrap();
    assert_eq!(model.device.ledger().memory().allocations, before, "recording allocates nothing");
    queue.submit([encoder.finish()]);
    pollster::block_on(model.device.read(&features)).unwrap()
}

fn same_as_upload(wants: impl FnOnce(&wgpu::Adapter) -> (wgpu::Features, wgpu::Limits), sample: usize) {
    let (raw, queue) = host_device(wants);
    let device = Device::from_host(raw.clone(), queue.clone(), &HostOptions::default());
    let golden = Golden::new("llava15_gqa", sample);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model.clone(), sizes());
    let pictures = golden.host_pictures(&model);
    let inputs = pollster::block_on(session.preprocess(&pictures)).unwrap();
    let connector = |name: &str| name.is_empty() || name == "connector";
    let stages = pollster::block_on(session.encode(&inputs, &connector)).unwrap();
    golden.check("connector", &stages[0].values);
    let features = pollster::block_on(device.read(session.features().unwrap())).unwrap();
    let normal = pollster::block_on(answer(&mut session, &golden, 16)).unwrap();
    check_answer(&golden, &normal);

    let pictures = golden.pictures();
    let rgba = |p: &Picture| PictureSource::Texture(texture(&raw, &queue, p, wgpu::TextureFormat::Rgba8Unorm));
    let bgra = |p: &Picture| PictureSource::Texture(texture(&raw, &queue, p, wgpu::TextureFormat::Bgra8Unorm));
    let words = |p: &Picture| buffer(&raw, &queue, p);
    let sources: [&dyn Fn(&Picture) -> PictureSource; 3] = [&rgba, &bgra, &words];
    for source in sources {
        let mut session = Session::new(model.clone(), sizes());
        let got = through_the_host(&mut session, pictures.iter().map(source).collect(), &queue);
        assert_eq!(got, features, "features, bit for bit");
        assert_eq!(pollster::block_on(answer(&mut session, &golden, 3)).unwrap().logits, normal.logits[..3 * 402]);
    }
}

#[test]
fn a_host_with_the_floor_gets_the_same_bits_through_its_encoder() {
    same_as_upload(|_| (wgpu::Features::empty(), wgpu::Limits::default()), 0);
}

#[test]
fn a_host_with_what_the_engine_asks_for_gets_the_same_bits_for_two_pictures() {
    same_as_upload(|adapter| omma::gpu::requirements(adapter, 0), 1);
}

#[test]
fn a_recording_is_replayed_over_another_frame() {
    let (raw, queue) = host_device(|_| (wgpu::Features::empty(), wgpu::Limits::default()));
    let device = Device::from_host(raw.clone(), queue.clone(), &HostOptions::default());
    let golden = Golden::new("llava15_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model.clone(), sizes());
    let picture = golden.pictures().remove(0);
    let mut other = picture.clone();
    other.pixels.reverse();
    let format = wgpu::TextureFormat::Rgba8Unorm;
    let first = pixels(&model, PictureSource::Texture(texture(&raw, &queue, &picture, format)));
    let mut recording = pollster::block_on(session.prepare_encode(&[first])).unwrap();
    let mut frame = |recording: &omma::generate::EncodeRecording| {
        let mut encoder = raw.create_command_encoder(&Default::default());
        let features = session.record_encode(&mut encoder, recording).unwrap();
        queue.submit([encoder.finish()]);
        pollster::block_on(device.read(&features)).unwrap()
    };
    let a = frame(&recording);
    recording.set_texture(0, texture(&raw, &queue, &other, format)).unwrap();
    let b = frame(&recording);
    recording.set_texture(0, texture(&raw, &queue, &picture, format)).unwrap();
    assert_ne!(a, b);
    assert_eq!(frame(&recording), a);
    assert!(recording.set_texture(1, texture(&raw, &queue, &picture, format)).is_err());
    let bgra = texture(&raw, &queue, &picture, wgpu::TextureFormat::Bgra8Unorm);
    assert!(matches!(recording.set_texture(0, bgra), Err(Error::InvalidArgument { .. })));
}

#[test]
fn what_cannot_be_recorded_is_refused_before_it_is() {
    let (raw, queue) = host_device(|_| (wgpu::Features::empty(), wgpu::Limits::default()));
    let device = Device::from_host(raw.clone(), queue.clone(), &HostOptions::default());
    let golden = Golden::new("llava15_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model.clone(), sizes());
    let make = |format, usage| {
        raw.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: 8, height: 8, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        })
    };
    let unreadable = make(wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureUsages::COPY_DST);
    let float = make(wgpu::TextureFormat::Rgba16Float, wgpu::TextureUsages::COPY_SRC);
    for texture in [unreadable, float] {
        let picture = pixels(&model, PictureSource::Texture(texture));
        assert!(pollster::block_on(session.prepare_encode(&[picture])).is_err());
    }
    let PictureSource::Buffer { buffer, .. } = buffer(&raw, &queue, &golden.pictures()[0]) else { unreachable!() };
    let short = PictureSource::Buffer { buffer, width: 1000, height: 1000, pitch: 1000 };
    assert!(pollster::block_on(session.prepare_encode(&[pixels(&model, short)])).is_err());
    assert!(pollster::block_on(session.prepare_encode(&[])).is_err());
}

/// Polls a future as a host would: the future never blocks, the host polls its device in between.
fn drive<F: Future>(device: &wgpu::Device, pending: &mut usize, future: F) -> F::Output {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => *pending += 1,
        }
        device.poll(wgpu::PollType::Poll).unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn the_host_polls_and_the_engine_never_blocks() {
    let (raw, queue) = host_device(|_| (wgpu::Features::empty(), wgpu::Limits::default()));
    let options = HostOptions { waiting: Waiting::Host, ..Default::default() };
    let device = Device::from_host(raw.clone(), queue, &options);
    let golden = Golden::new("llava15_gqa", 0);
    let mut pending = 0;
    let model = drive(&raw, &mut pending, golden.load(&device)).unwrap();
    let mut session = Session::new(Arc::clone(&model), sizes());
    let pictures = golden.host_pictures(&model);
    let inputs = drive(&raw, &mut pending, session.preprocess(&pictures)).unwrap();
    drive(&raw, &mut pending, session.encode(&inputs, &nothing)).unwrap();
    let (prompt, settings) = ([golden.sequence(&model)], [Default::default()]);
    drive(&raw, &mut pending, session.prefill(&prompt, &settings, &[], false, &nothing)).unwrap();
    {
        // Without the host's polls nothing arrives, however often the future is asked.
        let mut waits = pin!(session.chosen(true));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            assert!(waits.as_mut().poll(&mut context).is_pending());
        }
    }
    let step = drive(&raw, &mut pending, session.chosen(true)).unwrap();
    let mut got = Answer { ids: step.ids, logits: step.logits };
    for _ in 1..16 {
        drive(&raw, &mut pending, session.decode()).unwrap();
        drive(&raw, &mut pending, session.arrived()).unwrap();
        let step = drive(&raw, &mut pending, session.chosen(true)).unwrap();
        got.ids.extend(step.ids);
        got.logits.extend(step.logits);
    }
    check_answer(&golden, &got);
    assert!(pending > 0, "something was waited for");
}
