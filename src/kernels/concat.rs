//! Two tensors side by side.

use super::unit::{movable, runs, unit};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `a` \[.., n, ..\], `b` \[.., m, ..\] -> `y` \[.., n + m, ..\]: joined along axis `axis`, alike along the others.
/// More than two are joined by a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

pub(super) const ENTRY: Entry = Entry { name: "concat", about: "two tensors side by side along an axis" };

impl Concat {
    /// Elements of a row: from the axis on.
    fn cols(&self, ty: &TensorType) -> usize {
        ty.shape.iter().skip(self.axis).product()
    }
}

impl Kernel for Concat {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["a", "b"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let (a, b) = (&inputs[0], &inputs[1]);
        movable(self, a)?;
        movable(self, b)?;
        let same = |i: usize| i == self.axis || a.shape.get(i) == b.shape.get(i);
        let rank = a.shape.len();
        let alike = a.dtype == b.dtype && rank == b.shape.len() && self.axis < rank && (0..rank).all(same);
        require(self, alike, || format!("a {a} and b {b} differ in more than axis {}", self.axis))?;
        let mut y = a.clone();
        y.shape[self.axis] += b.shape[self.axis];
        movable(self, &y)?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let y = &io.outputs[0];
        if y.elements() == 0 {
            return Ok(Vec::new());
        }
        let cols = [self.cols(&io.inputs[0]), self.cols(&io.inputs[1])];
        // The buffer of an empty side holds a single word.
        let single = i64::from(cols.iter().all(|c| *c > 0)) - 1;
        let unit = unit(y.dtype, &[cols[0] as i64, cols[1] as i64, single], caps)?;
        let items = y.elements() / unit.elements;
        let (lanes, steps, groups) = runs(items, caps);
        Ok(vec![Launch {
            files: vec![ENTRY.name, unit.part],
            overrides: vec![("LANES", lanes.into()), ("STEPS", steps.into())],
            params: vec![
                ("items", items as u32),
                ("a_cols", (cols[0] / unit.elements) as u32),
                ("b_cols", (cols[1] / unit.elements) as u32),
            ],
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::concat(self.axis, &inputs[0], &inputs[1], row)
    }
    fn show(&self) -> String {
        format!("axis={}", self.axis)
    }
}
