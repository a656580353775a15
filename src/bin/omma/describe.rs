//! `omma describe IMAGE...`: a question about pictures, its answer streamed to stdout. A classification model gives its
//! best labels.

use super::common::Common;
use super::source::{self, Loaded};
use omma::generate::{
    Answer, Finish, FitWish, GenerateOptions, OpenModel, PictureCache, Pixels, PlanRequest, Request, Sampling, Session,
    SessionOptions, fit_memory, planned_image_tokens, planned_spec,
};
use omma::gpu::Cancel;
use omma::graph::RunOptions;
use omma::image::Picture;
use omma::image::tiles::Wish;
use omma::quant::{CacheFormat, Encoding};
use omma::{DType, Error, Result};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Labels that are shown of a classification.
const LABELS: usize = 5;
/// Most bytes of encoded pictures in a folder.
const CACHE_BYTES: u64 = 1 << 30;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Picture files; none asks about no picture.
    images: Vec<PathBuf>,
    /// Folder of a checkpoint, or a hub id. Without it: the model in the repository.
    #[arg(long)]
    model: Option<String>,
    /// The picture part of a GGUF checkpoint. Default: the one that fits among the files *mmproj*.gguf beside it.
    #[arg(long, requires = "model")]
    mmproj: Option<PathBuf>,
    /// The question. Without it: what is in the picture.
    #[arg(long)]
    prompt: Option<String>,
    /// The prompt as it is: no chat template, and special tokens in it count.
    #[arg(long, requires = "prompt")]
    raw: bool,
    /// Most new tokens; without it what the checkpoint says, or 256.
    #[arg(long)]
    max_new_tokens: Option<usize>,
    /// How large pictures are cut: auto (what the checkpoint says), none, pad, or another policy that its tower takes.
    #[arg(long, default_value = "auto")]
    tiling: String,
    /// Keep matrices in this format, e.g. f16, q8_0 or q4_0; without it as they are stored.
    #[arg(long)]
    weights: Option<String>,
    /// Keep keys and values as f32, f16, q8_0 or q4_0; without it as the activations are.
    #[arg(long)]
    kv: Option<String>,
    /// Choose what --weights and --kv leave open so that the request fits these bytes of GPU memory, e.g. 6GiB.
    #[arg(long, value_parser = super::common::parse_bytes)]
    fit: Option<u64>,
    /// Compute with activations in f32 or f16.
    #[arg(long, default_value = "f32")]
    compute: String,
    /// Sample at this temperature; 0 is greedy.
    #[arg(long, allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Sample from the K best tokens; 0 for all.
    #[arg(long)]
    top_k: Option<u32>,
    /// Sample from the best tokens whose mass reaches P.
    #[arg(long)]
    top_p: Option<f32>,
    /// Seed of sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// End the answer before this text; may be given several times.
    #[arg(long)]
    stop: Vec<String>,
    /// Most tokens that one picture may take; its policy then cuts it into fewer or smaller tiles.
    #[arg(long)]
    max_image_tokens: Option<usize>,
    /// Keep encoded pictures in this folder (at most 1 GiB): another question about one does not encode it again.
    #[arg(long)]
    picture_cache: Option<PathBuf>,
    /// One JSON object instead of the text.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    let mut open = open_model(args)?;
    let mut kv = args.kv.as_deref().map(CacheFormat::named).transpose()?;
    let max_tokens = args.max_image_tokens.map(|tokens| tokens as u64);
    let wish = Wish { policy: args.tiling.parse()?, max_tokens, resized: None };
    let pictures = source::decode(&args.images)?;
    let cancel = source::cancel_on_interrupt()?;
    if let Some(limit) = args.fit {
        kv = Some(fit(common, args, &mut open, kv, (&pictures, &wish), limit).await?);
    }
    let loaded = source::load(common, (args.model.as_deref(), args.mmproj.as_deref()), open, &cancel).await?;
    let spec = &loaded.model.spec;
    let result = if spec.decoder.is_some() {
        answer(args, &loaded, source::plan(&loaded.model, &args.images, &pictures, &wish)?, (kv, cancel)).await
    } else if spec.classifier.is_some() {
        classify(args, &loaded, source::plan(&loaded.model, &args.images, &pictures, &wish)?, cancel).await
    } else {
        let reason = format!("{} only embeds pictures and texts; use `omma embed`", spec.model_type);
        Err(Error::unsupported("omma describe", reason))
    };
    loaded.device.save_cache();
    result
}

/// Types of weights, cache and activations.
fn open_model(args: &Args) -> Result<OpenModel> {
    let one_of = |option: &str, value: &str, known: &[DType]| {
        let found = known.iter().copied().find(|dtype| dtype.name() == value);
        found.ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|dtype| dtype.name()).collect();
            Error::unsupported(format!("{option} {value}"), format!("{} are", names.join(", ")))
        })
    };
    let float = [DType::F32, DType::F16];
    let compute = one_of("--compute", &args.compute, &float)?;
    Ok(OpenModel {
        weights: args.weights.as_deref().map(Encoding::named).transpose()?,
        compute,
        ..OpenModel::default()
    })
}

/// What --fit chooses: formats that hold pictures, prompt and answer. Says so on stderr.
async fn fit(
    common: &Common,
    args: &Args,
    open: &mut OpenModel,
    kv: Option<CacheFormat>,
    (pictures, wish): (&[Arc<Picture>], &Wish),
    limit: u64,
) -> Result<CacheFormat> {
    let files = source::files((args.model.as_deref(), args.mmproj.as_deref()))?;
    let (_, caps) = super::plan::adapter_caps(common).await?;
    let (read, spec) = planned_spec(&*files, open.weights).await?;
    let request = PlanRequest {
        pictures: pictures.iter().map(|p| (p.width, p.height)).collect(),
        policy: wish.policy,
        // A token has a byte at least; chat templates add a few dozen.
        prompt_tokens: args.prompt.as_ref().map_or(32, String::len) + 64,
        max_new: args.max_new_tokens.unwrap_or(256),
        compute: open.compute,
        encoding: open.weights,
        ..PlanRequest::default()
    };
    let tokens = planned_image_tokens(&spec, read.processor.as_ref(), &request)? + request.prompt_tokens;
    let longest = spec.decoder.as_ref().map_or(1, |d| d.max_positions);
    let context = tokens.saturating_add(request.max_new).min(longest);
    let wish = FitWish { weights: open.weights, kv, context: Some(context) };
    let (_, fitted) = fit_memory(&*files, &caps, &request, &wish, limit).await?;
    if let Some(line) = fitted.why.last() {
        eprintln!("notice: {line}");
    }
    open.weights = fitted.weights;
    Ok(fitted.kv)
}

fn generate_options(args: &Args, loaded: &Loaded) -> Result<GenerateOptions> {
    let sampling =
        Sampling { temperature: args.temperature, top_k: args.top_k, top_p: args.top_p, ..Default::default() };
    let mut options = GenerateOptions::of_model(loaded.model.files.generation.as_ref(), &sampling)?;
    options.max_new_tokens = args.max_new_tokens.unwrap_or(options.max_new_tokens);
    options.seed = args.seed;
    options.stop.extend(args.stop.iter().cloned());
    options.settings()?;
    Ok(options)
}

/// The request. A cap that changed a plan is told.
fn request(args: &Args, pictures: Vec<Pixels>) -> Request {
    for choice in pictures.iter().filter_map(|p| p.plan.choice.as_ref()) {
        eprintln!("notice: {choice}");
    }
    if let (true, Some(prompt)) = (args.raw, &args.prompt) {
        return Request::exact(pictures, prompt);
    }
    let question = match (pictures.is_empty(), &args.model) {
        (true, _) => "",
        (false, None) => source::OWN_QUESTION,
        (false, Some(_)) => "What is in the picture?",
    };
    Request::new(pictures, args.prompt.as_deref().unwrap_or(question))
}

async fn answer(
    args: &Args,
    loaded: &Loaded,
    pictures: Vec<Pixels>,
    (kv, cancel): (Option<CacheFormat>, Cancel),
) -> Result<()> {
    let options = generate_options(args, loaded)?;
    let request = request(args, pictures);
    let tokens = loaded.model.prompt_tokens(&request)?;
    let longest = loaded.model.spec.decoder.as_ref().map_or(0, |d| d.max_positions);
    if tokens > longest {
        return Err(Error::PromptTooLong { tokens, context: longest });
    }
    let sizes = SessionOptions {
        context: tokens.saturating_add(options.max_new_tokens).min(longest),
        max_new: options.max_new_tokens.min(longest),
        run: RunOptions { cancel, ..Default::default() },
        kv,
        pictures: args.picture_cache.as_ref().map(|folder| Arc::new(PictureCache::with_folder(CACHE_BYTES, folder))),
        ..Default::default()
    };
    let options = GenerateOptions { max_new_tokens: sizes.max_new, ..options };
    let mut session = Session::new(loaded.model.clone(), sizes);
    let mut printed = Ok(());
    let stop = session.cancel().clone();
    let stream = |text: &str| {
        if !args.json && printed.is_ok() {
            printed = source::print(text);
            if printed.is_err() {
                stop.cancel();
            }
        }
    };
    let answer = session.answer(&request, &options, stream).await?;
    printed?;
    session.save_pictures().await?;
    report(args, loaded, &answer, session.options().pictures.as_ref().map(|cache| cache.counts().hits))?;
    if answer.finish == Finish::Cancelled { Err(Error::Cancelled) } else { Ok(()) }
}

fn report(args: &Args, loaded: &Loaded, answer: &Answer, cached: Option<u64>) -> Result<()> {
    if !args.json {
        return source::print("\n");
    }
    let (ms, memory) = (answer.ms, loaded.device.ledger().memory());
    let object = json!({
        "format": 1,
        "answer": answer.text,
        "ids": answer.ids,
        "image_tokens": answer.image_tokens,
        "tiles": answer.tiles,
        "cached_pictures": cached,
        "prompt_tokens": answer.prompt_tokens,
        "finish": match answer.finish {
            Finish::EndToken => "end",
            Finish::StopString => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
        },
        "ms": {
            "load": loaded.load_ms,
            "preprocess": ms.preprocess,
            "encode": ms.encode,
            "prefill": ms.prefill,
            "decode": ms.decode,
        },
        "tokens_per_s": answer.tokens_per_s,
        "memory": {"live": memory.live, "peak": memory.peak, "allocations": memory.allocations},
    });
    source::print(&format!("{object}\n"))
}

/// The best labels of every picture.
async fn classify(args: &Args, loaded: &Loaded, pictures: Vec<Pixels>, cancel: Cancel) -> Result<()> {
    let labels = loaded.model.spec.classifier.as_ref().map(|c| c.labels.as_slice()).unwrap_or_default();
    let options = SessionOptions { run: RunOptions { cancel, ..Default::default() }, ..Default::default() };
    let mut session = Session::new(loaded.model.clone(), options);
    let mut rows = Vec::new();
    for (path, picture) in args.images.iter().zip(pictures) {
        let inputs = session.preprocess(&[picture]).await?;
        session.encode(&inputs, &|_| false).await?;
        let logits = session.read(omma::models::names::CLASS_LOGITS, &[1, labels.len()]).await?;
        let best = best_labels(&logits, labels);
        if !args.json {
            source::print(&format!("{}\n", path.display()))?;
            for (label, share) in &best {
                source::print(&format!("  {:6.2} %  {label}\n", share * 100.0))?;
            }
        }
        let list: Vec<_> = best.iter().map(|(label, share)| json!({"label": label, "probability": share})).collect();
        rows.push(json!({"image": path.display().to_string(), "labels": list}));
    }
    if rows.is_empty() {
        return Err(Error::argument("pictures", "a classification model needs at least one"));
    }
    if args.json {
        let answer = rows[0]["labels"][0]["label"].clone();
        source::print(&format!("{}\n", json!({"format": 1, "answer": answer, "pictures": rows})))?;
    }
    Ok(())
}

/// Labels by falling probability.
fn best_labels(logits: &[f32], labels: &[String]) -> Vec<(String, f64)> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|l| f64::from(l - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let mut all: Vec<(String, f64)> = labels.iter().cloned().zip(weights.iter().map(|w| w / sum)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(LABELS);
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_are_sorted_and_sum_to_one() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let best = super::best_labels(&[0.0, 2.0, 1.0], &labels);
        assert_eq!(best.iter().map(|b| b.0.as_str()).collect::<Vec<_>>(), ["b", "c", "a"]);
        assert!((best.iter().map(|b| b.1).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
