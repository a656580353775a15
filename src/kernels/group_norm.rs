//! Group normalisation (Wu & He 2018); with as many groups as channels, instance normalisation.

use super::rows::{activation, arity, by_row};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `x` \[images, channels, ..\], `gain` and `bias` f32 \[channels\] -> `y` like `x`: the cells of the
/// `channels / groups` planes of a group are normalised together. Mean and variance (divided by the number of cells)
/// in f32, without subtracting large sums.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupNorm {
    /// Groups of channels; divides their number.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
}

pub(super) const ENTRY: Entry =
    Entry { name: "group_norm", about: "(x - mean) / sqrt(variance + eps) * gain + bias, by group of channels" };

/// Channels and cells of a plane of `[images, channels, ..]`.
pub(super) fn planes(kernel: &dyn Kernel, x: &TensorType) -> Result<(usize, usize)> {
    match x.shape.as_slice() {
        [_, channels, plane @ ..] => Ok((*channels, plane.iter().product())),
        _ => Err(Error::graph(kernel.name(), format!("x {x} is not [images, channels, ..]"))),
    }
}

/// A vector of f32, one cell a channel.
pub(super) fn channel_vector(kernel: &dyn Kernel, what: &str, v: &TensorType, channels: usize) -> Result<()> {
    let fits = v.dtype == DType::F32 && v.elements() == channels;
    require(kernel, fits, || format!("{what} {v} is not f32 with a cell for each of {channels} channels"))
}

impl GroupNorm {
    /// Rows of the kernel: `x` as \[images * groups, cells of a group\].
    fn rows(&self, x: &TensorType) -> Result<TensorType> {
        let (channels, plane) = planes(self, x)?;
        require(self, self.groups > 0 && channels > 0 && channels.is_multiple_of(self.groups), || {
            format!("{} groups of the channels of x {x}", self.groups)
        })?;
        Ok(TensorType::new(x.dtype, &[x.shape[0] * self.groups, channels / self.groups * plane]))
    }
}

impl Kernel for GroupNorm {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "gain", "bias"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let x = &inputs[0];
        activation(self, x)?;
        activation(self, &self.rows(x)?)?;
        let (channels, _) = planes(self, x)?;
        channel_vector(self, "gain", &inputs[1], channels)?;
        channel_vector(self, "bias", &inputs[2], channels)?;
        Ok(vec![x.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let x = &io.inputs[0];
        let (_, plane) = planes(self, x)?;
        let params = [("groups", self.groups as u32), ("plane", plane as u32), ("eps", self.eps.to_bits())];
        by_row(self, &self.rows(x)?, caps, &["parts/moments_welford"], &params)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::group_norm(self, &inputs[0], &inputs[1], &inputs[2], row)
    }
    fn show(&self) -> String {
        format!("groups={} eps={:e}", self.groups, self.eps)
    }
}
