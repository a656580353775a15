//! Batches of pictures of Idefics 2 and 3: \[prompts, most inputs, 3, most rows, most columns\], smaller inputs filled with
//! zeros below and at their right, and pixel_attention_mask that says where pictures are.

use super::inputs::{Inputs, Ints};
use super::pixels::{Planes, wrong};
use omma::Result;
use omma::generate::Pixels;
use omma::models::TowerInputs;

/// The planes as they are stored, inputs of zeros aside, with the part of each that is picture.
pub fn stored(inputs: &Inputs, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let [batch, most, channels, height, width] = shape[..] else { return Err(wrong(shape, "five axes belong there")) };
    let ones = vec![1; batch * most * height * width];
    let mask = inputs.ints.get("pixel_attention_mask").map_or(&ones, |ints| &ints.values);
    let (each, area) = (channels * height * width, height * width);
    if mask.len() != ones.len() || each == 0 {
        return Err(wrong(shape, &format!("its mask has {} values", mask.len())));
    }
    let (mut all, mut tower, mut filled) = (Vec::new(), TowerInputs::default(), Vec::new());
    for (planes, mask) in values.chunks_exact(each).zip(mask.chunks_exact(area)) {
        if planes.iter().all(|v| *v == 0.0) {
            continue;
        }
        let rows = mask.iter().step_by(width).filter(|m| **m != 0).count();
        let columns = mask[..width].iter().filter(|m| **m != 0).count();
        all.extend_from_slice(planes);
        tower.sizes.push((height, width));
        filled.push((rows, columns));
    }
    tower.filled = (filled != tower.sizes).then_some(filled);
    Ok(Planes { values: all, inputs: tower })
}

/// The same inputs without their padding.
pub fn ragged(padded: &Planes, channels: usize) -> Planes {
    let (mut values, mut from) = (Vec::new(), 0);
    for (size, part) in padded.inputs.sizes.iter().zip(padded.inputs.pictured()) {
        for plane in padded.values[from..from + channels * size.0 * size.1].chunks_exact(size.0 * size.1) {
            plane.chunks_exact(size.1).take(part.0).for_each(|line| values.extend_from_slice(&line[..part.1]));
        }
        from += channels * size.0 * size.1;
    }
    Planes { values, inputs: TowerInputs { sizes: padded.inputs.pictured().to_vec(), ..TowerInputs::default() } }
}

/// Planes -> pixel_values and pixel_attention_mask; `counts` are the pictures of every prompt.
pub fn made(counts: &[usize], pictures: &[Pixels], planes: &[f32], inputs: &mut Inputs) {
    let mut rest = pictures;
    let mut prompts: Vec<Vec<(usize, usize)>> = Vec::new();
    for (i, count) in counts.iter().enumerate() {
        let last = i + 1 == counts.len();
        let (own, others) = rest.split_at(if last { rest.len() } else { (*count).min(rest.len()) });
        let sizes = own.iter().flat_map(|p| &p.inputs).map(|input| (input.size().1 as usize, input.size().0 as usize));
        prompts.push(sizes.collect());
        rest = others;
    }
    let most = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let (height, width) = prompts.iter().flatten().fold((0, 0), |m: (usize, usize), s| (m.0.max(s.0), m.1.max(s.1)));
    let (mut values, mut mask, mut from) = (Vec::new(), Vec::new(), 0);
    for sizes in &prompts {
        for (rows, columns) in sizes {
            for _ in 0..3 {
                for line in planes[from..from + rows * columns].chunks_exact(*columns) {
                    values.extend_from_slice(line);
                    values.resize(values.len() + width - columns, 0.0);
                }
                values.resize(values.len() + (height - rows) * width, 0.0);
                from += rows * columns;
            }
            mask.extend((0..height * width).map(|i| i64::from(i / width < *rows && i % width < *columns)));
        }
        let missing = most - sizes.len();
        values.resize(values.len() + missing * 3 * height * width, 0.0);
        mask.resize(mask.len() + missing * height * width, 0);
    }
    let shape = [prompts.len(), most];
    let mask = Ints { shape: [&shape[..], &[height, width]].concat(), values: mask };
    inputs.floats.insert("pixel_values".into(), ([&shape[..], &[3, height, width]].concat(), values));
    inputs.ints.insert("pixel_attention_mask".into(), mask);
}
