//! Patch embedding of a vision transformer (Dosovitskiy et al. 2020): a convolution whose stride is its kernel
//! size, from normalised planes or straight from 8-bit pixels.

use super::matmul::{Tile, weight_part};
use super::{Chunk, Cost, Entry, Io, Kernel, Launch, Layout, MatMul, TensorType, chunks, elem_part, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `pixels`, `w` \[dim, channels * patch * patch\] in panels (a convolution's weight, flattened), `bias` f32
/// \[dim\] where asked for -> `y` \[images * grid_rows * grid_cols, dim\], the patches of an image row by row.
/// Pixels beyond the last whole patch are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchEmbed {
    /// Height and width of a patch, in pixels.
    pub patch: usize,
    /// A third input, added to every patch.
    pub bias: bool,
    /// What the first input holds.
    pub source: Pixels,
}

/// What the pixels of [`PatchEmbed`] are.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Normalised values of the type of `y`, \[images, channels, height, width\].
    Planes,
    /// 8-bit RGB, u32 \[images, height, width\], a pixel a word `0xAABBGGRR`; normalised to
    /// `(value * rescale - mean) / std`, alpha left out.
    Rgba8 {
        /// Usually 1 / 255.
        rescale: f32,
        /// Mean of R, G, B, subtracted after rescaling.
        mean: [f32; 3],
        /// Spread of R, G, B.
        std: [f32; 3],
        /// Type of `y`.
        dtype: DType,
    },
}

pub(super) const ENTRY: Entry =
    Entry { name: "patch_embed", about: "convolution with stride = kernel size, implicit im2col" };

/// Extents that follow from the operand types.
struct Sizes {
    images: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl PatchEmbed {
    fn sizes(&self, pixels: &TensorType) -> Option<Sizes> {
        match (&self.source, pixels.shape.as_slice()) {
            (Pixels::Planes, &[images, channels, height, width]) => Some(Sizes { images, channels, height, width }),
            (Pixels::Rgba8 { .. }, &[images, height, width]) if pixels.dtype == DType::U32 => {
                Some(Sizes { images, channels: 3, height, width })
            }
            _ => None,
        }
    }

    fn dtype(&self, pixels: &TensorType) -> DType {
        match self.source {
            Pixels::Planes => pixels.dtype,
            Pixels::Rgba8 { dtype, .. } => dtype,
        }
    }

    fn normalising(&self) -> [(&'static str, u32); 7] {
        let names = ["rescale", "mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b"];
        let values = match self.source {
            Pixels::Planes => [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
            Pixels::Rgba8 { rescale, mean: [mr, mg, mb], std: [sr, sg, sb], .. } => [rescale, mr, mg, mb, sr, sg, sb],
        };
        std::array::from_fn(|i| (names[i], f32::to_bits(values[i])))
    }
}

impl Kernel for PatchEmbed {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        if self.bias { vec!["pixels", "w", "bias"] } else { vec!["pixels", "w"] }
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs.len() == self.inputs().len(), || format!("{} inputs", inputs.len()))?;
        let (pixels, w, patch) = (&inputs[0], &inputs[1], self.patch);
        let sizes = self.sizes(pixels).filter(|s| patch > 0 && s.height.min(s.width) >= patch && s.images > 0);
        let sizes = sizes.ok_or_else(|| {
            crate::Error::graph(ENTRY.name, format!("pixels {pixels} hold no patch of {patch} pixels for {self:?}"))
        })?;
        let inner = patch.checked_mul(patch).and_then(|p| p.checked_mul(sizes.channels));
        require(self, w.shape.len() == 2 && w.rows() > 0 && Some(w.cols()) == inner, || {
            format!("w {w} must be [dim, {} * {patch} * {patch}]", sizes.channels)
        })?;
        require(self, w.layout == Layout::Panels, || format!("w {w} must be in panels"))?;
        weight_part(w, &Caps::floor())?;
        if self.bias {
            require(self, inputs[2].dtype == DType::F32 && inputs[2].elements() == w.rows(), || {
                format!("bias {} must be f32[{}]", inputs[2], w.rows())
            })?;
        }
        let rows = sizes.images * (sizes.height / patch) * (sizes.width / patch);
        Ok(vec![TensorType::new(self.dtype(pixels), &[rows, w.rows()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (pixels, w, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let Some(sizes) = self.sizes(pixels) else {
            return Err(crate::Error::graph(ENTRY.name, format!("pixels {pixels} do not fit {self:?}")));
        };
        let tile = Tile::pick(y.rows(), caps);
        let pieces = chunks(w, caps);
        let source = if self.source == Pixels::Planes { "parts/pixels_planes" } else { "parts/pixels_rgba8" };
        let mut files = vec![ENTRY.name, elem_part(y.dtype, caps)?, source, weight_part(w, caps)?, tile.part];
        let quads = pieces.iter().all(|p| p.first % 4 == 0 && p.rows % 4 == 0);
        let [bias, _, _, io_part] = MatMul { bias: self.bias, ..MatMul::default() }.epilogue_parts(quads);
        files.extend([bias, io_part]);
        let mut overrides = tile.overrides();
        overrides.push(("PATCH", self.patch as f64));
        let dispatch = |(i, piece): (usize, &Chunk)| {
            let mut params = vec![
                ("rows", y.rows() as u32),
                ("cols", w.rows() as u32),
                ("inner", w.cols() as u32),
                ("first_col", piece.first as u32),
                ("chunk_cols", piece.rows as u32),
                ("height", sizes.height as u32),
                ("width", sizes.width as u32),
                ("grid_rows", (sizes.height / self.patch) as u32),
                ("grid_cols", (sizes.width / self.patch) as u32),
            ];
            params.extend(self.normalising());
            let grid = tile.grid(y.rows(), piece.rows, caps)?;
            let chunk = (pieces.len() > 1).then_some((1, i));
            Ok(Launch { files: files.clone(), overrides: overrides.clone(), params, grid, chunk })
        };
        pieces.iter().enumerate().map(dispatch).collect()
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, io.outputs[0].elements() as u64 * io.inputs[1].cols() as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::patch_embed(self, &inputs[0], &inputs[1], inputs.get(2), row)
    }
    fn show(&self) -> String {
        let source = if self.source == Pixels::Planes { "planes" } else { "rgba8" };
        format!("patch={}{} {source}", self.patch, if self.bias { " bias" } else { "" })
    }
}
