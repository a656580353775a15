//! What a plan says before a run, held against published counts and against the ledger of a real run.

use omma::checkpoint::{Directory, MemoryFiles, TensorBytes, write_safetensors};
use omma::generate::{
    FitWish, LoadOptions, MemoryPlan, Model, OpenModel, PictureSource, PlanRequest, Sequence, Session, SessionOptions,
    fit_memory, largest_context, plan_memory, planned_spec,
};
use omma::gpu::{Device, OpenOptions};
use omma::image::{Picture, Policy};
use omma::kernels::SampleSettings;
use omma::models::Spec;
use omma::quant::{CacheFormat, Encoding};
use omma::{Caps, DType, Error};
use std::sync::Arc;

fn spec_of(config: &serde_json::Value, weights: DType) -> Spec {
    let files = MemoryFiles::new("made").with("config.json", config.to_string().into_bytes());
    pollster::block_on(planned_spec(&files, Some(weights.into()))).unwrap().1
}

/// LLaVA-1.5 13B: CLIP-L/14 at 336, LLaMA 13B.
fn llava_13b() -> serde_json::Value {
    serde_json::json!({
        "model_type": "llava", "image_token_index": 32000, "vision_feature_layer": -2, "torch_dtype": "float16",
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
            "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14, "image_size": 336},
        "text_config": {"model_type": "llama", "hidden_size": 5120, "intermediate_size": 13824,
            "num_hidden_layers": 40, "num_attention_heads": 40, "vocab_size": 32064,
            "max_position_embeddings": 4096}
    })
}

fn tera(plan: &MemoryPlan, stage: &str) -> f64 {
    plan.stages.iter().find(|(name, _)| name == stage).unwrap().1.flops as f64 / 1e12
}

#[test]
fn flops_of_llava_13b_are_those_counted_by_hand() {
    let spec = spec_of(&llava_13b(), DType::F16);
    let caps = Caps { max_binding: 1 << 30, max_buffer: 1 << 30, ..Caps::floor() };
    let request = PlanRequest { pictures: vec![(336, 336)], prompt_tokens: 0, ..Default::default() };
    let plan = plan_memory(&spec, None, &caps, &request).unwrap();
    // 23 of 24 CLIP layers, projector, 40 layers and the last position's logits.
    let rows = [("vision", 0.366), ("connector", 0.036), ("llm", 14.888)];
    for (stage, want) in rows {
        let got = tera(&plan, stage);
        assert!((got - want).abs() < 6e-4, "{stage}: {got} TFLOP, counted {want}");
    }
    assert!((plan.total().flops as f64 / 1e12 - 15.291).abs() < 1.5e-3);
    assert_eq!(plan.image_tokens, 576);
    // 13.0e9 of the decoder, 0.3e9 of tower and projector; in f16.
    assert!((13.2e9..13.5e9).contains(&(plan.parameters as f64)), "{}", plan.parameters);
    assert!((plan.bytes.weights as f64 / plan.parameters as f64 - 2.0).abs() < 0.01);
    // 40 layers x 2 x 2048 tokens x 5120 x 4 bytes.
    assert_eq!(plan.bytes.kv, 40 * 2 * 2048 * 5120 * 4);
}

/// A plan by a configuration of the repository alone.
fn plan_of(name: &str, picture: (u32, u32), prompt_tokens: usize) -> MemoryPlan {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/configs").join(name);
    let (files, spec) = pollster::block_on(planned_spec(&Directory::open(folder).unwrap(), None)).unwrap();
    let caps = Caps { max_binding: 1 << 30, max_buffer: 1 << 30, ..Caps::floor() };
    let request = PlanRequest { pictures: vec![picture], prompt_tokens, ..Default::default() };
    plan_memory(&spec, files.processor.as_ref(), &caps, &request).unwrap()
}

/// LLaVA-UHD's abstract states 94 % of LLaVA-1.5's compute at 672x1088; counted by hand it is 0.958 there and
/// 0.963 with 100 tokens of text, with the queries projected for every slice anew; here once, which takes 0.0013 off.
#[test]
fn llava_uhd_computes_less_than_llava_with_six_times_the_pixels() {
    for (picture, text, low, high) in [
        ((672, 1088), 0, 0.956, 0.958),
        ((672, 1088), 100, 0.961, 0.9631),
        ((672, 1008), 0, 0.955, 0.97),
        ((672, 1008), 32, 0.955, 0.97),
    ] {
        let whole = plan_of("llava-1.5-13b", (336, 336), text);
        let slices = plan_of("llava-uhd-13b", picture, text);
        let ratio = slices.total().flops as f64 / whole.total().flops as f64;
        eprintln!("{picture:?} with {text} text tokens: {ratio:.4}");
        assert!((low..high).contains(&ratio), "{picture:?} with {text} text tokens: {ratio}");
        assert_eq!(slices.image_tokens, 7 * 64 + 6, "six slices, the overview, a mark behind each slice");
    }
}

#[test]
fn the_largest_context_fits_and_one_more_token_does_not() {
    let spec = spec_of(&llava_13b(), DType::F16);
    let caps = Caps::floor();
    let request = PlanRequest { pictures: vec![(336, 336)], ..Default::default() };
    let limit = 29_000_000_000;
    let (context, plan) = largest_context(&spec, None, &caps, &request, limit).unwrap();
    assert!(plan.bytes.peak <= limit && (576 + 32..4096).contains(&context), "{context}");
    let more = PlanRequest { context: context + 1, ..request.clone() };
    assert!(plan_memory(&spec, None, &caps, &more).unwrap().bytes.peak > limit);
    let error = largest_context(&spec, None, &caps, &request, 1_000_000_000).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes > 25_000_000_000), "{error}");
}

/// LLaVA-1.5 7B by its configuration alone: 6.74e9 weights in blocks of 4.5 bits and tables of 131e6 twice are 3.8 GB, the tower
/// 0.2 GB, and a context of 2048 in f16 is 1.07 GB.
#[test]
fn llava_7b_in_q4_0_fits_6_gib() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/configs/llava-1.5-7b");
    let files = Directory::open(folder).unwrap();
    let caps = Caps { max_binding: 1 << 30, max_buffer: 1 << 30, ..Caps::floor() };
    let to = Encoding::named("q4_0").unwrap();
    let (read, spec) = pollster::block_on(planned_spec(&files, Some(to))).unwrap();
    for (kv, bytes) in [(CacheFormat::F16, 2 * 64), (CacheFormat::Q8_0, 68), (CacheFormat::Q4_0, 36)] {
        let request =
            PlanRequest { pictures: vec![(640, 480)], encoding: Some(to), kv: Some(kv), ..Default::default() };
        let plan = plan_memory(&spec, read.processor.as_ref(), &caps, &request).unwrap();
        assert!((6.9e9..7.2e9).contains(&(plan.parameters as f64)), "{}", plan.parameters);
        assert!(plan.bytes.peak <= 6 << 30, "{kv}: {}", plan.bytes.peak);
        assert_eq!(plan.bytes.kv, 32 * 2 * 2048 * 4096 / 64 * bytes, "{kv}");
        assert!((plan.bytes.weights as f64 / plan.parameters as f64) < 0.58, "{kv}: {}", plan.bytes.weights);
    }
}

#[test]
fn formats_are_chosen_by_rising_loss() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/configs/llava-1.5-7b");
    let files = Directory::open(folder).unwrap();
    let caps = Caps { max_binding: 1 << 30, max_buffer: 1 << 30, ..Caps::floor() };
    let request = PlanRequest { pictures: vec![(640, 480)], ..Default::default() };
    let fit = |wish: &FitWish, limit: u64| {
        pollster::block_on(fit_memory(&files, &caps, &request, wish, limit)).map(|(_, fitted)| fitted)
    };
    let mut before = (f64::INFINITY, usize::MAX);
    for gib in [40, 16, 10, 8, 6, 5] {
        let limit = gib << 30;
        let fitted = fit(&FitWish::default(), limit).unwrap();
        assert!(fitted.plan.bytes.peak <= limit && fitted.context >= 1024, "{gib}: {:?}", fitted.why);
        eprintln!("{gib} GiB: {}", fitted.why.last().unwrap());
        // Less memory never gives finer weights.
        let bits = fitted.plan.bytes.weights as f64 / fitted.plan.parameters as f64;
        assert!(bits <= before.0, "{gib}: {:?}", fitted.why);
        before.0 = bits;
        // The same question has the same answer.
        assert_eq!(fit(&FitWish::default(), limit).unwrap().why, fitted.why);
    }
    // What was asked for is not chosen.
    let wish = FitWish { weights: Encoding::named("q4_0").ok(), kv: Some(CacheFormat::F16), context: Some(1500) };
    let fitted = fit(&wish, 8 << 30).unwrap();
    assert_eq!((fitted.weights, fitted.kv, fitted.context), (wish.weights, CacheFormat::F16, 1500));
    for wish in [FitWish::default(), wish] {
        let error = fit(&wish, 1 << 30).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes > 3 << 30), "{error}");
    }
}

#[test]
fn a_prompt_beyond_the_context_is_an_error() {
    let spec = spec_of(&llava_13b(), DType::F16);
    let request = PlanRequest { pictures: vec![(336, 336)], context: 600, ..Default::default() };
    let error = plan_memory(&spec, None, &Caps::floor(), &request).unwrap_err();
    assert_eq!(error, Error::PromptTooLong { tokens: 608, context: 600 });
}

/// About 110 MB of f16 weights.
fn small_llava() -> serde_json::Value {
    serde_json::json!({
        "model_type": "llava", "image_token_index": 7999, "vision_feature_layer": -1, "torch_dtype": "float16",
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 512, "intermediate_size": 2048,
            "num_hidden_layers": 3, "num_attention_heads": 8, "patch_size": 16, "image_size": 224},
        "text_config": {"model_type": "llama", "hidden_size": 768, "intermediate_size": 2048,
            "num_hidden_layers": 5, "num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 8000,
            "max_position_embeddings": 2048}
    })
}

/// Writes config.json and random tensors under the names and shapes that the graphs ask for.
fn write_model(folder: &std::path::Path, config: &serde_json::Value, plan: &MemoryPlan) {
    let mut tensors: Vec<(String, DType, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut state = 7u32;
    for (name, ty) in plan.programs.iter().flat_map(|p| p.plan.graph.weights()) {
        let parts: Vec<&str> = name.split('+').filter(|p| !p.starts_with("zeros(")).collect();
        for part in &parts {
            if tensors.iter().any(|(n, ..)| n == part) {
                continue;
            }
            let mut shape = ty.shape.clone();
            shape[0] /= parts.len();
            let mut bytes = Vec::new();
            for _ in 0..shape.iter().product::<usize>() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.1;
                match ty.dtype {
                    DType::F16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
                    _ => bytes.extend(value.to_le_bytes()),
                }
            }
            tensors.push(((*part).to_owned(), ty.dtype, shape, bytes));
        }
    }
    let views: Vec<TensorBytes<'_>> =
        tensors.iter().map(|(name, dtype, shape, bytes)| TensorBytes { name, dtype: *dtype, shape, bytes }).collect();
    write_safetensors(&folder.join("model.safetensors"), &views, &Default::default()).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("preprocessor_config.json"), r#"{"image_processor_type": "CLIPImageProcessor"}"#)
        .unwrap();
}

async fn one_answer(device: &Device, folder: &std::path::Path, request: &PlanRequest) {
    let files = Directory::open(folder).unwrap();
    let model = Model::load(device, &files, OpenModel::default(), LoadOptions::default()).await.unwrap();
    let token = model.spec.image_token.unwrap();
    let options = SessionOptions {
        batch: request.batch,
        context: request.context,
        max_new: request.max_new,
        ..Default::default()
    };
    let mut session = Session::new(Arc::new(model), options);
    let (width, height) = request.pictures[0];
    let pixels: Vec<u8> = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
    let picture = Picture::from_rgb8(width, height, &pixels).unwrap();
    let pixels = session.model().pixels(PictureSource::Host(Arc::new(picture)), Policy::Auto).unwrap();
    let inputs = session.preprocess(&[pixels]).await.unwrap();
    session.encode(&inputs, &|_| false).await.unwrap();
    let rows = session.feature_rows();
    let mut ids = vec![token; rows];
    ids.extend((0..request.prompt_tokens as u32).map(|i| 5 + i));
    let sequence = Sequence::new(ids, (0..rows).collect());
    session.prefill(&[sequence], &[SampleSettings::default()], &[], false, &|_| false).await.unwrap();
    for _ in 0..3 {
        session.decode().await.unwrap();
        session.arrived().await.unwrap();
    }
    let chosen = session.chosen(false).await.unwrap();
    assert!(chosen.ids[0] < 8000 && chosen.logprobs[0].is_finite());
}

#[test]
fn the_planned_peak_is_that_of_a_real_run() {
    let device = pollster::block_on(Device::open(&OpenOptions::default())).unwrap();
    let folder = std::env::temp_dir().join(format!("omma-plan-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let request =
        PlanRequest { pictures: vec![(640, 480)], prompt_tokens: 12, context: 512, max_new: 8, ..Default::default() };
    let config = small_llava();
    let first = plan_memory(&spec_of(&config, DType::F16), None, device.caps(), &request).unwrap();
    write_model(&folder, &config, &first);
    let (files, spec) = pollster::block_on(planned_spec(&Directory::open(&folder).unwrap(), None)).unwrap();
    let plan = plan_memory(&spec, files.processor.as_ref(), device.caps(), &request).unwrap();
    device.ledger().reset_peak();
    pollster::block_on(one_answer(&device, &folder, &request));
    std::fs::remove_dir_all(&folder).unwrap();
    let (real, planned) = (device.ledger().memory().peak as f64, plan.bytes.peak as f64);
    eprintln!("peak: planned {planned}, real {real}; {:?}", plan.bytes);
    assert!(real > 100e6, "{real}");
    // The contract allows 5 %; the walk is exact but for params, which the ledger does not hold on to.
    assert!((planned / real - 1.0).abs() < 0.01, "planned {planned}, real {real}");
}
