//! A case's folder: config.json, tensors, and of case.json the samples with their stages' names and shapes. The expected
//! values are never opened.

use omma::checkpoint::{Checkpoint, Config, Directory, MemoryFile};
use omma::image::{Limits, Picture};
use omma::{DType, Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stage to dump.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSpec {
    /// Name.
    pub name: String,
    /// Shape in the dump.
    pub shape: Vec<usize>,
    /// It holds integers.
    pub integer: bool,
}

/// Numbers of an input.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Of a float type.
    Floats(Vec<f32>),
    /// Of an integer type or bool.
    Ints(Vec<i64>),
}

/// Shapes and numbers of a sample's inputs by name.
pub type Inputs = BTreeMap<String, (Vec<usize>, Numbers)>;

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names of its pictures' files.
    pub images: Vec<String>,
    /// Name of the file of its inputs.
    pub inputs: String,
    /// Stages.
    pub stages: Vec<StageSpec>,
}

/// A case.
pub struct ModelCase {
    /// Name of its folder.
    pub name: String,
    /// config.json
    pub config: Config,
    /// model.safetensors
    pub checkpoint: Checkpoint,
    /// Samples; none in a planner's table.
    pub samples: Vec<Sample>,
    folder: PathBuf,
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path.display().to_string(), &e))
}

impl ModelCase {
    /// Samples of the case in `folder`.
    ///
    /// # Errors
    /// A case.json that is missing or malformed.
    pub fn samples(folder: &Path) -> Result<Vec<Sample>> {
        let case = Config::parse("case.json", &bytes(&folder.join("case.json"))?)?;
        let list = case.list::<serde_json::Value>("samples")?.unwrap_or_default();
        list.into_iter().map(|sample| Sample::read(&Config::of_value("case.json", sample)?)).collect()
    }
    /// Opens the case in `folder`.
    ///
    /// # Errors
    /// Files that are missing or malformed.
    pub async fn open(folder: &Path, name: &str) -> Result<Self> {
        let files = Directory::open(folder)?;
        Ok(Self {
            name: name.to_owned(),
            config: Config::need(&files, "config.json").await?,
            checkpoint: Checkpoint::open(&files).await?,
            samples: Self::samples(folder)?,
            folder: folder.to_path_buf(),
        })
    }
    /// Width and height of picture `i` of a sample, which is decoded for it.
    ///
    /// # Errors
    /// There is no such picture, or it cannot be read.
    pub fn picture_size(&self, sample: &Sample, i: usize) -> Result<(u32, u32)> {
        let name = sample.images.get(i).ok_or_else(|| Error::argument(format!("picture {i}"), "the case has none"))?;
        let picture = Picture::decode(name, &bytes(&self.folder.join(name))?, &Limits::default())?;
        Ok((picture.width, picture.height))
    }
    /// Inputs of a sample.
    ///
    /// # Errors
    /// A file that is missing or malformed.
    pub async fn inputs(&self, sample: &Sample) -> Result<Inputs> {
        let path = self.folder.join(&sample.inputs);
        let file = MemoryFile::new(path.display().to_string(), bytes(&path)?);
        let file = Checkpoint::of_file(Arc::new(file)).await?;
        let mut inputs = Inputs::new();
        for entry in file.entries() {
            let numbers = if matches!(entry.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
                Numbers::Floats(file.load_f32(&entry.name).await?)
            } else {
                Numbers::Ints(file.load_i64(&entry.name).await?)
            };
            inputs.insert(entry.name.clone(), (entry.shape.clone(), numbers));
        }
        Ok(inputs)
    }
}

impl Sample {
    fn read(sample: &Config) -> Result<Self> {
        let mut stages = Vec::new();
        let listed = sample.section("stages")?;
        for name in listed.iter().flat_map(|s| s.value().as_object()).flat_map(|o| o.keys()) {
            // Names hold dots, which paths of a configuration would cut.
            let stage = &listed.as_ref().map(|s| s.value()[name.as_str()].clone()).unwrap_or_default();
            let stage = Config::of_value("case.json", stage.clone())?;
            stages.push(StageSpec {
                name: name.clone(),
                shape: stage.list("shape")?.unwrap_or_default(),
                integer: stage.string("dtype", "float32")?.starts_with("int"),
            });
        }
        let images = sample.list("images")?.unwrap_or_default();
        Ok(Self { images, inputs: sample.string("inputs", "inputs.safetensors")?, stages })
    }
}
