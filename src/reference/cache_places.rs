//! CachePlaces of new rows in caches.

use super::{Array, Cell};
use crate::kernels::CachePlaces;

/// Row `row` of output `output` of [`CachePlaces`]: integers, exact.
pub fn cache_places(spec: &CachePlaces, lens: &Array, output: usize, row: usize) -> Vec<Cell> {
    let exact = |want: i64| Cell { want: want as f64, bound: 0.0 };
    // A negative length is a large one to a kernel that reads words.
    let length = |s: usize| if lens.data[s] < 0.0 { 1 << 29 } else { (lens.data[s] as i64).min(1 << 29) };
    let end = |s: usize| length(s) + i64::from(spec.plus);
    let (queries, rows) = (spec.queries as i64, spec.rows as i64);
    let place = |s: usize, i: i64| end(s) - queries + i;
    match output {
        0 => {
            let s = row as i64;
            let spans = [s * spec.q_step as i64, queries, s * spec.heads as i64 * rows, end(row).clamp(0, rows)];
            spans.map(exact).to_vec()
        }
        1 => (0..queries).map(|i| exact(place(row, i).max(0))).collect(),
        _ => {
            let slot = |i: i64| {
                let p = place(row / spec.heads, i);
                let p = if spec.wrap && p >= 0 { p % rows } else { p };
                if (0..rows).contains(&p) { row as i64 * rows + p } else { i64::from(u32::MAX) }
            };
            (0..queries).map(|i| exact(slot(i))).collect()
        }
    }
}
