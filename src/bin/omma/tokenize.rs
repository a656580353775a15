//! `omma tokenize MODEL TEXT...`: the ids of texts, as the model's own tokenizer gives them.

use super::common::{Common, out, print_json, read_file};
use omma::checkpoint::open_model;
use omma::generate::ModelFiles;
use omma::{Error, Result};
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of a checkpoint, a GGUF file, or a hub id.
    model: String,
    /// Texts. Special tokens that are written in them count.
    texts: Vec<String>,
    /// A JSON list of further texts.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Leave out what the tokenizer adds before and after a text.
    #[arg(long)]
    plain: bool,
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(_common: &Common, args: &Args) -> Result<()> {
    let files = ModelFiles::read(&*open_model(&args.model)?).await?;
    let tokenizer = files.need_tokenizer()?;
    let mut texts = args.texts.clone();
    if let Some(path) = &args.file {
        let listed: Vec<String> = serde_json::from_slice(&read_file(path)?)
            .map_err(|e| Error::malformed(path.display().to_string(), format!("is no JSON list of texts: {e}")))?;
        texts.extend(listed);
    }
    let ids = texts.iter().map(|text| tokenizer.encode(text, !args.plain)).collect::<Result<Vec<_>>>()?;
    if args.json {
        print_json(&json!({"format": 1, "ids": ids}));
        return Ok(());
    }
    for row in ids {
        let row: Vec<String> = row.iter().map(u32::to_string).collect();
        out!("{}", row.join(" "));
    }
    Ok(())
}
