//! Rows picked by number, whole or cell by cell, within batches.

use super::unit::{Unit, movable, runs, unit};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// How rows are numbered: `[batches, picks, cols]` cells, of which `(b, k, c)` takes number
/// `index[b * strides[0] + k * strides[1] + c * strides[2]]`. A stride of 0: the number does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picks {
    /// Parts of the tensor that are picked from separately.
    pub batches: usize,
    /// Numbers of a batch.
    pub picks: usize,
    /// Cells of a row.
    pub cols: usize,
    /// Strides of the numbers.
    pub strides: [usize; 3],
    /// A cell is two words: 64 bits.
    pub wide: bool,
}

impl Picks {
    /// Elements of a row.
    pub(super) fn width(&self) -> usize {
        self.cols.saturating_mul(if self.wide { 2 } else { 1 })
    }
    /// Rows in a batch of a tensor with `elements`.
    pub(super) fn rows(&self, elements: usize) -> usize {
        elements.checked_div(self.batches.saturating_mul(self.width())).unwrap_or(0)
    }
    /// Cells that are picked.
    fn cells(&self) -> usize {
        self.batches.saturating_mul(self.picks).saturating_mul(self.width())
    }
    /// `whole`: the tensor that is picked from or into; `picked`: the rows; `index`: their numbers.
    pub(super) fn check(
        &self,
        kernel: &dyn Kernel,
        whole: &TensorType,
        picked: &TensorType,
        index: &TensorType,
    ) -> Result<()> {
        movable(kernel, whole)?;
        movable(kernel, picked)?;
        require(kernel, index.dtype == DType::U32, || format!("index {index} is not u32"))?;
        super::flat_limit(kernel, index.elements())?;
        let fits = self.cells() == picked.elements() && whole.dtype == picked.dtype;
        require(kernel, fits, || format!("{self:?} does not describe {picked}"))?;
        if picked.elements() == 0 {
            return Ok(());
        }
        let rows = self.rows(whole.elements());
        let batch = self.batches.saturating_mul(self.width());
        let exact = rows > 0 && rows.checked_mul(batch) == Some(whole.elements());
        require(kernel, exact, || format!("{whole} has no whole rows of {self:?}"))?;
        let ends = [self.batches, self.picks, self.cols].into_iter().zip(self.strides);
        let last = ends.fold(0usize, |at, (n, stride)| at.saturating_add((n - 1).saturating_mul(stride)));
        require(kernel, last < index.elements(), || format!("{self:?} needs number {last} of index {index}"))
    }
    /// The largest unit that has one number.
    pub(super) fn unit(&self, dtype: DType, caps: &Caps) -> Result<Unit> {
        let shared = self.strides[2] == 0 || self.cols == 1;
        unit(dtype, &[if shared { self.width() as i64 } else { self.width() as i64 / self.cols as i64 }], caps)
    }
    /// As plans print it.
    pub(super) fn text(&self) -> String {
        let wide = if self.wide { " wide" } else { "" };
        format!("{}x{}x{} by {:?}{wide}", self.batches, self.picks, self.cols, self.strides)
    }
}

/// `x` \[batches, rows, cols\], `index` u32 -> `y` of `shape`, which holds \[batches, picks, cols\]:
/// `y[b, k, c] = x[b, number of (b, k, c), c]`. Numbers are clamped to the rows. `x` may have any shape with so many
/// elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// Which rows.
    pub picks: Picks,
    /// Shape of `y`.
    pub shape: Vec<usize>,
}

pub(super) const ENTRY: Entry =
    Entry { name: "gather", about: "rows picked by number within batches, whole or cell by cell" };

impl Kernel for Gather {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "index"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let y = TensorType::new(inputs[0].dtype, &self.shape);
        self.picks.check(self, &inputs[0], &y, &inputs[1])?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        if y.elements() == 0 {
            return Ok(Vec::new());
        }
        let unit = self.picks.unit(y.dtype, caps)?;
        let items = y.elements() / unit.elements;
        let (lanes, steps, groups) = runs(items, caps);
        let [ib, ik, ic] = self.picks.strides.map(|s| s as u32);
        Ok(vec![Launch {
            files: vec![ENTRY.name, unit.part],
            overrides: vec![("LANES", lanes.into()), ("STEPS", steps.into())],
            params: vec![
                ("items", items as u32),
                ("rows", self.picks.rows(x.elements()) as u32),
                ("picks", self.picks.picks as u32),
                ("cols", (self.picks.width() / unit.elements) as u32),
                ("ib", ib),
                ("ik", ik),
                ("ic", ic),
            ],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // Each picked cell is read and written once, each number read once.
        Cost { flops: 0, bytes: 2 * io.outputs[0].bytes() + io.inputs[1].bytes() }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::gather(&self.picks, &inputs[0], &inputs[1], self.shape.last().copied().unwrap_or(1), row)
    }
    fn show(&self) -> String {
        self.picks.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_that_reach_beyond_are_refused() {
        let picks = |strides| Picks { batches: 2, picks: 3, cols: 4, strides, wide: false };
        let infer = |picks: Picks, x: &[usize], index: usize| {
            let gather = Gather { picks, shape: vec![2, 3, 4] };
            gather.infer(&[TensorType::f32(x), TensorType::u32(&[index])])
        };
        assert!(infer(picks([0, 1, 0]), &[2, 5, 4], 3).is_ok());
        assert!(infer(picks([3, 1, 0]), &[2, 5, 4], 6).is_ok());
        assert!(infer(picks([3, 1, 0]), &[2, 5, 4], 5).is_err());
        assert!(infer(picks([0, 1, 0]), &[2, 5, 3], 3).is_err(), "no whole rows");
        assert!(infer(picks([usize::MAX, 1, 0]), &[2, 5, 4], 3).is_err());
        assert!(infer(Picks { batches: 0, ..picks([0, 1, 0]) }, &[2, 5, 4], 3).is_err());
        assert_eq!(picks([0, 1, 0]).unit(DType::F32, &Caps::floor()).unwrap().elements, 4);
        assert_eq!(picks([0, 1, 1]).unit(DType::F32, &Caps::floor()).unwrap().elements, 1);
    }
}
