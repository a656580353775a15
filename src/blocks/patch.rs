//! From pixels to rows: patch embedding, class tokens and learned positions.

use super::splice;
use crate::Result;
use crate::graph::{Graph, ValueId};
use crate::kernels::{PatchEmbed, Pixels, TensorType, WeightFormat};

/// The patch embedding of a ViT: a convolution whose stride is its size.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchEmbedding {
    /// Weight tensor \[width, channels, patch, patch\].
    pub weight: String,
    /// Bias tensor.
    pub bias: Option<String>,
    /// Output width.
    pub width: usize,
    /// Input channels.
    pub channels: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// What the weight is kept in: the floats of this format.
    pub dtype: WeightFormat,
}

/// What the pixels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PixelInput {
    /// f32 planes \[pictures, channels, height, width\], normalised.
    Planes,
}

impl PatchEmbedding {
    /// `pixels` -> \[pictures * rows * columns of patches, width\].
    pub fn apply(&self, g: &mut Graph, pixels: ValueId, _input: PixelInput) -> Result<ValueId> {
        let k = self.channels * self.patch * self.patch;
        let w = g.weight(&self.weight, TensorType::panels(self.dtype.float(), self.width, k));
        let mut inputs = vec![pixels, w];
        if let Some(bias) = &self.bias {
            inputs.push(g.weight(bias, TensorType::f32(&[self.width])));
        }
        g.apply(PatchEmbed { patch: self.patch, bias: self.bias.is_some(), source: Pixels::Planes }, &inputs)
    }
}

/// Puts `prefix` \[p, width\] rows before the patches of every picture and adds `positions` \[p + patches, width\].
pub fn class_and_positions(
    g: &mut Graph,
    patches: ValueId,
    prefix: ValueId,
    positions: ValueId,
    pictures: usize,
) -> Result<ValueId> {
    let rows = g.ty(patches).rows();
    let (special, each) = (g.ty(prefix).rows(), rows / pictures.max(1));
    let (mut index, mut place) = (Vec::new(), Vec::new());
    for picture in 0..pictures {
        index.extend((0..special).map(|i| (rows + i) as u32));
        index.extend((0..each).map(|i| (picture * each + i) as u32));
        place.extend((0..special + each).map(|i| i as u32));
    }
    splice(g, patches, prefix, &index, Some((positions, &place)))
}
