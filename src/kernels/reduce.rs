//! Reductions along an axis.

use super::axis::{Around, number, number_part, without};
use super::rows::arity;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// What is computed of the cells along the axis. Its number is the value of the override `OP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    /// The sum.
    Sum,
    /// The sum over the count; integers are divided towards 0.
    Mean,
    /// The sum of squares.
    SumSquares,
    /// The sum of magnitudes.
    L1,
    /// The root of the sum of squares.
    L2,
    /// The logarithm of the sum.
    LogSum,
    /// The logarithm of the sum of exponentials.
    LogSumExp,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The product.
    Product,
}

/// `x` (f32, f16, i32 or u32) -> `y` in its type and shape, without the axis `axis`. Roots and logarithms are of
/// floating-point numbers only. Over an axis of no cells: 0, 1 for the product, the largest and smallest values
/// of the type (infinities) for smallest and largest, minus infinity for logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduce {
    /// What is computed.
    pub op: ReduceOp,
    /// The axis, 0 the slowest.
    pub axis: usize,
}

pub(super) const ENTRY: Entry =
    Entry { name: "reduce", about: "sum, mean, norms, extremes, product, log-sum-exp along an axis" };

impl ReduceOp {
    /// Bits of the result over no cells.
    fn empty(self, dtype: DType) -> u32 {
        let float = dtype.is_float();
        match self {
            Self::Product if float => 1f32.to_bits(),
            Self::Product => 1,
            Self::Max | Self::LogSum | Self::LogSumExp if float => f32::NEG_INFINITY.to_bits(),
            Self::Max if dtype == DType::I32 => i32::MIN as u32,
            Self::Min if float => f32::INFINITY.to_bits(),
            Self::Min if dtype == DType::I32 => i32::MAX as u32,
            Self::Min => u32::MAX,
            Self::Mean if float => f32::NAN.to_bits(),
            _ => 0,
        }
    }
}

impl Kernel for Reduce {
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
        use ReduceOp::{L2, LogSum, LogSumExp};
        arity(self, inputs)?;
        let x = &inputs[0];
        number(self, x)?;
        let float_only = matches!(self.op, L2 | LogSum | LogSumExp);
        require(self, !float_only || x.dtype.is_float(), || format!("{:?} is not an integer of {x}", self.op))?;
        Around::checked(self, x, self.axis)?;
        Ok(vec![TensorType::new(x.dtype, &without(&x.shape, self.axis))])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let around = Around::checked(self, x, self.axis)?;
        // Columns first, so that neighbouring lanes read neighbouring cells; what is left of the lanes takes slices.
        let most = if caps.software { 8 } else { 256.min(caps.max_lanes as usize) };
        let cols = around.inner.max(1).next_power_of_two().min(if caps.software { 8 } else { 32 });
        let lanes = (cols * around.count.div_ceil(4).next_power_of_two()).clamp(most.min(32), most);
        let mut params = around.params();
        params.push(("empty", self.op.empty(x.dtype)));
        Ok(vec![Launch {
            files: vec![ENTRY.name, number_part(x.dtype, caps)?],
            overrides: vec![("LANES", lanes as f64), ("COLS", cols as f64), ("OP", f64::from(self.op as u8))],
            params,
            grid: grid_2d(around.outer * around.inner.div_ceil(cols), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::reduce(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        format!("{} axis={}", format!("{:?}", self.op).to_lowercase(), self.axis)
    }
}
