//! The golden tokenizer cases: ids and decoded text as transformers gives them.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::text::Tokenizer;

/// The folder of goldens, next to the repository; `None`, with a word on stderr, where there is none.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = std::env::var_os("OMMA_SHARED").map_or(beside, PathBuf::from);
    if !path.join("cases").is_dir() {
        eprintln!("skipped: no golden cases at {}", path.display());
        return None;
    }
    Some(path)
}

fn check_case(folder: &Path, cases: &[u8]) -> usize {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let config = read("tokenizer_config.json");
    let map = read("special_tokens_map.json");
    let json = read("tokenizer.json").unwrap();
    let tokenizer = Tokenizer::from_bytes(&json, config.as_deref(), map.as_deref()).unwrap();
    let cases: Vec<Json> = serde_json::from_slice(cases).unwrap();
    for case in &cases {
        let text = case["text"].as_str().unwrap();
        let want: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let place = format!("{}: {text:?}", folder.display());
        assert_eq!(tokenizer.encode(text, true).unwrap(), want, "{place}");
        let decoded = case["decoded"].as_str().unwrap();
        assert_eq!(tokenizer.decode(&want, true).unwrap(), decoded, "{place}");
        let mut stream = tokenizer.decode_stream(true);
        let mut streamed: String = want.iter().filter_map(|&id| stream.push(id).unwrap()).collect();
        streamed.push_str(&stream.finish().unwrap());
        assert_eq!(streamed, decoded, "{place}, streamed");
    }
    cases.len()
}

#[test]
fn ids_and_texts_equal_the_reference() {
    let Some(shared) = shared() else { return };
    let mut checked = 0;
    for set in ["cases", "cases_extra", "cases_original"] {
        let Ok(folders) = std::fs::read_dir(shared.join(set)) else { continue };
        for folder in folders {
            let folder = folder.unwrap().path();
            if let Ok(cases) = std::fs::read(folder.join("tokenizer_cases.json")) {
                checked += check_case(&folder, &cases);
            }
        }
    }
    assert!(checked >= 24, "only {checked} texts were found");
}
