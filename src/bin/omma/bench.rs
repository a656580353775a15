//! `omma bench ceilings|kernels|pictures|model|tiles`: timings, each held against the ceilings measured around it in the same run.

mod html;
mod kernels;
mod model;
mod pictures;
mod tiles;

use super::common::{Common, out, print_json};
use omma::gpu::Device;
use omma::kernels::Cost;
use omma::measure::{Ceilings, ceilings};
use omma::quant::{CacheFormat, Encoding};
use omma::{Error, Result};
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure.
    #[arg(value_parser = ["ceilings", "kernels", "pictures", "model", "tiles"])]
    what: String,
    /// For `model` and `tiles`: its folder or hub id. Without it a ViT-B/16 at 224 with made-up weights.
    model: Option<String>,
    /// For `model`: the folder's config.json alone, with made-up weights.
    #[arg(long, requires = "model")]
    made_up: bool,
    /// Format of made-up weights, e.g. f32, f16 or q4_0.
    #[arg(long, default_value = "f32", value_parser = parse_weights)]
    weights: Encoding,
    /// For `model`: format of the key-value cache: f32, f16, q8_0 or q4_0.
    #[arg(long, value_parser = super::plan::parse_cache)]
    kv: Option<CacheFormat>,
    /// For `kernels` and `pictures`: only those whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// For `model`: new tokens that are timed.
    #[arg(long, default_value_t = 16)]
    tokens: usize,
    /// For `model`: text tokens of the prompt.
    #[arg(long, default_value_t = 32)]
    prompt_tokens: usize,
    /// For `tiles`: how many inputs of the tower are encoded, together and one by one.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16", value_parser = parse_count)]
    tiles: Vec<usize>,
    /// Also writes the rows as a web page.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// One timing.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Row {
    /// What was timed.
    name: String,
    /// Kernel, or `encode`, `prefill`, `decode`.
    kernel: String,
    /// Sizes.
    shape: String,
    /// Type of activations, and of weights where it differs.
    dtype: String,
    /// Adapter.
    adapter: String,
    /// Median milliseconds.
    ms: f64,
    /// 2 x multiply-adds of matrix products.
    flops: u64,
    /// Each input read once, each output written once.
    bytes: u64,
    /// 1e9 flops a second.
    gflops: f64,
    /// 1e9 bytes a second.
    gbps: f64,
    /// Share of the roofline under the ceilings measured before and after.
    of_ceiling: f64,
    /// Submits of one run.
    submits: usize,
    /// Buffers made during one run.
    allocations: f64,
}

/// What a timing found.
pub struct Timing {
    /// Median milliseconds of one run.
    pub ms: f64,
    /// Submits of one run.
    pub submits: usize,
    /// Buffers made during one run.
    pub allocations: f64,
}

/// What is timed.
pub struct Subject<'s> {
    /// What was timed.
    pub name: &'s str,
    /// Kernel or stage.
    pub kernel: &'s str,
    /// Sizes.
    pub shape: String,
    /// Types.
    pub dtype: String,
    /// Work of one run.
    pub cost: Cost,
}

impl Row {
    /// A row from a timing between two measurements of the ceilings.
    pub fn new(device: &Device, subject: &Subject<'_>, timing: &Timing, ceilings: &Ceilings) -> Self {
        let Cost { flops, bytes } = subject.cost;
        let ms = timing.ms.max(1e-6);
        let (gflops, gbps) = (flops as f64 / ms / 1e6, bytes as f64 / ms / 1e6);
        Self {
            name: subject.name.to_owned(),
            kernel: subject.kernel.to_owned(),
            shape: subject.shape.clone(),
            dtype: subject.dtype.clone(),
            adapter: device.title(),
            ms,
            flops,
            bytes,
            gflops,
            gbps,
            of_ceiling: (gflops / ceilings.gflops).max(gbps / ceilings.gbps),
            submits: timing.submits,
            allocations: timing.allocations,
        }
    }
}

/// Times `work` between two measurements of the ceilings.
pub async fn between_ceilings(
    device: &Device,
    subject: &Subject<'_>,
    work: impl AsyncFnOnce() -> Result<Timing>,
) -> Result<Row> {
    let before = ceilings(device).await?;
    let timing = work().await?;
    let best = before.max(&ceilings(device).await?);
    Ok(Row::new(device, subject, &timing, &best))
}

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    let device = common.device().await?;
    let rows = match args.what.as_str() {
        "ceilings" => kernels::ceiling_rows(&device).await?,
        "kernels" => kernels::rows(&device, &args.filter).await?,
        "pictures" => pictures::rows(&device, &args.filter).await?,
        _ => model::rows(&device, args).await?,
    };
    if let Some(path) = &args.html {
        std::fs::write(path, html::page(&args.what, &rows)).map_err(|e| Error::io(path.display().to_string(), &e))?;
    }
    if args.json {
        print_json(&json!({ "format": 1, "adapter": device.title(), "rows": rows }));
        return Ok(());
    }
    out!("{}", device.title());
    out!("{:34} {:>10} {:>9} {:>9} {:>10}  submits, buffers", "name", "ms", "GFLOP/s", "GB/s", "of ceiling");
    for row in &rows {
        let Row { name, ms, gflops, gbps, of_ceiling, submits, allocations, .. } = row;
        let share = 100.0 * of_ceiling;
        out!("{name:34} {ms:>10.3} {gflops:>9.2} {gbps:>9.2} {share:>8.1} %  {submits}, {allocations}");
    }
    Ok(())
}

fn parse_count(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=4096) => Ok(count),
        _ => Err("a number from 1 to 4096 is needed".into()),
    }
}

/// A format of made-up weights.
fn parse_weights(text: &str) -> std::result::Result<Encoding, String> {
    Encoding::named(text).map_err(|e| e.to_string())
}
