//! From the features of all inputs to the rows that a decoder takes for its pictures: a gather by a planned list.

use super::assemble::names;
use super::inputs::{TowerInputs, places};
use super::spec::Spec;
use crate::blocks::{gather, splice};
use crate::graph::{Graph, ValueId};
use crate::image::Sampling;
use crate::image::tiles::{FeatureMap, Mark, Of, Segment, TilePlan};
use crate::kernels::{InterpolateRows, TensorType};
use crate::{DType, Error, Result};
use std::ops::Range;

/// Taps of a feature that is made of several: two along each axis.
const TAPS: usize = 4;

/// Where one row of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    /// A feature row.
    Row(usize),
    /// A weighted sum of feature rows.
    Blend([(usize, f32); TAPS]),
    /// A learned vector, by its place in [`Spec::vectors`].
    Vector(usize),
}

/// The rows that stand for all pictures of a request, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembly {
    features: usize,
    sources: Vec<Source>,
}

impl Assembly {
    /// Plans the rows of these inputs.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a learned vector that the model lacks and for a plan whose counts are not those of
    /// the model's connector.
    pub fn new(spec: &Spec, inputs: &TowerInputs) -> Result<Self> {
        let counts = inputs.features(spec)?;
        let mut rows = Vec::new();
        for count in &counts {
            let start = rows.last().map_or(0, |r: &Range<usize>| r.end);
            rows.push(start..start + count);
        }
        let features = rows.last().map_or(0, |r| r.end);
        let mut own = Self { features, sources: Vec::new() };
        if inputs.plans.is_empty() {
            own.sources.extend((0..features).map(Source::Row));
        }
        for (plan, range) in inputs.plans.iter().zip(inputs.pictures()) {
            let rows = rows.get(range).ok_or_else(|| Error::graph("features", "the plans have more inputs"))?;
            plan.order.iter().try_for_each(|segment| own.segment(spec, plan, rows, segment))?;
        }
        Ok(own)
    }
    /// Feature rows that go in.
    pub fn features(&self) -> usize {
        self.features
    }
    /// Rows that come out.
    pub fn rows(&self) -> usize {
        self.sources.len()
    }
    /// All features in their order and nothing else.
    pub fn is_identity(&self) -> bool {
        self.sources.len() == self.features && self.sources.iter().enumerate().all(|(i, s)| *s == Source::Row(i))
    }

    fn segment(&mut self, spec: &Spec, plan: &TilePlan, rows: &[Range<usize>], segment: &Segment) -> Result<()> {
        let (tiles, overview) = places(plan);
        let (input, tokens) = match segment {
            Segment::Overview { tokens } => (overview, *tokens),
            Segment::Tile { index, tokens } => (tiles.start + index, *tokens),
            Segment::Map(map) => return self.map(spec, plan, rows, map),
            Segment::Mark(mark) => return self.mark(spec, mark),
        };
        let rows = rows.get(input).filter(|rows| rows.len() as u64 == tokens).ok_or_else(|| {
            let reason = format!("the policy {} plans {tokens} features for an input", plan.policy.name());
            Error::unsupported("this tiling with this model", reason)
        })?;
        self.sources.extend(rows.clone().map(Source::Row));
        Ok(())
    }

    fn mark(&mut self, spec: &Spec, mark: &Mark) -> Result<()> {
        if mark.learned {
            let place = spec.vectors.iter().position(|(name, _)| *name == mark.name);
            let place = place.ok_or_else(|| {
                let reason = format!("it puts the learned vector `{}` between features; the model has none", mark.name);
                Error::unsupported("this tiling with this model", reason)
            })?;
            self.sources.push(Source::Vector(place));
        }
        Ok(())
    }

    fn map(&mut self, spec: &Spec, plan: &TilePlan, rows: &[Range<usize>], map: &FeatureMap) -> Result<()> {
        let (tiles, overview) = places(plan);
        let (grid, inputs) = match map.of {
            Of::Overview => ((1, 1), overview..overview + 1),
            Of::Tiles => (plan.grid.unwrap_or((1, 1)), tiles),
        };
        let (tile_cols, tile_rows) = (map.full.0 / grid.0.max(1), map.full.1 / grid.1.max(1));
        let rows = rows.get(inputs).unwrap_or_default();
        let whole = (grid.0 * grid.1) as usize == rows.len();
        if !whole || rows.iter().any(|r| r.len() as u64 != u64::from(tile_cols) * u64::from(tile_rows)) {
            let reason = format!("the policy {} plans {tile_cols}x{tile_rows} features a tile", plan.policy.name());
            return Err(Error::unsupported("this tiling with this model", reason));
        }
        // Row of the feature at (x, y) of the kept part.
        let at = |x: usize, y: usize| {
            let (x, y) = (map.kept.x as usize + x, map.kept.y as usize + y);
            let (tile_cols, tile_rows) = (tile_cols as usize, tile_rows as usize);
            let tile = y / tile_rows * grid.0 as usize + x / tile_cols;
            rows[tile].start + y % tile_rows * tile_cols + x % tile_cols
        };
        let (columns, lines) = (map.size().0 as usize, map.size().1 as usize);
        let shrunk = match map.shrunk {
            Some(_) => {
                let kept = (map.kept.width as usize, map.kept.height as usize);
                Some((bilinear(kept.0, columns)?, bilinear(kept.1, lines)?))
            }
            None => None,
        };
        for y in 0..lines {
            for x in 0..columns {
                self.sources.push(match &shrunk {
                    None => Source::Row(at(x, y)),
                    Some((across, down)) => {
                        let tap = |i: usize| {
                            (at(across[x][i % 2].0, down[y][i / 2].0), across[x][i % 2].1 * down[y][i / 2].1)
                        };
                        Source::Blend([tap(0), tap(1), tap(2), tap(3)])
                    }
                });
            }
            let end =
                if y + 1 == lines { map.last_end.as_ref().or(map.row_end.as_ref()) } else { map.row_end.as_ref() };
            end.map_or(Ok(()), |mark| self.mark(spec, mark))?;
        }
        Ok(())
    }

    /// Index and weights of every feature row that is taken or blended, before vectors are put between.
    fn blends(&self) -> (Vec<u32>, Vec<f32>) {
        let (mut index, mut weight) = (Vec::new(), Vec::new());
        for source in &self.sources {
            let taps = match *source {
                Source::Row(row) => [(row, 1.0), (row, 0.0), (row, 0.0), (row, 0.0)],
                Source::Blend(taps) => taps,
                Source::Vector(_) => continue,
            };
            index.extend(taps.iter().map(|(row, _)| *row as u32));
            weight.extend(taps.iter().map(|(_, weight)| *weight));
        }
        (index, weight)
    }
}

/// Two samples with weights for each output of torch's bilinear resize (`align_corners=False`, no antialias).
fn bilinear(from: usize, to: usize) -> Result<Vec<[(usize, f32); 2]>> {
    let taps = Sampling::torch(from, to, false, false, false)?;
    let tap = |j: usize, t: usize| {
        let inside = t < taps.count[j] as usize;
        let at = taps.first[j] as usize + if inside { t } else { 0 };
        (at.min(from - 1), if inside { taps.weights[t * to + j] } else { 0.0 })
    };
    Ok((0..to).map(|j| [tap(j, 0), tap(j, 1)]).collect())
}

/// [`names::ROWS`] -> [`names::FEATURES`]: the features of all inputs to the rows of the pictures.
pub fn features_graph(spec: &Spec, assembly: &Assembly, compute: DType) -> Result<Graph> {
    let width = spec.decoder.as_ref().map_or(0, |d| d.width);
    let mut g = Graph::new();
    let rows = g.state(names::ROWS, TensorType::new(compute, &[assembly.features, width]));
    let blended = assembly.sources.iter().any(|s| matches!(s, Source::Blend(_)));
    let x = g.scoped("features", |g| place(g, spec, assembly, rows, blended))?;
    g.tap("features", x);
    g.store(x, names::FEATURES);
    Ok(g)
}

fn place(g: &mut Graph, spec: &Spec, assembly: &Assembly, mut rows: ValueId, blended: bool) -> Result<ValueId> {
    if blended {
        let (index, weight) = assembly.blends();
        let count = index.len() / TAPS;
        let index = g.constant_u32("taps", &[count, TAPS], &index);
        let weight = g.constant_f32("weights", &[count, TAPS], &weight);
        rows = g.apply(InterpolateRows { taps: TAPS }, &[rows, index, weight])?;
    }
    let count = g.ty(rows).rows();
    let mut next = 0..count as u32;
    let index: Vec<u32> = assembly
        .sources
        .iter()
        .map(|source| match *source {
            Source::Vector(place) => (count + place) as u32,
            Source::Row(row) if !blended => row as u32,
            _ => next.next().unwrap_or(0),
        })
        .collect();
    match vectors(g, spec) {
        Some(vectors) => splice(g, rows, vectors, &index, None),
        None => gather(g, rows, &index),
    }
}

/// All learned vectors of the model as rows.
fn vectors(g: &mut Graph, spec: &Spec) -> Option<ValueId> {
    let names: Vec<&str> = spec.vectors.iter().map(|(_, tensor)| tensor.as_str()).collect();
    let width = spec.decoder.as_ref().map_or(0, |d| d.width);
    let dtype = g.values.first().map_or(DType::F32, |v| v.ty.dtype);
    (!names.is_empty()).then(|| g.weight(&names.join("+"), TensorType::new(dtype, &[names.len(), width])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_by_two_takes_the_mean_of_four() {
        let across = bilinear(4, 2).unwrap();
        assert_eq!(across, vec![[(0, 0.5), (1, 0.5)], [(2, 0.5), (3, 0.5)]]);
        assert_eq!(bilinear(3, 3).unwrap()[1][0], (1, 1.0));
    }
}
