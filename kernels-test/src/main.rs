//! `kernels-test test|perf|support|wgsl`: the conformance harness of omma's kernels.

use clap::{Args, Parser, Subcommand};
use kernels_test::{report, wgsl_dump};
use omma::gpu::{AdapterChoice, Device, OpenOptions};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Compares every case with its f64 oracle, between canaries, twice.
    Test(Options),
    /// Times the bench rows, with their share of the adapter's measured ceilings.
    Perf(Options),
    /// Tells which cases the adapter can run, without running them.
    Support(Options),
    /// Writes docs/KERNELS.md.
    Docs {
        /// Compares instead of writing.
        #[arg(long)]
        check: bool,
    },
    /// Prints the linked WGSL of a kernel's cases.
    Wgsl {
        /// Kernel name.
        kernel: String,
        /// Part of the list of linked files, to pick a variant.
        variant: Option<String>,
    },
}

#[derive(Args)]
struct Options {
    /// Only cases whose `kernel/name` contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Adapter by index, by part of its name, or "best".
    #[arg(long, default_value = "best")]
    adapter: String,
    /// Ask for no optional feature and no limit above the WebGPU defaults.
    #[arg(long)]
    floor: bool,
    /// Writes the rows as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match pollster::block_on(run(Cli::parse().mode)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes docs/KERNELS.md, or tells whether it is up to date.
fn docs(check: bool) -> Result<bool, Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/KERNELS.md");
    let page = kernels_test::docs::page();
    if !check {
        std::fs::write(path, page)?;
        return Ok(true);
    }
    let same = std::fs::read_to_string(path).is_ok_and(|text| text == page);
    if !same {
        eprintln!("error: docs/KERNELS.md is not up to date: run `cargo xtask kernels`");
    }
    Ok(same)
}

async fn run(mode: Mode) -> Result<bool, Box<dyn std::error::Error>> {
    let (options, perf) = match &mode {
        Mode::Wgsl { kernel, variant } => {
            print!("{}", wgsl_dump::dump(kernel, variant.as_deref().unwrap_or_default())?);
            return Ok(true);
        }
        Mode::Docs { check } => return docs(*check),
        Mode::Test(o) | Mode::Support(o) => (o, false),
        Mode::Perf(o) => (o, true),
    };
    let adapter = AdapterChoice::from(options.adapter.as_str());
    let device = Device::open(&OpenOptions { adapter, floor: options.floor, ..Default::default() }).await?;
    eprintln!("adapter: {}", device.title());
    let rows = match &mode {
        Mode::Support(_) => report::support(&device, &options.filter),
        _ if perf => report::perf(&device, &options.filter).await?,
        _ => report::test(&device, &options.filter).await?,
    };
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&serde_json::json!({ "format": 1, "rows": rows }))?)?;
    }
    Ok(report::summary(&rows))
}
