//! Index of the largest or smallest value along an axis.

use super::axis::{Around, Items, line_lanes, without};
use super::rows::arity;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` (f32, f16, i32, u32 or pairs of words) -> `ids` u32 in the shape of `x` without its axis `axis`. Of equal
/// values the lowest index, as torch gives on the CPU, or the highest. Not a number is no value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Argmax {
    /// The axis, 0 the slowest.
    pub axis: usize,
    /// Look for the smallest value.
    pub smallest: bool,
    /// Of equal values the highest index.
    pub last: bool,
    /// How the values are stored.
    pub items: Items,
}

pub(super) const ENTRY: Entry = Entry { name: "argmax", about: "index of the largest or smallest value along an axis" };

impl Kernel for Argmax {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["ids"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let x = &inputs[0];
        let shape = self.items.shape(self, x)?;
        let around = Around::checked(self, &TensorType::u32(shape), self.axis)?;
        require(self, around.count > 0, || format!("x {x} has no cells along axis {}", self.axis))?;
        Ok(vec![TensorType::u32(&without(shape, self.axis))])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let around = Around::checked(self, &TensorType::u32(self.items.shape(self, x)?), self.axis)?;
        let mut files = vec![ENTRY.name];
        files.extend(self.items.parts(x.dtype, caps)?);
        files.push("parts/first_shared");
        let (lanes, cols) = line_lanes(&around, caps);
        Ok(vec![Launch {
            files,
            overrides: vec![
                ("LANES", lanes.into()),
                ("COLS", cols.into()),
                ("SMALLEST", f64::from(u8::from(self.smallest))),
                ("LAST", f64::from(u8::from(self.last))),
            ],
            params: around.params(),
            grid: grid_2d(around.lines().div_ceil(cols as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::argmax(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let words = [("smallest", self.smallest), ("last", self.last)];
        let words: Vec<&str> = words.iter().filter(|w| w.1).map(|w| w.0).collect();
        format!("axis={}{}{}", self.axis, if words.is_empty() { "" } else { " " }, words.join(" "))
    }
}
