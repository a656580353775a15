//! From the features of all inputs to the rows that a decoder takes for its pictures: a gather by a planned list.

use super::assemble::names;
use super::inputs::{TowerInputs, places};
use super::spec::{Placing, Positions, Spec, VisionTower};
use crate::blocks::{gather, place_codes, splice};
use crate::graph::{Graph, ValueId};
use crate::image::Sampling;
use crate::image::tiles::{Mark, Of, Segment, TilePlan, TokenRow, token_rows};
use crate::kernels::{InterpolateRows, SpliceRows, TensorType};
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
    placed: Option<Placed>,
}

/// Where features stand on their pictures.
#[derive(Debug, Clone, PartialEq)]
struct Placed {
    /// \[codes, width\]: those of every different grid once, and a zero row, the first, for what has no place.
    codes: Vec<f32>,
    /// Of every feature row its code.
    of: Vec<u32>,
}

impl Placed {
    fn new(placing: &Placing, inputs: &TowerInputs, rows: &[Range<usize>]) -> Result<Self> {
        let (width, each) = (placing.proj.k, placing.side * placing.side);
        let mut own = Self { codes: vec![0.0; width], of: vec![0; rows.last().map_or(0, |r| r.end)] };
        let mut known: Vec<((u32, u32), usize)> = Vec::new();
        for (i, range) in inputs.pictures().into_iter().enumerate() {
            let plan = inputs.plans.get(i);
            let (columns, lines) = plan.and_then(|plan| plan.grid).unwrap_or((1, 1));
            let tiles = plan.filter(|plan| !plan.tiles.is_empty()).map_or(0..1, |plan| places(plan).0);
            let start = match known.iter().find(|(grid, _)| *grid == (columns, lines)) {
                Some((_, start)) => *start,
                None => {
                    known.push(((columns, lines), own.codes.len() / width));
                    own.codes.extend(place_codes(width, placing.side, (lines as usize, columns as usize))?);
                    known.last().map_or(0, |(_, start)| *start)
                }
            };
            let tiles = rows.get(range).and_then(|rows| rows.get(tiles)).unwrap_or_default();
            for (at, row) in tiles.iter().cloned().flatten().enumerate() {
                own.of[row] = (start + at) as u32;
            }
            let whole = tiles.len() == (columns * lines) as usize && tiles.iter().all(|rows| rows.len() == each);
            if !whole {
                let reason = format!("features know their place in a grid of slices with {each} queries each");
                return Err(Error::unsupported("this tiling with this model", reason));
            }
        }
        Ok(own)
    }
}

impl Assembly {
    /// Plans the rows of these inputs.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a learned vector that the model lacks and for a plan whose counts are not those of
    /// the model's connector.
    pub fn new(spec: &Spec, inputs: &TowerInputs) -> Result<Self> {
        if let Some(VisionTower { positions: Positions::Tiled(tiled), .. }) = &spec.vision {
            // The decoder sees them by tile, those of tiles that a picture does not fill among them.
            let rows = inputs.pictures().len() * tiled.tiles * tiled.tokens;
            return Ok(Self { features: rows, sources: (0..rows).map(Source::Row).collect(), placed: None });
        }
        let counts = inputs.features(spec)?;
        let mut rows = Vec::new();
        for count in &counts {
            let start = rows.last().map_or(0, |r: &Range<usize>| r.end);
            rows.push(start..start + count);
        }
        let features = rows.last().map_or(0, |r| r.end);
        let placed = spec.placing.as_ref().map(|placing| Placed::new(placing, inputs, &rows)).transpose()?;
        let mut own = Self { features, sources: Vec::new(), placed };
        if inputs.plans.is_empty() {
            own.sources.extend((0..features).map(Source::Row));
        }
        for (plan, range) in inputs.plans.iter().zip(inputs.pictures()) {
            let rows = rows.get(range).ok_or_else(|| Error::graph("features", "the plans have more inputs"))?;
            check(plan, rows)?;
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
        let same = self.sources.iter().enumerate().all(|(i, s)| *s == Source::Row(i));
        same && self.sources.len() == self.features && self.placed.is_none()
    }

    fn segment(&mut self, spec: &Spec, plan: &TilePlan, rows: &[Range<usize>], segment: &Segment) -> Result<()> {
        let mut unshrunk = segment.clone();
        let mut shrunk = None;
        if let Segment::Map(map) = &mut unshrunk {
            shrunk = map.shrunk.take().map(|size| (size, map.row_end.take(), map.last_end.take()));
        }
        let mut sources = Vec::new();
        for row in token_rows(std::slice::from_ref(&unshrunk), plan.grid.unwrap_or((1, 1)))? {
            sources.extend(self.source(spec, plan, rows, segment, row)?);
        }
        match (segment, shrunk) {
            (Segment::Map(map), Some((size, row_end, last_end))) => {
                let ends = [row_end, last_end].map(|mark| mark.map(|mark| vector(spec, &mark.name)).transpose());
                let [row_end, last_end] = ends;
                self.shrink(&sources, (map.kept.width as usize, map.kept.height as usize), size, [row_end?, last_end?])
            }
            _ => {
                self.sources.extend(sources);
                Ok(())
            }
        }
    }

    /// Where a token of a plan comes from; none for a mark that is a token of the vocabulary.
    fn source(
        &self,
        spec: &Spec,
        plan: &TilePlan,
        rows: &[Range<usize>],
        segment: &Segment,
        row: TokenRow<'_>,
    ) -> Result<Option<Source>> {
        let (tiles, overview) = places(plan);
        let (input, at) = match row {
            TokenRow::Overview(at) => (overview, at),
            TokenRow::Tile { tile, at } => (tiles.start + tile, at),
            TokenRow::Mark(name) if learned(segment, name) => return Ok(Some(Source::Vector(vector(spec, name)?))),
            TokenRow::Mark(_) => return Ok(None),
        };
        let found = rows.get(input).and_then(|rows| rows.clone().nth(at as usize));
        found.map(|row| Some(Source::Row(row))).ok_or_else(|| {
            let reason = format!("the policy {} plans more features than the model gives", plan.policy.name());
            Error::unsupported("this tiling with this model", reason)
        })
    }

    /// A kept map of (columns, rows) shrunk bilinearly to `size`, with its ends of rows.
    fn shrink(
        &mut self,
        kept: &[Source],
        (columns, lines): (usize, usize),
        size: (u32, u32),
        [row_end, last_end]: [Option<usize>; 2],
    ) -> Result<()> {
        let (across, down) = (bilinear(columns, size.0 as usize)?, bilinear(lines, size.1 as usize)?);
        for (y, down) in down.iter().enumerate() {
            for across in &across {
                let mut taps = [(0, 0.0); TAPS];
                for (i, tap) in taps.iter_mut().enumerate() {
                    let ((x, wx), (y, wy)) = (across[i % 2], down[i / 2]);
                    let Some(Source::Row(row)) = kept.get(y * columns + x) else {
                        return Err(Error::graph("features", "a map holds other things than features"));
                    };
                    *tap = (*row, wx * wy);
                }
                self.sources.push(Source::Blend(taps));
            }
            let last = last_end.filter(|_| y + 1 == size.1 as usize);
            self.sources.extend(last.or(row_end).map(Source::Vector));
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

/// Whether the inputs give as many features as the plan counts on.
fn check(plan: &TilePlan, rows: &[Range<usize>]) -> Result<()> {
    let (tiles, overview) = places(plan);
    let rows_of = |i: usize| rows.get(i).map_or(0, ExactSizeIterator::len) as u64;
    let (cols, lines) = plan.grid.unwrap_or((1, 1));
    let fits = plan.order.iter().all(|segment| match segment {
        Segment::Overview { tokens } => rows_of(overview) == *tokens,
        Segment::Tile { index, tokens } => rows_of(tiles.start + index) == *tokens,
        Segment::Map(map) if map.of == Of::Overview => rows_of(overview) == area(map.full),
        Segment::Map(map) => tiles.clone().all(|i| rows_of(i) * area((cols, lines)) == area(map.full)),
        Segment::Mark(_) => true,
    });
    let reason = || format!("the policy {} counts on other features than the model gives", plan.policy.name());
    if fits { Ok(()) } else { Err(Error::unsupported("this tiling with this model", reason())) }
}

fn area((columns, rows): (u32, u32)) -> u64 {
    u64::from(columns) * u64::from(rows)
}

/// The place of a learned vector in [`Spec::vectors`].
fn vector(spec: &Spec, name: &str) -> Result<usize> {
    spec.vectors.iter().position(|(own, _)| *own == name).ok_or_else(|| {
        let reason = format!("it puts the learned vector `{name}` between features; the model has none");
        Error::unsupported("this tiling with this model", reason)
    })
}

/// Whether a mark of the segment is a learned vector.
fn learned(segment: &Segment, name: &str) -> bool {
    let is = |mark: &Mark| mark.learned && mark.name == name;
    match segment {
        Segment::Mark(mark) => is(mark),
        Segment::Map(map) => map.row_end.iter().chain(&map.last_end).any(is),
        Segment::Overview { .. } | Segment::Tile { .. } => false,
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
    let x = g.scoped("features", |g| {
        let rows = match (&assembly.placed, &spec.placing) {
            (Some(placed), Some(placing)) => add_places(g, placing, placed, rows)?,
            _ => rows,
        };
        place(g, spec, assembly, rows, blended)
    })?;
    g.tap("features", x);
    g.store(x, names::FEATURES);
    Ok(g)
}

/// Every feature row with the projected code of its place.
fn add_places(g: &mut Graph, placing: &Placing, placed: &Placed, rows: ValueId) -> Result<ValueId> {
    let width = placing.proj.k;
    let codes = g.constant_f32("codes", &[placed.codes.len() / width, width], &placed.codes);
    let table = placing.proj.apply(g, codes)?;
    let own: Vec<u32> = (0..placed.of.len() as u32).collect();
    let own = g.constant_u32("rows", &[own.len()], &own);
    let of = g.constant_u32("places", &[placed.of.len()], &placed.of);
    g.apply(SpliceRows { two: false, add: true }, &[rows, own, table, of])
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
