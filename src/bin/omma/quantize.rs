//! `omma quantize MODEL_DIR --to FORMAT OUT_DIR`: a checkpoint with its matrices in a packed format.

use super::common::{Common, out, print_json};
use omma::checkpoint::{Directory, Files};
use omma::generate::{WrittenTensor, quantize_checkpoint};
use omma::quant::Encoding;
use omma::{Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the checkpoint.
    model: PathBuf,
    /// Format of the matrices, e.g. q8_0, q4_0 or nf4.
    #[arg(long)]
    to: String,
    /// New folder.
    out: PathBuf,
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    let to = Encoding::named(&args.to)?;
    let files = Directory::open(&args.model)?;
    let device = common.device().await?;
    let failed = |error: std::io::Error| Error::io(args.out.display().to_string(), &error);
    std::fs::create_dir_all(&args.out).map_err(failed)?;
    let same = |a: &Path, b: &Path| std::fs::canonicalize(a).ok() == std::fs::canonicalize(b).ok();
    if same(&args.model, &args.out) {
        return Err(Error::argument("OUT_DIR", "is the folder of the checkpoint itself; give another one"));
    }
    let mut written = Vec::new();
    let report = |tensor: &WrittenTensor| {
        if !args.json {
            line(tensor);
        }
        written.push(tensor.clone());
    };
    let config = quantize_checkpoint(&device, &files, to, &args.out.join("model.safetensors"), report).await?;
    copy_rest(&files, &args.model, &args.out).await?;
    std::fs::write(args.out.join("config.json"), config).map_err(failed)?;
    summary(args, to, &written);
    Ok(())
}

fn line(tensor: &WrittenTensor) {
    match tensor.error {
        Some((relative, most)) => out!("{:<64} {:>9.6} {:>12.3e}", tensor.name, relative, most),
        None => out!("{:<64} as it is", tensor.name),
    }
}

fn summary(args: &Args, to: Encoding, written: &[WrittenTensor]) {
    let bytes: u64 = written.iter().map(|t| t.bytes).sum();
    let packed = written.iter().filter(|t| t.error.is_some()).count();
    if !args.json {
        let all = written.len();
        out!(
            "\n{packed} of {all} tensors in {to}, {:.1} MB; columns: error relative to the tensor, largest error",
            bytes as f64 / 1e6
        );
        return;
    }
    let row = |t: &WrittenTensor| {
        json!({"name": t.name, "shape": t.shape, "bytes": t.bytes, "relative_error": t.error.map(|e| e.0),
            "largest_error": t.error.map(|e| e.1)})
    };
    let rows: Vec<_> = written.iter().map(row).collect();
    print_json(&json!({"format": 1, "weights": to.name(), "bytes": bytes, "layers": rows}));
}

/// Everything beside weights and config.json: tokenizer, templates, processor files.
async fn copy_rest(files: &Directory, from: &Path, to: &Path) -> Result<()> {
    const WEIGHTS: [&str; 4] = [".safetensors", ".safetensors.index.json", ".bin", ".gguf"];
    for name in files.list().await? {
        let kept = [".json", ".jinja", ".model", ".txt"].iter().any(|end| name.ends_with(end));
        if name == "config.json" || !kept || WEIGHTS.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        std::fs::copy(from.join(&name), to.join(&name))
            .map_err(|e| Error::io(to.join(&name).display().to_string(), &e))?;
    }
    Ok(())
}
