//! Samples of planes at given places, and regions brought to one size.

use super::rows::{activation, arity};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// How a cell comes from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GridMode {
    /// The nearest; of two the even one.
    Nearest,
    /// By distance.
    #[default]
    Linear,
    /// Keys' cubic with a = -3/4, over two axes.
    Cubic,
}

/// What lies outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GridPadding {
    /// Zeros.
    #[default]
    Zeros,
    /// The cell of the border.
    Border,
    /// The planes, reflected at their border.
    Reflection,
}

/// `x` \[images, channels, (z,) y, x\], `grid` f32 \[images, .., 2 or 3\] -> `y` \[images, channels, ..\] with the axes of
/// the grid's places. The coordinates of a place come fastest axis first, from -1 to 1 over the extent of an axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridSample {
    /// How a cell comes from its neighbours.
    pub mode: GridMode,
    /// What lies outside.
    pub padding: GridPadding,
    /// -1 and 1 are the centres of the first and last cells, not their outer edges.
    pub align_corners: bool,
}

/// `x` \[images, channels, height, width\], `regions` f32 \[regions, 4\] (x1, y1, x2, y2), `batch` u32 \[regions\] (the
/// image of each, clamped) -> `y` \[regions, channels, height, width\] of the size asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RoiAlign {
    /// Height and width of `y`.
    pub size: [usize; 2],
    /// Samples along each axis of a bin; 0: as many as cells of `x` fit a bin, rounded up, at most 1024.
    pub samples: usize,
    /// Factor from the coordinates of the regions to cells of `x`.
    pub scale: f32,
    /// Centres of cells are at halves (ONNX's `half_pixel`); else at whole numbers, and a region is at least one cell.
    pub aligned: bool,
    /// The maximum of the weighted neighbours of all samples of a bin instead of the average of the samples.
    pub max: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "grid_sample", about: "samples of planes at the places of a grid: nearest, linear, cubic" };
pub(super) const ROI_ALIGN: Entry = Entry { name: "roi_align", about: "regions of planes brought to one size" };

const LANES: u32 = 64;

impl Kernel for GridSample {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "grid"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let (x, grid) = (&inputs[0], &inputs[1]);
        activation(self, x)?;
        let axes = grid.cols();
        let fits = matches!(axes, 2 | 3) && x.shape.len() == axes + 2 && grid.shape.len() > 2;
        let fits = fits && grid.dtype == DType::F32 && grid.shape[0] == x.shape[0] && x.elements() > 0;
        require(self, fits, || format!("grid {grid} does not give places of x {x}"))?;
        require(self, self.mode != GridMode::Cubic || axes == 2, || "cubic takes two axes".into())?;
        let mut shape = x.shape[..2].to_vec();
        shape.extend(&grid.shape[1..grid.shape.len() - 1]);
        let y = TensorType::new(x.dtype, &shape);
        [x, grid, &y].iter().try_for_each(|ty| flat_limit(self, ty.elements()))?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, grid, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let [images, channels, depth @ .., height, width] = x.shape.as_slice() else {
            return Err(Error::graph(ENTRY.name, format!("x {x} has no planes")));
        };
        let code = |v: u8| f64::from(v);
        Ok(vec![Launch {
            files: vec![ENTRY.name, elem_part(x.dtype, caps)?],
            overrides: vec![
                ("LANES", LANES.into()),
                ("MODE", code(self.mode as u8)),
                ("PADDING", code(self.padding as u8)),
                ("CORNERS", code(self.align_corners.into())),
            ],
            params: vec![
                ("items", y.elements() as u32),
                ("channels", *channels as u32),
                ("x_z", depth.iter().product::<usize>() as u32),
                ("x_y", *height as u32),
                ("x_x", *width as u32),
                ("places", (grid.rows() / images) as u32),
                ("axes", grid.cols() as u32),
            ],
            grid: grid_2d(y.elements().div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::grid_sample(self, &inputs[0], &inputs[1], row)
    }
    fn show(&self) -> String {
        let corners = if self.align_corners { " align_corners" } else { "" };
        format!("{:?} {:?}{corners}", self.mode, self.padding).to_lowercase()
    }
}

impl Kernel for RoiAlign {
    fn name(&self) -> &'static str {
        ROI_ALIGN.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "regions", "batch"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let (x, regions, batch) = (&inputs[0], &inputs[1], &inputs[2]);
        activation(self, x)?;
        require(self, x.shape.len() == 4 && x.elements() > 0, || format!("x {x} is not [images, channels, y, x]"))?;
        let count = batch.elements();
        let fits = regions.dtype == DType::F32 && regions.shape == [count, 4] && batch.dtype == DType::U32;
        require(self, fits, || format!("regions {regions} and batch {batch} do not match"))?;
        let sized = self.size.iter().all(|s| (1..1 << 16).contains(s)) && self.samples <= 1024;
        require(self, sized, || format!("{:?} bins of {} samples", self.size, self.samples))?;
        let y = TensorType::new(x.dtype, &[count, x.shape[1], self.size[0], self.size[1]]);
        flat_limit(self, x.elements())?;
        flat_limit(self, y.elements())?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        Ok(vec![Launch {
            files: vec![ROI_ALIGN.name, elem_part(x.dtype, caps)?],
            overrides: vec![
                ("LANES", LANES.into()),
                ("ALIGNED", f64::from(u8::from(self.aligned))),
                ("MAX", f64::from(u8::from(self.max))),
            ],
            params: vec![
                ("items", y.elements() as u32),
                ("images", x.shape[0] as u32),
                ("channels", x.shape[1] as u32),
                ("x_y", x.shape[2] as u32),
                ("x_x", x.shape[3] as u32),
                ("y_y", self.size[0] as u32),
                ("y_x", self.size[1] as u32),
                ("samples", self.samples as u32),
                ("scale", self.scale.to_bits()),
            ],
            grid: grid_2d(y.elements().div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::roi_align(self, inputs, row)
    }
    fn show(&self) -> String {
        let [height, width] = self.size;
        let mode = if self.max { " max" } else { "" };
        format!("{height}x{width} samples={} scale={}{mode}", self.samples, self.scale)
    }
}
