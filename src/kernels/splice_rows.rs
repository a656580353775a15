//! Rows picked from one or two sources, with a row of a table added where asked.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, cell::cell, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `index` u32 \[tokens\], `a` \[a_rows, cols\], with `two` also `b` \[b_rows, cols\], with `add` also `extra` f32
/// \[extra_rows, cols\] and `extra_index` u32 \[tokens\] -> `y` \[tokens, cols\] like `a`.
///
/// An index below `a_rows` takes that row of `a`, others take `b[index - a_rows]`. Indices are clamped. Ports in
/// order: `a`, (`b`), `index`, (`extra`, `extra_index`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpliceRows {
    /// There is a second source.
    pub two: bool,
    /// A row of `extra` is added to every picked row.
    pub add: bool,
}

pub(super) const ENTRY: Entry = Entry { name: "splice_rows", about: "rows of one or two sources by index, plus a row" };

const LANES: u32 = 64;
/// Cells of a row that one workgroup takes.
const SPAN: usize = 256;

impl SpliceRows {
    /// Port of `index`.
    fn index_port(&self) -> usize {
        if self.two { 2 } else { 1 }
    }
    fn check_sources(&self, inputs: &[TensorType]) -> Result<()> {
        let a = &inputs[0];
        require(self, a.elements() > 0, || format!("a {a} is empty"))?;
        if self.two {
            let b = &inputs[1];
            let alike = b.dtype == a.dtype && b.cols() == a.cols() && b.rows() > 0;
            require(self, alike, || format!("b {b} does not match a {a}"))?;
        }
        Ok(())
    }
}

impl Kernel for SpliceRows {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = if self.two { vec!["a", "b", "index"] } else { vec!["a", "index"] };
        if self.add {
            names.extend(["extra", "extra_index"]);
        }
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.check_sources(inputs)?;
        let (a, at) = (&inputs[0], self.index_port());
        let index = &inputs[at];
        require(self, index.dtype == DType::U32, || format!("index {index} is not u32"))?;
        if self.add {
            let (extra, chosen) = (&inputs[at + 1], &inputs[at + 2]);
            let rows = extra.dtype == DType::F32 && extra.cols() == a.cols() && extra.rows() > 0;
            require(self, rows, || format!("extra {extra} does not match a {a}"))?;
            let listed = chosen.dtype == DType::U32 && chosen.elements() == index.elements();
            require(self, listed, || format!("extra_index {chosen} does not match index {index}"))?;
        }
        super::flat_limit(self, index.elements().saturating_mul(a.cols()))?;
        Ok(vec![TensorType::new(a.dtype, &[index.elements(), a.cols()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (a, at) = (&io.inputs[0], self.index_port());
        let (size, cell) = cell(&[a.cols()]);
        let cols = a.cols() / size;
        let blocks = cols.div_ceil(SPAN);
        let pick = if self.two { "parts/pick_two" } else { "parts/pick_one" };
        let extra = if self.add { "parts/extra_rows" } else { "parts/extra_none" };
        let b_rows = if self.two { io.inputs[1].rows() } else { 0 };
        let extra_rows = if self.add { io.inputs[at + 1].rows() } else { 0 };
        Ok(vec![Launch {
            files: vec!["splice_rows", elem_part(a.dtype, caps)?, cell, pick, extra],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("tokens", io.outputs[0].rows() as u32),
                ("cols", cols as u32),
                ("blocks", blocks as u32),
                ("a_rows", a.rows() as u32),
                ("b_rows", b_rows as u32),
                ("extra_rows", extra_rows as u32),
            ],
            grid: grid_2d(io.outputs[0].rows() * blocks, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // Every output row reads one row of a source, and one of the table.
        let rows = io.outputs[0].bytes();
        let added = if self.add { io.outputs[0].elements() as u64 * 4 } else { 0 };
        let lists = io.inputs[self.index_port()].bytes() * if self.add { 2 } else { 1 };
        Cost { flops: 0, bytes: 2 * rows + added + lists }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        let at = self.index_port();
        let b = self.two.then(|| &inputs[1]);
        let extra = self.add.then(|| (&inputs[at + 1], &inputs[at + 2]));
        reference::splice_rows(&inputs[0], b, &inputs[at], extra, row)
    }
    fn show(&self) -> String {
        format!("sources={}{}", if self.two { 2 } else { 1 }, if self.add { " add" } else { "" })
    }
}
