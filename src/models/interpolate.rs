//! Interpolated position tables as planned gathers: sixteen rows and weights for every new position.

/// Taps of torch's bicubic interpolation (a = -0.75, `align_corners=False`, no antialias) of a grid of
/// `from` (rows, columns) table rows to `to`; the first `prefix` table rows are taken as they are.
///
/// Returns `(index, weight)`, each `[prefix + to.0 * to.1, 16]`.
pub fn bicubic_rows(prefix: usize, from: (usize, usize), to: (usize, usize)) -> (Vec<u32>, Vec<f32>) {
    let (vertical, horizontal) = (taps(from.0, to.0), taps(from.1, to.1));
    let (mut index, mut weight) = same_rows(prefix);
    for down in &vertical {
        for across in &horizontal {
            for (y, wy) in down {
                for (x, wx) in across {
                    index.push((prefix + y * from.1 + x) as u32);
                    weight.push(wy * wx);
                }
            }
        }
    }
    (index, weight)
}

/// Taps that take `rows` table rows as they are.
pub fn same_rows(rows: usize) -> (Vec<u32>, Vec<f32>) {
    let weight = [1.0f32].into_iter().chain([0.0; 15]);
    ((0..rows as u32).flat_map(|row| [row; 16]).collect(), (0..rows).flat_map(|_| weight.clone()).collect())
}

/// Four clamped source positions with weights for every target position of one axis.
fn taps(from: usize, to: usize) -> Vec<[(usize, f32); 4]> {
    let scale = from as f32 / to as f32;
    let one = |i: usize| {
        let source = (i as f32 + 0.5) * scale - 0.5;
        let base = source.floor();
        let weights = cubic(source - base);
        let clamp = |k: i64| (base as i64 - 1 + k).clamp(0, from as i64 - 1) as usize;
        [0, 1, 2, 3].map(|k| (clamp(k), weights[k as usize]))
    };
    (0..to).map(one).collect()
}

/// Weights of the four neighbours at distance `t` behind the second (Keys 1981, a = -0.75).
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_the_same_size_is_the_identity() {
        let (index, weight) = bicubic_rows(1, (5, 4), (7, 3));
        assert_eq!(index.len(), 16 * (1 + 21));
        for row in weight.chunks(16) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert!(index.iter().all(|i| *i < 21));
        let (index, weight) = bicubic_rows(2, (3, 3), (3, 3));
        for (row, (index, weight)) in index.chunks(16).zip(weight.chunks(16)).enumerate() {
            let at: f32 = index.iter().zip(weight).filter(|(i, _)| **i == row as u32).map(|(_, w)| w).sum();
            assert!((at - 1.0).abs() < 1e-6, "row {row}");
        }
    }
}
