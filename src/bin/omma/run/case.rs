//! case.json: samples, stages, prompts, generation settings.

use crate::common::read_file;
use omma::checkpoint::{Config, Directory, Files, Pending, ReadAt};
use omma::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A stage to dump.
pub struct StageSpec {
    /// Name.
    pub name: String,
    /// Shape in the dump.
    pub shape: Vec<usize>,
}

/// A sample.
pub struct Sample {
    /// Picture files.
    pub images: Vec<String>,
    /// Prompts; empty when there is none.
    pub prompts: Vec<String>,
    /// File of the inputs.
    pub inputs: String,
    /// Shapes of the inputs.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
    /// Stages.
    pub stages: Vec<StageSpec>,
    /// Height and width that replace the configured ones.
    pub resized: Option<(u32, u32)>,
    /// Whether generate() was called.
    pub generates: bool,
}

/// A case.
pub struct Case {
    /// Samples.
    pub samples: Vec<Sample>,
    /// Most new tokens.
    pub max_new: usize,
}

impl Case {
    /// Reads `case.json` of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let config = Config::parse("case.json", &read_file(&folder.join("case.json"))?)?;
        let list = config.value().get("samples").and_then(|s| s.as_array()).cloned().unwrap_or_default();
        let samples = list.into_iter().map(|v| Config::of_value("case.json", v)).map(|c| Sample::read(&c?));
        let generation = config.section("generation")?;
        Ok(Self {
            samples: samples.collect::<Result<_>>()?,
            max_new: generation.map_or(Ok(16), |g| g.usize("max_new_tokens", 16))?,
        })
    }
}

impl Sample {
    fn read(config: &Config) -> Result<Self> {
        let mut stages = Vec::new();
        if let Some(section) = config.section("stages")? {
            for name in section.value().as_object().into_iter().flat_map(|o| o.keys()) {
                let field = section.value()[name.as_str()].get("shape").and_then(|s| s.as_array());
                let shape = field.into_iter().flatten().filter_map(|d| d.as_u64()).map(|d| d as usize).collect();
                stages.push(StageSpec { name: name.clone(), shape });
            }
        }
        let mut input_shapes = BTreeMap::new();
        for (name, shape) in config.value().get("input_shapes").and_then(|s| s.as_object()).into_iter().flatten() {
            let dims = shape.as_array().into_iter().flatten().filter_map(|d| d.as_u64()).map(|d| d as usize);
            input_shapes.insert(name.clone(), dims.collect());
        }
        let resized = match config.value().get("info").and_then(|i| i.get("resized_hw")).and_then(|r| r.as_array()) {
            Some(list) => match list.iter().filter_map(|d| d.as_u64()).collect::<Vec<_>>()[..] {
                [h, w] => Some((h as u32, w as u32)),
                _ => return Err(Error::malformed("case.json", "info.resized_hw is not two numbers")),
            },
            None => None,
        };
        Ok(Self {
            images: config.one_or_list("images")?,
            prompts: config.one_or_list("prompt")?,
            inputs: config.string("inputs", "inputs.safetensors")?,
            input_shapes,
            generates: stages.iter().any(|s: &StageSpec| s.name.starts_with("generated_")),
            stages,
            resized,
        })
    }
    /// The stage of that name.
    pub fn stage(&self, name: &str) -> Option<&StageSpec> {
        self.stages.iter().find(|s| s.name == name)
    }
}

/// `rename` of layout_v5.json.
pub fn renames(layout: &Config) -> Result<BTreeMap<String, String>> {
    let map = layout.value().get("rename").and_then(|r| r.as_object()).cloned().unwrap_or_default();
    let pair = |(from, to): (String, serde_json::Value)| {
        let to = to.as_str().map(str::to_owned);
        to.map(|to| (from, to))
            .ok_or_else(|| Error::malformed("layout_v5.json", "rename holds something else than names"))
    };
    map.into_iter().map(pair).collect()
}

/// Two directories: what the front lacks comes from the back, weights aside.
pub struct Overlay {
    /// Looked at first; the only one for weights.
    pub front: Directory,
    /// Tokenizer and processor files.
    pub back: Directory,
}

impl Files for Overlay {
    fn describe(&self) -> String {
        self.front.describe()
    }
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>> {
        Box::pin(async move {
            match self.front.open(name).await? {
                None if !name.contains("safetensors") => self.back.open(name).await,
                found => Ok(found),
            }
        })
    }
    fn list(&self) -> Pending<'_, Result<Vec<String>>> {
        self.front.list()
    }
}
