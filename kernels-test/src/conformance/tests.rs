//! The reader of packs: what it takes, and what it refuses.

use super::*;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

/// A data file with f32 `x` = 1 2 3, u32 `at` = 2 0, u8 `bytes` = 0xf1 0x08.
fn data() -> Vec<u8> {
    let floats: Vec<u8> = [1f32, 2.0, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let at: Vec<u8> = [2u32, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = [
        ("x", TensorView::new(Dtype::F32, vec![3], &floats).unwrap()),
        ("at", TensorView::new(Dtype::U32, vec![2], &at).unwrap()),
        ("bytes", TensorView::new(Dtype::U8, vec![2], &[0xf1, 8]).unwrap()),
    ];
    serialize(views, None).unwrap()
}

fn case(inputs: &str, outputs: &str) -> PackResult<(OpCase, Vec<Option<Expect>>)> {
    let text = format!(
        r#"{{"id": "i", "op": "Relu", "domain": "ai.onnx", "opset": 14, "since_version": 14, "tier": "core",
        "tags": [], "attrs": {{}}, "inputs": [{inputs}], "outputs": [{outputs}]}}"#
    );
    decode_text(&text, &data())
}

const X: &str = r#"{"name": "x", "dtype": "f32", "shape": [3], "src": "tensor", "key": "x", "stored": "F32"}"#;

fn output(rest: &str) -> String {
    format!(r#"{{"name": "y", "dtype": "f32", "tol": {{"abs": 0.5, "rel": 0.25}}, {rest}}}"#)
}

#[test]
fn a_case_is_read() {
    let absent = r#"{"name": "", "src": "absent"}"#;
    let sample = r#""shape": [3], "src": "sample", "index_key": "at", "key": "at", "stored": "U32",
        "block_sum": {"block": 2, "key": "at", "tol_abs": 0.125}"#;
    let (case, expects) = case(&format!("{X}, {absent}"), &format!("{}, {absent}", output(sample))).unwrap();
    assert_eq!(case.inputs[0].as_ref().unwrap().values(), [1.0, 2.0, 3.0]);
    assert!(case.inputs[1].is_none() && expects[1].is_none());
    assert_eq!(case.wanted, [true, false]);
    let expect = expects[0].as_ref().unwrap();
    assert_eq!(expect.sample, Some(vec![2, 0]));
    assert_eq!(expect.sums, Some((2, vec![2.0, 0.0], 0.125)));
    assert_eq!((expect.abs, expect.rel), (0.5, 0.25));
}

#[test]
fn generated_operands_are_held_against_their_first_values() {
    let operand = |first: &str| {
        let made = r#""gen": {"algo": "ih4", "seed": 4982375923397, "scale": 1.0, "offset": 0.0, "dtype": "f32"}"#;
        format!(r#"{{"name": "x", "dtype": "f32", "shape": [7, 64], "src": "gen", {made}, "first": {first}}}"#)
    };
    assert!(case(&operand("[1.0902252197265625, 0.0268402099609375, 0.0659942626953125]"), "").is_ok());
    let wrong = case(&operand("[1.09, 0.0, 0.0]"), "").unwrap_err();
    assert!(wrong.to_string().contains("the index says 1.09"), "{wrong}");
}

#[test]
fn what_breaks_the_format_is_an_error_that_says_where() {
    let input = |rest: &str| format!(r#"{{"name": "x", "dtype": "f32", {rest}}}"#);
    let wrong = [
        (input(r#""shape": [3], "src": "tensor", "key": "none", "stored": "F32""#), "input 0: none"),
        (input(r#""shape": [4], "src": "tensor", "key": "x", "stored": "F32""#), "takes 16 bytes"),
        (input(r#""shape": [3], "src": "tensor", "key": "x", "stored": "F16""#), "the index says F16"),
        (input(r#""shape": [2], "src": "tensor", "key": "at", "stored": "U32""#), "said to be f32"),
        (input(r#""shape": [3], "src": "tensor", "stored": "F32""#), "without `key`"),
        (input(r#""shape": [3], "src": "file""#), "src `file`"),
        (input(r#""shape": [18446744073709551615, 3], "src": "gen""#), "without `gen`"),
        (input(r#""shape": [-1], "src": "gen""#), "input 0: entry"),
        (X.replace("f32", "f31"), "`f31` is not a type"),
        (input(r#""shape": [99999999999, 9], "src": "gen", "gen": {"algo": "ih4", "seed": 1}"#), "has more than"),
        (
            input(r#""shape": [3], "src": "tensor", "key": "x", "stored": "F32", "packing": "zip""#),
            "`zip` is not a packing",
        ),
    ];
    for (input, text) in wrong {
        let error = case(&input, "").unwrap_err().to_string();
        assert!(error.contains(text), "{input}: {error}");
    }
    let wrong = [
        (r#""shape": [2], "src": "sample", "index_key": "at", "key": "at", "stored": "U32""#, "position 2 of 2"),
        (r#""shape": [3], "src": "sample", "key": "at", "stored": "U32""#, "sample with index_key"),
        (
            r#""shape": [3], "src": "tensor", "key": "x", "stored": "F32",
            "block_sum": {"block": 3, "key": "at", "tol_abs": 0.1}"#,
            "2 sums of 3",
        ),
        (
            r#""shape": [3], "src": "tensor", "key": "x", "stored": "F32",
            "block_sum": {"block": 0, "key": "at", "tol_abs": 0.1}"#,
            "a block of 0",
        ),
    ];
    for (rest, text) in wrong {
        let error = case(X, &output(rest)).unwrap_err().to_string();
        assert!(error.contains("output 0") && error.contains(text), "{rest}: {error}");
    }
}

#[test]
fn a_folder_without_a_pack_is_an_error() {
    let error = Pack::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))).unwrap_err();
    assert!(error.at.ends_with("index.json"));
    assert!(packs(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))).unwrap().is_empty());
}

/// The packs beside the repository, where there are any: every case decodes, so every generator gives its first values.
#[test]
fn every_case_of_the_packs_decodes() {
    let shared = std::env::var("OMMA_SHARED")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let dir = shared.join("ops");
    if !dir.is_dir() {
        eprintln!("skipped: {} is not there", dir.display());
        return;
    }
    for folder in packs(&dir).unwrap() {
        let pack = Pack::read(&folder).unwrap();
        let data = pack.tensors().unwrap();
        for raw in &pack.cases {
            if let Err(error) = decode(&pack.family, raw, &data) {
                panic!("{}: {error}", raw.id);
            }
        }
    }
}

#[test]
fn the_registry_names_every_operator_once() {
    let mut names: Vec<_> = ops::GROUPS.iter().flat_map(|g| g.iter()).map(|(domain, op, _)| (*domain, *op)).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(ops::lookup("ai.onnx", "Relu").is_some());
    assert!(ops::lookup("ai.onnx", "relu").is_none());
    for group in ops::GROUPS {
        assert!(group.windows(2).all(|w| (w[0].0, w[0].1) < (w[1].0, w[1].1)), "by domain, then alphabetical");
    }
}
