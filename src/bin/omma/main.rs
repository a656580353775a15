//! The `omma` command.
//!
//! Exit codes: 0 done, 1 failed with one clear line on stderr, 2 wrong usage. `bisect` ends with 1 as well when a step
//! is outside its bound.

mod bench;
mod bisect;
mod common;
mod describe;
mod doctor;
mod embed;
mod plan;
mod quantize;
mod quiet;
mod run;
mod source;
mod tiles;
mod tokenize;

use clap::{Parser, Subcommand};
use common::Common;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "omma",
    version,
    about = "Multimodal language models on any GPU: a picture and a question in, text out"
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tells memory, work and steps of a request before anything is allocated.
    Plan(plan::Args),
    /// Tells which adapters there are, what they reach and what is missing.
    Doctor(doctor::Args),
    /// Measures ceilings, kernels or a model.
    Bench(bench::Args),
    /// Runs each step's real inputs through its oracle and names the first that is off.
    Bisect(bisect::Args),
    /// Answers a question about pictures.
    Describe(describe::Args),
    /// Writes the features of pictures and texts.
    Embed(embed::Args),
    /// Writes a checkpoint with its matrices in a packed format.
    Quantize(quantize::Args),
    /// Executes a golden case and dumps every stage.
    Run(run::Args),
    /// Shows what a tiling policy makes of pictures.
    Tiles(tiles::Args),
    /// Tells the ids of texts.
    Tokenize(tokenize::Args),
}

fn main() -> ExitCode {
    quiet::loader();
    let cli = Cli::parse();
    cli.common.start_log();
    let result = pollster::block_on(async {
        let done = match &cli.command {
            Command::Plan(args) => plan::run(&cli.common, args).await,
            Command::Doctor(args) => doctor::run(&cli.common, args).await,
            Command::Bench(args) => bench::run(&cli.common, args).await,
            Command::Bisect(args) => return bisect::run(&cli.common, args).await,
            Command::Describe(args) => describe::run(&cli.common, args).await,
            Command::Embed(args) => embed::run(&cli.common, args).await,
            Command::Quantize(args) => quantize::run(&cli.common, args).await,
            Command::Run(args) => run::run(&cli.common, args).await,
            Command::Tiles(args) => tiles::run(&cli.common, args).await,
            Command::Tokenize(args) => tokenize::run(&cli.common, args).await,
        };
        done.map(|()| true)
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
