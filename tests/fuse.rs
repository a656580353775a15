//! Fused and unfused programs agree on the device; plans of small models as text stay what they are.
//!
//! The goldens of plans are `kernels-test/goldens/plans/*.txt`; with `OMMA_BLESS=1` they are written instead of
//! compared. They are made for [`Caps::floor`], so they do not depend on the adapter.

use omma::blocks::CacheType;
use omma::checkpoint::{Config, Directory};
use omma::generate::{LoadOptions, Model, OpenModel, Sequence, Session, SessionOptions};
use omma::gpu::{Device, OpenOptions};
use omma::graph::{FuseOptions, Graph, Plan, Pool, Program, REWRITES, RunOptions, Store, decode, encode, fuse};
use omma::kernels::{SampleSettings, TensorType};
use omma::models::{
    DecodeShape, PrefillShape, Spec, TowerInputs, UniformDtype, decode_graph, encode_graph, names, prefill_graph,
    read_spec,
};
use omma::reference::Array;
use omma::{Caps, DType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Two layers; 16 patches and a class token.
const VIT: &str = r#"{"model_type": "vit", "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2,
    "num_hidden_layers": 2, "image_size": 32, "patch_size": 8, "num_labels": 5, "hidden_act": "gelu"}"#;
/// Two layers; two query heads to a key head.
const LLAMA: &str = r#"{"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 40, "max_position_embeddings": 64}"#;
/// One layer of each tower, a connector of two layers.
const LLAVA: &str = r#"{"model_type": "llava", "image_token_index": 39, "vision_feature_layer": -2,
    "vision_config": {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64,
        "num_attention_heads": 2, "num_hidden_layers": 2, "image_size": 32, "patch_size": 8},
    "text_config": {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
        "num_hidden_layers": 1, "vocab_size": 40}}"#;
/// Rows of a prompt: more than `matvec` takes.
const PROMPT: usize = 11;
/// Cache: sequences and tokens.
const CACHE: (usize, usize) = (1, 16);

fn spec(config: &str) -> Spec {
    read_spec(&Config::parse("config.json", config.as_bytes()).unwrap(), &UniformDtype(DType::F32)).unwrap()
}

fn graphs() -> Vec<(&'static str, Graph)> {
    let compute = DType::F32;
    let prefill = |feature_rows| PrefillShape {
        lens: vec![PROMPT],
        feature_rows,
        cache: CACHE,
        max_new: 4,
        all_logits: false,
        cross_rows: 0,
    };
    let step = DecodeShape { cache: CACHE, max_new: 4, splits: 2, cross_rows: 0 };
    vec![
        ("vit_encode", encode_graph(&spec(VIT), &TowerInputs::same((32, 32), 2), false, compute).unwrap()),
        ("llava_encode", encode_graph(&spec(LLAVA), &TowerInputs::same((32, 32), 1), false, compute).unwrap()),
        ("llava_prefill", prefill_graph(&spec(LLAVA), &prefill(4), CacheType::of(compute)).unwrap()),
        ("llama_prefill", prefill_graph(&spec(LLAMA), &prefill(0), CacheType::of(compute)).unwrap()),
        ("llama_decode", decode_graph(&spec(LLAMA), &step, CacheType::of(compute)).unwrap()),
    ]
}

#[test]
fn plans_are_the_goldens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens/plans");
    for (name, graph) in graphs() {
        let text = Plan::new(fuse(graph, &FuseOptions::default()), &Caps::floor()).unwrap().to_string();
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("OMMA_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default().replace('\r', "");
        let differ = text.lines().zip(golden.lines()).find(|(a, b)| a != b);
        assert!(text == golden, "{name}: the plan changed (OMMA_BLESS=1 to accept); first difference {differ:#?}");
    }
}

/// Values between -1 and 1 that depend on the name and the index only.
fn noise(name: &str, count: usize) -> Vec<f64> {
    let mut state = name.bytes().fold(0x9E37_79B9u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193)) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Contents of an entry of the store: what the programs' index lists must be, noise for numbers.
fn contents(name: &str, ty: &TensorType) -> Array {
    let count = ty.elements();
    let data = match name {
        names::IDS | names::POSITIONS | names::SLOTS | names::SPLICE => (0..count).map(|i| i as f64).collect(),
        names::SPANS => vec![0.0, PROMPT as f64, 0.0, PROMPT as f64],
        names::LAST => vec![PROMPT as f64 - 1.0],
        names::TOKEN => vec![7.0],
        names::POSITION | names::SLOT => vec![5.0],
        names::LEN => vec![6.0],
        _ if ty.dtype == DType::U32 => vec![0.0; count],
        _ if name.contains("weight") && ty.shape.len() == 1 => {
            noise(name, count).iter().map(|v| 1.0 + v / 4.0).collect()
        }
        _ => noise(name, count).iter().map(|v| v / 2.0).collect(),
    };
    Array::new(ty.dtype, &ty.shape, data)
}

/// Runs a graph on synthetic contents; the f32 buffers of the store afterwards.
async fn outcome(device: &Device, graph: Graph) -> Vec<(String, Vec<f64>)> {
    let plan = Plan::new(graph, device.caps()).unwrap();
    let (mut store, mut pool) = (Store::new(), Pool::new());
    let entries: Vec<(String, TensorType)> =
        plan.graph.weights().chain(plan.graph.states()).map(|(name, ty)| (name.to_owned(), ty.clone())).collect();
    for (name, ty) in &entries {
        store.ensure(device, name, ty).await.unwrap();
        let bytes = encode(ty, &contents(name, ty), device.caps()).unwrap();
        store.write(device, name, &bytes[0]).unwrap();
    }
    let states: Vec<(String, TensorType)> = plan.graph.states().map(|(n, ty)| (n.to_owned(), ty.clone())).collect();
    let program = Program::build(device, plan, &store, &mut pool).await.unwrap();
    program.run(device, &RunOptions::default()).await.unwrap();
    let mut results = Vec::new();
    for (name, ty) in states.into_iter().filter(|(_, ty)| ty.dtype == DType::F32) {
        let bytes = device.read(store.slice(&name).unwrap()).await.unwrap();
        results.push((name, decode(&ty, &[bytes], device.caps()).unwrap().data));
    }
    results
}

/// Both sides round every sum once; only the order of a sum may differ (`matvec`), through two layers.
const TOLERANCE: f64 = 2e-5;

fn agree(what: &str, want: &[f64], got: &[f64]) {
    assert_eq!(want.len(), got.len(), "{what}");
    let scale = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in want.iter().zip(got).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * scale, "{what}, cell {i}: {b}, unfused {a}");
    }
}

async fn device() -> Device {
    Device::open(&OpenOptions::default()).await.unwrap()
}

#[test]
fn fused_programs_compute_what_unfused_ones_do() {
    pollster::block_on(async {
        let device = device().await;
        for (name, graph) in graphs() {
            let unfused = outcome(&device, fuse(graph.clone(), &FuseOptions::none())).await;
            let moved = unfused.iter().any(|(n, v)| n.contains("logits") || n == names::ENCODED && v.len() > 1);
            assert!(moved, "{name} stores its result");
            let mut all = vec![FuseOptions::default()];
            all.extend(REWRITES.iter().map(|r| FuseOptions::default().without(r.name)));
            for options in all {
                let fused = outcome(&device, fuse(graph.clone(), &options)).await;
                for ((entry, want), (same, got)) in unfused.iter().zip(&fused) {
                    assert_eq!(entry, same);
                    agree(&format!("{name}, {entry}, {options:?}"), want, got);
                }
            }
        }
    });
}

/// A folder of the golden cases.
fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens").join(name)
}

async fn session(device: &Device, folder: &Path, fuse: bool) -> Session {
    let files = Directory::open(folder).unwrap();
    let model = Model::load(device, &files, OpenModel::default(), LoadOptions::default()).await.unwrap();
    Session::new(Arc::new(model), SessionOptions { fuse, context: 64, max_new: 8, ..Default::default() })
}

/// The sides of a golden case, unfused and fused: shapes and values of a tensor that `run` makes.
async fn sides(folder: &Path, run: impl AsyncFn(&mut Session) -> Vec<f32>) -> [Vec<f64>; 2] {
    let device = device().await;
    let mut both = Vec::new();
    for fuse in [false, true] {
        let mut session = session(&device, folder, fuse).await;
        both.push(run(&mut session).await.into_iter().map(f64::from).collect());
    }
    both.try_into().unwrap()
}

#[test]
fn a_golden_vit_is_the_same_fused() {
    let folder = case("vit");
    let bytes = std::fs::read(folder.join("inputs.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let pixels = tensors.tensor("pixel_values").unwrap();
    let shape = pixels.shape().to_vec();
    let values: Vec<f32> =
        pixels.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    pollster::block_on(async {
        let run = async |session: &mut Session| {
            session.set_pixels(&values).await.unwrap();
            session.encode(&TowerInputs::same((shape[2], shape[3]), shape[0]), &|_| false).await.unwrap();
            let classes = session.model().spec.classifier.as_ref().unwrap().labels.len();
            session.read(names::CLASS_LOGITS, &[shape[0], classes]).await.unwrap()
        };
        let [unfused, fused] = sides(&folder, run).await;
        agree("vit", &unfused, &fused);
    });
}

#[test]
fn a_golden_decoder_is_the_same_fused() {
    let folder = case("llama_gqa");
    pollster::block_on(async {
        let run = async |session: &mut Session| {
            let sequence = Sequence::new((3..23).collect(), Vec::new());
            let settings = [SampleSettings::default()];
            session.prefill(&[sequence], &settings, &[Vec::new()], false, &|_| false).await.unwrap();
            let vocab = session.model().spec.decoder.as_ref().unwrap().vocab;
            session.read(names::LOGITS, &[1, vocab]).await.unwrap()
        };
        let [unfused, fused] = sides(&folder, run).await;
        agree("llama_gqa", &unfused, &fused);
    });
}
