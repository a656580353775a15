//! Encode, prefill and decode of a small LLaVA with made-up weights: what a session costs end to end.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use omma::checkpoint::Config;
use omma::generate::{Sequence, Session, SessionOptions, random_model};
use omma::gpu::{Device, OpenOptions};
use omma::kernels::{SampleSettings, TensorType};
use omma::models::TowerInputs;
use omma::{DType, Result, measure};
use std::sync::Arc;
use std::time::Duration;

/// 196 image tokens into a decoder of 4 layers of 512.
const CONFIG: &str = r#"{
    "model_type": "llava", "image_token_index": 3999, "vision_feature_layer": -1,
    "vision_config": {"model_type": "clip_vision_model", "hidden_size": 384, "intermediate_size": 1536,
        "num_hidden_layers": 4, "num_attention_heads": 6, "patch_size": 16, "image_size": 224},
    "text_config": {"model_type": "llama", "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 4000, "max_position_embeddings": 4096}
}"#;
const SIDE: usize = 224;
const TEXT: usize = 28;
const CONTEXT: usize = 2048;

async fn session(device: &Device) -> Result<Session> {
    let config = Config::parse("config.json", CONFIG.as_bytes())?;
    let model = Arc::new(random_model(device, config, DType::F16, 1).await?);
    let options = SessionOptions { context: CONTEXT, max_new: 256, ..Default::default() };
    let mut session = Session::new(model, options);
    let shape = [1, 3, SIDE, SIDE];
    let planes = measure::random(&TensorType::f32(&shape), 2, -1.0, 1.0);
    let planes: Vec<f32> = planes.data.iter().map(|v| *v as f32).collect();
    session.set_pixels(&planes).await?;
    Ok(session)
}

async fn encode(device: &Device, session: &mut Session) -> Result<()> {
    session.encode(&TowerInputs::same((SIDE, SIDE), 1), &|_| false).await?;
    device.idle().await
}

/// The features of the last encode, again and again.
async fn prefill(device: &Device, session: &mut Session) -> Result<()> {
    session.reset();
    session.encode(&TowerInputs::same((SIDE, SIDE), 1), &|_| false).await?;
    let rows = session.feature_rows();
    let ids = (0..rows).map(|_| 3999).chain((0..TEXT as u32).map(|i| 1 + 7 * i)).collect();
    let sequence = Sequence::new(ids, (0..rows).collect());
    session.prefill(&[sequence], &[SampleSettings::default()], &[], false, &|_| false).await?;
    device.idle().await
}

/// One token; a full cache is begun anew.
async fn decode(device: &Device, session: &mut Session) -> Result<()> {
    if session.past()[0] + 1 >= CONTEXT {
        prefill(device, session).await?;
    }
    session.decode().await?;
    session.arrived().await?;
    Ok(())
}

fn models(c: &mut Criterion) {
    let device = match pollster::block_on(Device::open(&OpenOptions::default())) {
        Ok(device) => device,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    eprintln!("adapter: {}", device.title());
    let mut session = pollster::block_on(session(&device)).expect("the model fits");
    let mut group = c.benchmark_group("models");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5));
    group.bench_function("encode", |b| {
        b.iter(|| pollster::block_on(encode(&device, &mut session)).expect("encodes"));
    });
    group.bench_function("encode and prefill", |b| {
        b.iter(|| pollster::block_on(prefill(&device, &mut session)).expect("fills"));
    });
    group.bench_function("decode", |b| {
        b.iter(|| pollster::block_on(decode(&device, &mut session)).expect("decodes"));
    });
    group.finish();
}

criterion_group!(benches, models);
criterion_main!(benches);
