//! attention_merge: splits of equal and of very different peaks, empty ones, and nothing but empty ones.

use crate::case::{Case, Fill, Input};
use omma::DType;
use omma::kernels::{AttentionMerge, TensorType};

/// What a split without keys holds as its peak.
const LOWEST: f64 = -1e38;

fn case(batch: usize, merge: AttentionMerge, peak: impl Fn(usize) -> f64) -> Case {
    let (rows, dim) = (batch * merge.heads * merge.splits, merge.head_dim);
    let mut values = Vec::new();
    for row in 0..rows {
        let peak = peak(row);
        let seen = f64::from(u8::from(peak > LOWEST));
        values.extend((0..dim).map(|d| seen * (((row * 31 + d * 17) % 201) as f64 / 10.0 - 10.0)));
        values.extend([peak, seen * (1.0 + (row % 90) as f64)]);
    }
    let name = format!("{batch}x{}x{dim} splits {} {}", merge.heads, merge.splits, merge.dtype);
    Case::new(name, merge, vec![Input::new(TensorType::f32(&[rows, dim + 2]), Fill::Values(values))])
}

pub fn cases() -> Vec<Case> {
    let merge = |heads, head_dim, splits| AttentionMerge { heads, head_dim, splits, dtype: DType::F32 };
    let near = |row: usize| (row % 7) as f64 - 3.5;
    let far = |row: usize| (row % 5) as f64 * 3000.0 - 7000.0;
    let gaps = |row: usize| if row % 3 == 1 || row < 4 { LOWEST } else { (row % 11) as f64 };
    vec![
        case(1, merge(1, 1, 1), near),
        case(2, merge(3, 64, 5), near),
        case(1, merge(4, 128, 8), far),
        case(3, merge(2, 72, 4), gaps),
        case(1, merge(2, 20, 2), |_| LOWEST),
        case(2, AttentionMerge { dtype: DType::F16, ..merge(2, 96, 3) }, near),
        case(33_000, merge(2, 2, 2), gaps),
        case(1, merge(32, 128, 16), near).bench(),
    ]
}
