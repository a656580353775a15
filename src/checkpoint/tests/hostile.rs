//! Files that lie. Each is refused with one error that names the file and, where there is one, the tensor.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{DType, Error};

fn one(name: &str, dtype: &str, shape: &str, begin: &str, end: &str) -> String {
    format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}}}"#)
}

type Lie<'a> = (&'a str, Vec<u8>, &'a [&'a str]);

fn refuse(lies: Vec<Lie<'_>>) {
    for (what, bytes, texts) in lies {
        let error = open_bytes(&bytes).expect_err(what);
        assert!(matches!(error, Error::Malformed { .. }), "{what}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("made/model.safetensors") && !text.contains('\n') && text.len() < 700, "{what}: {text}");
        for wanted in texts {
            assert!(text.contains(wanted), "{what}: `{wanted}` is not in: {text}");
        }
        let remote = Arc::new(Remote(MemoryFile::new("made/model.safetensors", bytes)));
        assert_eq!(wait(Checkpoint::of_file(remote)).expect_err(what), error, "{what}");
    }
}

#[test]
fn lying_lengths_and_broken_json_are_refused() {
    let good = file_of(&one("w", "F32", "[2,3]", "0", "24"), 24);
    assert_eq!(open_bytes(&good).unwrap().entry("w").unwrap().shape, [2, 3]);
    let mut long = good.clone();
    long[..8].copy_from_slice(&1000u64.to_le_bytes());
    let mut absurd = good.clone();
    absurd[..8].copy_from_slice(&(u64::MAX - 3).to_le_bytes());
    refuse(vec![
        ("empty", vec![], &["truncated"]),
        ("seven bytes", vec![0; 7], &["truncated"]),
        ("cut in the header", good[..20].to_vec(), &["truncated"]),
        ("cut in the data", good[..good.len() - 1].to_vec(), &["`w`", "truncated"]),
        ("header beyond the file", long, &["1000 bytes", "truncated"]),
        ("absurd header", absurd, &["100000000"]),
        ("git-lfs", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), &["git lfs pull"]),
        ("not JSON", file_of("{\"w\": tensor}", 24), &["header"]),
        ("not UTF-8", [&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat(), &["header"]),
        ("not an object", file_of("[1,2]", 0), &["object of tensors"]),
        ("text after the JSON", file_of("{} {}", 0), &["header", "trailing"]),
        ("deep", file_of(&format!("{{\"w\":{}", "[".repeat(100_000)), 0), &["`w`"]),
        ("deep in a field that is ignored", file_of(&format!("{{\"w\":{{\"x\":{}", "[".repeat(100_000)), 0), &["`w`"]),
    ]);
}

#[test]
fn lying_tensors_are_refused_by_name() {
    let w = |dtype, shape, begin, end| file_of(&one("w", dtype, shape, begin, end), 24);
    let pair = |a: [u64; 2], b: [u64; 2]| {
        let t = |[x, y]: [u64; 2]| format!(r#"{{"dtype":"U8","shape":[{}],"data_offsets":[{x},{y}]}}"#, y - x);
        file_of(&format!(r#"{{"a":{},"w":{}}}"#, t(a), t(b)), 24)
    };
    let twice = |count: usize| {
        let t = format!(r#"{{"dtype":"U8","shape":[{count}],"data_offsets":[0,{count}]}}"#);
        file_of(&format!(r#"{{"w":{t},"w":{t}}}"#), count)
    };
    refuse(vec![
        ("no dtype", file_of(r#"{"w":{"shape":[1],"data_offsets":[0,4]}}"#, 4), &["`w`", "dtype"]),
        ("two dtypes", file_of(r#"{"w":{"dtype":"U8","dtype":"I8"}}"#, 0), &["`w`", "duplicate"]),
        ("negative axis", w("F32", "[-6]", "0", "24"), &["`w`", "-6"]),
        ("float axis", w("F32", "[6.0]", "0", "24"), &["`w`"]),
        ("axis beyond u64", w("F32", "[99999999999999999999]", "0", "24"), &["`w`"]),
        ("offset beyond the file", w("F32", "[2,5]", "0", "40"), &["`w`", "40", "24"]),
        ("offset near 2^64", w("U8", "[1]", "18446744073709551614", "18446744073709551615"), &["`w`"]),
        ("end before begin", w("F32", "[6]", "24", "0"), &["`w`", "before"]),
        ("wrong size", w("F16", "[2,3]", "0", "24"), &["`w`", "12 bytes", "24"]),
        ("2^60 elements", w("F32", "[1152921504606846976]", "0", "24"), &["`w`", "1152921504606846976"]),
        ("2^64 bytes", w("F64", "[4294967296,536870912]", "0", "0"), &["`w`", "more elements"]),
        ("2^120 behind an empty axis", w("F32", "[0,1152921504606846976,1152921504606846976]", "0", "0"), &["`w`"]),
        ("many axes", w("U8", &format!("[{}1]", "1,".repeat(40)), "0", "1"), &["`w`", "axes"]),
        ("unknown type", w("Q7", "[6]", "0", "24"), &["`w`", "`Q7`"]),
        ("overlap", pair([0, 14], [10, 24]), &["`w`", "overlaps"]),
        ("the same bytes twice", pair([0, 24], [0, 24]), &["`w`", "overlaps"]),
        ("hole", pair([0, 10], [14, 24]), &["`w`", "4 bytes before"]),
        ("hole in front", pair([2, 10], [10, 24]), &["`a`", "2 bytes before"]),
        ("rest", pair([0, 10], [10, 20]), &["4 bytes at the end"]),
        ("twice", twice(24), &["`w`", "twice"]),
        ("twice and empty", twice(0), &["`w`", "twice"]),
        ("metadata twice", file_of(r#"{"__metadata__":{},"__metadata__":{}}"#, 0), &["duplicate"]),
        ("metadata that is no text", file_of(r#"{"__metadata__":{"a":1}}"#, 0), &["header"]),
    ]);
}

#[test]
fn a_type_of_the_format_that_is_not_read_is_unsupported() {
    let error = open_bytes(&file_of(&one("w", "F8_E4M3", "[24]", "0", "24"), 24)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("F8_E4M3"));
}

#[test]
fn odd_but_valid_headers_are_read() {
    let header = concat!(
        r#" {"__metadata__":null,"b":{"dtype":"I64","shape":[],"data_offsets":[3,11],"extra":[1,{"x":2}]},"#,
        r#""a\n\u00e9":{"data_offsets":[0,3],"shape":[3],"dtype":"BOOL"},"e":{"dtype":"F32","shape":[4,0],"#,
        r#""data_offsets":[3,3]}}    "#
    );
    let checkpoint = open_bytes(&file_of(header, 11)).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a\né", "b", "e"]);
    assert_eq!(wait(checkpoint.load_i64("a\né")).unwrap(), [0, 1, 1]);
    // Eight bytes that begin at an odd place.
    assert_eq!(wait(checkpoint.load_i64("b")).unwrap(), [i64::from_le_bytes([3, 4, 5, 6, 7, 8, 9, 10])]);
    assert_eq!(wait(checkpoint.load_f32("e")).unwrap(), [0.0; 0]);
    assert_eq!(checkpoint.total_bytes(), 11);
    let error = checkpoint.entry("a\ne").unwrap_err().to_string();
    assert!(!error.contains('\n') && error.contains("nearest"), "{error}");
}

fn small() -> Vec<u8> {
    let shape = [2, 3];
    let bytes = [7; 24];
    let tensor = |name, dtype, shape, bytes| TensorBytes { name, dtype, shape, bytes };
    let tensors = [
        tensor("a.weight", DType::F32, &shape[..], &bytes[..]),
        tensor("a.bias", DType::F16, &shape[1..], &bytes[..6]),
        tensor("ids", DType::I64, &[], &bytes[..8]),
    ];
    encode_safetensors(&tensors, &[("format".to_owned(), "pt".to_owned())].into()).unwrap()
}

/// We and the reference implementation accept the same files with the same tensors; only that names that are there
/// twice, absurd axes and types without a use here are refused by us alone. Says whether the file was accepted.
fn agree(bytes: &[u8]) -> bool {
    let (ours, theirs) = (open_bytes(bytes), safetensors::SafeTensors::deserialize(bytes));
    let checkpoint = match ours {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let text = error.to_string();
            let stricter = ["twice", "axes", "more elements", "is not supported"].iter().any(|why| text.contains(why));
            assert!(stricter || theirs.is_err(), "the reference accepts this, we say: {text}");
            return false;
        }
    };
    let theirs = theirs.expect("we accept what the reference refuses");
    assert_eq!(theirs.len(), checkpoint.entries().len());
    for entry in checkpoint.entries() {
        let tensor = theirs.tensor(&entry.name).unwrap();
        assert_eq!(tensor.shape(), entry.shape);
        assert_eq!(tensor.data(), checkpoint.bytes_of(entry).unwrap());
    }
    true
}

/// A header of tensors one after the other, but for what `bend` adds to the offsets and the size of each.
fn bent(tensors: &[(String, usize, Vec<u64>, [i64; 2])], rest: i64) -> Vec<u8> {
    let mut at = 0;
    let mut text = Vec::new();
    for (name, dtype, shape, bend) in tensors {
        let end = at + shape.iter().product::<u64>() as i64 * [1, 2, 4, 8][*dtype];
        let dtype = ["U8", "F16", "F32", "F64"][*dtype];
        let (begin, stop) = (at + bend[0], end + bend[1]);
        text.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{stop}]}}"#));
        at = end;
    }
    file_of(&format!("{{{}}}", text.join(",")), (at + rest).max(0) as usize)
}

#[test]
fn straight_headers_are_accepted() {
    let tensor = |name: &str, dtype, shape: &[u64]| (name.to_owned(), dtype, shape.to_vec(), [0, 0]);
    assert!(agree(&bent(&[tensor("a", 2, &[3, 4]), tensor("b", 1, &[]), tensor("c", 3, &[0, 2])], 0)));
    assert!(agree(&small()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((0usize..400, any::<u8>()), 1..4), cut in 0usize..800) {
        let mut bytes = small();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(cut.max(1));
        agree(&bytes);
    }

    #[test]
    fn changed_digits_never_panic(changes in prop::collection::vec((0usize..400, 0u8..16), 1..4)) {
        let mut bytes = small();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let digits: Vec<usize> = (8..8 + header).filter(|at| b"0123456789,[]".contains(&bytes[*at])).collect();
        for (at, value) in changes {
            bytes[digits[at % digits.len()]] = b"0123456789,[]-.e"[usize::from(value)];
        }
        agree(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(header in prop::collection::vec(any::<u8>(), 0..64), data in 0usize..32) {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(vec![0; data]);
        agree(&bytes);
    }

    #[test]
    fn bent_headers_never_panic(
        tensors in prop::collection::vec(("[a-h]", 0usize..4, prop::collection::vec(0u64..5, 0..3), bend()), 0..4),
        rest in prop_oneof![8 => Just(0), 1 => -9i64..9],
    ) {
        agree(&bent(&tensors, rest));
    }
}

fn bend() -> impl Strategy<Value = [i64; 2]> {
    prop_oneof![8 => Just([0, 0]), 1 => (-9i64..9).prop_map(|n| [n, n]), 1 => prop::array::uniform2(-9i64..9)]
}
