//! Cases without a decoder: classification, embeddings, scores.

use super::case::Sample;
use super::dump::Dump;
use super::inputs::Inputs;
use super::{Context, listed};
use omma::generate::{Session, SessionOptions};
use omma::models::names;
use omma::{Error, Result};

/// Runs a sample.
pub async fn run(context: &Context, sample: &Sample, inputs: &Inputs, dump: &mut Dump<'_>) -> Result<()> {
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

/// Preprocesses or takes the pixels and encodes them; returns the number of pictures.
pub async fn encode(session: &mut Session, sample: &Sample, inputs: &Inputs, dump: &mut Dump<'_>) -> Result<usize> {
    let (pictures, size) = if inputs.pictures.is_empty() {
        let pixels = inputs.floats.get("pixel_values");
        let Some((shape, values)) = pixels else { return Ok(0) };
        let [pictures, _, height, width] = shape[..] else {
            return Err(Error::argument(
                "pixel_values",
                format!("has shape {shape:?}, not [pictures, 3, height, width]"),
            ));
        };
        session.set_pixels(values, shape).await?;
        (pictures, (height, width))
    } else {
        let size = session.preprocess(&inputs.pictures).await?;
        let count = inputs.pictures.len();
        dump.add("pixel_values", &[count, 3, size.0, size.1], &session.pixels(count, size).await?)?;
        (count, size)
    };
    let stages = session.encode(pictures, size, &listed(sample)).await?;
    dump.stages(&stages)?;
    Ok(pictures)
}
