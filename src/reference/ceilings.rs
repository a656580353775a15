//! The chains of the FMA ceiling.

use super::{Array, Cell, F32_EPS};

/// Eight chains `c <- c * factor + addend` from `x + 0 .. x + 7`, each in four equal components; their sum.
///
/// Bound: a chain contracts by `factor` < 1, so each rounding fades: at most `1 / (1 - factor)` half ulps of the
/// largest value of a chain; the sum of 32 terms adds as many roundings again.
pub fn fma_chain(x: &Array, rounds: u32, factor: f64, addend: f64, row: usize) -> Vec<Cell> {
    let cell = |v: &f64| {
        let (mut want, mut size) = (0.0, 0.0);
        for chain in 0..8 {
            let mut c = v + f64::from(chain);
            size += 4.0 * (c.abs() + 1.0);
            for _ in 0..rounds {
                c = c * factor + addend;
            }
            want += 4.0 * c;
        }
        Cell { want, bound: size * F32_EPS * (1.0 / (1.0 - factor) + 32.0) }
    };
    x.row(row).iter().map(cell).collect()
}
