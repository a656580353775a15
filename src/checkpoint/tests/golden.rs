//! The golden checkpoints: all open, and their forms under other names give the same canonical names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::checkpoint::schemes::{CLIP, DECODER, QWEN_VL, VISION_LANGUAGE, VIT};

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

fn folders(shared: &Path, sets: &[&str]) -> Vec<PathBuf> {
    let list = |set: &&str| std::fs::read_dir(shared.join(set)).unwrap().map(|item| item.unwrap().path());
    let mut all: Vec<PathBuf> = sets.iter().flat_map(list).filter(|path| path.is_dir()).collect();
    all.sort();
    all
}

fn open(path: &Path) -> Checkpoint {
    let files = Directory::open(path).unwrap();
    wait(Checkpoint::open(&files)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn all_golden_checkpoints_open() {
    let Some(shared) = shared() else { return };
    let mut opened = 0;
    for folder in folders(&shared, &["cases", "cases_extra", "cases_original"]) {
        for place in [folder.clone(), folder.join("f16"), folder.join("bf16"), folder.join("sharded")] {
            let single = place.join("model.safetensors").exists();
            if single || place.join("model.safetensors.index.json").exists() {
                let checkpoint = open(&place);
                opened += 1;
                if place.ends_with("sharded") {
                    same(&checkpoint, &open(&folder));
                }
            }
        }
        for name in ["inputs.safetensors", "expected.safetensors"] {
            let files = Directory::open(&folder).unwrap();
            if let Some(source) = wait(files.open(name)).unwrap() {
                let tensors = wait(Checkpoint::of_file(source)).unwrap();
                assert!(tensors.entries().iter().all(|entry| tensors.files()[entry.file].name().ends_with(name)));
            }
        }
    }
    assert!(opened >= 60, "only {opened} checkpoints");
}

fn same(a: &Checkpoint, b: &Checkpoint) {
    assert!(a.names().eq(b.names()));
    for entry in a.entries() {
        let other = b.entry(&entry.name).unwrap();
        assert_eq!((entry.dtype, &entry.shape), (other.dtype, &other.shape));
        assert_eq!(wait(a.load_f32(&entry.name)).unwrap(), wait(b.load_f32(&entry.name)).unwrap());
    }
}

fn scheme(model_type: &str) -> Option<&'static Scheme> {
    Some(match model_type {
        "llama" | "mistral" | "mixtral" | "qwen2" | "opt" => DECODER,
        "clip" | "siglip" => CLIP,
        "vit" => VIT,
        "llava" | "llava_next" | "vipllava" | "llava_onevision" | "mistral3" | "internvl" | "mllama" | "fuyu" => {
            VISION_LANGUAGE
        }
        "qwen2_vl" | "qwen2_5_vl" => QWEN_VL,
        _ => return None,
    })
}

/// Names as the later transformers 4 keep them in memory, and some saved: one `model.` around all but the head.
fn wrapped(name: &str, model_type: &str) -> String {
    if let Some(rest) = name.strip_prefix("language_model.lm_head.") {
        return format!("lm_head.{rest}");
    }
    if let Some(rest) = name.strip_prefix("language_model.model.") {
        return format!("model.language_model.{rest}");
    }
    match (model_type, name.strip_prefix("model.")) {
        ("qwen2_vl" | "qwen2_5_vl", Some(rest)) => format!("model.language_model.{rest}"),
        (_, _) if name.starts_with("lm_head.") => name.into(),
        _ => format!("model.{name}"),
    }
}

#[test]
fn renamed_forms_give_the_same_canonical_names() {
    let Some(shared) = shared() else { return };
    let (mut seen, mut renamed) = (0, 0);
    for folder in folders(&shared, &["cases", "cases_extra"]) {
        let checkpoint = open(&folder);
        let files = Directory::open(&folder).unwrap();
        let model_type: String = wait(Config::need(&files, "config.json")).unwrap().require("model_type").unwrap();
        let layout = wait(Config::need(&files, "layout_v5.json")).unwrap();
        let renames: BTreeMap<String, String> =
            serde_json::from_value(layout.section("rename").unwrap().unwrap().value().clone()).unwrap();
        let Some(scheme) = scheme(&model_type) else {
            // Families with tables of their own are saved under the same names by both versions.
            assert!(renames.is_empty(), "{model_type} needs a table");
            continue;
        };
        seen += 1;
        renamed += usize::from(!renames.is_empty());
        assert!(
            checkpoint.canonical(scheme).unwrap().names().eq(checkpoint.names()),
            "{model_type}: canonical names move"
        );
        let later = checkpoint.with_renames(&renames).unwrap();
        same_names(&later.canonical(scheme).unwrap(), &checkpoint, &model_type);
        if std::ptr::eq(scheme, VISION_LANGUAGE) || std::ptr::eq(scheme, QWEN_VL) {
            let all: BTreeMap<String, String> =
                later.names().map(|name| (name.to_owned(), wrapped(name, &model_type))).collect();
            same_names(&later.with_renames(&all).unwrap().canonical(scheme).unwrap(), &checkpoint, &model_type);
        }
    }
    assert!(seen >= 18 && renamed >= 5, "{seen} families, {renamed} renamed");
}

fn same_names(a: &Checkpoint, b: &Checkpoint, what: &str) {
    let differing: Vec<_> = a.names().zip(b.names()).filter(|(x, y)| x != y).take(3).collect();
    assert!(a.names().eq(b.names()), "{what}: {differing:?}");
    for (x, y) in a.entries().iter().zip(b.entries()) {
        assert_eq!((x.offset, x.bytes, &x.stored), (y.offset, y.bytes, &y.stored), "{what}: {}", x.name);
    }
}
