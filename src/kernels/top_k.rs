//! The largest or smallest values along an axis, in order.

use super::axis::{Around, Items, line_lanes};
use super::rows::arity;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` (f32, f16, i32, u32 or pairs of words) -> `values` in its type and `ids` u32, both in the shape of `x` with `k`
/// cells along `axis`, the best first. Of equal values the one of lower index comes first.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// The axis, 0 the slowest.
    pub axis: usize,
    /// How many.
    pub k: usize,
    /// The smallest values instead of the largest.
    pub smallest: bool,
    /// How the values are stored.
    pub items: Items,
}

pub(super) const ENTRY: Entry =
    Entry { name: "top_k", about: "the k largest or smallest values along an axis, in order" };

impl Kernel for TopK {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["values", "ids"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let x = &inputs[0];
        let shape = self.items.shape(self, x)?;
        let around = Around::checked(self, &TensorType::u32(shape), self.axis)?;
        require(self, self.k > 0 && self.k <= around.count, || {
            format!("k = {} of the {} cells of {x} along axis {}", self.k, around.count, self.axis)
        })?;
        let (mut values, mut ids) = (x.clone(), TensorType::u32(shape));
        values.shape[self.axis] = self.k;
        ids.shape[self.axis] = self.k;
        Ok(vec![values, ids])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let around = Around::checked(self, &TensorType::u32(self.items.shape(self, x)?), self.axis)?;
        let mut files = vec![ENTRY.name];
        files.extend(self.items.parts(x.dtype, caps)?);
        files.push("parts/first_shared");
        let mut params = around.params();
        params.push(("k", self.k as u32));
        let (lanes, cols) = line_lanes(&around, caps);
        Ok(vec![Launch {
            files,
            overrides: vec![
                ("LANES", lanes.into()),
                ("COLS", cols.into()),
                ("SMALLEST", f64::from(u8::from(self.smallest))),
            ],
            params,
            grid: grid_2d(around.lines().div_ceil(cols as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::top_k(self, &inputs[0], output, row)
    }
    fn show(&self) -> String {
        format!("k={} axis={}{}", self.k, self.axis, if self.smallest { " smallest" } else { "" })
    }
}
