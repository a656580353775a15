//! The `omma` command.
//!
//! Exit codes: 0 done, 1 failed with one clear line on stderr, 2 wrong usage.

mod common;
mod quiet;
mod run;

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
    /// Executes a golden case and dumps every stage.
    Run(run::Args),
}

fn main() -> ExitCode {
    quiet::loader();
    let cli = Cli::parse();
    cli.common.start_log();
    let result = pollster::block_on(async {
        match &cli.command {
            Command::Run(args) => run::run(&cli.common, args).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
