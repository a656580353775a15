//! From pixels to rows: patch embedding.

use super::PatchOrder;
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

impl PatchEmbedding {
    /// `pixels` of inputs of these sizes (height, width) -> \[patches of all inputs, width\]: planes \[inputs, channels,
    /// height, width\] of one size, or planes of any sizes one after the other as one row. The patches of an input come
    /// in `order`, its windows aside.
    pub fn apply(
        &self,
        g: &mut Graph,
        pixels: ValueId,
        inputs: &[(usize, usize)],
        order: PatchOrder,
    ) -> Result<ValueId> {
        let k = self.channels * self.patch * self.patch;
        let w = g.weight(&self.weight, TensorType::panels(self.dtype.float(), self.width, k));
        let mut operands = vec![pixels, w];
        if let Some(bias) = &self.bias {
            operands.push(g.weight(bias, TensorType::f32(&[self.width])));
        }
        let planes = g.ty(pixels).shape.len() == 4 && order.merge == 1;
        if !planes {
            let places = self.places(inputs, order);
            operands.push(g.constant_u32("places", &[places.len() / 4, 4], &places));
        }
        let source = if planes { Pixels::Planes } else { Pixels::Places };
        g.apply(PatchEmbed { patch: self.patch, bias: self.bias.is_some(), source }, &operands)
    }
    /// Where the patches of all inputs begin, as [`Pixels::Places`] wants it.
    fn places(&self, inputs: &[(usize, usize)], order: PatchOrder) -> Vec<u32> {
        let (mut places, mut first) = (Vec::new(), 0);
        for (height, width) in inputs {
            for (row, col) in order.patches((height / self.patch, width / self.patch)) {
                let corner = first + row * self.patch * width + col * self.patch;
                places.extend([corner as u32, *width as u32, (height * width) as u32, 0]);
            }
            first += self.channels * height * width;
        }
        places
    }
}
