//! Cases without a decoder: classification, embeddings, scores.

use super::case::Sample;
use super::dump::Dump;
use super::inputs::Inputs;
use super::{Context, listed, pixels};
use omma::Result;
use omma::generate::{Session, SessionOptions};
use omma::models::names;

/// Runs a sample.
pub async fn run(context: &Context, sample: &Sample, inputs: &mut Inputs, dump: &mut Dump<'_>) -> Result<()> {
    let options = SessionOptions { fuse: context.fuse, ..Default::default() };
    let mut session = Session::new(context.model.clone(), options);
    let spec = &context.model.spec;
    let pictures = encode(&mut session, sample, inputs, dump).await?;
    if let Some(classifier) = &spec.classifier {
        let shape = [pictures, classifier.labels.len()];
        dump.add("logits", &shape, &session.read(names::CLASS_LOGITS, &shape).await?)?;
    }
    if spec.text.is_none() {
        return Ok(());
    }
    let sequences = inputs.sequences()?;
    let width = inputs.ints["input_ids"].shape[1];
    let (ids, places): (Vec<_>, Vec<_>) = sequences.into_iter().unzip();
    let stages = session.encode_texts(&ids, &listed(sample)).await?;
    dump.padded(&stages, &places, width)?;
    let scores = session.score(pictures, ids.len()).await?;
    dump.add("logits_per_image", &[pictures, ids.len()], &scores)
}

/// Preprocesses or takes the pixels and encodes them; returns the number of inputs of the tower.
pub async fn encode(session: &mut Session, sample: &Sample, inputs: &mut Inputs, dump: &mut Dump<'_>) -> Result<usize> {
    let model = session.model().clone();
    let tower = if inputs.pictures.is_empty() {
        let Some(planes) = pixels::stored(&model, inputs)? else { return Ok(0) };
        session.set_pixels(&planes.values).await?;
        planes.inputs
    } else {
        let tower = session.preprocess(&inputs.pictures).await?;
        let planes = session.pixels(&tower).await?;
        let pictures = std::mem::take(&mut inputs.pictures);
        pixels::made(&model, sample, &pictures, &planes, inputs)?;
        tower
    };
    let stages = session.encode(&tower, &listed(sample)).await?;
    dump.stages(&stages)?;
    Ok(tower.sizes.len())
}
