//! Softmax over the last axis, `y = exp(x - top) / sum(exp(x - top))`, or its logarithm, row by row.

use super::rows::{activation, arity, sweep};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\] -> `y` like `x`. Masks are finite (-3e38 or the lowest f32); a row of masks is uniform.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Softmax {
    /// The logarithm: `(x - top) - log(sum(exp(x - top)))`.
    pub log: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "softmax", about: "exp(x - max) / sum(exp(x - max)) by row, or its logarithm" };

impl Kernel for Softmax {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let mut launches = sweep(self, &io.inputs[0], caps)?;
        launches.iter_mut().for_each(|l| l.overrides.push(("LOG", f64::from(u8::from(self.log)))));
        Ok(launches)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::softmax(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        if self.log { "log".into() } else { String::new() }
    }
}
