//! Broken checkpoints, pictures and arguments given to the `omma` binary: exit code 1 with one line that says what
//! is wrong, 2 for wrong usage; never a panic, a hang or a backtrace. And odd inputs that have to work.
#![cfg(feature = "cli")]

mod support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::goldens;

/// A golden case's own copy, to be broken.
struct Broken(PathBuf);

impl Drop for Broken {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Broken {
    /// A copy under a name that no other test uses.
    fn of(case: &str, name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for file in std::fs::read_dir(goldens().join(case)).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        Self(folder)
    }
    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
    fn json(&self, file: &str, change: impl FnOnce(&mut Value)) -> &Self {
        let mut value: Value = serde_json::from_slice(&std::fs::read(self.path(file)).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(self.path(file), serde_json::to_vec(&value).unwrap()).unwrap();
        self
    }
    /// Changes the header of the weights; the bytes behind it stay.
    fn header(&self, change: impl FnOnce(&mut Value)) -> &Self {
        let bytes = std::fs::read(self.path("model.safetensors")).unwrap();
        let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut header: Value = serde_json::from_slice(&bytes[8..8 + size]).unwrap();
        change(&mut header);
        let text = serde_json::to_vec(&header).unwrap();
        let whole = [&(text.len() as u64).to_le_bytes(), &text[..], &bytes[8 + size..]].concat();
        std::fs::write(self.path("model.safetensors"), whole).unwrap();
        self
    }
    fn cut(&self, file: &str, bytes: usize) -> &Self {
        let whole = std::fs::read(self.path(file)).unwrap();
        std::fs::write(self.path(file), &whole[..bytes]).unwrap();
        self
    }
    /// Makes the case one sample with these pictures, prompt and stages.
    fn sample(&self, images: Value, prompt: &str, stages: Value) -> &Self {
        self.json("case.json", |case| {
            let sample = &mut case["samples"][0];
            (sample["images"], sample["prompt"], sample["stages"]) = (images, prompt.into(), stages);
            sample["input_shapes"] = json!({});
            case["samples"] = json!([sample]);
        })
    }
    fn omma(&self, more: &[&str]) -> Outcome {
        let (case, dump) = (self.0.display().to_string(), self.path("dump.out").display().to_string());
        omma(&[&["run", &case, "--dump", &dump], more].concat())
    }
    /// Fails as it should, with all of `words` in the message.
    fn fails(&self, more: &[&str], words: &[&str]) {
        self.omma(more).fails(words);
    }
}

#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stderr: String,
}

impl Outcome {
    fn fails(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.starts_with("notice: ")).collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        assert!(lines[0].starts_with("error: "), "{self:?}");
        for word in words {
            assert!(lines[0].contains(word), "`{word}` is not in {self:?}");
        }
        self.no_panic();
    }
    fn works(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.no_panic();
    }
    fn no_panic(&self) {
        for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", "overflow"] {
            assert!(!self.stderr.contains(word), "{self:?}");
        }
    }
}

/// Runs the binary; more than two minutes are a hang.
fn omma(arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omma"));
    command.args(arguments).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    Outcome { code: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

const PICTURES: &[&str] = &["--from", "pictures"];

#[test]
fn missing_files() {
    let case = Broken::of("llama_gqa", "missing");
    omma(&["run", "no/such/folder", "--dump", "x"]).fails(&["no/such/folder"]);
    std::fs::remove_file(case.path("tokenizer.json")).unwrap();
    case.fails(PICTURES, &["tokenizer.json"]);
    std::fs::remove_file(case.path("model.safetensors")).unwrap();
    case.fails(&[], &["safetensors"]);
    std::fs::remove_file(case.path("config.json")).unwrap();
    case.fails(&[], &["config.json"]);
}

#[test]
fn broken_weight_files() {
    let name = "model.layers.0.mlp.down_proj.weight";
    let new = |what: &str| Broken::of("llama_gqa", what);
    new("cut-5").cut("model.safetensors", 5).fails(&[], &["model.safetensors"]);
    new("cut-header").cut("model.safetensors", 100).fails(&[], &["model.safetensors"]);
    new("cut-body").cut("model.safetensors", 1_000_000).fails(&[], &["model.safetensors"]);
    let case = new("length");
    let mut bytes = std::fs::read(case.path("model.safetensors")).unwrap();
    bytes[..8].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
    std::fs::write(case.path("model.safetensors"), &bytes).unwrap();
    case.fails(&[], &["model.safetensors"]);
    let offsets = |h: &mut Value, at: usize, by: i64| {
        let end = h[name]["data_offsets"][at].as_i64().unwrap() + by;
        h[name]["data_offsets"][at] = end.into();
    };
    new("beyond")
        .header(|h| h[name]["data_offsets"] = json!([1_u64 << 40, (1_u64 << 40) + 73_728]))
        .fails(&[], &[name]);
    new("overlap").header(|h| (offsets(h, 0, -4), offsets(h, 1, -4)).0).fails(&[], &[name]);
    new("backwards").header(|h| h[name]["data_offsets"] = json!([73_728, 0])).fails(&[], &[name]);
    new("dtype").header(|h| h[name]["dtype"] = "F16".into()).fails(&[], &[name]);
    new("no-dtype").header(|h| h[name]["dtype"] = "F12".into()).fails(&[], &["F12"]);
    new("huge").header(|h| h[name]["shape"] = json!([1_u64 << 60, 1_u64 << 60])).fails(&[], &[name]);
    new("huge-1").header(|h| h[name]["shape"] = json!([1_u64 << 60])).fails(&[], &[name]);
}

#[test]
fn tensors_that_do_not_fit_the_configuration() {
    let rename = |h: &mut Value, from: &str, to: &str| {
        let entry = h.as_object_mut().unwrap().remove(from).unwrap();
        h[to] = entry;
    };
    let case = Broken::of("llama_gqa", "name");
    case.header(|h| rename(h, "lm_head.weight", "lm_haed.weight"));
    case.fails(&[], &["lm_head.weight", "nearest: ", "lm_haed.weight"]);
    let case = Broken::of("llama_gqa", "shape");
    case.header(|h| h["lm_head.weight"]["shape"] = json!([144, 400]));
    case.fails(&[], &["lm_head.weight", "[144, 400]", "[400, 144]"]);
}

#[test]
fn configurations_that_are_not_supported() {
    let config = |what: &str, change: &dyn Fn(&mut Value), words: &[&str]| {
        let case = Broken::of("llama_gqa", what);
        case.json("config.json", change).fails(&[], words);
    };
    config(
        "model-type",
        &|c| (c["model_type"], c["architectures"]) = ("kaleidoscope".into(), json!(["KaleidoscopeModel"])),
        &["kaleidoscope", "known: ", "llama"],
    );
    config("rope", &|c| c["rope_scaling"] = json!({"rope_type": "su", "factor": 2.0}), &["su", "not supported"]);
    config("quant", &|c| c["quantization_config"] = json!({"quant_method": "bitsandbytes"}), &["quantization_config"]);
    config("act", &|c| c["hidden_act"] = "sinh".into(), &["sinh"]);
    config("type", &|c| c["hidden_size"] = "many".into(), &["hidden_size"]);
    config("negative", &|c| c["num_attention_heads"] = (-3).into(), &["num_attention_heads"]);
    config("zero-heads", &|c| c["num_attention_heads"] = 0.into(), &[]);
    config("zero-kv", &|c| c["num_key_value_heads"] = 0.into(), &[]);
    config("zero-dim", &|c| c["head_dim"] = 0.into(), &[]);
    config("wide", &|c| c["hidden_size"] = (1_u64 << 60).into(), &[]);
    config("deep", &|c| c["num_hidden_layers"] = (1_u64 << 40).into(), &[]);
    config("vocab", &|c| c["vocab_size"] = (1_u64 << 40).into(), &[]);
    let case = Broken::of("llama_gqa", "no-json");
    std::fs::write(case.path("config.json"), "[".repeat(100_000)).unwrap();
    case.fails(&[], &["config.json"]);
    let case = Broken::of("vit", "patch");
    case.json("config.json", |c| c["patch_size"] = 0.into()).fails(&[], &[]);
}

#[test]
fn broken_pictures() {
    let case = Broken::of("llava15_gqa", "picture");
    case.cut("image.png", 2000).fails(PICTURES, &["image.png", "not a readable picture"]);
    std::fs::write(case.path("image.png"), "a picture of a tree").unwrap();
    case.fails(PICTURES, &["image.png", "not a readable picture"]);
    std::fs::write(case.path("image.png"), "").unwrap();
    case.fails(PICTURES, &["image.png", "not a readable picture"]);
    std::fs::remove_file(case.path("image.png")).unwrap();
    case.fails(PICTURES, &["image.png"]);
}

#[test]
fn prompts_and_adapters() {
    let case = Broken::of("clip_vit_b16_gelu", "long");
    let prompt = "a black cat ".repeat(100);
    case.json("case.json", |c| c["samples"][0]["prompt"] = json!([prompt])).fails(PICTURES, &["context"]);
    let case = Broken::of("llama_gqa", "adapter");
    case.fails(&["--adapter", "no such adapter"], &["no such adapter", "there are: "]);
    case.fails(&["--adapter", "4711"], &["4711"]);
    case.fails(&["--memory-limit", "100kB"], &["out of GPU memory", "100000"]);
    let ids = std::fs::read(case.path("inputs.safetensors")).unwrap();
    std::fs::write(case.path("inputs.safetensors"), &ids[..ids.len() - 8]).unwrap();
    case.fails(&[], &["inputs.safetensors"]);
}

#[test]
fn describe_fails_and_works_alike() {
    let describe = |case: &Broken, more: &[&str]| {
        let folder = case.0.display().to_string();
        omma(&[&["describe", "--model", &folder, "--max-new-tokens", "4"], more].concat())
    };
    let case = Broken::of("llava15_gqa", "describe");
    let (picture, text) =
        (case.path("image.png").display().to_string(), case.path("config.json").display().to_string());
    describe(&case, &[&picture, "--prompt", &"a black cat ".repeat(3000)]).fails(&["the prompt has", "context"]);
    describe(&case, &[&text]).fails(&["config.json", "not a readable picture"]);
    describe(&case, &["no/such/picture.png"]).fails(&["no/such/picture.png"]);
    describe(&case, &[&picture, "--weights", "q9_9"]).fails(&["q9_9"]);
    describe(&case, &[&picture, "--tiling", "origami"]).fails(&["origami"]);
    describe(&case, &[&picture]).works();
    describe(&case, &[&picture, "--prompt", ""]).works();
    describe(&case, &["--prompt", "is there a tree?"]).works();
    let case = Broken::of("llama_gqa", "describe-text");
    describe(&case, &[&picture]).fails(&["a picture"]);
    describe(&case, &["--prompt", ""]).works();
    describe(&case, &["--prompt", "the quick brown fox"]).works();
}

#[test]
fn wrong_usage() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["run"],
        &["run", "x"],
        &["run", "x", "--dump", "y", "--from", "nowhere"],
        &["run", "x", "--dump", "y", "--memory-limit", "lots"],
        &["run", "x", "--dump", "y", "--no-such-option"],
    ] {
        let outcome = omma(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        outcome.no_panic();
    }
    assert_eq!(omma(&["--help"]).code, Some(0));
    assert_eq!(omma(&["--version"]).code, Some(0));
}

#[test]
fn odd_pictures_work() {
    for (width, height) in [(1, 1), (30_000, 20), (3, 4000)] {
        let case = Broken::of("llava15_gqa", &format!("odd-{width}"));
        let paint = |x, y| image::Rgb([(x % 251) as u8, (y % 241) as u8, 200]);
        image::RgbImage::from_fn(width, height, paint).save(case.path("odd.png")).unwrap();
        case.sample(json!(["odd.png"]), "USER: <image>\nis there a tree? ASSISTANT:", json!({"generated_ids": {}}));
        case.omma(PICTURES).works();
    }
}

#[test]
fn no_prompt_and_no_picture_work() {
    let case = Broken::of("llama_gqa", "empty");
    case.sample(json!([]), "", json!({"generated_ids": {}})).omma(PICTURES).works();
    let case = Broken::of("llava15_gqa", "blind");
    std::fs::copy(goldens().join("llama_gqa/inputs.safetensors"), case.path("inputs.safetensors")).unwrap();
    case.sample(json!([]), "is there a tree?", json!({"generated_ids": {}})).omma(PICTURES).works();
}
