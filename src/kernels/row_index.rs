//! Row numbers of tuples of coordinates.

use super::unit::runs;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `index` \[tuples, depth\] i32 or u32, with `wide` \[tuples, depth, 2\] u32: the words, low first, of signed 64-bit
/// numbers -> `y` u32 \[tuples\]: the number of row `index[t]` of a tensor whose first `depth` axes have these extents.
///
/// Negative coordinates count from the end of their axis; what is outside is clamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowIndex {
    /// Extents of the axes: one to six, none of them 0.
    pub extents: Vec<usize>,
    /// Coordinates have 64 bits.
    pub wide: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "row_index", about: "row numbers of tuples of coordinates, of 32 or 64 bits" };

const AXES: [&str; 6] = ["e0", "e1", "e2", "e3", "e4", "e5"];

impl Kernel for RowIndex {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["index"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let index = &inputs[0];
        let typed = index.dtype == DType::U32 || (index.dtype == DType::I32 && !self.wide);
        require(self, typed, || format!("index {index} is not of i32, u32 or pairs of u32"))?;
        let rows = self.extents.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
        let named = rows.is_some_and(|n| n > 0 && n <= 1 << 31) && (1..=AXES.len()).contains(&self.extents.len());
        require(self, named, || format!("extents {:?} have no numbers of rows below 2^31", self.extents))?;
        let words = self.extents.len() * if self.wide { 2 } else { 1 };
        let whole = index.elements().is_multiple_of(words);
        require(self, whole, || format!("index {index} has no whole tuples of {words} words"))?;
        super::flat_limit(self, index.elements())?;
        Ok(vec![TensorType::u32(&[index.elements() / words])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let tuples = io.outputs[0].elements();
        if tuples == 0 {
            return Ok(Vec::new());
        }
        let part = match io.inputs[0].dtype {
            _ if self.wide => "parts/index_i64",
            DType::I32 => "parts/index_i32",
            _ => "parts/index_u32",
        };
        let (lanes, steps, groups) = runs(tuples, caps);
        let extent = |i: usize| self.extents.get(i).map_or(1, |e| *e as u32);
        let mut params = vec![("tuples", tuples as u32), ("depth", self.extents.len() as u32)];
        params.extend(AXES.into_iter().enumerate().map(|(i, name)| (name, extent(i))));
        Ok(vec![Launch {
            files: vec![ENTRY.name, part],
            overrides: vec![("LANES", lanes.into()), ("STEPS", steps.into())],
            params,
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, _row: usize) -> Vec<Cell> {
        reference::row_index(&self.extents, self.wide, &inputs[0])
    }
    fn show(&self) -> String {
        format!("{:?}{}", self.extents, if self.wide { " wide" } else { "" })
    }
}
