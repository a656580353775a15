//! The least that a device may offer: no optional feature, `wgpu::Limits::default()`, and bindings so small that
//! weights are kept in chunks.

mod support;

use omma::generate::{Session, SessionOptions};
use omma::gpu::{Device, HostOptions};
use omma::models::names;
use omma::wgpu;
use support::*;

fn whole(device: &Device, golden: &Golden, options: SessionOptions) -> Answer {
    let model = pollster::block_on(golden.load(device)).unwrap();
    let mut session = Session::new(model, options);
    pollster::block_on(encode(&mut session, golden)).unwrap();
    pollster::block_on(answer(&mut session, golden, 16)).unwrap()
}

#[test]
fn decoders_give_the_golden_answers_at_the_floor() {
    let device = own_device(true);
    assert!(!device.caps().f16 && device.caps().subgroup.is_none());
    for (name, sample) in [("llama_gqa", 0), ("llava15_gqa", 0), ("llava15_gqa", 1)] {
        let golden = Golden::new(name, sample);
        check_answer(&golden, &whole(&device, &golden, sizes()));
    }
}

#[test]
fn a_classifier_gives_the_golden_logits_at_the_floor() {
    let device = own_device(true);
    for sample in [0, 1] {
        let golden = Golden::new("vit", sample);
        let model = pollster::block_on(golden.load(&device)).unwrap();
        let mut session = Session::new(model, sizes());
        pollster::block_on(encode(&mut session, &golden)).unwrap();
        let pictures = golden.pixels().0[0];
        golden.check("logits", &pollster::block_on(session.read(names::CLASS_LOGITS, &[pictures, 23])).unwrap());
    }
}

/// A host's device with bindings and buffers of at most `bytes`.
fn small(bytes: u64) -> Device {
    narrow(bytes, bytes)
}

/// A host's device with bindings of at most `binding` bytes and buffers of at most `buffer`.
fn narrow(binding: u64, buffer: u64) -> Device {
    let (raw, queue) = host_device(|_| {
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: binding,
            max_buffer_size: buffer,
            ..wgpu::Limits::default()
        };
        (wgpu::Features::empty(), limits)
    });
    Device::from_host(raw, queue, &HostOptions::default())
}

#[test]
fn a_language_model_in_chunks_answers_the_same() {
    let device = small(60 << 10);
    let golden = Golden::new("llama_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let pieces = |name: &str| model.weights.get(name).map_or(0, <[_]>::len);
    let split: Vec<String> = model.weights.names().filter(|n| pieces(n) > 1).map(str::to_owned).collect();
    assert!(split.iter().any(|n| n.contains("embed_tokens")), "{split:?}");
    assert!(split.iter().any(|n| n.contains("lm_head")), "{split:?}");
    assert!(split.iter().any(|n| n.contains("mlp") || n.contains("self_attn")), "{split:?}");
    let options = SessionOptions { context: 64, ..sizes() };
    let mut session = Session::new(model, options);
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

#[test]
fn pictures_and_tower_in_chunks_and_groups_answer_the_same() {
    let device = small(160 << 10);
    let golden = Golden::new("llava15_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    assert!(model.weights.names().any(|n| model.weights.get(n).is_some_and(|c| c.len() > 1)));
    let options = SessionOptions { context: 128, ..sizes() };
    let mut session = Session::new(model, options);
    pollster::block_on(encode(&mut session, &golden)).unwrap();
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

#[test]
fn a_prompt_wider_than_a_binding_goes_in_parts_and_is_answered_the_same() {
    // 22 rows of 320 values would take 28 KiB.
    let device = narrow(20 << 10, 80 << 10);
    let golden = Golden::new("llama_gqa", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let options = SessionOptions { context: 40, ..sizes() };
    let mut session = Session::new(model, options);
    check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
}

#[test]
fn pictures_in_a_prompt_of_many_parts_are_answered_the_same() {
    let device = own_device(true);
    for sample in [0, 1] {
        let golden = Golden::new("llava15_gqa", sample);
        let model = pollster::block_on(golden.load(&device)).unwrap();
        let mut session = Session::new(model, SessionOptions { prompt_rows: Some(37), ..sizes() });
        pollster::block_on(encode(&mut session, &golden)).unwrap();
        check_answer(&golden, &pollster::block_on(answer(&mut session, &golden, 16)).unwrap());
    }
}

#[test]
fn class_logits_of_pictures_in_groups_are_all_there() {
    let device = narrow(160 << 10, 320 << 10);
    let golden = Golden::new("vit", 0);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let mut session = Session::new(model, sizes());
    pollster::block_on(encode(&mut session, &golden)).unwrap();
    golden.check("logits", &pollster::block_on(session.read(names::CLASS_LOGITS, &[2, 23])).unwrap());
}
