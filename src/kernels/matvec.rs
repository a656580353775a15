//! Matrix product for the few rows of a decode step: [`MatMul`]'s semantics, bound by reading the weight.

use super::matmul::Tile;
use super::{Act, Cost, Entry, Io, Kernel, Launch, MatMul, TensorType, require};
use crate::reference::{Array, Cell};
use crate::{Caps, Result};

/// The operands of [`MatMul`] with at most [`MatVec::MOST_ROWS`] rows of `x`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatVec {
    /// A third input, added to every row before the activation.
    pub bias: bool,
    /// Applied to the sum.
    pub act: Option<Act>,
    /// A last input of the shape and type of `y`, added after the activation.
    pub residual: bool,
}

pub(super) const ENTRY: Entry = Entry { name: "matvec", about: "act(x w^T + bias) + residual for up to 8 rows" };

impl MatVec {
    /// Rows of `x` beyond which `MatMul` has to be used.
    pub const MOST_ROWS: usize = 8;

    fn product(&self) -> MatMul {
        MatMul { bias: self.bias, act: self.act, residual: self.residual }
    }
}

impl Kernel for MatVec {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        self.product().ports()
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let outputs = self.product().infer_for(self, inputs)?;
        require(self, inputs[0].rows() <= Self::MOST_ROWS, || {
            format!("x {} has more than {} rows; use matmul", inputs[0], Self::MOST_ROWS)
        })?;
        Ok(outputs)
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        self.product().launches(ENTRY.name, Tile::pick_vec(io.inputs[0].rows(), &io.inputs[1], caps), io, caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        self.product().product_cost(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        self.product().oracle_row(inputs, row)
    }
    fn show(&self) -> String {
        self.product().attributes()
    }
}
