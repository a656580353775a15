//! Cases of original models end to end: small copies of two, dumped and compared; what has no builder is an error. And
//! adapters against plain loops, several sets and rows without one.

use kernels_test::model_cases::{BUILDERS, CaseError, dump};
use omma::blocks::{AdapterRows, LowRank};
use omma::checkpoint::{Checkpoint, Config, MemoryFile};
use omma::gpu::{Device, OpenOptions, Slice, Use};
use omma::graph::{Graph, Plan, Pool, Program, RunOptions, Store, decode, encode};
use omma::kernels::TensorType;
use omma::reference::Array;
use omma::{DType, Error};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn device() -> Device {
    pollster::block_on(Device::open(&OpenOptions::default())).unwrap()
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name)
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("omma-cases-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn file(path: &Path) -> Checkpoint {
    let file = MemoryFile::new(path.display().to_string(), std::fs::read(path).unwrap());
    pollster::block_on(Checkpoint::of_file(Arc::new(file))).unwrap()
}

/// Every stage within `suggested_atol + 1e-4 * |expected|`, of the stated shape.
fn check(name: &str) {
    let (case, out) = (golden(name), folder(name));
    let files = pollster::block_on(dump(&device(), &case, &out)).unwrap();
    let json = Config::parse("case.json", &std::fs::read(case.join("case.json")).unwrap()).unwrap();
    let samples = json.value()["samples"].as_array().unwrap().clone();
    assert_eq!(files.len(), samples.len());
    for (dumped, sample) in files.iter().zip(samples) {
        let (got, want) = (file(dumped), file(&case.join(sample["expected"].as_str().unwrap())));
        for (stage, about) in sample["stages"].as_object().unwrap() {
            assert_eq!(got.entry(stage).unwrap().shape, want.entry(stage).unwrap().shape, "{stage}");
            let numbers = |file: &Checkpoint| pollster::block_on(file.load_f32(stage)).unwrap();
            let atol = about["suggested_atol"].as_f64().unwrap() as f32;
            for (i, (got, want)) in numbers(&got).iter().zip(numbers(&want)).enumerate() {
                assert!((got - want).abs() <= atol + 1e-4 * want.abs(), "{stage}[{i}]: {got}, not {want}");
            }
        }
    }
    std::fs::remove_dir_all(out).unwrap();
}

#[test]
fn a_resampler_with_fresh_positions() {
    check("minicpmv2_resampler");
}

#[test]
fn a_merge_of_tiles_of_six_shapes() {
    check("llava_next_unpad_merge");
}

#[test]
fn what_cannot_be_built_is_an_error() {
    let device = device();
    let out = folder("errors");
    let run = |case: &Path| pollster::block_on(dump(&device, case, &out));
    // A name without a builder.
    let other = out.join("some_other_model");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("case.json"), r#"{"samples": [{"stages": {}}]}"#).unwrap();
    let Err(CaseError::Unknown { known }) = run(&other) else { panic!("there is no such builder") };
    assert_eq!(known.len(), BUILDERS.len());
    // A table of plans.
    std::fs::write(other.join("case.json"), r#"{"samples": []}"#).unwrap();
    assert_eq!(run(&other), Err(CaseError::Table));
    // A stage that nothing makes, and a configuration that lacks a size.
    let copy = out.join("minicpmv2_resampler");
    std::fs::create_dir_all(&copy).unwrap();
    for name in ["config.json", "inputs.safetensors", "model.safetensors"] {
        std::fs::copy(golden("minicpmv2_resampler").join(name), copy.join(name)).unwrap();
    }
    let stages = r#"{"samples": [{"stages": {"other": {"shape": [1], "dtype": "float32"}}}]}"#;
    std::fs::write(copy.join("case.json"), stages).unwrap();
    let Err(CaseError::Engine(Error::Unsupported { what, .. })) = run(&copy) else {
        panic!("nothing makes that stage")
    };
    assert!(what.contains("other"), "{what}");
    std::fs::write(copy.join("config.json"), r#"{"grid_size": 8}"#).unwrap();
    let error = run(&copy).unwrap_err();
    assert!(error.to_string().contains("embed_dim"), "{error}");
    std::fs::remove_dir_all(out).unwrap();
}

/// Numbers that differ from cell to cell.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 23) as f64 / 11.0 - 1.0).collect()
}

#[test]
fn rows_take_their_own_adapters() {
    const SETS: usize = 3;
    const RUNS: [(usize, Option<usize>); 5] = [(2, Some(1)), (1, None), (3, Some(0)), (4, Some(2)), (2, Some(1))];
    let (rank, n, k, rows) = (5, 7, 6, RUNS.iter().map(|(rows, _)| rows).sum::<usize>());
    let set = |i: usize| (format!("down{i}"), format!("up{i}"), format!("scale{i}"));
    let low = LowRank { sets: (0..SETS).map(set).collect(), rank, n, k, dtype: DType::F32 };
    let mut g = Graph::new();
    let x = g.state("x", TensorType::f32(&[rows, k]));
    let base = g.state("base", TensorType::f32(&[rows, n]));
    let own = AdapterRows::new(&mut g, SETS, &RUNS).unwrap();
    assert_eq!(AdapterRows::new(&mut Graph::new(), SETS, &[(4, None)]), None);
    let y = low.apply_add(&mut g, x, base, &own).unwrap();
    g.store(y, "y");
    let device = device();
    let plan = Plan::new(g, device.caps()).unwrap();
    // Weights and states in order of their first use; the scale of rows without a set is the zero behind the others.
    let (mut store, mut given) = (Store::new(), Vec::new());
    let all: Vec<(String, TensorType)> =
        plan.graph.weights().chain(plan.graph.states()).map(|(name, ty)| (name.to_owned(), ty.clone())).collect();
    for (seed, (name, ty)) in all.iter().enumerate() {
        let mut data = numbers(ty.elements(), seed);
        if name.starts_with("scale") {
            data[SETS] = 0.0;
        }
        let bytes = encode(ty, &Array::new(ty.dtype, &ty.shape, data.clone()), device.caps()).unwrap().remove(0);
        let buffer = pollster::block_on(device.buffer(name, bytes.len() as u64, Use::Storage)).unwrap();
        device.write(&buffer, 0, &bytes);
        store.put(name, vec![Slice::first(buffer, bytes.len() as u64)]);
        given.push((name.as_str(), data));
    }
    let mut pool = Pool::new();
    let program = pollster::block_on(Program::build(&device, plan, &store, &mut pool)).unwrap();
    pollster::block_on(program.run(&device, &RunOptions::default())).unwrap();
    let bytes = pollster::block_on(device.read(&program.output(y, &store, &pool).unwrap())).unwrap();
    let got = decode(&TensorType::f32(&[rows, n]), &[bytes], device.caps()).unwrap().data;
    let named = |front: &str| &given.iter().find(|(name, _)| name.starts_with(front)).unwrap().1;
    let (x, base, down, up, scale) = (named("x"), named("base"), named("down"), named("up"), named("scale"));
    let sets: Vec<Option<usize>> = RUNS.iter().flat_map(|(rows, set)| vec![*set; *rows]).collect();
    for (row, set) in sets.iter().enumerate() {
        for col in 0..n {
            let mut want = base[row * n + col];
            for r in 0..rank {
                let Some(set) = set else { continue };
                let inner: f64 = (0..k).map(|i| x[row * k + i] * down[(set * rank + r) * k + i]).sum();
                want += scale[*set] * inner * up[(set * n + col) * rank + r];
            }
            let got = got[row * n + col];
            assert!((got - want).abs() < 1e-5, "row {row}, column {col}: {got}, not {want}");
        }
    }
}
