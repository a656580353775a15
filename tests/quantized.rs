//! Weights in packed formats: made when a checkpoint is loaded, written and loaded again, and dequantised.

mod support;

use omma::DType;
use omma::checkpoint::{Checkpoint, Directory};
use omma::generate::{LoadOptions, Model, OpenModel, Session, quantize_checkpoint};
use omma::gpu::Device;
use omma::quant::Encoding;
use pollster::block_on;
use std::path::Path;
use std::sync::Arc;
use support::{Answer, Golden, answer, encode, own_device, sizes};

fn run(device: &Device, golden: &Golden, folder: &Path, weights: Option<Encoding>) -> Answer {
    let files = Directory::open(folder).unwrap();
    let open = OpenModel { weights, ..OpenModel::default() };
    let model = block_on(Model::load(device, &files, open, LoadOptions::default())).unwrap();
    let mut session = Session::new(Arc::new(model), sizes());
    block_on(encode(&mut session, golden)).unwrap();
    block_on(answer(&mut session, golden, 4)).unwrap()
}

/// The golden case in `to` under a folder of its own.
fn written(device: &Device, golden: &Golden, to: Encoding) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("omma-quantized-{}-{to}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = Directory::open(&golden.folder).unwrap();
    let mut packed = 0;
    let path = folder.join("model.safetensors");
    let config = block_on(quantize_checkpoint(device, &files, to, &path, |tensor| {
        if let Some((relative, _)) = tensor.error {
            packed += 1;
            assert!(relative > 0.0 && relative < 0.12, "{to}: {} is off by {relative}", tensor.name);
        }
    }));
    std::fs::write(folder.join("config.json"), config.unwrap()).unwrap();
    assert!(packed > 0, "{to} packs nothing");
    folder
}

#[test]
fn made_written_and_dequantised_weights_agree() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    for name in ["q8_0", "q5_1", "q4_0", "int8", "fp8"] {
        let to = Encoding::named(name).unwrap();
        let folder = written(&device, &golden, to);
        let made = run(&device, &golden, &golden.folder, Some(to));
        let stored = run(&device, &golden, &folder, None);
        assert_eq!(made, stored, "{name}: the same bytes by both ways");
        let floats = run(&device, &golden, &folder, Some(DType::F32.into()));
        assert_eq!(floats.ids, stored.ids, "{name}");
        // Values are the same but for the last bit; sums are made in another order.
        let largest = floats.logits.iter().fold(0f32, |most, v| most.max(v.abs()));
        for (packed, float) in stored.logits.iter().zip(&floats.logits) {
            assert!((packed - float).abs() <= 2e-5 * largest, "{name}: {packed}, not {float}");
        }
        let files = Directory::open(&folder).unwrap();
        let checkpoint = block_on(Checkpoint::open(&files)).unwrap();
        assert!(checkpoint.entries().iter().any(|e| e.packed.is_some()), "{name}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// Logits of q8_0 are off by no more, as a part of their size, than the errors of all its matrices together, as parts of
/// theirs. An error of a matrix that knows nothing of its inputs makes its outputs wrong by the same part; norms hand that
/// on as it is, and a sum of a residual and a branch is wrong by a mean of what the two are. So errors add up along the
/// way, at most all in one direction. In matrices of many values they point anywhere and add up as squares, which is what
/// softmax and activations, steeper than the identity in places, can use up.
#[test]
fn logits_of_q8_0_are_off_by_the_errors_of_its_matrices() {
    let device = own_device(false);
    let q8_0 = Encoding::named("q8_0").unwrap();
    for name in ["llama_gqa", "llava15_gqa"] {
        let golden = Golden::new(name, 0);
        let (path, mut errors) = (std::env::temp_dir().join(format!("omma-errors-{}", std::process::id())), 0.0);
        let files = Directory::open(&golden.folder).unwrap();
        let sum = |tensor: &omma::generate::WrittenTensor| errors += tensor.error.map_or(0.0, |(relative, _)| relative);
        block_on(quantize_checkpoint(&device, &files, q8_0, &path, sum)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (float, packed) =
            (run(&device, &golden, &golden.folder, None), run(&device, &golden, &golden.folder, Some(q8_0)));
        let vocabulary = float.logits.len() / float.ids.len();
        for (step, (want, got)) in float.logits.chunks(vocabulary).zip(packed.logits.chunks(vocabulary)).enumerate() {
            if float.ids[..step] != packed.ids[..step] {
                break; // another text
            }
            let square = |v: f32| f64::from(v).powi(2);
            let size: f64 = want.iter().map(|w| square(*w)).sum();
            let off = (want.iter().zip(got).map(|(w, g)| square(w - g)).sum::<f64>() / size).sqrt();
            assert!(off > 0.0 && off <= errors, "{name}, step {step}: off by {off}, the matrices by {errors}");
        }
    }
}

#[test]
fn a_note_that_lies_is_refused() {
    let device = own_device(false);
    let golden = Golden::new("llama_gqa", 0);
    let folder = written(&device, &golden, Encoding::named("q4_1").unwrap());
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]).into_owned();
    let at = text.find("q4_1 ").expect("a note");
    for lie in ["q4_0", "q9_9", "f32 "] {
        let mut damaged = bytes.clone();
        damaged[at..at + 4].copy_from_slice(lie.as_bytes());
        std::fs::write(&path, damaged).unwrap();
        assert!(block_on(Checkpoint::open(&Directory::open(&folder).unwrap())).is_err(), "{lie}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
