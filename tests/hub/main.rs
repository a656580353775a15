//! Checkpoints by hub id, against a hub on this machine that does what hubs do, faults included.

mod server;

use omma::Error;
use omma::checkpoint::hub::{Hub, HubFiles};
use omma::checkpoint::{Checkpoint, Files};
use pollster::block_on;
use server::{COMMIT, Fault, Server};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ID: &str = "omma/tiny-llava";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a golden checkpoint; no pictures, no expected values.
fn checkpoint(name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = root().join("kernels-test/goldens").join(name);
    let wanted = |name: &str| {
        name == "model.safetensors" || name.ends_with(".json") && !name.starts_with("case") && name != "layout_v5.json"
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
    named.filter(|(name, _)| wanted(name)).map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

/// The same in two shards, cut between tensors.
fn sharded(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let whole = files.remove("model.safetensors").unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let mut map = serde_json::Map::new();
    for (shard, part) in [0usize, 1].map(|part| (format!("model-0000{}-of-00002.safetensors", part + 1), part)) {
        let views: Vec<_> =
            tensors.iter().enumerate().filter(|(i, _)| i % 2 == part).map(|(_, tensor)| tensor).collect();
        map.extend(views.iter().map(|(name, _)| ((*name).to_owned(), shard.clone().into())));
        files.insert(shard, safetensors::serialize(views, None).unwrap());
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    files.insert("model.safetensors.index.json".into(), index.to_string().into_bytes());
    // A second copy of the weights under another name, as some publishers add it.
    files.insert("consolidated.safetensors".into(), whole);
    files
}

/// A hub, and an empty cache for one test.
struct Place {
    server: Server,
    cache: PathBuf,
}

impl Place {
    fn new(test: &str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hub").join(test);
        let _ = std::fs::remove_dir_all(&home);
        Self { server: Server::start(ID, files), cache: home.join("hub") }
    }
    fn hub(&self) -> Hub {
        Hub { endpoint: Some(self.server.address.clone()), cache: Some(self.cache.clone()), ..Hub::default() }
    }
    fn open(&self) -> omma::Result<HubFiles> {
        self.hub().open(ID)
    }
    fn weights(&self) -> omma::Result<Checkpoint> {
        block_on(Checkpoint::open(&self.open()?))
    }
    fn repository(&self) -> PathBuf {
        self.cache.join("models--omma--tiny-llava")
    }
    fn blobs(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.repository().join("blobs")) else { return Vec::new() };
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
    /// The command line with this hub and this cache.
    fn omma(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omma"));
        command.env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE").env_remove("HF_HUB_OFFLINE");
        command.env("HF_ENDPOINT", &self.server.address).env("HF_HOME", self.cache.parent().unwrap());
        command.args(args).current_dir(root()).output().unwrap()
    }
}

fn gets(log: &[String]) -> Vec<&str> {
    log.iter().filter_map(|line| line.strip_prefix("GET /moved/")).collect()
}

#[test]
fn a_checkpoint_comes_into_the_usual_cache() {
    let files = checkpoint("llama_gqa");
    let place = Place::new("layout", files.clone());
    let opened = place.open().unwrap();
    let folder = place.repository();
    assert_eq!(opened.path(), folder.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    assert!(!gets(&place.server.take_log()).contains(&"model.safetensors"), "weights come when they are asked for");
    block_on(Checkpoint::open(&opened)).unwrap();
    for (name, bytes) in &files {
        let copy = opened.path().join(name);
        assert!(std::fs::read(&copy).unwrap() == *bytes, "{name}");
        if cfg!(unix) {
            assert!(std::fs::read_link(&copy).unwrap().starts_with("../../blobs"), "{name} is a link into blobs");
        }
    }
    assert_eq!(place.blobs().len(), files.len());
    // Again: the listing is asked for, no file.
    place.server.take_log();
    place.weights().unwrap();
    let log = place.server.take_log();
    assert!(!log.is_empty() && log.iter().all(|line| line.starts_with("GET /api/models/")), "{log:?}");
}

#[test]
fn without_network_the_copy_is_used() {
    let place = Place::new("offline", checkpoint("llama_gqa"));
    let names: Vec<String> = place.weights().unwrap().entries().iter().map(|entry| entry.name.clone()).collect();
    place.server.stop();
    let again = place.weights().unwrap();
    assert_eq!(again.entries().iter().map(|entry| entry.name.clone()).collect::<Vec<_>>(), names);
    let described = place.open().unwrap().describe();
    assert!(described.contains(ID) && described.contains("cannot be reached"), "{described}");
    let offline = Hub { offline: true, ..place.hub() };
    block_on(Checkpoint::open(&offline.open(ID).unwrap())).unwrap();
    // What was never fetched is not there, and the error says what to do.
    let error = place.hub().open("omma/other").err().unwrap().to_string();
    assert!(error.contains("hub id omma/other") && error.contains("hf download omma/other"), "{error}");
    let error = offline.open("omma/other").err().unwrap().to_string();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("hf download omma/other"), "{error}");
}

#[test]
fn an_overloaded_hub_is_one_that_is_not_there() {
    let place = Place::new("overloaded", checkpoint("llama_gqa"));
    place.weights().unwrap();
    place.server.set(Fault::Overloaded, "");
    place.weights().unwrap();
    let error = place.hub().open("omma/other").err().unwrap().to_string();
    assert!(error.contains("503") && error.contains("no copy"), "{error}");
}

#[test]
fn shards_are_those_that_the_index_names() {
    let place = Place::new("shards", sharded(checkpoint("llama_gqa")));
    let weights = place.weights().unwrap();
    let log = place.server.take_log();
    let mut fetched: Vec<&str> = gets(&log).into_iter().filter(|name| name.ends_with(".safetensors")).collect();
    fetched.sort_unstable();
    assert_eq!(fetched, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
    let single = root().join("kernels-test/goldens/llama_gqa");
    let single = block_on(Checkpoint::open(&omma::checkpoint::Directory::open(single).unwrap())).unwrap();
    assert_eq!(weights.entries().len(), single.entries().len());
    place.server.stop();
    assert_eq!(place.weights().unwrap().entries().len(), single.entries().len());
}

/// The error of a faulty hub; then, without the fault, the checkpoint is fetched whole.
fn fails(test: &str, fault: Fault, victim: &str) -> Error {
    let files = checkpoint("llama_gqa");
    let place = Place::new(test, files.clone());
    place.server.set(fault, victim);
    let error = place.weights().err().unwrap();
    assert!(error.to_string().contains(ID), "{error}");
    let tag = |name: &str| name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let victim = files.keys().find(|name| name.ends_with(victim)).unwrap();
    assert!(!place.blobs().contains(&tag(victim)), "no half file under the name of the whole one");
    assert!(!place.repository().join("snapshots").join(COMMIT).join(victim).exists());
    // Without network what came is not taken for the whole either.
    let offline = Hub { offline: true, ..place.hub() };
    assert!(offline.open(ID).and_then(|files| block_on(Checkpoint::open(&files))).is_err());
    place.server.set(Fault::None, "");
    let opened = place.open().unwrap();
    block_on(Checkpoint::open(&opened)).unwrap();
    assert!(std::fs::read(opened.path().join(victim)).unwrap() == files[victim]);
    error
}

#[test]
fn half_files_are_not_taken_for_whole_ones() {
    for (test, fault, says) in [
        ("dropped", Fault::Dropped, "connection to the hub broke"),
        ("truncated", Fault::Truncated, "bytes came of the"),
        ("broken", Fault::Broken, "bytes came of the"),
        ("missing", Fault::Missing, "the hub lists this file and does not have it"),
    ] {
        for victim in ["model.safetensors", "tokenizer.json"] {
            let error = fails(&format!("{test}-{victim}"), fault, victim);
            assert!(matches!(error, Error::Io { .. }), "{error:?}");
            assert!(error.to_string().contains(says) && error.to_string().contains(victim), "{error}");
            assert!(error.to_string().contains("again"), "{error}");
        }
    }
}

#[test]
fn a_gated_model_says_how_to_get_it() {
    let error = fails("gated", Fault::Gated, ".json");
    assert!(error.to_string().contains("accept the terms") && error.to_string().contains("HF_TOKEN"), "{error}");
}

#[test]
fn an_unknown_id_is_not_found() {
    let place = Place::new("unknown", checkpoint("llama_gqa"));
    let error = place.hub().open("omma/no-such").err().unwrap().to_string();
    assert!(error.contains("omma/no-such") && error.contains("no such model") && error.contains("HF_TOKEN"), "{error}");
    assert!(!error.contains('\n'));
    // A model that was withdrawn: the copy is named, not taken.
    place.weights().unwrap();
    place.server.state.lock().unwrap().id = "omma/renamed".into();
    let error = place.open().err().unwrap().to_string();
    assert!(error.contains("no such model") && error.contains("an earlier copy is in"), "{error}");
}

#[test]
fn pickled_weights_are_refused_with_the_way_to_convert_them() {
    let mut files = checkpoint("llama_gqa");
    files.remove("model.safetensors");
    files.insert("pytorch_model.bin".into(), vec![0; 64]);
    let place = Place::new("pickled", files);
    let error = place.weights().err().unwrap();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    let text = error.to_string();
    for part in [ID, "pytorch_model.bin", "hf download omma/tiny-llava --local-dir FOLDER", "save_file"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!gets(&place.server.take_log()).contains(&"pytorch_model.bin"), "it was not downloaded");
}

#[test]
fn hostile_answers_are_refused() {
    let mut files = checkpoint("llama_gqa");
    files.insert("../../../outside.json".into(), b"{}".to_vec());
    let place = Place::new("hostile", files);
    let error = place.open().err().unwrap();
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    assert!(!Path::new(&place.cache).exists());
}

/// `describe` and `plan` by id: the picture is described, then again with the hub gone, and the answers are the same.
#[test]
fn the_command_line_takes_an_id() {
    let place = Place::new("cli", checkpoint("llava15_gqa"));
    let picture = root().join("kernels-test/goldens/llava15_gqa/image.png");
    let plan = place.omma(&["plan", ID, "--weights", "f32", "--json"]);
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    assert!(!gets(&place.server.take_log()).contains(&"model.safetensors"), "a plan needs no weights");
    let args = ["describe", picture.to_str().unwrap(), "--model", ID, "--prompt", "is there a tree?"];
    let args = [&args[..], &["--max-new-tokens", "4", "--json"]].concat();
    let ids = |output: &Output| {
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (answer["ids"].clone(), told.into_owned())
    };
    let (first, told) = ids(&place.omma(&args));
    assert_eq!(told.matches("the copy in the cache").count(), 0, "{told}");
    place.server.stop();
    let (second, told) = ids(&place.omma(&args));
    assert_eq!(first, second);
    assert!(told.contains("the copy in the cache is used"), "{told}");
    // Exit code 1 and one line for what fails.
    let unknown = place.omma(&["describe", picture.to_str().unwrap(), "--model", "omma/other"]);
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert_eq!((unknown.status.code(), told.trim().lines().count()), (Some(1), 1), "{told}");
    assert!(told.contains("omma/other") && told.contains("hf download"), "{told}");
}
