//! `omma plan MODEL_DIR`: memory, work and steps of a request, before anything is allocated.

mod unpacked;

use super::common::{Common, out, parse_bytes, print_json};
use omma::generate::{
    FitWish, Fitted, MemoryPlan, PlanRequest, PlannedProgram, fit_memory, plan_memory, planned_image_tokens,
    planned_spec,
};
use omma::gpu::{AdapterChoice, adapters, choose, wgpu};
use omma::graph::Plan;
use omma::image::Policy;
use omma::models::Spec;
use omma::quant::{CacheFormat, Encoding};
use omma::{Caps, DType, Error, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the model (config.json alone will do), or a hub id.
    model: String,
    /// The picture part of a GGUF checkpoint. Default: the one that fits among the files *mmproj*.gguf beside it.
    #[arg(long)]
    mmproj: Option<PathBuf>,
    /// Size of a picture, e.g. 640x480; may be given several times. Default: one of the size that the model takes.
    #[arg(long, value_parser = parse_size)]
    image: Vec<(u32, u32)>,
    /// No picture.
    #[arg(long, conflicts_with = "image")]
    no_image: bool,
    /// How pictures are cut: auto (what the checkpoint says), none, pad, or another policy that its tower takes.
    #[arg(long, default_value = "auto", value_parser = parse_policy)]
    tiling: Policy,
    /// Tokens of the prompt beside those of the pictures.
    #[arg(long, default_value_t = 32)]
    prompt_tokens: usize,
    /// Format that matrices are kept in, e.g. f16 or q8_0. Default: the checkpoint's, else the configuration's.
    #[arg(long)]
    weights: Option<String>,
    /// Format of the key-value cache: f32, f16, q8_0 or q4_0. Default: the type of the activations.
    #[arg(long, value_parser = parse_cache)]
    kv: Option<CacheFormat>,
    /// Type of activations: f32 or f16.
    #[arg(long, default_value = "f32", value_parser = parse_dtype)]
    compute: DType,
    /// Tokens that a sequence may have. Default: 2048, or what prompt and answer need.
    #[arg(long)]
    context: Option<usize>,
    /// New tokens that an answer may have.
    #[arg(long, default_value_t = 256)]
    max_new_tokens: usize,
    /// Sequences side by side.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Chooses what --weights, --kv and --context leave open so that the peak fits these bytes, e.g. 8GB.
    #[arg(long, value_parser = parse_bytes)]
    fit: Option<u64>,
    /// Every step of every program.
    #[arg(long)]
    steps: bool,
    /// Leave the graphs as they are built: no fusion.
    #[arg(long)]
    no_fuse: bool,
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    let files = omma::checkpoint::open_model_with(&args.model, args.mmproj.as_deref())?;
    let encoding = args.weights.as_deref().map(Encoding::named).transpose()?;
    let (read, spec) = planned_spec(&*files, encoding).await?;
    let (adapter, caps) = adapter_caps(common).await?;
    let request = PlanRequest { encoding, ..request(args, &spec) };
    let processor = read.processor.as_ref();
    // The default context grows with the prompt; one that was asked for does not.
    let needed = planned_image_tokens(&spec, processor, &request)? + request.prompt_tokens + request.max_new;
    let context = args.context.unwrap_or(request.context.max(needed));
    let request = PlanRequest { context, ..request };
    let (plan, request, spec, why) = match args.fit {
        Some(limit) => {
            let wish = FitWish { weights: encoding, kv: args.kv, context: args.context };
            let (_, fitted) = fit_memory(&*files, &caps, &request, &wish, limit).await?;
            let Fitted { weights, kv, context, plan, spec, why } = fitted;
            (plan, PlanRequest { encoding: weights, kv: Some(kv), context, ..request }, spec, why)
        }
        None => (plan_memory(&spec, processor, &caps, &request)?, request, spec, Vec::new()),
    };
    if args.json {
        let mut all = as_json(&plan, &request, &adapter, &spec);
        if args.fit.is_some() {
            all["choices"] = json!(why);
        }
        print_json(&all);
        return Ok(());
    }
    why.iter().for_each(|line| out!("{line}"));
    print_plan(&plan, &request, &adapter, &spec)?;
    if args.steps {
        for program in &plan.programs {
            out!("\n{} ({} steps):\n{}", program.name, program.plan.steps.len(), program.plan);
        }
    }
    if let Some(limit) = common.memory_limit.filter(|limit| *limit < plan.bytes.peak) {
        return Err(Error::OutOfMemory {
            what: "the plan".into(),
            bytes: plan.bytes.peak,
            live: 0,
            limit: Some(limit),
        });
    }
    Ok(())
}

fn request(args: &Args, spec: &Spec) -> PlanRequest {
    let own = spec.vision.as_ref().filter(|_| !args.no_image).map(|t| (t.image_size as u32, t.image_size as u32));
    let pictures = if args.image.is_empty() { own.into_iter().collect() } else { args.image.clone() };
    PlanRequest {
        pictures: if args.no_image || spec.vision.is_none() { Vec::new() } else { pictures },
        policy: args.tiling,
        prompt_tokens: args.prompt_tokens,
        batch: args.batch.clamp(1, 1 << 16),
        context: args.context.unwrap_or(PlanRequest::default().context),
        max_new: args.max_new_tokens,
        compute: args.compute,
        kv: args.kv,
        fuse: !args.no_fuse,
        ..PlanRequest::default()
    }
}

/// A format of cached keys and values.
pub fn parse_cache(text: &str) -> std::result::Result<CacheFormat, String> {
    CacheFormat::named(text).map_err(|e| e.to_string())
}

fn parse_policy(text: &str) -> std::result::Result<Policy, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

/// Capabilities of the chosen adapter; without any adapter those of the floor. No device is opened.
pub async fn adapter_caps(common: &Common) -> Result<(String, Caps)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let choice = AdapterChoice::from(common.adapter.as_str());
    match choose(adapters(&instance).await, &choice) {
        Ok(found) => Ok((found.title(), found.caps)),
        Err(_) if choice == AdapterChoice::Best => Ok(("none found: the WebGPU floor".into(), Caps::floor())),
        Err(error) => Err(error),
    }
}

fn mega(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn giga(flops: u64) -> String {
    format!("{:.3} GFLOP", flops as f64 / 1e9)
}

fn print_plan(plan: &MemoryPlan, request: &PlanRequest, adapter: &str, spec: &Spec) -> Result<()> {
    let pictures: Vec<String> = request.pictures.iter().map(|(w, h)| format!("{w}x{h}")).collect();
    let pictures = if pictures.is_empty() { "none".to_owned() } else { pictures.join(" ") };
    out!("model         {}, {:.3} M parameters", spec.model_type, plan.parameters as f64 / 1e6);
    out!("planned for   {adapter}");
    out!("pictures      {pictures}: {} image tokens", plan.image_tokens);
    if spec.decoder.is_some() {
        let (text, new, context) = (request.prompt_tokens, request.max_new, request.context);
        out!("prompt        {text} text tokens, {new} new ones at most, context {context} x {}", request.batch);
    }
    out!("activations   {}, cache {}", request.compute, request.cache_type().format);
    if let Some(to) = request.encoding {
        let rest = match plan.unpacked {
            0 => String::new(),
            n => format!("; {n} matrices and filters stay floats: {to} cannot hold their rows"),
        };
        out!("weights       {to}{rest}");
        for line in unpacked::lines(spec, to)? {
            out!("              {line}");
        }
    }
    let bytes = &plan.bytes;
    out!("\nbytes of GPU buffers");
    for (name, value) in
        [("weights", bytes.weights), ("slots", bytes.slots), ("kv", bytes.kv), ("staging", bytes.staging)]
    {
        out!("  {name:<12}{:>14}", mega(value));
    }
    out!("  {:<12}{:>14}", "peak", mega(bytes.peak));
    out!("\nwork up to the first new token");
    for (name, cost) in &plan.stages {
        out!("  {name:<12}{:>20} {:>14}", giga(cost.flops), mega(cost.bytes));
    }
    let total = plan.total();
    out!("  {:<12}{:>20} {:>14}", "total", giga(total.flops), mega(total.bytes));
    if spec.decoder.is_some() {
        let token = plan.decode_token;
        out!("  {:<12}{:>20} {:>14}", "each token", giga(token.flops), mega(token.bytes));
    }
    out!("\nprograms");
    for PlannedProgram { name, plan, runs } in &plan.programs {
        out!("  {name:<12}{:>6} steps, {runs} runs at most", plan.steps.len());
    }
    Ok(())
}

fn step_rows(program: &'static str, plan: &Plan) -> impl Iterator<Item = Value> {
    let row = move |(i, step): (usize, &omma::graph::Step)| json!({ "program": program, "step": plan.line(i), "flops": step.cost.flops, "bytes": step.cost.bytes });
    plan.steps.iter().enumerate().map(row).collect::<Vec<_>>().into_iter()
}

fn as_json(plan: &MemoryPlan, request: &PlanRequest, adapter: &str, spec: &Spec) -> Value {
    let bytes = &plan.bytes;
    let mut flops: serde_json::Map<String, Value> =
        plan.stages.iter().map(|(name, cost)| (name.clone(), json!(cost.flops))).collect();
    flops.insert("total".into(), json!(plan.total().flops));
    json!({
        "format": 1,
        "model_type": spec.model_type,
        "adapter": adapter,
        "parameters": plan.parameters,
        "bytes": { "weights": bytes.weights, "slots": bytes.slots, "kv": bytes.kv, "staging": bytes.staging,
            "peak": bytes.peak },
        "flops": flops,
        "decode_token": { "flops": plan.decode_token.flops, "bytes": plan.decode_token.bytes },
        "image_tokens": plan.image_tokens,
        "weights": request.encoding.map(|to| to.name()),
        "unpacked_matrices": plan.unpacked,
        "kv": request.cache_type().format.name(),
        "context": request.context,
        "batch": request.batch,
        "prompt_tokens": request.prompt_tokens,
        "max_new_tokens": request.max_new,
        "steps": plan.programs.iter().flat_map(|p| step_rows(p.name, &p.plan)).collect::<Vec<_>>(),
    })
}

/// `640x480`
fn parse_size(text: &str) -> std::result::Result<(u32, u32), String> {
    let side = |t: &str| t.parse::<u32>().ok().filter(|s| (1..=65_536).contains(s));
    let sides = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    sides.ok_or_else(|| format!("`{text}` is not WIDTHxHEIGHT in pixels, e.g. 640x480"))
}

/// A type of weights, cache or activations.
pub fn parse_dtype(text: &str) -> std::result::Result<DType, String> {
    [DType::F32, DType::F16, DType::BF16]
        .into_iter()
        .find(|d| d.name() == text)
        .ok_or_else(|| format!("`{text}` is not supported here; f32, f16 and bf16 are"))
}
