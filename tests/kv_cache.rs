//! Keys and values in f16, q8_0 and q4_0: whole models against the same with an f32 cache.

mod support;

use omma::generate::{PlanRequest, Session, SessionOptions, plan_memory};
use omma::gpu::Device;
use omma::kernels::SampleSettings;
use omma::quant::CacheFormat;
use pollster::block_on;
use support::{Answer, Golden, answer, encode, own_device, sizes};

const STEPS: usize = 4;
const NARROW: [CacheFormat; 3] = [CacheFormat::F16, CacheFormat::Q8_0, CacheFormat::Q4_0];

/// What a value of a cache may be off by, relative to the largest of its block: half a step.
fn step(format: CacheFormat) -> f32 {
    match format {
        CacheFormat::F32 => 0.0,
        CacheFormat::F16 => 1.0 / 2048.0,
        CacheFormat::Q8_0 => 0.5 / 127.0,
        CacheFormat::Q4_0 => 0.5 / 8.0,
    }
}

fn session(device: &Device, golden: &Golden, kv: CacheFormat) -> Session {
    let model = block_on(golden.load(device)).unwrap();
    let mut session = Session::new(model, SessionOptions { kv: Some(kv), ..sizes() });
    block_on(encode(&mut session, golden)).unwrap();
    session
}

/// Root mean square of the differences over that of the values.
fn distance(got: &[f32], want: &[f32]) -> f32 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
    let apart = square(&mut got.iter().zip(want).map(|(a, b)| a - b));
    (apart / square(&mut want.iter().copied())).sqrt()
}

/// Steps are those of the same tokens as long as the choices are the same.
fn compare(name: &str, format: CacheFormat, layers: usize, got: &Answer, want: &Answer) {
    let vocab = want.logits.len() / STEPS;
    let alike = got.ids.iter().zip(&want.ids).take_while(|(a, b)| a == b).count();
    let compared = (alike + 1).min(STEPS) * vocab;
    let apart = distance(&got.logits[..compared], &want.logits[..compared]);
    eprintln!("{name} {format}: {alike} of {STEPS} tokens alike, logits apart by {apart:.2e}");
    // Every layer rounds values, which moves what attention adds by a step of it at most, and keys, which moves
    // scores of about 1 and with them weights by as much: two steps a layer, and the branch is no larger than the stream.
    assert!(apart > 0.0 && apart <= 2.0 * layers as f32 * step(format), "{name} {format}: {apart}");
    assert!(format == CacheFormat::Q4_0 || alike == STEPS, "{name} {format}: {:?}, not {:?}", got.ids, want.ids);
}

#[test]
fn narrow_caches_stay_near_a_wide_one() {
    let device = own_device(false);
    for name in ["llama_gqa", "llava15_gqa"] {
        let golden = Golden::new(name, 0);
        let mut wide = session(&device, &golden, CacheFormat::F32);
        let layers = wide.model().spec.decoder.as_ref().unwrap().layers.len();
        let want = block_on(answer(&mut wide, &golden, STEPS)).unwrap();
        for format in NARROW {
            let mut narrow = session(&device, &golden, format);
            let got = block_on(answer(&mut narrow, &golden, STEPS)).unwrap();
            compare(name, format, layers, &got, &want);
        }
    }
}

#[test]
fn every_step_of_a_program_is_within_its_bound() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    for format in NARROW {
        let mut session = session(&device, &golden, format);
        let sequence = golden.sequence(&session.model().clone());
        let settings = [SampleSettings::default()];
        block_on(session.prefill(&[sequence], &settings, &[], false, &support::nothing)).unwrap();
        let bad = block_on(session.bisect()).unwrap();
        assert!(bad.is_none(), "prefill, {format}: {:?}", bad.map(|record| record.cell.clone()));
        block_on(session.decode()).unwrap();
        block_on(session.arrived()).unwrap();
        let bad = block_on(session.bisect()).unwrap();
        assert!(bad.is_none(), "decode, {format}: {:?}", bad.map(|record| record.cell.clone()));
    }
}

/// A prompt at once and token by token leave the same cache but for the last bits of sums, which move few codes.
#[test]
fn prefill_and_decode_write_the_same_cache() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    for format in NARROW {
        let mut whole = session(&device, &golden, format);
        let mut sequence = golden.sequence(&whole.model().clone());
        let settings = [SampleSettings::default()];
        let mut steps = session(&device, &golden, format);
        let first = block_on(answer(&mut steps, &golden, 2)).unwrap();
        let vocab = first.logits.len() / 2;
        sequence.ids.push(first.ids[0]);
        block_on(whole.prefill(&[sequence], &settings, &[], false, &support::nothing)).unwrap();
        let at_once = block_on(whole.chosen(true)).unwrap();
        let apart = distance(&first.logits[vocab..], &at_once.logits);
        eprintln!("{format}: {apart:.2e}");
        assert!(apart <= 0.1 * step(format), "{format}: {apart}");
    }
}

#[test]
fn a_plan_knows_what_a_narrow_cache_takes() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    let model = block_on(golden.load(&device)).unwrap();
    let request = |kv| PlanRequest { prompt_tokens: 8, context: 256, max_new: 16, kv: Some(kv), ..Default::default() };
    let bytes = |kv| plan_memory(&model.spec, None, device.caps(), &request(kv)).unwrap().bytes.kv;
    let wide = bytes(CacheFormat::F32);
    for format in NARROW {
        let attention = match &model.spec.decoder.as_ref().unwrap().layers[0] {
            omma::blocks::Layer::Own(layer) => layer.attention,
            omma::blocks::Layer::Cross(_) => unreachable!("LLaMA has none"),
        };
        let units = attention.kv_width().div_ceil(64);
        let words = units * format.words();
        assert_eq!(bytes(format) * attention.kv_width() as u64, wide * words as u64, "{format}");
    }
}
