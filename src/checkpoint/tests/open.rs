//! Which files make a checkpoint; shards and a single file are the same tensors; reading in pieces.

use std::sync::Arc;

use half::{bf16, f16};

use super::*;
use crate::{DType, Error};

/// Tensors of a made-up model: name, type, shape, bytes.
fn model() -> Vec<(String, DType, Vec<usize>, Vec<u8>)> {
    let value = |n: usize| ((n * 37 % 101) as f32 - 50.0) / 8.0;
    (0..7)
        .map(|at| {
            let shape = vec![at + 1, 3];
            let count = 3 * (at + 1);
            let (dtype, bytes) = match at % 3 {
                0 => (DType::F32, (0..count).flat_map(|n| value(n + at).to_le_bytes()).collect()),
                1 => (DType::F16, (0..count).flat_map(|n| f16::from_f32(value(n + at)).to_le_bytes()).collect()),
                _ => (DType::BF16, (0..count).flat_map(|n| bf16::from_f32(value(n + at)).to_le_bytes()).collect()),
            };
            (format!("layers.{at}.weight"), dtype, shape, bytes)
        })
        .collect()
}

fn encode(tensors: &[(String, DType, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views: Vec<_> =
        tensors.iter().map(|(name, dtype, shape, bytes)| TensorBytes { name, dtype: *dtype, shape, bytes }).collect();
    encode_safetensors(&views, &Default::default()).unwrap()
}

fn shards(index: impl Fn(usize, &str) -> Option<(String, String)>) -> MemoryFiles {
    let model = model();
    let map: Vec<String> = model
        .iter()
        .enumerate()
        .filter_map(|(at, tensor)| index(at, &tensor.0))
        .map(|(name, file)| format!("{name:?}:{file:?}"))
        .collect();
    let index = format!(r#"{{"metadata":{{"total_size":1}},"weight_map":{{{}}}}}"#, map.join(","));
    MemoryFiles::new("made")
        .with("model.safetensors.index.json", index.into_bytes())
        .with("s-0.safetensors", encode(&model[..2]))
        .with("s-1.safetensors", encode(&model[2..5]))
        .with("s-2.safetensors", encode(&model[5..]))
}

fn place(at: usize) -> String {
    format!("s-{}.safetensors", [0, 0, 1, 1, 1, 2, 2][at])
}

#[test]
fn shards_equal_the_single_file_bit_for_bit() {
    let single = open_bytes(&encode(&model())).unwrap();
    let sharded = wait(Checkpoint::open(&shards(|at, name| Some((name.into(), place(at)))))).unwrap();
    assert_eq!(sharded.files().len(), 3);
    assert_eq!(single.total_bytes(), sharded.total_bytes());
    assert!(single.names().eq(sharded.names()));
    for (a, b) in single.entries().iter().zip(sharded.entries()) {
        assert_eq!((a.dtype, &a.shape), (b.dtype, &b.shape));
        assert_eq!(single.bytes_of(a).unwrap(), sharded.bytes_of(b).unwrap());
        assert_eq!(wait(single.load_f32(&a.name)).unwrap(), wait(sharded.load_f32(&b.name)).unwrap());
    }
    // And both are what was written.
    for (name, _, _, bytes) in model() {
        assert_eq!(single.bytes_of(single.entry(&name).unwrap()).unwrap(), bytes);
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let error = |files: &MemoryFiles| wait(Checkpoint::open(files)).unwrap_err();
    let missing = error(&shards(|at, name| Some((name.into(), place(at).replace('2', "9")))));
    assert!(matches!(&missing, Error::Io { path, .. } if path == "made/s-9.safetensors"), "{missing}");
    let elsewhere = error(&shards(|at, name| Some((name.into(), place(if at == 3 { 0 } else { at })))));
    assert!(
        elsewhere.to_string().contains("`layers.3.weight` should be in s-0.safetensors, it is in s-1"),
        "{elsewhere}"
    );
    let absent = error(&shards(|at, name| Some((if at == 4 { "x".into() } else { name.into() }, place(at)))));
    assert!(absent.to_string().contains("`x` should be in s-1.safetensors, it is in no shard"), "{absent}");
    for name in ["../s-0.safetensors", "/etc/passwd", "a/../b", "", "C:x", "a\\b", "."] {
        let outside = error(&shards(|at, tensor| Some((tensor.into(), if at == 0 { name.into() } else { place(at) }))));
        assert!(matches!(outside, Error::Malformed { .. }), "{name}: {outside}");
    }
    let twice = shards(|at, name| Some((name.into(), place(at)))).with("s-2.safetensors", encode(&model()[4..]));
    assert!(error(&twice).to_string().contains("`layers.4.weight` is there twice"), "{}", error(&twice));
    let truncated = shards(|at, name| Some((name.into(), place(at)))).with("s-1.safetensors", vec![1, 2, 3]);
    assert!(error(&truncated).to_string().starts_with("made/s-1.safetensors: malformed"), "{}", error(&truncated));
    for text in ["{", "[]", r#"{"weight_map":[]}"#, r#"{"weight_map":{"a":1}}"#, "{}"] {
        let files = MemoryFiles::new("made").with("model.safetensors.index.json", text.into());
        assert!(matches!(error(&files), Error::Malformed { .. }), "{text}");
    }
}

#[test]
fn a_tensor_that_the_index_leaves_out_is_taken() {
    let files = shards(|at, name| (at != 1).then(|| (name.into(), place(at))));
    assert_eq!(wait(Checkpoint::open(&files)).unwrap().entries().len(), 7);
}

#[test]
fn other_folders_are_opened_or_refused_with_advice() {
    let bytes = encode(&model());
    let folder = |names: &[&str]| {
        let files = names.iter().fold(MemoryFiles::new("made"), |files, name| files.with(*name, bytes.clone()));
        wait(Checkpoint::open(&files))
    };
    assert_eq!(folder(&["config.json", "weights.safetensors"]).unwrap().entries().len(), 7);
    assert_eq!(folder(&["model.safetensors", "weights.safetensors", "m.gguf", "x.bin"]).unwrap().entries().len(), 7);
    let refused: &[(&[&str], &[&str])] = &[
        (&["config.json"], &["no weights"]),
        (&["a.safetensors", "b.safetensors"], &["2 safetensors files", "rename"]),
        (&["model-00001-of-00002.safetensors"], &["model.safetensors.index.json is missing"]),
        (&["adapter_model.safetensors"], &["not supported", "adapter", "merge"]),
        (&["m.Q4_0.gguf"], &["made/m.Q4_0.gguf is not supported"]),
        (&["pytorch_model.bin", "training_args.bin"], &["made/pytorch_model.bin is not", "glob('pytorch_model.bin')"]),
        (&["pytorch_model-1-of-2.bin", "pytorch_model-2-of-2.bin"], &["glob('pytorch_model*.bin')"]),
        (&["consolidated.00.pth"], &["consolidated.00.pth is not", "save_file"]),
        (&["x'); evil(\".ckpt"], &["glob('*.ckpt')"]),
        (&["training_args.bin"], &["no weights"]),
        (&["tf_model.h5"], &["another framework"]),
    ];
    for (names, texts) in refused {
        let text = folder(names).expect_err(names[0]).to_string();
        for wanted in *texts {
            assert!(text.contains(wanted), "{names:?}: `{wanted}` is not in: {text}");
        }
        assert!(!text.contains("evil(\".ckpt')"), "a name went into the command: {text}");
    }
}

#[test]
fn pieces_of_a_remote_source() {
    // More than one piece of the converter, and a length that does not divide.
    let count = 50_021usize;
    let bytes: Vec<u8> = (0..count).flat_map(|n| bf16::from_f32((n % 251) as f32).to_le_bytes()).collect();
    let encoded = encode(&[("w".to_owned(), DType::BF16, vec![count], bytes.clone())]);
    let remote = Arc::new(Remote(MemoryFile::new("remote", encoded)));
    let checkpoint = wait(Checkpoint::of_file(remote)).unwrap();
    let entry = checkpoint.entry("w").unwrap();
    assert!(checkpoint.bytes_of(entry).is_none());
    let want = |n: usize| (n % 251) as f32;
    assert!(wait(checkpoint.load_f32("w")).unwrap().iter().enumerate().all(|(n, x)| *x == want(n)));
    let mut part = [0.0; 1000];
    wait(checkpoint.read_f32(entry, 40_007, &mut part)).unwrap();
    assert!(part.iter().enumerate().all(|(n, x)| *x == want(n + 40_007)));
    let mut bits = [0u16; 5];
    wait(checkpoint.read_bits16(entry, 250, &mut bits)).unwrap();
    assert_eq!(bits.map(|b| bf16::from_bits(b).to_f32()), [250.0, 0.0, 1.0, 2.0, 3.0]);
    let mut raw = [0; 3];
    wait(checkpoint.read_into(entry, 499, &mut raw)).unwrap();
    assert_eq!(raw, bytes[499..502]);
    // Beyond the end, near the end of the number line, of the wrong kind: errors.
    assert!(wait(checkpoint.read_f32(entry, count - 999, &mut part)).is_err());
    assert!(wait(checkpoint.read_f32(entry, usize::MAX, &mut part)).is_err());
    assert!(wait(checkpoint.read_into(entry, u64::MAX, &mut raw)).is_err());
    assert!(wait(checkpoint.read_bits16(entry, usize::MAX, &mut bits)).is_err());
    assert!(wait(checkpoint.load_i64("w")).is_err());
    let mut none: [u8; 0] = [];
    wait(checkpoint.read_into(entry, entry.bytes, &mut none)).unwrap();
}

#[test]
fn missing_and_wrong_tensors_say_so() {
    let checkpoint = open_bytes(&encode(&model())).unwrap();
    let Err(Error::MissingTensor { near, path, .. }) = checkpoint.entry("layer.3.weight") else { panic!("found") };
    assert_eq!((near[0].as_str(), near.len(), path.as_str()), ("layers.3.weight", 3, "made"));
    let wrong = checkpoint.shaped("layers.1.weight", &[3, 2]).unwrap_err();
    assert_eq!(wrong, Error::WrongShape { name: "layers.1.weight".into(), got: vec![2, 3], want: vec![3, 2] });
    assert!(checkpoint.shaped("layers.1.weight", &[2, 3]).is_ok());
}

#[test]
fn futures_can_move_between_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let files = shards(|at, name| Some((name.into(), place(at))));
    let checkpoint = wait(sendable(Checkpoint::open(&files))).unwrap();
    assert!(wait(sendable(checkpoint.load_f32("layers.0.weight"))).is_ok());
}
