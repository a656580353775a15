//! Cases without a decoder: classification, embeddings, scores.

use super::case::Sample;
use super::dump::Dump;
use super::inputs::Inputs;
use super::pixels::Planes;
use super::{Context, batches, listed, pixels};
use omma::Result;
use omma::generate::{Model, Session, SessionOptions};
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
    let mut planes = if inputs.pictures.is_empty() {
        let Some(planes) = pixels::stored(&model, inputs)? else { return Ok(0) };
        session.set_pixels(&planes.values).await?;
        planes
    } else {
        let tower = session.preprocess(&inputs.pictures).await?;
        let values = session.pixels(&tower).await?;
        let pictures = std::mem::take(&mut inputs.pictures);
        pixels::made(&model, sample, &pictures, &values, inputs)?;
        Planes { values, inputs: tower }
    };
    if let Some(padded) = padded(&model, inputs)? {
        // The reference's stages have rows of padding; ours have them for the dump alone.
        session.set_pixels(&padded.values).await?;
        dump.stages(&session.encode(&padded.inputs, &listed(sample)).await?)?;
        if planes.inputs.filled.is_some() {
            planes = batches::ragged(&padded, 3);
        }
        session.set_pixels(&planes.values).await?;
        let stages = session.encode(&planes.inputs, &listed(sample)).await?;
        dump.whole_stages(&stages)?;
        return Ok(planes.inputs.sizes.len());
    }
    let tower = planes.inputs;
    let stages = session.encode(&tower, &listed(sample)).await?;
    dump.stages(&stages)?;
    Ok(tower.sizes.len())
}

/// The pictures with the padding that the reference gave them, where there is any.
fn padded(model: &Model, inputs: &Inputs) -> Result<Option<Planes>> {
    if !inputs.ints.contains_key("pixel_attention_mask") {
        return Ok(None);
    }
    Ok(pixels::stored(model, inputs)?.filter(|planes| planes.inputs.filled.is_some()))
}
