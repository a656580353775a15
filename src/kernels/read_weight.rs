//! Rows of a weight in any layout, as numbers.

use super::matmul::whole_or_divisible;
use super::packing::weight_files;
use super::{
    Chunk, Cost, Entry, Io, Kernel, Launch, Layout, TensorType, chunks, elem_part, flat_limit, grid_2d, require,
};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `w` a weight \[n, k\] in any layout, after `ids` u32 \[rows\] where rows are picked -> `y` \[rows, k\].
/// An id beyond the end takes the last row.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadWeight {
    /// Rows are listed by a first input; else all rows in order.
    pub picked: bool,
    /// Type of `y`.
    pub dtype: DType,
}

pub(super) const ENTRY: Entry = Entry { name: "read_weight", about: "rows of a weight in any layout, as numbers" };

const LANES: u32 = 64;
/// Columns of a row that one workgroup takes: four quads a lane.
const SPAN: usize = 1024;

impl Kernel for ReadWeight {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        if self.picked { vec!["ids", "w"] } else { vec!["w"] }
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let w = &inputs[usize::from(self.picked)];
        require(self, w.shape.len() == 2 && w.elements() > 0, || format!("w {w} is not a filled matrix"))?;
        if let Layout::Packed(packing) = w.layout {
            packing.check(self, w.rows(), w.cols())?;
        }
        weight_files(w, &Caps::floor())?;
        let rows = if self.picked { inputs[0].elements() } else { w.rows() };
        let listed = !self.picked || inputs[0].dtype == DType::U32;
        require(self, listed, || format!("ids {} are not u32", inputs[0]))?;
        flat_limit(self, rows.saturating_mul(w.cols()))?;
        Ok(vec![TensorType::new(self.dtype, &[rows, w.cols()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let port = usize::from(self.picked);
        let (w, rows) = (&io.inputs[port], io.outputs[0].rows());
        let pieces = chunks(w, caps);
        whole_or_divisible(w, pieces.len(), caps)?;
        let (weight, mut overrides) = weight_files(w, caps)?;
        let mut files = vec![ENTRY.name, elem_part(self.dtype, caps)?];
        files.push(if self.picked { "parts/ids_list" } else { "parts/ids_all" });
        files.extend(weight);
        overrides.push(("LANES", LANES.into()));
        let blocks = w.cols().div_ceil(SPAN);
        let dispatch = |(i, piece): (usize, &Chunk)| {
            Ok(Launch {
                files: files.clone(),
                overrides: overrides.clone(),
                params: vec![
                    ("rows", rows as u32),
                    ("inner", w.cols() as u32),
                    ("blocks", blocks as u32),
                    ("weight_rows", w.rows() as u32),
                    ("first_col", piece.first as u32),
                    ("chunk_cols", piece.rows as u32),
                ],
                grid: grid_2d(rows * blocks, caps)?,
                chunk: (pieces.len() > 1).then_some((port, i)),
            })
        };
        pieces.iter().enumerate().map(dispatch).collect()
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        let w = &io.inputs[usize::from(self.picked)];
        let read = (io.outputs[0].rows() * w.row_bytes()) as u64;
        Cost { flops: 0, bytes: read + io.outputs[0].bytes() }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::read_weight(self.picked.then(|| &inputs[0]), &inputs[usize::from(self.picked)], self.dtype, row)
    }
    fn show(&self) -> String {
        if self.picked { "picked".into() } else { String::new() }
    }
}
