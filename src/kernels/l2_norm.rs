//! Scaling of rows to length 1: `y = x / max(sqrt(sum(x^2)), eps)`, row by row.

use super::require;
use super::rows::{activation, arity, by_whole_row};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// `x` \[rows, cols\] -> `y` like `x`. `eps` bounds the length from below, as torch.nn.functional.normalize does:
/// with a small one this is CLIP's `x / ||x||` for every row but zero, which stays zero instead of NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct L2Norm {
    /// Smallest length, 1e-18 to 1e18 (its square is formed in f32).
    pub eps: f32,
}

pub(super) const ENTRY: Entry = Entry { name: "l2_norm", about: "x / max(||x||, eps), by row" };

impl Kernel for L2Norm {
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
        let fits = (1e-18..=1e18).contains(&self.eps);
        require(self, fits, || format!("eps {:e} is not within 1e-18 .. 1e18", self.eps))?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        by_whole_row(self, &io.inputs[0], caps, &[("eps", self.eps.to_bits())])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::l2_norm(&inputs[0], f64::from(self.eps), row)
    }
    fn show(&self) -> String {
        format!("eps={:e}", self.eps)
    }
}
