//! Cases of original models: whole models and single modules, built from the library's blocks as a case's config.json
//! says, run on an adapter, and dumped stage by stage.
//!
//! A builder serves every case of its name, whatever the sizes, options and seeds. It is a function in a file of its own
//! and a line in [`BUILDERS`]. It sees config.json, weights, inputs, and the names and shapes of the stages; what was
//! expected of them is compared elsewhere.

mod anyres;
mod builder;
mod case;
mod execute;
mod fuyu;
mod openclip;
mod qwen;
mod resamplers;
mod tables;
mod tower;
mod uhd;
mod xcomposer;

pub use builder::{Builder, Stage};
pub use case::{Inputs, ModelCase, Numbers, Sample, StageSpec};

use omma::gpu::Device;
use std::path::{Path, PathBuf};

/// Adds the nodes and stages of a case.
type Build = fn(&mut Builder<'_>) -> omma::Result<()>;

/// Builders by the name of their case.
pub static BUILDERS: &[(&str, Build)] = &[
    ("llava_next_unpad_merge", anyres::merge),
    ("llava_uhd_v1_whole", uhd::whole),
    ("minicpmv2_resampler", resamplers::minicpm),
    ("monkey_vision", openclip::monkey),
    ("otterhd_fuyu_whole", fuyu::whole),
    ("qwen_vl_text", qwen::text),
    ("qwen_vl_vision", openclip::qwen),
    ("uhd_paper_tower_resampler", uhd::paper),
    ("uhd_position_tables", tables::positions),
    ("xcomposer25_hd_tokens", xcomposer::tokens),
];

/// Why a case was not dumped.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CaseError {
    /// No builder has that name.
    #[error("no builder for a case of this name; there are: {}", known.join(", "))]
    Unknown {
        /// Names of the builders.
        known: Vec<&'static str>,
    },
    /// The folder holds a table of plans and no tensors.
    #[error("a planner's table without tensors; `omma tiles` and the tests of image::tiles reproduce it")]
    Table,
    /// Building, loading or running failed.
    #[error(transparent)]
    Engine(#[from] omma::Error),
}

/// Builds, runs and dumps the case in `folder`; the files that were written.
///
/// # Errors
/// [`CaseError`].
pub async fn dump(device: &Device, folder: &Path, out: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if ModelCase::samples(folder)?.is_empty() {
        return Err(CaseError::Table);
    }
    let found = BUILDERS.iter().find(|(known, _)| *known == name);
    let unknown = || CaseError::Unknown { known: BUILDERS.iter().map(|(name, _)| *name).collect() };
    let (_, build) = found.ok_or_else(unknown)?;
    let case = ModelCase::open(folder, &name).await?;
    let mut written = Vec::new();
    for (i, sample) in case.samples.iter().enumerate() {
        let inputs = case.inputs(sample).await?;
        let mut builder = Builder::new(&case, sample, &inputs);
        build(&mut builder)?;
        let path = out.join(format!("{}.safetensors", builder::nth(&name, i)));
        execute::execute(device, builder, &path).await?;
        written.push(path);
    }
    Ok(written)
}

/// Dumps the cases under `dir` (or the case that it is) whose name contains `filter`; prints a line for each.
/// Whether all of them were dumped, planner's tables aside.
///
/// # Errors
/// A folder that cannot be read, or holds no such case; a lost device.
pub async fn run(device: &Device, dir: &Path, filter: &str, out: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    let folders: Vec<PathBuf> = folders(dir)?.into_iter().filter(|f| title(f).contains(filter)).collect();
    if folders.is_empty() {
        return Err(format!("{}: no folder with a case.json and `{filter}` in its name", dir.display()).into());
    }
    std::fs::create_dir_all(out)?;
    let (mut dumped, mut failed, mut tables) = (0, 0, 0);
    for folder in folders {
        match dump(device, &folder, out).await {
            Ok(files) => {
                dumped += 1;
                println!("dumped      {}: {} samples", title(&folder), files.len());
            }
            Err(error) => {
                let table = error == CaseError::Table;
                if table {
                    tables += 1
                } else {
                    failed += 1
                }
                println!("{} {}: {error}", if table { "table      " } else { "failed     " }, title(&folder));
            }
        }
        device.check_lost()?;
    }
    println!("cases: {dumped} dumped, {failed} failed, {tables} tables of plans");
    Ok(failed == 0)
}

fn title(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folder itself if it is a case, else the cases in it by name.
fn folders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    if dir.join("case.json").is_file() {
        return Ok(vec![dir.canonicalize()?]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.join("case.json").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
