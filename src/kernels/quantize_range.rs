//! Scales and zero points from the range of each row: quantizing activations on the fly.

use super::rows::{activation, arity, extents, reduce_part};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` f32 \[rows, cols\] -> `scale` f32 \[rows\], `zero` u32 \[rows\], for [`Quantize`](super::Quantize) of that row.
///
/// Asymmetric: 0 and the row's extremes fit `0 ..= levels`. Symmetric: the largest magnitude is `levels`, zero points are 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantizeRange {
    /// Codes are signed and the zero point is 0.
    pub symmetric: bool,
    /// The largest code: 255 for u8, 127 for symmetric i8.
    pub levels: f32,
}

pub(super) const ENTRY: Entry =
    Entry { name: "quantize_range", about: "scale and zero point of the range of each row" };

impl Kernel for QuantizeRange {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["scale", "zero"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        require(self, inputs[0].dtype == DType::F32, || format!("x {} is not f32", inputs[0]))?;
        require(self, self.levels >= 1.0, || format!("{} levels", self.levels))?;
        let rows = inputs[0].rows();
        Ok(vec![TensorType::f32(&[rows]), TensorType::u32(&[rows])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (rows, cols) = extents(self, &io.inputs[0])?;
        let (reduce, lanes) = reduce_part(cols.div_ceil(16), caps);
        Ok(vec![Launch {
            files: vec![ENTRY.name, reduce],
            overrides: vec![
                ("LANES", lanes.into()),
                ("LEVELS", self.levels.into()),
                ("SYMMETRIC", f64::from(u8::from(self.symmetric))),
            ],
            params: vec![("rows", rows as u32), ("cols", cols as u32)],
            grid: grid_2d(rows, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, _row: usize) -> Vec<Cell> {
        reference::quantize_range(self, &inputs[0], output)
    }
    fn show(&self) -> String {
        format!("{} levels{}", self.levels, if self.symmetric { " symmetric" } else { "" })
    }
}
