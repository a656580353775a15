//! `omma run CASE_DIR`: a golden case from its checkpoint and inputs (or pictures) to a dump of every stage.
//! Never reads the expected values.

mod batches;
pub(crate) mod case;
mod decoder;
mod dump;
mod encoders;
pub(crate) mod inputs;
mod layouts;
pub(crate) mod pixels;

use super::common::Common;
use case::{Case, Sample};
use dump::Dump;
use inputs::Inputs;
use omma::checkpoint::{Config, Directory};
use omma::generate::{LoadOptions, Model, OpenModel};
use omma::quant::{CacheFormat, Encoding};
use omma::{DType, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the case.
    case: PathBuf,
    /// Start from the tensors that the original model received, or from pictures and prompt.
    #[arg(long, default_value = "inputs", value_parser = ["inputs", "pictures"])]
    from: String,
    /// Take config and weights from a copy: f16, bf16, sharded, layout_v5 or sparse.
    #[arg(long, value_parser = ["f16", "bf16", "sharded", "layout_v5", "sparse"])]
    checkpoint: Option<String>,
    /// Where the stages go; further samples to `<name>_1.safetensors` and so on.
    #[arg(long)]
    dump: PathBuf,
    /// Keep matrices in this format, e.g. q8_0; without it as they are stored.
    #[arg(long)]
    weights: Option<String>,
    /// Leave the graphs as they are built: no fusion.
    #[arg(long)]
    no_fuse: bool,
    /// Format of the key-value cache: f32, f16, q8_0 or q4_0.
    #[arg(long, value_parser = super::plan::parse_cache)]
    kv: Option<CacheFormat>,
}

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    let case = Case::read(&args.case)?;
    let device = common.device().await?;
    let model = Arc::new(load(&device, args).await?);
    for (i, sample) in case.samples.iter().enumerate() {
        let mut inputs = Inputs::read(&args.case, sample, &model, args.from == "pictures")?;
        let mut dump = Dump::new(sample);
        let context = Context { model: model.clone(), fuse: !args.no_fuse, kv: args.kv };
        if model.spec.decoder.is_some() {
            decoder::run(&context, &case, sample, &mut inputs, &mut dump).await?;
        } else {
            encoders::run(&context, sample, &mut inputs, &mut dump).await?;
        }
        dump.inputs(&inputs)?;
        dump.write(&numbered(&args.dump, i))?;
    }
    device.save_cache();
    Ok(())
}

/// What the runs of all samples share.
pub struct Context {
    /// The model.
    pub model: Arc<Model>,
    /// Fused programs.
    pub fuse: bool,
    /// What keys and values are kept in.
    pub kv: Option<CacheFormat>,
}

async fn load(device: &omma::gpu::Device, args: &Args) -> Result<Model> {
    let weights = args.weights.as_deref().map(Encoding::named).transpose()?;
    let mut open = OpenModel { weights, ..OpenModel::default() };
    let case = &args.case;
    // The half copies were made by converting the whole model, frequencies included.
    open.rotary = match args.checkpoint.as_deref() {
        Some("f16") => Some(DType::F16),
        Some("bf16") => Some(DType::BF16),
        _ => None,
    };
    // Half and sharded copies have config and weights; the other files are the case's.
    let files: Box<dyn omma::checkpoint::Files> = match args.checkpoint.as_deref() {
        Some(copy @ ("f16" | "bf16" | "sharded")) => {
            Box::new(case::Overlay { front: Directory::open(case.join(copy))?, back: Directory::open(case)? })
        }
        Some("layout_v5") => {
            let layout = Config::parse("layout_v5.json", &super::common::read_file(&case.join("layout_v5.json"))?)?;
            open.renames = case::renames(&layout)?;
            open.config = layout.section("config")?;
            Box::new(Directory::open(case)?)
        }
        Some("sparse") => {
            let bytes = super::common::read_file(&case.join("config_sparse.json"))?;
            open.config = Some(Config::parse("config_sparse.json", &bytes)?);
            Box::new(Directory::open(case)?)
        }
        _ => Box::new(Directory::open(case)?),
    };
    Model::load(device, &*files, open, LoadOptions::default()).await
}

/// `out.safetensors`, `out_1.safetensors`, ...
fn numbered(path: &Path, sample: usize) -> PathBuf {
    if sample == 0 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{stem}_{sample}.safetensors"))
}

/// Whether a stage of the sample is of this name.
pub fn listed<'a>(sample: &'a Sample) -> impl Fn(&str) -> bool + 'a {
    |name: &str| name.is_empty() || sample.stages.iter().any(|s| s.name == name)
}
