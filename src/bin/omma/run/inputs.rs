//! Inputs of a sample: as the original model received them, or made from pictures and prompts.

use super::case::Sample;
use crate::common::read_file;
use crate::source;
use omma::checkpoint::{Checkpoint, MemoryFile};
use omma::generate::{Model, PictureSource, Pixels, Sequence};
use omma::image::tiles::Wish;
use omma::models::{Sight, grid_positions};
use omma::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// An integer tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Ints {
    /// Extents.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<i64>,
}

/// What a sample starts from.
#[derive(Default)]
pub struct Inputs {
    /// Float tensors: pixel_values.
    pub floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Integer tensors: input_ids, attention_mask.
    pub ints: BTreeMap<String, Ints>,
    /// Pictures to preprocess on the GPU; empty from inputs.
    pub pictures: Vec<Pixels>,
    /// Made here from pictures and prompts, so they are dumped.
    pub made: bool,
}

impl Inputs {
    /// Reads or makes them.
    pub fn read(folder: &Path, sample: &Sample, model: &Model, pictures: bool) -> Result<Self> {
        let mut inputs = Self::stored(folder, sample)?;
        if !pictures {
            return Ok(inputs);
        }
        inputs.made = true;
        let wish = Wish { resized: sample.resized, ..Wish::default() };
        for name in &sample.images {
            let picture = source::decode_for(model, name, &read_file(&folder.join(name))?)?;
            inputs.pictures.push(model.pixels_with(PictureSource::Host(Arc::new(picture)), &wish)?);
        }
        if !sample.prompts.is_empty() {
            inputs.tokenize(sample, model)?;
        }
        if !inputs.pictures.is_empty() {
            inputs.floats.retain(|name, _| !matches!(name.as_str(), "pixel_values" | "image_patches"));
        }
        Ok(inputs)
    }

    fn stored(folder: &Path, sample: &Sample) -> Result<Self> {
        let path = folder.join(&sample.inputs);
        let file = MemoryFile::new(path.display().to_string(), read_file(&path)?);
        let tensors = pollster::block_on(Checkpoint::of_file(Arc::new(file)))?;
        let mut inputs = Self::default();
        for entry in tensors.entries() {
            let (name, shape) = (entry.name.clone(), entry.shape.clone());
            if entry.dtype.is_float() {
                let values = pollster::block_on(tensors.load_f32(&name))?;
                inputs.floats.insert(name, (shape, values));
            } else {
                let values = pollster::block_on(tensors.load_i64(&name))?;
                inputs.ints.insert(name, Ints { shape, values });
            }
        }
        Ok(inputs)
    }

    /// input_ids and attention_mask from the prompts: placeholders expanded, padded as the case's model pads.
    fn tokenize(&mut self, sample: &Sample, model: &Model) -> Result<()> {
        let mut pictures = self.pictures.as_slice();
        let mut rows = Vec::new();
        for prompt in &sample.prompts {
            // Where the model's own placeholder is another, a case may write this one.
            let own = &model.files.image_text;
            let prompt = &if prompt.contains(own) { prompt.clone() } else { prompt.replace(PLACEHOLDER, own) };
            if prompt.contains(">*") || model.spec.connector.is_none() {
                let text = expand_literals(&expand_counts(prompt, model, &mut pictures)?);
                let ids = model.files.need_tokenizer()?.encode(&text, true)?;
                rows.push(Sequence::new(ids, Vec::new()));
                continue;
            }
            let named = match model.spec.leading {
                Some(_) => self.pictures.len() / sample.prompts.len(),
                None => prompt.matches(model.files.image_text.as_str()).count(),
            };
            let count = named.min(pictures.len());
            let (own, others) = pictures.split_at(count);
            rows.push(model.sequence(prompt, own, true)?);
            pictures = others;
        }
        let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        // A tower that sees the filling of its texts is given no mask.
        let filled = model.spec.text.as_ref().filter(|tower| tower.filler.is_some());
        let full = filled.map_or(longest, |tower| tower.max_positions);
        let width = sample.input_shapes.get("input_ids").and_then(|s| s.last().copied()).unwrap_or(full);
        let width = width.max(longest);
        let filler = filled.and_then(|tower| tower.filler).or(model.files.pad(&model.spec)?);
        let pad = model.files.tokenizer.as_ref().and_then(|t| t.pad_id()).or(filler).unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        let mut lefts = Vec::new();
        for row in rows.iter().map(|row| &row.ids) {
            let fill = width - row.len();
            // Decoders are padded on the left, so that answers follow their prompts; text towers on the right.
            let left = if model.spec.decoder.is_some() { fill } else { 0 };
            lefts.push(left);
            let pads = |n: usize| std::iter::repeat_n(i64::from(pad), n);
            ids.extend(pads(left).chain(row.iter().map(|id| i64::from(*id))).chain(pads(fill - left)));
            let marks = |value: i64, n: usize| std::iter::repeat_n(value, n);
            mask.extend(marks(0, left).chain(marks(1, row.len())).chain(marks(0, fill - left)));
        }
        let shape = vec![rows.len(), width];
        self.ints.insert("input_ids".into(), Ints { shape: shape.clone(), values: ids });
        if filled.is_none() {
            self.ints.insert("attention_mask".into(), Ints { shape, values: mask });
        }
        self.place(&rows, &lefts, width);
        Ok(())
    }

    /// position_ids \[3, sequences, width\] and cross_attention_mask \[sequences, width, pictures, tiles\] of models that
    /// have them; sequence b begins at `lefts[b]`.
    fn place(&mut self, rows: &[Sequence], lefts: &[usize], width: usize) {
        if rows.iter().any(|row| row.positions.is_some()) {
            // The reference's padding stands at 1.
            let mut values = vec![1; 3 * rows.len() * width];
            for (b, (row, left)) in rows.iter().zip(lefts).enumerate() {
                for (i, place) in row.positions.iter().flatten().enumerate() {
                    for (axis, position) in place.iter().enumerate() {
                        values[(axis * rows.len() + b) * width + left + i] = i64::from(*position);
                    }
                }
            }
            self.ints.insert("position_ids".into(), Ints { shape: vec![3, rows.len(), width], values });
        }
        let most = rows.iter().filter_map(|row| row.sight.as_ref()).map(|sight| sight.tiles).max().unwrap_or(0);
        if most > 0 {
            let mut values = vec![0; rows.len() * width * most];
            for (b, (row, left)) in rows.iter().zip(lefts).enumerate() {
                for token in 0..row.ids.len() {
                    let flags = row.sight.as_ref().map_or(&[][..], |sight| sight.row(token));
                    let at = (b * width + left + token) * most;
                    values[at..].iter_mut().zip(flags).for_each(|(value, flag)| *value = i64::from(*flag));
                }
            }
            let pictures = self.pictures.len().div_ceil(rows.len().max(1)).max(1);
            let shape = vec![rows.len(), width, pictures, most / pictures];
            self.ints.insert("cross_attention_mask".into(), Ints { shape, values });
        }
    }

    /// position_ids of rows of ids, which stand at `places` of `width`, from the grids of their pictures, where a model
    /// has them and the inputs do not.
    pub fn find_positions(&mut self, model: &Model, rows: &[(Vec<u32>, Vec<usize>)], width: usize) -> Result<()> {
        let axes = model.spec.decoder.as_ref().and_then(|decoder| decoder.rope.sections);
        if axes.is_none() || self.ints.contains_key("position_ids") {
            return Ok(());
        }
        let merge = model.spec.vision.as_ref().map_or(1, |tower| tower.order.merge.max(1));
        let words = self.ints.get("image_grid_thw").map(|grids| grids.values.clone()).unwrap_or_default();
        let mut grids = words.chunks_exact(3).map(|g| [g[0] as usize, g[1] as usize / merge, g[2] as usize / merge]);
        let (mut sequences, mut lefts) = (Vec::new(), Vec::new());
        for (ids, places) in rows {
            let (mut pictures, mut at) = (Vec::new(), 0);
            while let Some(next) = ids[at..].iter().position(|id| Some(*id) == model.spec.image_token) {
                let grid = grids.next().ok_or_else(|| Error::argument("image_grid_thw", "holds too few pictures"))?;
                pictures.push((at + next, grid));
                at = (at + next + grid.iter().product::<usize>().max(1)).min(ids.len());
            }
            let positions = Some(grid_positions(0, ids.len(), &pictures));
            sequences.push(Sequence { positions, ..Sequence::new(ids.clone(), Vec::new()) });
            lefts.push(places.first().copied().unwrap_or(0));
        }
        self.place(&sequences, &lefts, width);
        Ok(())
    }

    /// Positions on three axes of the tokens of sequence `b`, which stand at `places` of `width`.
    pub fn positions(&self, b: usize, places: &[usize], width: usize) -> Option<Vec<[u32; 3]>> {
        let ints = self.ints.get("position_ids").filter(|ints| ints.shape.len() == 3 && ints.shape[0] == 3)?;
        let at = |axis: usize, place: usize| ints.values.get((axis * ints.shape[1] + b) * width + place).copied();
        let place = |place: &usize| {
            let axes = [at(0, *place), at(1, *place), at(2, *place)];
            axes.map(|axis| axis.and_then(|v| u32::try_from(v).ok()).unwrap_or(u32::MAX))
        };
        Some(places.iter().map(place).collect())
    }

    /// What the tokens of sequence `b`, which stand at `places` of `width`, see of the tiles.
    pub fn sight(&self, b: usize, places: &[usize], width: usize) -> Option<Sight> {
        let ints = self.ints.get("cross_attention_mask").filter(|ints| ints.shape.len() == 4)?;
        let tiles = ints.shape[2] * ints.shape[3];
        let row = |place: &usize| ints.values.iter().skip((b * width + place) * tiles).take(tiles).map(|v| *v != 0);
        Some(Sight { tiles, flags: places.iter().flat_map(row).collect() })
    }

    /// Rows of token ids without padding, and for each the padded places of its tokens.
    pub fn sequences(&self) -> Result<Vec<(Vec<u32>, Vec<usize>)>> {
        let ids = self.ints.get("input_ids").ok_or_else(|| Error::argument("inputs", "hold no input_ids"))?;
        let width = ids.shape.last().copied().unwrap_or(0).max(1);
        let ones = vec![1; ids.values.len()];
        let mask = self.ints.get("attention_mask").map_or(&ones, |m| &m.values);
        let row = |(ids, mask): (&[i64], &[i64])| {
            let kept = || ids.iter().zip(mask).enumerate().filter(|(_, (_, m))| **m != 0);
            (kept().map(|(_, (id, _))| *id as u32).collect(), kept().map(|(i, _)| i).collect())
        };
        Ok(ids.values.chunks(width).zip(mask.chunks(width)).map(row).collect())
    }
}

/// What stands for a picture in the prompts of cases.
const PLACEHOLDER: &str = "<image>";

/// `<TOKEN>*N`, with the letter, stands for as many tokens as the next picture takes rows.
fn expand_counts(prompt: &str, model: &Model, pictures: &mut &[Pixels]) -> Result<String> {
    let mut parts = prompt.split(">*N");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (own, others) = pictures.split_at(pictures.len().min(1));
        let rows = model.sequence(&model.files.image_text, own, false)?.pictures.len();
        *pictures = others;
        text.push_str(&format!(">*{rows}{part}"));
    }
    Ok(text)
}

/// `<TOKEN>*N` stands for N tokens.
fn expand_literals(prompt: &str) -> String {
    let mut text = String::new();
    let mut rest = prompt;
    while let Some(at) = rest.find(">*") {
        let digits: String = rest[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        let open = rest[..at].rfind('<');
        match (open, digits.parse::<usize>()) {
            (Some(open), Ok(count)) if count <= 1 << 20 => {
                text.push_str(&rest[..open]);
                text.push_str(&rest[open..=at].repeat(count));
                rest = &rest[at + 2 + digits.len()..];
            }
            _ => {
                text.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn literals_are_expanded() {
        assert_eq!(super::expand_literals("a <img>*3 b"), "a <img><img><img> b");
        assert_eq!(super::expand_literals("1 >* 2 <x>"), "1 >* 2 <x>");
    }
}
