//! Resamplers: learned queries that attend to the features of a picture, whatever its size (Qwen-VL, Monkey, MiniCPM-V,
//! LLaVA-UHD). One cross-attention over a ragged batch; keys carry positions of their place on the map of features.

use super::regions::{Grid, equal_regions, region_rows, region_shape};
use super::{CrossAttention, Linear, Norm, bicubic_rows, sincos_rows};
use crate::graph::{Graph, ValueId};
use crate::kernels::{Binary, BinaryOp, InterpolateRows, SpliceRows, TensorType};
use crate::{Error, Result};

/// Where the positions of keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPositions {
    /// The positions of the queries, interpolated to the grid of the keys by torch's bicubic filter.
    Interpolated,
    /// Sines and cosines of the grid of the keys (MiniCPM-V's adaptive resampler).
    Fresh,
}

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of its sequence.
    Whole,
    /// Those of its own region of the map, by RoIAlign (LLaVA-UHD as released).
    Region,
}

/// A resampler: `proj(post(attn(q, k = x' + key positions, v = x')))`, `q = norm_q(query) + positions`,
/// `x' = norm_kv(kv_proj x)`; with a residual `proj(post(q + attn(..)))`. Later ones of MiniCPM-V leave the positions of the
/// queries out.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampler {
    /// Learned queries \[side * side, width\].
    pub query: String,
    /// Their positions, likewise, if they have some.
    pub positions: Option<String>,
    /// The queries are a square of so many rows and columns.
    pub side: usize,
    /// Projection of the features, if they are not as wide as the queries.
    pub kv_proj: Option<Linear>,
    /// Norm of the queries.
    pub norm_q: Norm,
    /// Norm of the features.
    pub norm_kv: Norm,
    /// Attention.
    pub attention: CrossAttention,
    /// Norm after it.
    pub post: Option<Norm>,
    /// Projection at the end.
    pub proj: Option<Linear>,
    /// Positions of the keys.
    pub key_positions: KeyPositions,
    /// Which keys a query sees.
    pub reach: Reach,
    /// Queries with their positions are added to what the attention gives, which then knows its place.
    pub residual: bool,
}

/// What a resampler computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampled {
    /// Positions of the keys, those of every different grid once, in order of appearance.
    pub key_positions: ValueId,
    /// What the attention gives, \[sequences * queries, width\].
    pub pooled: ValueId,
    /// After norm and projection, likewise.
    pub out: ValueId,
}

/// Keys and values as rows, and how many of them each query or sequence sees.
struct Keys {
    key: ValueId,
    value: ValueId,
    spans: Vec<[u32; 4]>,
}

impl Resampler {
    /// Learned queries.
    pub fn queries(&self) -> usize {
        self.side * self.side
    }

    /// `x` \[rows, features\] -> [`Resampled`]. Every sequence is one or several maps of features, given by their grids, which
    /// follow each other in `x`; its queries see the keys of all of them.
    ///
    /// # Errors
    /// [`Error::Graph`] where grids and rows do not match, and for several maps of a sequence with [`Reach::Region`].
    pub fn apply(&self, g: &mut Graph, x: ValueId, sequences: &[Vec<Grid>]) -> Result<Resampled> {
        let grids: Vec<Grid> = sequences.iter().flatten().copied().collect();
        let cells: usize = grids.iter().map(|(rows, columns)| rows * columns).sum();
        if sequences.is_empty() || cells != g.ty(x).rows() || cells == 0 {
            let reason = format!("{} rows for grids of {cells} cells", g.ty(x).rows());
            return Err(Error::graph("resampler", reason));
        }
        let value = match &self.kv_proj {
            Some(layer) => layer.apply(g, x)?,
            None => x,
        };
        let value = self.norm_kv.apply(g, value)?;
        let (key_positions, places) = self.positions_of(g, &grids)?;
        let own: Vec<u32> = (0..cells as u32).collect();
        let own = g.constant_u32("rows", &[cells], &own);
        let places = g.constant_u32("places", &[cells], &places);
        let key = g.apply(SpliceRows { two: false, add: true }, &[value, own, key_positions, places])?;
        let keys = match self.reach {
            Reach::Whole => Keys { key, value, spans: self.whole_spans(sequences) },
            Reach::Region => self.regions(g, key, value, sequences)?,
        };
        let placed = self.placed_queries(g)?;
        let queries = self.attention.q.apply(g, placed)?;
        let queries = self.repeated(g, queries, sequences.len())?;
        let (key, value) = (self.attention.k.apply(g, keys.key)?, self.attention.v.apply(g, keys.value)?);
        let mut pooled = self.attention.attend(g, [queries, key, value], &keys.spans)?;
        if self.residual {
            let own = self.repeated(g, placed, sequences.len())?;
            pooled = g.apply(Binary { op: BinaryOp::Add }, &[pooled, own])?;
        }
        let mut out = pooled;
        if let Some(norm) = &self.post {
            out = norm.apply(g, out)?;
        }
        if let Some(layer) = &self.proj {
            out = layer.apply(g, out)?;
        }
        Ok(Resampled { key_positions, pooled, out })
    }

    /// Queries with their positions \[queries, width\].
    fn placed_queries(&self, g: &mut Graph) -> Result<ValueId> {
        let ty = TensorType::f32(&[self.queries(), self.attention.q.k]);
        let query = g.weight(&self.query, ty.clone());
        let normed = self.norm_q.apply(g, query)?;
        let Some(positions) = &self.positions else { return Ok(normed) };
        let positions = g.weight(positions, ty);
        g.apply(Binary { op: BinaryOp::Add }, &[normed, positions])
    }

    /// The rows of the queries for every sequence.
    fn repeated(&self, g: &mut Graph, rows: ValueId, sequences: usize) -> Result<ValueId> {
        if sequences == 1 {
            return Ok(rows);
        }
        let index: Vec<u32> = (0..sequences).flat_map(|_| 0..self.queries() as u32).collect();
        super::gather(g, rows, &index)
    }

    /// Positions of every different grid, and the row of them that each cell takes.
    fn positions_of(&self, g: &mut Graph, grids: &[Grid]) -> Result<(ValueId, Vec<u32>)> {
        let mut different: Vec<(Grid, usize)> = Vec::new();
        let (mut rows, mut places) = (0, Vec::new());
        for grid in grids {
            let cells = grid.0 * grid.1;
            let start = match different.iter().find(|(known, _)| known == grid) {
                Some((_, start)) => *start,
                None => {
                    different.push((*grid, rows));
                    rows += cells;
                    rows - cells
                }
            };
            places.extend((start..start + cells).map(|row| row as u32));
        }
        let width = self.attention.q.k;
        let table = match self.key_positions {
            KeyPositions::Fresh => {
                let mut all = Vec::new();
                for (grid, _) in &different {
                    all.extend(sincos_rows(width, *grid)?);
                }
                g.constant_f32("key_positions", &[rows, width], &all)
            }
            KeyPositions::Interpolated => {
                let (mut index, mut weight) = (Vec::new(), Vec::new());
                for (grid, _) in &different {
                    let (more_index, more_weight) = bicubic_rows(0, (self.side, self.side), *grid);
                    index.extend(more_index);
                    weight.extend(more_weight);
                }
                let own = self.positions.as_ref();
                let own = own.ok_or_else(|| Error::graph("resampler", "there are no positions to interpolate"))?;
                let table = g.weight(own, TensorType::f32(&[self.queries(), width]));
                let index = g.constant_u32("taps", &[rows, 16], &index);
                let weight = g.constant_f32("weights", &[rows, 16], &weight);
                g.apply(InterpolateRows { taps: 16 }, &[table, index, weight])?
            }
        };
        Ok((table, places))
    }

    fn whole_spans(&self, sequences: &[Vec<Grid>]) -> Vec<[u32; 4]> {
        let (mut start, count) = (0, self.queries() as u32);
        let span = |(i, grids): (usize, &Vec<Grid>)| {
            let cells = grids.iter().map(|(rows, columns)| rows * columns).sum::<usize>() as u32;
            start += cells;
            [i as u32 * count, count, start - cells, cells]
        };
        sequences.iter().enumerate().map(span).collect()
    }

    /// Keys and values of every query's own region.
    fn regions(&self, g: &mut Graph, key: ValueId, value: ValueId, sequences: &[Vec<Grid>]) -> Result<Keys> {
        let mut maps = Vec::new();
        for grids in sequences {
            let [grid] = grids[..] else {
                return Err(Error::graph("resampler", "a query has one region, so a sequence is one map of features"));
            };
            maps.push((grid, equal_regions(grid, self.side)?, region_shape(grid)?));
        }
        let (mut spans, mut start) = (Vec::new(), 0);
        for (_, regions, (rows, columns)) in &maps {
            let each = (rows * columns) as u32;
            for _ in regions {
                spans.push([spans.len() as u32, 1, start, each]);
                start += each;
            }
        }
        let plan = region_rows(&maps);
        let shape = [start as usize, plan.taps];
        let index = g.constant_u32("taps", &shape, &plan.index);
        let weight = g.constant_f32("weights", &shape, &plan.weight);
        let mut pool = |rows: ValueId| g.apply(InterpolateRows { taps: plan.taps }, &[rows, index, weight]);
        Ok(Keys { key: pool(key)?, value: pool(value)?, spans })
    }
}
