//! `kernels-test test|draw|perf|support|conformance|cases|lint|fuzz|translate|export|drive|docs|wgsl`: the harness of omma's kernels.

use clap::{Args, Parser, Subcommand};
use kernels_test::{conformance, draw, drive, fuzz, jobs, lint, measured, model_cases, report, translate, wgsl_dump};
use omma::gpu::{AdapterChoice, Device, OpenOptions};
use std::path::{Path, PathBuf};
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
    Test {
        #[command(flatten)]
        common: Options,
        /// Writes the worst errors into kernels-test/measured/NAME.tsv, from which docs/KERNELS.md is made.
        #[arg(long)]
        record: Option<String>,
    },
    /// Times the bench rows, with their share of the adapter's measured ceilings.
    Perf(Options),
    /// Tells which cases the adapter can run, without running them.
    Support(Options),
    /// Draws fresh cases, tests each, and shrinks what fails to the smallest case.
    Draw(DrawOptions),
    /// Runs conformance packs: operators with expected values that other programs made.
    Conformance(ConformanceOptions),
    /// Dumps cases of original models, whole or single modules, built from the library's blocks.
    Cases(CasesOptions),
    /// Writes docs/KERNELS.md.
    Docs {
        /// Compares instead of writing.
        #[arg(long)]
        check: bool,
    },
    /// Lints every shader that the cases launch: barriers in flow, unguarded indices, f16 sums, unused bindings.
    Lint {
        /// Only kernels whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
    },
    /// Translates every shader that the cases launch to MSL, HLSL, GLSL and SPIR-V.
    Translate {
        /// Only kernels whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
        /// Writes the translations into this folder.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Writes shaders and cases as files, for a runner on another WebGPU.
    Export {
        /// Folder that is written.
        dir: PathBuf,
        /// Only kernels whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
        /// No cases, only every shader.
        #[arg(long)]
        shaders: bool,
        /// The runner has f16.
        #[arg(long)]
        f16: bool,
        /// The runner has subgroups: the smallest and the largest size.
        #[arg(long, num_args = 2, value_names = ["MIN", "MAX"])]
        subgroup: Vec<u32>,
        /// Leaves out what a runner without f16, with subgroups of these sizes (0 0: none), is given.
        #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], conflicts_with = "shaders")]
        beyond: Vec<u32>,
    },
    /// Has a runner work on an exported folder, and compares what it computes with the oracles as it comes.
    Drive {
        /// The folder.
        dir: PathBuf,
        /// Seconds that the runner may stand at one shader or job.
        #[arg(long, default_value_t = 300)]
        limit: u64,
        /// Leaves out what passed in an earlier run, on the same text and the same bytes.
        #[arg(long)]
        resume: bool,
        /// The runner and its arguments.
        #[arg(last = true, required = true)]
        runner: Vec<String>,
    },
    /// Feeds damaged input to what reads it; no adapter is needed.
    Fuzz {
        /// pictures (files, sizes, configurations), gguf, or quantized (safetensors of quantizing programs).
        #[arg(long, default_value = "pictures", value_parser = target)]
        target: fuzz::Target,
        /// How long.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Another seed is another run; the same seed is the same run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The first input that is tried: a finding names its own, which repeats it.
        #[arg(long, default_value_t = 0)]
        first: u64,
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

#[derive(Args)]
struct DrawOptions {
    #[command(flatten)]
    common: Options,
    /// Cases a kernel.
    #[arg(long, default_value_t = 100)]
    cases: u32,
    /// Other seeds draw other cases.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One case, as a failure names it: `kernel:1.0.7`.
    #[arg(long)]
    replay: Option<String>,
}

#[derive(Args)]
struct CasesOptions {
    /// Folder of cases, or one case.
    dir: PathBuf,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Folder for `<case>.safetensors`, later samples `<case>_1.safetensors` and so on.
    #[arg(long)]
    dump: PathBuf,
    /// Adapter by index, by part of its name, or "best".
    #[arg(long, default_value = "best")]
    adapter: String,
    /// Ask for no optional feature and no limit above the WebGPU defaults.
    #[arg(long)]
    floor: bool,
}

#[derive(Args)]
struct ConformanceOptions {
    /// Folder with packs: families, one family, or one group.
    dir: PathBuf,
    /// Only this family: onnx, ort, gguf, quant.
    #[arg(long)]
    family: Option<String>,
    /// Only cases whose id contains this.
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
    /// Writes the outputs of each case into this folder.
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Writes the page with counts by operator.
    #[arg(long)]
    table: Option<PathBuf>,
    /// A run on another adapter, as `--json` wrote it, for the page; may be given several times.
    #[arg(long, requires = "table")]
    beside: Vec<PathBuf>,
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
    let page = kernels_test::docs::page()?;
    if !check {
        std::fs::write(path, page)?;
        return Ok(true);
    }
    let same = std::fs::read_to_string(path).is_ok_and(|text| text == page);
    if !same {
        eprintln!("error: docs/KERNELS.md is not up to date: run `cargo xtask kernels`");
    }
    let findings = kernels_test::docs::findings()?;
    findings.iter().for_each(|finding| eprintln!("error: {finding}"));
    if !findings.is_empty() {
        eprintln!("error: `kernels-test test --filter KERNEL/ --record NAME` measures on the adapter of that name");
    }
    Ok(same && findings.is_empty())
}

/// Prints how many inputs ran, and the finding; true if there is none.
fn target(name: &str) -> Result<fuzz::Target, String> {
    fuzz::Target::named(name).ok_or_else(|| "pictures, gguf and quantized are".into())
}

fn fuzzed(target: fuzz::Target, seed: u64, first: u64, seconds: u64) -> bool {
    let (ran, found) = fuzz::run(target, seed, first, std::time::Duration::from_secs(seconds));
    match &found {
        Some(found) => println!("fuzz: --seed {seed} --first {}: {}", found.input, found.what),
        None => println!("fuzz: {ran} inputs of seed {seed}, no finding"),
    }
    found.is_none()
}

/// Prints the findings of the lints; true if there are none.
fn lints(filter: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let (found, variants) = lint::run(filter)?;
    for (finding, variant) in &found {
        println!("{finding}\n    in {variant}");
    }
    println!("lint: {} findings in {variants} variants", found.len());
    Ok(found.is_empty())
}

/// Prints what did not translate and how many variants did; true if all did that should.
fn translations(filter: &str, out: Option<&Path>) -> Result<bool, Box<dyn std::error::Error>> {
    let summary = translate::run(filter, out)?;
    summary.lines().iter().for_each(|line| println!("{line}"));
    Ok(summary.failed.is_empty())
}

async fn open(adapter: &str, floor: bool) -> omma::Result<Device> {
    let device =
        Device::open(&OpenOptions { adapter: AdapterChoice::from(adapter), floor, ..Default::default() }).await?;
    eprintln!("adapter: {}", device.title());
    Ok(device)
}

async fn conform(options: &ConformanceOptions) -> Result<bool, Box<dyn std::error::Error>> {
    let device = open(&options.adapter, options.floor).await?;
    let wanted = conformance::Options {
        family: options.family.clone(),
        filter: options.filter.clone(),
        dump: options.dump.clone(),
    };
    // Read first: a wrong path must not cost a run.
    let read = |path: &PathBuf| Ok(serde_json::from_slice(&std::fs::read(path)?)?);
    let beside =
        options.beside.iter().map(read).collect::<Result<Vec<conformance::Run>, Box<dyn std::error::Error>>>()?;
    let rows = conformance::run(&device, &options.dir, &wanted).await?;
    let run = conformance::Run { format: 1, adapter: device.title(), rows };
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&run)?)?;
    }
    if let Some(path) = &options.table {
        std::fs::write(path, conformance::table(&run, &beside))?;
    }
    Ok(conformance::summary(&run.rows))
}

async fn drawn(options: &DrawOptions) -> Result<bool, Box<dyn std::error::Error>> {
    let DrawOptions { common, cases, seed, replay } = options;
    let device = open(&common.adapter, common.floor).await?;
    let mut same = if common.floor { " --floor".into() } else { String::new() };
    if common.adapter != "best" {
        same += &format!(" --adapter {:?}", common.adapter);
    }
    let wanted = draw::Options {
        filter: common.filter.clone(),
        cases: *cases,
        seed: *seed,
        replay: replay.clone(),
        device: same,
    };
    let rows = draw::report(&device, &wanted)?;
    write_rows(common.json.as_deref(), &rows)?;
    Ok(report::summary(&rows))
}

fn write_rows(path: Option<&Path>, rows: &[report::Row]) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(path) = path {
        std::fs::write(path, serde_json::to_string_pretty(&serde_json::json!({ "format": 1, "rows": rows }))?)?;
    }
    Ok(())
}

async fn run(mode: Mode) -> Result<bool, Box<dyn std::error::Error>> {
    let (options, perf) = match &mode {
        Mode::Wgsl { kernel, variant } => {
            print!("{}", wgsl_dump::dump(kernel, variant.as_deref().unwrap_or_default())?);
            return Ok(true);
        }
        Mode::Docs { check } => return docs(*check),
        Mode::Lint { filter } => return lints(filter),
        Mode::Export { dir, filter, shaders, f16, subgroup, beyond } => {
            let sizes = |given: &[u32]| given.first().copied().zip(given.get(1).copied());
            let extras = jobs::Extras { f16: *f16, subgroup: sizes(subgroup) };
            let wanted = match sizes(beyond) {
                _ if *shaders => jobs::Wanted::Shaders,
                None => jobs::Wanted::Jobs(extras),
                other => jobs::Wanted::Beyond(
                    extras,
                    jobs::Extras { f16: false, subgroup: other.filter(|(min, _)| *min > 0) },
                ),
            };
            let (written, cases) = jobs::export(filter, wanted, dir)?;
            println!("export: {written} shaders, {cases} jobs");
            // Beyond another device there may be nothing.
            return Ok(written > 0 || !beyond.is_empty());
        }
        Mode::Drive { dir, limit, resume, runner } => {
            let limit = std::time::Duration::from_secs(*limit);
            let options = drive::Options { folder: dir.clone(), runner: runner.clone(), limit, resume: *resume };
            let verdict = drive::drive(&options)?;
            println!("{}", verdict.summary());
            return Ok(verdict.good());
        }
        Mode::Translate { filter, out } => return translations(filter, out.as_deref()),
        Mode::Fuzz { target, seconds, seed, first } => return Ok(fuzzed(*target, *seed, *first, *seconds)),
        Mode::Conformance(options) => return conform(options).await,
        Mode::Cases(o) => {
            let device = open(&o.adapter, o.floor).await?;
            return model_cases::run(&device, &o.dir, &o.filter, &o.dump).await;
        }
        Mode::Draw(options) => return drawn(options).await,
        Mode::Test { common: o, .. } | Mode::Support(o) => (o, false),
        Mode::Perf(o) => (o, true),
    };
    let device = open(&options.adapter, options.floor).await?;
    let rows = match &mode {
        Mode::Support(_) => report::support(&device, &options.filter),
        _ if perf => report::perf(&device, &options.filter).await?,
        _ => report::test(&device, &options.filter).await?,
    };
    if let Mode::Test { record: Some(name), .. } = &mode {
        measured::record(name, device.title(), &rows)?;
    }
    write_rows(options.json.as_deref(), &rows)?;
    Ok(report::summary(&rows))
}
