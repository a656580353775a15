//! The first Qwen's decoder over ids among which the features of pictures stand, as Qwen-VL and Monkey have it.

use super::builder::Builder;
use super::tower::{Run, decoded, tokens};
use omma::blocks::splice;
use omma::models::{UniformDtype, read_spec};
use omma::{DType, Error, Result};

/// From ids and the features of pictures \[pictures, rows, width\] to logits.
pub fn text(b: &mut Builder<'_>) -> Result<()> {
    let decoder = read_spec(b.config(), &UniformDtype(DType::F32))?.decoder;
    let decoder = decoder.ok_or_else(|| Error::unsupported("config.json", "the family gives no decoder"))?;
    let begin = b.config().usize("visual.image_start_id", 151_857)? as i64;
    let ids = b.ints("input_ids")?;
    let [batch, len] = b.input_shape("input_ids").unwrap_or_default()[..] else {
        return Err(Error::malformed("input_ids", "is not [batch, tokens]"));
    };
    let [pictures, rows, width] = b.input_shape("images").unwrap_or_default()[..] else {
        return Err(Error::malformed("images", "is not there as [pictures, rows, width]"));
    };
    // Features stand strictly between the ids that begin and end a picture.
    let (mut index, mut next, mut inside) = (Vec::with_capacity(ids.len()), 0, false);
    for (at, id) in ids.iter().enumerate() {
        inside &= *id != begin + 1 && at % len != 0;
        index.push(if inside { ids.len() + next } else { at } as u32);
        next += usize::from(inside);
        inside |= *id == begin;
    }
    if next != pictures * rows {
        return Err(Error::malformed("images", format!("{pictures} x {rows} rows for {next} places")));
    }
    let known: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).unwrap_or(0)).collect();
    let words = tokens(b, &decoder, &known)?;
    let features = b.input("images", &[pictures * rows, width])?;
    let x = splice(&mut b.graph, words, features, &index, None)?;
    let run = Run { sequences: batch, stage: &|i| format!("block{i}") };
    let (hidden, logits) = decoded(b, &decoder, x, &run)?;
    b.stage("hidden", hidden);
    b.stage("logits", logits);
    Ok(())
}
