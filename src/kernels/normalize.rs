//! Rescaling and normalising pixels into planes: `y = (byte * rescale - mean) / std`, in the order of transformers'
//! `rescale` and `normalize`.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, require};
use crate::image::Plan;
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` u32 \[height, width\] or \[images, height, width\], pixels `0xAABBGGRR` -> planes \[3, height, width\] or \[images, 3,
/// height, width\] of f32 or f16.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalize {
    /// Factor on the bytes.
    pub rescale: f32,
    /// Subtracted from the product, by channel.
    pub mean: [f32; 3],
    /// Divides the difference, by channel.
    pub std: [f32; 3],
    /// Type of the planes.
    pub dtype: DType,
}

pub(super) const ENTRY: Entry =
    Entry { name: "normalize", about: "pixels to planes: (byte * rescale - mean) / std, by channel" };

const LANES: u32 = 64;

impl Normalize {
    /// The normalisation of a plan, to f32.
    pub fn new(plan: &Plan) -> Self {
        Self { rescale: plan.rescale, mean: plan.mean, std: plan.std, dtype: DType::F32 }
    }
}

impl Kernel for Normalize {
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
        let x = &inputs[0];
        let ok = x.dtype == DType::U32 && (2..=3).contains(&x.shape.len()) && x.elements() > 0;
        require(self, ok, || format!("x {x} is not u32[height,width] or u32[images,height,width]"))?;
        let mut shape = x.shape.clone();
        shape.insert(shape.len() - 2, 3);
        Ok(vec![TensorType::new(self.dtype, &shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let plane: usize = x.shape[x.shape.len() - 2..].iter().product();
        let (images, bits) = (x.elements() / plane, |v: f32| v.to_bits());
        let planes = if plane.is_multiple_of(4) { "parts/planes_quads" } else { "parts/planes_cells" };
        // Lanes take further quads where the pixels of an image are more than a dimension of the grid holds.
        let tiles = plane.div_ceil(4 * LANES as usize).min(caps.max_groups as usize);
        require(self, images <= caps.max_groups as usize, || format!("{images} images in one dispatch"))?;
        Ok(vec![Launch {
            files: vec!["normalize", elem_part(y.dtype, caps)?, planes],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("plane", plane as u32),
                ("rescale", bits(self.rescale)),
                ("mean_red", bits(self.mean[0])),
                ("mean_green", bits(self.mean[1])),
                ("mean_blue", bits(self.mean[2])),
                ("std_red", bits(self.std[0])),
                ("std_green", bits(self.std[1])),
                ("std_blue", bits(self.std[2])),
            ],
            grid: [tiles as u32, images as u32, 1],
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::normalize(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let dtype = if self.dtype == DType::F32 { "" } else { " f16" };
        format!("rescale={:e} mean={:?} std={:?}{dtype}", self.rescale, self.mean, self.std)
    }
}
