//! Choosing the next token and moving on. Ids are integers that the kernels must hit exactly.
//!
//! Sampling is defined in integers, here in u64 and u128 with a sort, in the shader in words without one.

use super::{Array, Cell, F32_EPS};

/// An integer that the kernel must hit.
fn exact(value: f64) -> Cell {
    Cell { want: value, bound: 0.0 }
}

/// Index of the largest value, the lowest of equal ones.
fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let (mut best, mut largest) = (0, f64::NEG_INFINITY);
    for (i, v) in values.enumerate() {
        if v > largest {
            (best, largest) = (i, v);
        }
    }
    best
}

/// Logits after the repetition penalty: one f32 product for a token that was seen.
fn penalized(logits: &[f64], seen: &[f64], words: &[u32]) -> Vec<f64> {
    let (penalty, inverse) = (f32::from_bits(words[4]), f32::from_bits(words[5]));
    let value = |(i, l): (usize, &f64)| {
        let l = *l as f32;
        let hit = seen[i / 32] as u32 >> (i % 32) & 1 == 1;
        f64::from(if !hit {
            l
        } else if l > 0.0 {
            l * inverse
        } else {
            l * penalty
        })
    };
    logits.iter().enumerate().map(value).collect()
}

/// 2^(31 - z / 2^16) for z below 31 octaves, in integers: `1 - f (c1 - f (c2 - f (c3 - f (c4 - f c5))))` is 2^-f
/// on \[0, 1) within 1e-7.
fn weight(z: u64) -> u64 {
    const C: [u64; 5] = [2_977_029_614, 1_031_565_859, 237_500_345, 39_538_601, 4_058_330];
    let f = (z % 65536) << 16;
    let series = C.iter().rev().fold(0, |r, c| c - ((f * r) >> 32));
    ((1 << 31) - (((f * series) >> 32) >> 1)) >> (z >> 16)
}

/// Philox 4x32-10 (Salmon et al. 2011).
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let a = u64::from(c[0]) * 0xd251_1f53;
        let b = u64::from(c[2]) * 0xcd9e_8d57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
    }
    c
}

/// `floor(mass * share / 2^32)`
fn part(mass: u64, share: u32) -> u64 {
    ((u128::from(mass) * u128::from(share)) >> 32) as u64
}

/// Place, in tokens sorted by z, at which the running mass reaches `goal`.
fn reach(tokens: &[(u64, usize)], goal: u64) -> usize {
    let mut running = 0;
    for (place, (z, _)) in tokens.iter().enumerate() {
        running += weight(*z);
        if running >= goal {
            return place;
        }
    }
    tokens.len() - 1
}

/// The token of one row.
fn choose(logits: &[f64], seen: &[f64], words: &[u32], step: u32) -> usize {
    let values = penalized(logits, seen, words);
    let best = first_largest(values.iter().copied());
    let scale = u64::from(words[0]);
    if scale == 0 {
        return best;
    }
    let steps = |v: f64| (v.clamp(-32767.0, 32767.0) * 65536.0).trunc() as i64;
    let top = steps(values[best]);
    let depth = |v: &f64| ((top - steps(*v)) as u64 * scale) >> 20;
    let mut tokens: Vec<(u64, usize)> = values.iter().map(depth).zip(0..).filter(|(z, _)| *z < 31 << 16).collect();
    tokens.sort_unstable();
    let keep = |tokens: &mut Vec<(u64, usize)>, limit: u64| tokens.retain(|(z, _)| *z <= limit);
    if words[1] != 0 {
        let limit = tokens[tokens.len().min(words[1] as usize) - 1].0;
        keep(&mut tokens, limit);
    }
    let mass = |tokens: &[(u64, usize)]| tokens.iter().map(|(z, _)| weight(*z)).sum::<u64>();
    if words[2] != 0 {
        let limit = tokens[reach(&tokens, part(mass(&tokens), words[2]))].0;
        keep(&mut tokens, limit);
    }
    keep(&mut tokens, u64::from(words[3]));
    let random = philox([step, 0, 0, 0], [words[6], words[7]])[0];
    tokens[reach(&tokens, part(mass(&tokens), random) + 1)].1
}

fn choices(logits: &Array, seen: &Array, settings: &Array, steps: &Array) -> Vec<usize> {
    let row = |r: usize| {
        let words: Vec<u32> = settings.row(r).iter().map(|w| *w as u32).collect();
        choose(logits.row(r), seen.row(r), &words, steps.data[r] as u32)
    };
    (0..logits.rows()).map(row).collect()
}

/// The token of every row: best, or drawn among those that penalty, temperature, top-k, top-p and min-p leave.
pub fn sample_ids(logits: &Array, seen: &Array, settings: &Array, steps: &Array) -> Vec<Cell> {
    choices(logits, seen, settings, steps).into_iter().map(|id| exact(id as f64)).collect()
}

/// `log softmax(logits)[id]` of the chosen token of every row, under the raw logits.
///
/// Bound: the difference to the maximum rounds once, `exp(d)` is off by 3 + 2 |d| ulp (WGSL), and that relative
/// to the terms' sum. At least 64 lanes add `n / 64` terms each and a tree adds the rest: one rounding a level.
/// The logarithm turns the sum's relative error into an absolute one and adds 2^-21 or 3 ulp (WGSL). The
/// differences around it round once each.
pub fn sample_logprob(logits: &Array, seen: &Array, settings: &Array, steps: &Array) -> Vec<Cell> {
    let cell = |(r, id): (usize, usize)| {
        let values = logits.row(r);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut wrong) = (0.0, 0.0);
        for v in values {
            let d = v - highest;
            sum += d.exp();
            wrong += d.exp() * (2.0 * (3.0 + 2.0 * d.abs()) + d.abs()) * F32_EPS + f64::from(f32::MIN_POSITIVE);
        }
        let adding = (values.len() as f64 / 64.0 + 16.0) * F32_EPS;
        let log = sum.ln();
        let logarithm = f64::powi(2.0, -21).max(6.0 * F32_EPS * log.abs());
        let want = values[id] - highest - log;
        let outside = 2.0 * F32_EPS * ((values[id] - highest).abs() + want.abs());
        Cell { want, bound: wrong / sum + adding + logarithm + outside }
    };
    choices(logits, seen, settings, steps).into_iter().enumerate().map(cell).collect()
}

/// Row `row` of one of the states after a step; `inputs` are the ids and the seven old states.
pub fn advance(inputs: &[Array], max_len: usize, output: usize, row: usize) -> Vec<Cell> {
    let [ids, _, positions, lens, slots, steps, seen, history] = inputs else { return Vec::new() };
    let nowhere = f64::from(u32::MAX);
    let wrapped = |v: f64| if v == nowhere { 0.0 } else { v + 1.0 };
    let each = |next: &dyn Fn(usize) -> f64| (0..ids.data.len()).map(|r| exact(next(r))).collect();
    let room = |r: usize| lens.data[r] < max_len as f64;
    let grown = |state: &Array, r: usize| if room(r) { wrapped(state.data[r]) } else { state.data[r] };
    match output {
        0 => each(&|r| ids.data[r]),
        1 => each(&|r| grown(positions, r)),
        2 => each(&|r| grown(lens, r)),
        3 => each(&|r| if room(r) && slots.data[r] != nowhere { slots.data[r] + 1.0 } else { nowhere }),
        4 => each(&|r| wrapped(steps.data[r])),
        5 => {
            let mut words: Vec<u32> = seen.row(row).iter().map(|w| *w as u32).collect();
            if let Some(word) = words.get_mut(ids.data[row] as usize / 32) {
                *word |= 1 << (ids.data[row] as usize % 32);
            }
            words.into_iter().map(|w| exact(f64::from(w))).collect()
        }
        _ => {
            let mut list = history.row(row).to_vec();
            if let Some(place) = list.get_mut(steps.data[row] as usize) {
                *place = ids.data[row];
            }
            list.into_iter().map(exact).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_powers_of_two() {
        for z in (0..31 << 16).step_by(37) {
            let want = f64::exp2(31.0 - z as f64 / 65536.0);
            let got = weight(z) as f64;
            // Below 2^24 the shift's truncation is what is left.
            assert!((got - want).abs() <= want * 1e-7 + 1.0, "{z}: {got} {want}");
        }
        assert_eq!((weight(0), weight((31 << 16) - 1)), (1 << 31, 1));
    }

    #[test]
    fn philox_gives_the_published_words() {
        // Known answers of Random123's kat_vectors.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = [0xffff_ffff; 4];
        assert_eq!(philox(ones, [0xffff_ffff; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn drawn_tokens_follow_the_softmax() {
        let logits: Vec<f64> = [1.0f32, 0.0, -1.0, 2.0, 0.5].iter().map(|v| f64::from(*v)).collect();
        let settings = crate::kernels::SampleSettings { temperature: 0.8, seed: 7, ..Default::default() };
        let words = settings.words().unwrap();
        let mut counts = [0.0; 5];
        let draws = 20_000;
        for step in 0..draws {
            counts[choose(&logits, &[0.0], &words, step)] += 1.0;
        }
        let total: f64 = logits.iter().map(|l| (l / 0.8).exp()).sum();
        for (count, l) in counts.iter().zip(&logits) {
            let p = (l / 0.8).exp() / total;
            let sigma = (p * (1.0 - p) / f64::from(draws)).sqrt();
            assert!((count / f64::from(draws) - p).abs() < 4.0 * sigma, "{count} of {draws}, p {p}");
        }
    }

    #[test]
    fn cuts_keep_what_transformers_keeps() {
        use crate::kernels::SampleSettings;
        // Probabilities 0.5, 0.25, 0.125, 0.125 in the order of indices 3, 1, 0, 2.
        let ln2 = std::f64::consts::LN_2;
        let logits = [-2.0 * ln2, -ln2, -2.0 * ln2, 0.0].map(|v| f64::from(v as f32));
        let warm = || SampleSettings { temperature: 1.0, ..Default::default() };
        let kept = |settings: SampleSettings| {
            let words = settings.words().unwrap();
            let mut kept: Vec<usize> = (0..400).map(|step| choose(&logits, &[0.0], &words, step)).collect();
            kept.sort_unstable();
            kept.dedup();
            kept
        };
        assert_eq!(kept(warm()), [0, 1, 2, 3]);
        assert_eq!(kept(SampleSettings { top_k: 2, ..warm() }), [1, 3]);
        assert_eq!(kept(SampleSettings { top_k: 3, ..warm() }), [0, 1, 2, 3], "ties at the cut stay");
        assert_eq!(kept(SampleSettings { top_p: 0.49, ..warm() }), [3]);
        assert_eq!(kept(SampleSettings { top_p: 0.6, ..warm() }), [1, 3]);
        assert_eq!(kept(SampleSettings { min_p: 0.4, ..warm() }), [1, 3]);
        assert_eq!(kept(SampleSettings { top_k: 2, top_p: 0.6, ..warm() }), [3], "mass is counted after top_k");
        assert_eq!(kept(SampleSettings { temperature: 1e-6, ..warm() }), [3]);
    }
}
