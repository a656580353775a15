//! Einsum: every contraction of two operands is a rearrangement of each and one batched product; more are taken two
//! at a time, from the left.

use super::super::builder::{Builder, Mapped, Stop};
use super::matmul::floats;
use omma::graph::ValueId;
use omma::kernels::{Axis, BatchMatMul, Rearrange, Reduce, ReduceOp, Strides};
use std::collections::BTreeMap;

/// A value and the label of each of its axes.
struct Term {
    value: ValueId,
    labels: Vec<char>,
}

/// Extent of each label.
type Extents = BTreeMap<char, usize>;

/// Labels of the axes that an ellipsis stands for: in private use, the last axis has the largest.
const ELLIPSIS: u32 = 0xe100;

pub fn einsum(b: &mut Builder<'_>) -> Mapped {
    let count = b.case().inputs.len();
    floats(b, &(0..count).collect::<Vec<_>>())?;
    let equation: String = b.text("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let subscripts: Vec<&str> = left.split(',').collect();
    if subscripts.len() != count {
        return Stop::unsupported(format!("{equation} of {count} operands"));
    }
    let (mut terms, mut extents) = (Vec::new(), Extents::new());
    for (i, text) in subscripts.iter().enumerate() {
        let value = b.input(i)?;
        let shape = b.shape(value);
        let labels = labels(text, shape.len())?;
        for (label, extent) in labels.iter().zip(&shape) {
            let known = extents.entry(*label).or_insert(*extent);
            if *known != *extent && *known != 1 && *extent != 1 {
                return Stop::unsupported(format!("{equation}: {label} has {known} and {extent} cells"));
            }
            *known = (*known).max(*extent);
        }
        terms.push(Term { value, labels });
    }
    let wanted = match right {
        Some(text) => {
            let named = text.replace("...", "").len();
            let hidden = extents.keys().filter(|label| **label as u32 >= ELLIPSIS - 64).count();
            labels(text, named + if text.contains("...") { hidden } else { 0 })?
        }
        None => implied(left, &extents),
    };
    let y = contract(b, terms, &wanted, &extents)?;
    Ok(vec![Some(y)])
}

/// The label of every axis of an operand of so many axes.
fn labels(text: &str, rank: usize) -> Result<Vec<char>, Stop> {
    let (before, after) = text.split_once("...").unwrap_or((text, ""));
    let named = before.len() + after.len();
    let fits = if text.contains("...") { named <= rank } else { named == rank };
    if !fits || !(before.to_owned() + after).chars().all(|c| c.is_ascii_alphabetic()) {
        return Stop::unsupported(format!("the subscripts {text} of {rank} axes"));
    }
    let hidden = (rank - named) as u32;
    let middle = (0..hidden).filter_map(|i| char::from_u32(ELLIPSIS - hidden + i));
    Ok(before.chars().chain(middle).chain(after.chars()).collect())
}

/// Labels of the result where the equation does not say: the ellipsis, then those that occur once, in order.
fn implied(left: &str, extents: &Extents) -> Vec<char> {
    let hidden = extents.keys().copied().filter(|c| !c.is_ascii());
    let once = extents.keys().copied().filter(|c| left.matches(*c).count() == 1);
    hidden.chain(once).collect()
}

fn contract(b: &mut Builder<'_>, terms: Vec<Term>, wanted: &[char], extents: &Extents) -> Result<ValueId, Stop> {
    let mut rest = terms.into_iter().peekable();
    let Some(mut sum) = rest.next() else {
        return Stop::unsupported("no operands");
    };
    while let Some(next) = rest.next() {
        let mut needed = wanted.to_vec();
        if let Some(later) = rest.peek() {
            // Of the operands to come at least the next is looked at; those behind it keep every label.
            needed.extend(&later.labels);
            needed.extend(extents.keys());
        }
        sum = pair(b, sum, next, &needed, extents)?;
    }
    let kept: Vec<char> = wanted.iter().copied().filter(|c| sum.labels.contains(c)).collect();
    let sum = summed(b, sum, &kept, extents)?;
    ordered(b, &sum, wanted, extents)
}

/// A copy of a term with its axes in the order `labels`; a label that it has twice is its diagonal, and one that it
/// does not have, or has one cell of, repeats.
fn ordered(b: &mut Builder<'_>, term: &Term, labels: &[char], extents: &Extents) -> Result<ValueId, Stop> {
    let all = Rearrange::all(&b.shape(term.value)).axes;
    let axis = |label: &char| {
        let own = term.labels.iter().zip(&all).filter(|(l, axis)| *l == label && axis.extent > 1);
        Axis { extent: extents.get(label).copied().unwrap_or(1), stride: own.map(|(_, axis)| axis.stride).sum() }
    };
    let axes: Vec<Axis> = labels.iter().map(axis).collect();
    let shape = axes.iter().map(|a| a.extent).collect();
    b.add(Rearrange { base: 0, axes, shape }, &[term.value])
}

/// The term summed over every label that is not kept.
fn summed(b: &mut Builder<'_>, term: Term, kept: &[char], extents: &Extents) -> Result<Term, Stop> {
    let mut labels: Vec<char> = Vec::new();
    for label in kept.iter().chain(&term.labels) {
        if term.labels.contains(label) && !labels.contains(label) {
            labels.push(*label);
        }
    }
    let mut value = ordered(b, &term, &labels, extents)?;
    while let Some(last) = labels.last().filter(|label| !kept.contains(label)) {
        debug_assert!(term.labels.contains(last));
        labels.pop();
        value = b.add(Reduce { op: ReduceOp::Sum, axis: labels.len() }, &[value])?;
    }
    Ok(Term { value, labels })
}

/// The product of two terms, summed over what both have and nothing needs.
fn pair(b: &mut Builder<'_>, x: Term, w: Term, needed: &[char], extents: &Extents) -> Result<Term, Stop> {
    let needed_by = |other: &Term, own: &Term| -> Vec<char> {
        own.labels.iter().copied().filter(|c| needed.contains(c) || other.labels.contains(c)).collect()
    };
    let (x_kept, w_kept) = (needed_by(&w, &x), needed_by(&x, &w));
    let (x, w) = (summed(b, x, &x_kept, extents)?, summed(b, w, &w_kept, extents)?);
    let both = |c: &&char| w.labels.contains(c);
    let batch: Vec<char> = x.labels.iter().filter(both).filter(|c| needed.contains(c)).copied().collect();
    let inner: Vec<char> = x.labels.iter().filter(both).filter(|c| !needed.contains(c)).copied().collect();
    let rows: Vec<char> = x.labels.iter().filter(|c| !both(c)).copied().collect();
    let cols: Vec<char> = w.labels.iter().filter(|c| !x.labels.contains(c)).copied().collect();
    let count = |labels: &[char]| labels.iter().map(|c| extents[c]).product::<usize>();
    let (m, n, k) = (count(&rows), count(&cols), count(&inner));
    let first = ordered(b, &x, &[&batch[..], &rows, &inner].concat(), extents)?;
    let second = ordered(b, &w, &[&batch[..], &cols, &inner].concat(), extents)?;
    let labels = [batch.clone(), rows, cols].concat();
    let kernel = BatchMatMul {
        batch: vec![count(&batch)],
        rows: m,
        cols: n,
        inner: k,
        x: Strides { batch: vec![m * k], outer: k, inner: 1 },
        w: Strides { batch: vec![n * k], outer: k, inner: 1 },
        residual: None,
        alpha: 1.0,
        beta: 0.0,
        shape: labels.iter().map(|c| extents[c]).collect(),
    };
    let value = b.add(kernel, &[first, second])?;
    Ok(Term { value, labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscripts_name_every_axis() {
        assert_eq!(labels("ij", 2).unwrap(), ['i', 'j']);
        let dots = labels("...ij", 4).unwrap();
        assert_eq!(dots[2..], ['i', 'j']);
        // Ellipses of different length are aligned at their last axes.
        assert_eq!(labels("...i", 2).unwrap()[0], dots[1]);
        assert!(labels("ij", 3).is_err());
        assert!(labels("i1", 2).is_err());
        let extents: Extents = [('i', 2), ('j', 3), (dots[1], 4)].into();
        assert_eq!(implied("...ij,j", &extents), [dots[1], 'i']);
    }
}
