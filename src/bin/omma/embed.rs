//! `omma embed IMAGE... --model DIR --out F.safetensors`: features of pictures and texts.
//!
//! Tensors, f32:
//! * `tokens.<i>` \[tokens, width\], of picture i. CLIP: what leaves the last layer of the picture tower, class row
//!   first, before the last norm. ViT, DeiT, DINOv2 and SigLIP: the last hidden state, after the last norm, class row
//!   first where there is one. LLaVA: the rows that the decoder receives, after the connector.
//! * `image_embeds` \[images, dim\]. CLIP: projected and of length 1. SigLIP: pooled and of length 1. ViT, DeiT and
//!   DINOv2: the class row of `tokens.<i>`. LLaVA: the mean of the rows of `tokens.<i>`.
//! * `text_embeds` \[texts, dim\] and `logits_per_image` \[images, texts\]: CLIP and SigLIP only.

use super::common::Common;
use super::source;
use omma::checkpoint::{TensorBytes, write_safetensors};
use omma::generate::{Model, OpenModel, Pixels, Session, SessionOptions, Stage};
use omma::graph::RunOptions;
use omma::image::Policy;
use omma::image::tiles::Wish;
use omma::models::{Pooler, names};
use omma::text::Segment;
use omma::{DType, Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Picture files.
    images: Vec<PathBuf>,
    /// Folder of a checkpoint, or a hub id.
    #[arg(long)]
    model: String,
    /// Where the tensors go.
    #[arg(long)]
    out: PathBuf,
    /// A text to embed and to compare with the pictures; may be given several times.
    #[arg(long)]
    text: Vec<String>,
    /// How large pictures are cut: auto (what the checkpoint says), none, pad, or another policy that its tower takes.
    #[arg(long, default_value = "auto")]
    tiling: String,
    /// Names and shapes of the tensors as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Shape and values by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    if args.images.is_empty() && args.text.is_empty() {
        return Err(Error::argument("arguments", "there is neither a picture nor a --text to embed"));
    }
    let policy: Policy = args.tiling.parse()?;
    let pictures = source::decode(&args.images)?;
    let cancel = source::cancel_on_interrupt()?;
    let loaded = source::load(common, (Some(&args.model), None), OpenModel::default(), &cancel).await?;
    let model = &loaded.model;
    let pictures = source::plan(model, &args.images, &pictures, &Wish { policy, ..Wish::default() })?;
    let options = SessionOptions { run: RunOptions { cancel, ..Default::default() }, ..Default::default() };
    let mut session = Session::new(model.clone(), options);
    let mut tensors = Tensors::new();
    if !args.text.is_empty() {
        embed_texts(&mut session, &args.text, &mut tensors).await?;
    }
    embed_pictures(&mut session, &pictures, args.text.len(), &mut tensors).await?;
    let rows = tensors.iter().map(|(name, (shape, values))| TensorBytes {
        name,
        dtype: DType::F32,
        shape,
        bytes: bytemuck::cast_slice(values),
    });
    write_safetensors(&args.out, &rows.collect::<Vec<_>>(), &BTreeMap::new())?;
    loaded.device.save_cache();
    report(args, &tensors)
}

fn report(args: &Args, tensors: &Tensors) -> Result<()> {
    if args.json {
        let mut object = serde_json::Map::from_iter([("format".to_owned(), json!(1))]);
        object.extend(tensors.iter().map(|(name, (shape, _))| (name.clone(), json!(shape))));
        return source::print(&format!("{}\n", serde_json::Value::Object(object)));
    }
    let lines: String = tensors.iter().map(|(name, (shape, _))| format!("{name} {shape:?}\n")).collect();
    source::print(&lines)
}

async fn embed_texts(session: &mut Session, texts: &[String], tensors: &mut Tensors) -> Result<()> {
    let model = session.model().clone();
    let Some(contrast) = &model.spec.contrast else {
        return Err(Error::unsupported(
            "--text",
            format!("{} embeds pictures only; clip and siglip embed texts", kind(&model)),
        ));
    };
    let tokenizer = model.files.need_tokenizer()?;
    let ids = texts.iter().map(|text| tokenizer.encode_segments(&[Segment::User(text)], true));
    let mut ids = ids.collect::<Result<Vec<_>>>()?;
    if let Some(tower) = &model.spec.text {
        ids = ids.into_iter().map(|ids| tower.filled(ids, tokenizer.pad_id())).collect();
    }
    session.encode_texts(&ids, &|_| false).await?;
    let shape = vec![texts.len(), contrast.dim];
    let values = session.read(names::TEXT_EMBEDS, &shape).await?;
    tensors.insert("text_embeds".into(), (shape, values));
    Ok(())
}

/// Pictures one after the other, so that they may differ in size.
async fn embed_pictures(session: &mut Session, pictures: &[Pixels], texts: usize, tensors: &mut Tensors) -> Result<()> {
    let model = session.model().clone();
    let stage = token_stage(&model);
    let (mut embeds, mut scores) = (Vec::new(), Vec::new());
    for (i, picture) in pictures.iter().enumerate() {
        let inputs = session.preprocess(std::slice::from_ref(picture)).await?;
        let stages = session.encode(&inputs, &|name| name.is_empty() || name == stage).await?;
        let tokens = stages.into_iter().find(|s| s.name == stage);
        let tokens = tokens.ok_or_else(|| Error::graph(&stage, "was not made"))?;
        match (&model.spec.contrast, &model.spec.vision) {
            (Some(contrast), _) => embeds.extend(session.read(names::IMAGE_EMBEDS, &[1, contrast.dim]).await?),
            (None, Some(tower)) if model.spec.pooler.is_some() => {
                embeds.extend(session.read(names::IMAGE_EMBEDS, &[1, tower.patch.width]).await?);
            }
            _ => embeds.extend(pooled(&tokens, model.spec.connector.is_some())),
        }
        if texts > 0 {
            scores.extend(session.score(1, texts).await?);
        }
        tensors.insert(format!("tokens.{i}"), (tokens.shape, tokens.values));
    }
    let count = pictures.len();
    if count > 0 {
        tensors.insert("image_embeds".into(), (vec![count, embeds.len() / count], embeds));
        if texts > 0 {
            tensors.insert("logits_per_image".into(), (vec![count, texts], scores));
        }
    }
    Ok(())
}

/// The stage that `tokens.<i>` is.
fn token_stage(model: &Model) -> String {
    let spec = &model.spec;
    match &spec.vision {
        _ if spec.connector.is_some() => "connector".into(),
        Some(tower) if spec.classifier.is_some() || !matches!(spec.pooler, Some(Pooler::FirstNormed) | None) => {
            format!("{}last_hidden_state", tower.stage)
        }
        Some(tower) => format!("{}layer.{}", tower.stage, tower.layers.len().saturating_sub(1)),
        None => String::new(),
    }
}

/// One row for a picture: the mean of all or the first.
fn pooled(tokens: &Stage, mean: bool) -> Vec<f32> {
    let width = tokens.shape.last().copied().unwrap_or(0).max(1);
    let rows = tokens.values.len() / width;
    if !mean {
        return tokens.values[..width.min(tokens.values.len())].to_vec();
    }
    let column = |c: usize| tokens.values.iter().skip(c).step_by(width).map(|v| f64::from(*v)).sum::<f64>();
    (0..width).map(|c| (column(c) / rows.max(1) as f64) as f32).collect()
}

fn kind(model: &Model) -> &str {
    &model.spec.model_type
}
