//! Dividing work that would not fit one binding: pictures into groups, prompts into parts. Pure functions, used by
//! sessions and by plans alike.

use crate::blocks::Layer;
use crate::models::{Decoder, Positions, Spec, TowerInputs, VisionTower};
use crate::{Caps, DType};
use std::ops::Range;

/// Inputs that the tower takes at once, one group after the other: as many as keep every activation and the pixels
/// within the device's largest binding, at least one.
pub(super) fn groups(spec: &Spec, caps: &Caps, inputs: &TowerInputs, compute: DType) -> Vec<Range<usize>> {
    let Some(tower) = &spec.vision else { return Vec::new() };
    let widest = tower.layers.iter().map(|l| l.qkv.n.max(l.mlp.inner())).max().unwrap_or(1);
    let features = spec.connector.as_ref().map_or(0, |c| c.bridge.widest());
    let width =
        widest.max(features).max(tower.patch.width * spec.connector.as_ref().map_or(1, |c| c.select.layers.len()));
    let cell = compute.size() as u64;
    let work = |(height, across): &(usize, usize)| {
        let rows = tower.tokens((*height, *across)) as u64 * width as u64;
        cell * rows.max((tower.patch.channels * height * across) as u64)
    };
    let (mut groups, mut sum) = (Vec::<Range<usize>>::new(), 0);
    for unit in units(tower, inputs) {
        let mut own: u64 = inputs.sizes[unit.clone()].iter().map(work).sum();
        if let Positions::Tiled(tiled) = &tower.positions {
            // Tiles that a picture does not fill take part, and each tile is filled up with a few rows.
            let rows = tiled.tiles * tiled.tokens.next_multiple_of(8);
            own = own.max(cell.saturating_mul(rows as u64).saturating_mul(width as u64));
        }
        match groups.last_mut().filter(|_| sum + own <= largest(caps)) {
            Some(group) => group.end = unit.end,
            None => {
                groups.push(unit);
                sum = 0;
            }
        }
        sum += own;
    }
    groups
}

/// What has to go through the tower at once: an input; a picture whose tiles see each other.
fn units(tower: &VisionTower, inputs: &TowerInputs) -> Vec<Range<usize>> {
    match tower.positions {
        Positions::Tiled(_) => inputs.pictures(),
        _ => (0..inputs.sizes.len()).map(|i| i..i + 1).collect(),
    }
}

/// Tokens that the decoder can take at once within the device's largest binding.
pub(super) fn prompt_rows(decoder: &Decoder, caps: &Caps, compute: DType, all_logits: bool) -> usize {
    let widest = decoder.layers.iter().map(Layer::widest).max().unwrap_or(1).max(decoder.width);
    let widest = if all_logits { widest.max(decoder.vocab) } else { widest };
    (largest(caps) / (widest * compute.size()).max(1) as u64).max(1) as usize
}

/// Parts in which prompts of these lengths go through the decoder, one after the other: of each part, the tokens of
/// every sequence. As few as keep a part to `fit` tokens, and at most one a token of the shortest sequence.
pub(super) fn prompt_parts(lens: &[usize], fit: usize) -> Vec<Vec<Range<usize>>> {
    let rows = |parts: usize| lens.iter().map(|len| len.div_ceil(parts)).sum::<usize>();
    let most = lens.iter().copied().min().unwrap_or(1).max(1);
    let parts = (1..=most).find(|parts| rows(*parts) <= fit).unwrap_or(most);
    let cut = |len: usize, part: usize| len * part / parts..len * (part + 1) / parts;
    (0..parts).map(|part| lens.iter().map(|len| cut(*len, part)).collect()).collect()
}

fn largest(caps: &Caps) -> u64 {
    caps.max_binding.min(caps.max_buffer)
}

#[cfg(test)]
mod tests {
    use super::prompt_parts;

    #[test]
    fn parts_cover_every_sequence_once_and_fit() {
        for (lens, fit) in
            [(vec![22], 16), (vec![100, 7, 30], 64), (vec![1], 1), (vec![9, 9], 18), (vec![5000, 3], 900)]
        {
            let parts = prompt_parts(&lens, fit);
            for (i, len) in lens.iter().enumerate() {
                let covered: Vec<usize> = parts.iter().flat_map(|part| part[i].clone()).collect();
                assert_eq!(covered, (0..*len).collect::<Vec<_>>());
                assert!(parts.iter().all(|part| !part[i].is_empty()));
            }
            let rows = |part: &Vec<std::ops::Range<usize>>| part.iter().map(ExactSizeIterator::len).sum::<usize>();
            let shortest = lens.iter().min().unwrap();
            assert!(parts.len() == *shortest || parts.iter().all(|part| rows(part) <= fit), "{lens:?} in {fit}");
        }
        assert_eq!(prompt_parts(&[9, 9], 18).len(), 1);
    }
}
