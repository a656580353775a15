//! Cases with a decoder: prefill with every stage, then greedy steps.

use super::case::{Case, Sample};
use super::dump::Dump;
use super::inputs::Inputs;
use super::{Context, encoders, listed};
use omma::Result;
use omma::generate::{Sequence, Session, SessionOptions};
use omma::kernels::SampleSettings;

/// Runs a sample.
pub async fn run(
    context: &Context,
    case: &Case,
    sample: &Sample,
    inputs: &mut Inputs,
    dump: &mut Dump<'_>,
) -> Result<()> {
    let model = &context.model;
    let rows = inputs.sequences()?;
    let width = inputs.ints["input_ids"].shape[1];
    let longest = rows.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
    let options = SessionOptions {
        batch: rows.len(),
        context: longest + case.max_new,
        max_new: case.max_new,
        fuse: context.fuse,
        kv: context.kv,
        ..Default::default()
    };
    let mut session = Session::new(model.clone(), options);
    encoders::encode(&mut session, sample, inputs, dump).await?;
    inputs.find_positions(model, &rows, width)?;
    let (ids, places): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let beside = model.spec.decoder.as_ref().is_some_and(|decoder| decoder.cross.is_some());
    let token = model.spec.image_token.filter(|_| session.feature_rows() > 0 && !beside);
    let sequence = |(b, ids): (usize, Vec<u32>)| {
        let pictures = ids.iter().enumerate().filter(|(_, id)| Some(**id) == token).map(|(i, _)| i).collect();
        let (positions, sight) = (inputs.positions(b, &places[b], width), inputs.sight(b, &places[b], width));
        Sequence { positions, sight, ..Sequence::new(ids, pictures) }
    };
    let sequences: Vec<Sequence> = ids.into_iter().enumerate().map(sequence).collect();
    let stages = session.prefill(&sequences, &[SampleSettings::default()], &[], true, &listed(sample)).await?;
    dump.padded(&stages, &places, width)?;
    if sample.generates { generate(&mut session, case, sequences.len(), dump).await } else { Ok(()) }
}

/// Greedy steps, one at a time, finished rows padded as generate() pads them.
async fn generate(session: &mut Session, case: &Case, batch: usize, dump: &mut Dump<'_>) -> Result<()> {
    let model = session.model().clone();
    let (eos, pad) = (model.files.eos(&model.spec)?, model.files.pad(&model.spec)?);
    let mut finished = vec![false; batch];
    let (mut ids, mut logits): (Vec<Vec<i64>>, Vec<Vec<f32>>) = (vec![Vec::new(); batch], vec![Vec::new(); batch]);
    for step in 0..case.max_new {
        if step > 0 {
            session.decode().await?;
            session.arrived().await?;
        }
        let chosen = session.chosen(true).await?;
        let vocab = chosen.logits.len() / batch;
        let mut forced = Vec::new();
        for b in 0..batch {
            let id = if finished[b] { pad.or(eos.first().copied()).unwrap_or(0) } else { chosen.ids[b] };
            if finished[b] {
                forced.push((b, id));
            }
            finished[b] |= eos.contains(&id);
            ids[b].push(i64::from(id));
            logits[b].extend(&chosen.logits[b * vocab..][..vocab]);
        }
        session.force_tokens(&forced)?;
        if finished.iter().all(|f| *f) {
            break;
        }
    }
    let steps = ids[0].len();
    dump.add_ints("generated_ids", &[batch, steps], &ids.concat());
    let vocab = logits[0].len() / steps.max(1);
    dump.add("generated_logits", &[batch, steps, vocab], &logits.concat())
}
