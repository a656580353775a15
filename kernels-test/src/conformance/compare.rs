//! Comparing what the device computed with the expected values of a pack.

use super::pack::Expect;

/// The worst cell of a case.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Worst {
    /// `|got - expected|`; infinite where one of them is not finite and they differ.
    pub abs: f64,
    /// `abs / |expected|`, or `abs` where 0 is expected.
    pub rel: f64,
    /// Flat row-major position.
    pub index: usize,
}

/// Values of one output as they came back: integers exactly, everything else as f64.
#[derive(Debug, Clone, PartialEq)]
pub enum Got {
    /// Floats, the small ones decoded.
    Floats(Vec<f64>),
    /// Integers and booleans.
    Ints(Vec<i128>),
}

impl Got {
    /// Number of values.
    pub fn count(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }
    /// The values as f64.
    pub fn floats(&self) -> Vec<f64> {
        match self {
            Self::Floats(values) => values.clone(),
            Self::Ints(values) => values.iter().map(|v| *v as f64).collect(),
        }
    }
}

/// Verdict on one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Cell with the largest error over its tolerance; `None` for an output without cells.
    pub worst: Option<Worst>,
    /// Error of that cell over its tolerance; at most 1 passes.
    pub excess: f64,
    /// What failed, or `None`.
    pub failure: Option<String>,
}

/// Error of a cell, and its share of the tolerance.
fn cell(got: f64, want: f64, abs: f64, rel: f64) -> (f64, f64) {
    if got == want || (got.is_nan() && want.is_nan()) {
        return (0.0, 0.0);
    }
    let error = (got - want).abs();
    if !error.is_finite() {
        return (f64::INFINITY, f64::INFINITY);
    }
    let allowed = abs + rel * want.abs();
    (error, if error <= allowed { error / allowed } else { (error / allowed).max(1.0 + f64::EPSILON) })
}

/// Compares an output of `shape` with its expected values.
pub fn compare(expect: &Expect, shape: &[usize], got: &Got) -> Verdict {
    let failed = |reason: String| Verdict { worst: None, excess: f64::INFINITY, failure: Some(reason) };
    if shape != expect.shape {
        return failed(format!("{}: the shape is {shape:?}, expected {:?}", expect.name, expect.shape));
    }
    let cells = expect.shape.iter().product::<usize>();
    if got.count() != cells {
        return failed(format!("{}: {} values for {cells} cells", expect.name, got.count()));
    }
    let mut verdict = Verdict { worst: None, excess: 0.0, failure: None };
    for (i, bits) in expect.values.bits.iter().enumerate() {
        let at = expect.sample.as_ref().map_or(i, |s| s[i]);
        let (got, want, same) = match got {
            Got::Floats(values) => (values[at], expect.values.dtype.value(*bits), false),
            Got::Ints(values) => {
                let want = expect.values.dtype.integer(*bits);
                (values[at] as f64, want as f64, values[at] == want)
            }
        };
        // 64-bit integers that differ may be one f64.
        let (error, excess) = match (same, cell(got, want, expect.abs, expect.rel)) {
            (true, _) => (0.0, 0.0),
            (false, (0.0, _)) if expect.dtype.is_wide() => (1.0, f64::INFINITY),
            (false, measured) => measured,
        };
        if excess > verdict.excess || verdict.worst.is_none() {
            let rel = if want == 0.0 || error == 0.0 { error } else { error / want.abs() };
            verdict.worst = Some(Worst { abs: error, rel, index: at });
            verdict.excess = excess;
            if excess > 1.0 {
                let tolerance = expect.abs + expect.rel * want.abs();
                let name = &expect.name;
                verdict.failure = Some(format!("{name}[{at}] is {got:e}, expected {want:e} +- {tolerance:e}"));
            }
        }
    }
    if verdict.failure.is_none() {
        verdict.failure = bad_sum(expect, got);
    }
    verdict
}

/// Sums over runs of elements: what a sample leaves out.
fn bad_sum(expect: &Expect, got: &Got) -> Option<String> {
    let (block, sums, tolerance) = expect.sums.as_ref()?;
    let values = got.floats();
    for (i, (run, want)) in values.chunks(*block).zip(sums).enumerate() {
        let sum = run.iter().sum::<f64>();
        let close = (sum - want).abs() <= *tolerance || sum == *want || (sum.is_nan() && want.is_nan());
        if !close {
            let range = (i * block, i * block + run.len());
            return Some(format!(
                "{}[{}..{}] sums up to {sum:e}, expected {want:e} +- {tolerance:e}",
                expect.name, range.0, range.1
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::dtype::Logical;
    use super::super::tensor::Tensor;
    use super::*;

    fn expect(values: &[f32], abs: f64, rel: f64) -> Expect {
        let bits = values.iter().map(|v| u64::from(v.to_bits())).collect();
        let shape = vec![values.len()];
        let values = Tensor { dtype: Logical::F32, shape: shape.clone(), bits };
        Expect { name: "y".into(), dtype: Logical::F32, shape, values, sample: None, sums: None, abs, rel }
    }

    fn verdict(expect: &Expect, got: &[f64]) -> Verdict {
        compare(expect, &[got.len()], &Got::Floats(got.to_vec()))
    }

    #[test]
    fn the_tolerance_is_absolute_plus_relative() {
        let want = expect(&[100.0, 1.0], 0.5, 0.01);
        assert!(verdict(&want, &[101.5, 1.25]).failure.is_none());
        let bad = verdict(&want, &[101.5, 1.75]);
        assert!(bad.failure.as_ref().is_some_and(|f| f.starts_with("y[1] is 1.75e0")), "{bad:?}");
        assert_eq!(bad.worst, Some(Worst { abs: 0.75, rel: 0.75, index: 1 }));
        assert!(verdict(&expect(&[1.0], 0.0, 0.0), &[1.0]).failure.is_none());
        assert!(verdict(&expect(&[1.0], 0.0, 0.0), &[1.0 + 1e-7]).failure.is_some());
    }

    #[test]
    fn what_is_not_finite_matches_itself_only() {
        let inf = f32::INFINITY;
        let want = expect(&[inf, -inf, f32::NAN, 1.0], 1e9, 1e9);
        let good = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0];
        assert!(verdict(&want, &good).failure.is_none());
        for (i, wrong) in
            [(0, 3e38), (0, f64::NEG_INFINITY), (1, f64::NAN), (2, 0.0), (3, f64::NAN), (3, f64::INFINITY)]
        {
            let mut got = good;
            got[i] = wrong;
            assert!(verdict(&want, &got).failure.is_some(), "{i} {wrong}");
        }
    }

    #[test]
    fn a_sample_names_flat_positions_and_sums_cover_the_rest() {
        let mut want = expect(&[3.0, 1.0], 0.1, 0.0);
        (want.shape, want.sample) = (vec![5], Some(vec![3, 1]));
        want.sums = Some((2, vec![1.0, 5.0, 4.0], 0.01));
        assert!(verdict(&want, &[0.0, 1.0, 2.0, 3.0, 4.0]).failure.is_none());
        assert!(verdict(&want, &[0.0, 1.0, 2.0, 9.0, 4.0]).failure.is_some_and(|f| f.starts_with("y[3]")));
        let bad = verdict(&want, &[0.0, 1.0, 2.0, 3.0, 5.0]).failure;
        assert!(bad.as_ref().is_some_and(|f| f.starts_with("y[4..5] sums")), "{bad:?}");
    }

    #[test]
    fn integers_are_exact_beyond_f64() {
        let values = Tensor { dtype: Logical::I64, shape: vec![1], bits: vec![(1 << 53) + 1] };
        let want = Expect { dtype: Logical::I64, values, ..expect(&[0.0], 0.0, 0.0) };
        assert!(compare(&want, &[1], &Got::Ints(vec![(1 << 53) + 1])).failure.is_none());
        assert!(compare(&want, &[1], &Got::Ints(vec![1 << 53])).failure.is_some());
    }

    #[test]
    fn shapes_have_to_be_equal() {
        let want = expect(&[1.0, 2.0], 1.0, 1.0);
        assert!(compare(&want, &[1, 2], &Got::Floats(vec![1.0, 2.0])).failure.is_some());
    }
}
