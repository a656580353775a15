//! `omma bisect CASE_DIR or MODEL_DIR`: every step's real inputs through its oracle; names the first step that is off,
//! and writes a folder that runs it again. `omma bisect --replay DIR` does.

use super::common::{Common, out, print_json, read_file};
use super::run::case::Case;
use super::run::inputs::Inputs;
use super::run::pixels::{self, Planes};
use omma::checkpoint::open_model;
use omma::generate::{LoadOptions, Model, OpenModel, PictureSource, Pixels, Sequence, Session, SessionOptions};
use omma::graph::{BadCell, ReplayShaders, StepRecord};
use omma::image::{Picture, Policy};
use omma::kernels::SampleSettings;
use omma::models::TowerInputs;
use omma::{DType, Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of a golden case (its first sample is run), or of a model (with a made-up picture and prompt).
    #[arg(required_unless_present = "replay")]
    folder: Option<String>,
    /// Writes the first step outside its bound into this folder, with all that it takes to run it again.
    #[arg(long, conflicts_with = "replay")]
    out: Option<PathBuf>,
    /// Runs the step in this folder, which `--out` wrote.
    #[arg(long, conflicts_with = "folder")]
    replay: Option<PathBuf>,
    /// Shaders of a replay: those recorded in the folder, or those built into this `omma`.
    #[arg(long, default_value = "recorded", value_parser = ["recorded", "built"], requires = "replay")]
    shaders: String,
    /// Tokens of the made-up prompt.
    #[arg(long, default_value_t = 12)]
    prompt_tokens: usize,
    /// Type of activations: f32 or f16.
    #[arg(long, default_value = "f32", value_parser = ["f32", "f16"])]
    compute: String,
    /// Leave the graphs as they are built: no fusion.
    #[arg(long)]
    no_fuse: bool,
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// What one run takes.
#[derive(Default)]
struct Request {
    planes: Option<Planes>,
    pictures: Vec<Pixels>,
    texts: Vec<Vec<u32>>,
}

/// Runs the command; whether every step was within its bound.
pub async fn run(common: &Common, args: &Args) -> Result<bool> {
    let device = common.device().await?;
    if let Some(folder) = &args.replay {
        let built = args.shaders == "built";
        let shaders = if built { ReplayShaders::Built } else { ReplayShaders::Recorded };
        let record = StepRecord::from_files(|name| read_file(&folder.join(name)))?;
        let bad = record.replay(&device, shaders).await?;
        report(args, bad.as_ref());
        return Ok(bad.is_none());
    }
    let folder = args.folder.as_deref().unwrap_or_default();
    let files = open_model(folder)?;
    let compute = if args.compute == "f16" { DType::F16 } else { DType::F32 };
    let open = OpenModel { compute, ..Default::default() };
    let model = Arc::new(Model::load(&device, &*files, open, LoadOptions::default()).await?);
    let folder = Path::new(folder);
    let is_case = folder.join("case.json").exists();
    let request = if is_case { of_case(folder, &model)? } else { made_up(&model, args.prompt_tokens)? };
    let longest = request.texts.iter().map(Vec::len).max().unwrap_or(0);
    let options = SessionOptions {
        batch: request.texts.len().max(1),
        context: longest + 8,
        max_new: 8,
        fuse: !args.no_fuse,
        ..Default::default()
    };
    let mut session = Session::new(model, options);
    let bad = search(&mut session, &request).await?;
    report(args, bad.as_ref().map(|record| &record.cell));
    if let (Some(out), Some(record)) = (&args.out, &bad) {
        write(out, record)?;
    }
    Ok(bad.is_none())
}

fn write(folder: &Path, record: &StepRecord) -> Result<()> {
    let failed = |path: &Path, e: &std::io::Error| Error::io(path.display().to_string(), e);
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
    for (name, bytes) in record.to_files()? {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|e| failed(&path, &e))?;
    }
    eprintln!("notice: `omma bisect --replay {}` runs this step again", folder.display());
    Ok(())
}

fn of_case(folder: &Path, model: &Model) -> Result<Request> {
    let case = Case::read(folder)?;
    let sample = case.samples.first().ok_or_else(|| Error::malformed("case.json", "has no sample"))?;
    let inputs = Inputs::read(folder, sample, model, false)?;
    let texts = match inputs.ints.contains_key("input_ids") {
        true => inputs.sequences()?.into_iter().map(|(ids, _)| ids).collect(),
        false => Vec::new(),
    };
    Ok(Request { planes: pixels::stored(model, &inputs)?, pictures: Vec::new(), texts })
}

/// A gradient with stripes, and ids spread over the vocabulary.
fn made_up(model: &Model, tokens: usize) -> Result<Request> {
    let mut request = Request::default();
    let mut rows = Vec::new();
    if let Some(tower) = &model.spec.vision {
        let side = tower.image_size as u32;
        let bytes: Vec<u8> = (0..side * side * 3).map(|i| ((i / 97) ^ (i % 61 * 3)) as u8).collect();
        let picture = Arc::new(Picture::from_rgb8(side, side, &bytes)?);
        if model.files.processor.is_some() {
            request.pictures.push(model.pixels(PictureSource::Host(picture), Policy::Auto)?);
            let token = model.spec.image_token.unwrap_or(0);
            rows.extend(vec![token; model.feature_rows(&request.pictures)?]);
        } else {
            let inputs = TowerInputs::same((side as usize, side as usize), 1);
            if model.spec.connector.is_some() {
                rows.extend(vec![model.spec.image_token.unwrap_or(0); inputs.features(&model.spec)?[0]]);
            }
            let values = bytes.iter().map(|b| f32::from(*b) / 127.5 - 1.0).collect();
            request.planes = Some(Planes { values, inputs });
        }
    }
    let spread = |vocab: usize, count: usize| (0..count).map(|i| (i * 7919 % vocab.max(1)) as u32).collect::<Vec<_>>();
    if let Some(decoder) = &model.spec.decoder {
        let mut ids = rows;
        ids.extend(spread(decoder.vocab, tokens.max(1)).iter().map(|id| {
            // A picture token among the text would ask for another picture.
            if Some(*id) == model.spec.image_token { 0 } else { *id }
        }));
        request.texts.push(ids);
    } else if let Some(tower) = &model.spec.text {
        request.texts.push(spread(tower.vocab, tokens.clamp(1, tower.max_positions)));
    }
    Ok(request)
}

/// Runs the request's programs, each once more under its oracles.
async fn search(session: &mut Session, request: &Request) -> Result<Option<Box<StepRecord>>> {
    let inputs = match &request.planes {
        Some(planes) => {
            session.set_pixels(&planes.values).await?;
            planes.inputs.clone()
        }
        None if request.pictures.is_empty() => TowerInputs::default(),
        None => session.preprocess(&request.pictures).await?,
    };
    if !inputs.sizes.is_empty() {
        session.encode(&inputs, &|_| false).await?;
        if let Some(bad) = session.bisect().await? {
            return Ok(Some(bad));
        }
    }
    if request.texts.is_empty() {
        return Ok(None);
    }
    let model = session.model().clone();
    if model.spec.decoder.is_none() {
        session.encode_texts(&request.texts, &|_| false).await?;
        return session.bisect().await;
    }
    let place = |ids: &Vec<u32>| {
        let pictures = ids.iter().enumerate().filter(|(_, id)| Some(**id) == model.spec.image_token).map(|(i, _)| i);
        Sequence::new(ids.clone(), pictures.collect())
    };
    let sequences: Vec<Sequence> = request.texts.iter().map(place).collect();
    session.prefill(&sequences, &[SampleSettings::default()], &[], false, &|_| false).await?;
    if let Some(bad) = session.bisect().await? {
        return Ok(Some(bad));
    }
    session.decode().await?;
    session.arrived().await?;
    session.bisect().await
}

fn report(args: &Args, bad: Option<&BadCell>) {
    if args.json {
        let first = bad.map(|b| {
            json!({ "step": b.step, "kernel": b.kernel, "output": b.output, "cell": [b.cell.0, b.cell.1],
                "got": b.got, "want": b.want, "bound": b.bound })
        });
        print_json(&json!({ "format": 1, "first_bad": first }));
        return;
    }
    match bad {
        None => out!("every step is within its bound"),
        Some(b) => {
            out!("first step outside its bound:\n  {}", b.step);
            out!("  {} {} {:?}: {:e}, should be {:e} +- {:e}", b.kernel, b.output, b.cell, b.got, b.want, b.bound);
        }
    }
}
