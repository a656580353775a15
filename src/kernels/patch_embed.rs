//! Patch embedding of a vision transformer (Dosovitskiy et al. 2020): a convolution whose stride is its kernel
//! size, from normalised planes or straight from 8-bit pixels.

use super::matmul::{Tile, weight_part};
use super::{Chunk, Cost, Entry, Io, Kernel, Launch, Layout, MatMul, TensorType, chunks, elem_part, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `pixels`, `w` \[dim, channels * patch * patch\] in panels (a convolution's weight, flattened), `bias` f32
/// \[dim\] where asked for -> `y` \[images * grid_rows * grid_cols, dim\], the patches of an image row by row.
/// Pixels beyond the last whole patch are left out. With [`Pixels::Places`] a last input says where patches are.
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
    /// Normalised values of the type of `y`, pictures of any size one after the other, each \[channels, height,
    /// width\], as one row or four axes. The last input, `places` u32 \[patches, 4\], has of every patch the index of its first pixel, the
    /// pixels from line to line and from plane to plane, and a word that is not read. Reads beyond the end are of the
    /// last pixel.
    Places,
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
    /// Patches of all images.
    rows: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl PatchEmbed {
    /// `None` where the pixels hold no patch.
    fn sizes(&self, inputs: &[TensorType]) -> Option<Sizes> {
        let (pixels, patch) = (&inputs[0], self.patch);
        let area = patch.checked_mul(patch).filter(|area| *area > 0)?;
        let grid = |images: usize, height: usize, width: usize| images * (height / patch) * (width / patch);
        let sizes = match (&self.source, pixels.shape.as_slice()) {
            (Pixels::Planes, &[images, channels, height, width]) => {
                Sizes { rows: grid(images, height, width), channels, height, width }
            }
            (Pixels::Places, &[_] | &[_, _, _, _]) => {
                let (places, w) = (inputs.last()?, inputs.get(1)?);
                let listed = places.dtype == DType::U32 && places.shape.len() == 2 && places.cols() == 4;
                let sizes = Sizes { rows: places.rows(), channels: w.cols() / area, height: 0, width: 0 };
                Some(sizes).filter(|_| listed && pixels.elements() > 0)?
            }
            (Pixels::Rgba8 { .. }, &[images, height, width]) if pixels.dtype == DType::U32 => {
                Sizes { rows: grid(images, height, width), channels: 3, height, width }
            }
            _ => return None,
        };
        Some(sizes).filter(|s| s.rows > 0)
    }

    fn dtype(&self, pixels: &TensorType) -> DType {
        match self.source {
            Pixels::Planes | Pixels::Places => pixels.dtype,
            Pixels::Rgba8 { dtype, .. } => dtype,
        }
    }

    fn source_part(&self) -> &'static str {
        match self.source {
            Pixels::Planes => "parts/pixels_planes",
            Pixels::Places => "parts/pixels_places",
            Pixels::Rgba8 { .. } => "parts/pixels_rgba8",
        }
    }

    fn normalising(&self) -> [(&'static str, u32); 7] {
        let names = ["rescale", "mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b"];
        let values = match self.source {
            Pixels::Planes | Pixels::Places => [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
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
        let mut names = if self.bias { vec!["pixels", "w", "bias"] } else { vec!["pixels", "w"] };
        names.extend((self.source == Pixels::Places).then_some("places"));
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs.len() == self.inputs().len(), || format!("{} inputs", inputs.len()))?;
        let (pixels, w, patch) = (&inputs[0], &inputs[1], self.patch);
        let sizes = self.sizes(inputs).ok_or_else(|| {
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
        Ok(vec![TensorType::new(self.dtype(pixels), &[sizes.rows, w.rows()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (pixels, w, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let Some(sizes) = self.sizes(io.inputs) else {
            return Err(crate::Error::graph(ENTRY.name, format!("pixels {pixels} do not fit {self:?}")));
        };
        let tile = Tile::pick(y.rows(), caps);
        let pieces = chunks(w, caps);
        let mut files =
            vec![ENTRY.name, elem_part(y.dtype, caps)?, self.source_part(), weight_part(w, caps)?, tile.part];
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
        let places = inputs.last().filter(|_| self.source == Pixels::Places);
        reference::patch_embed(self, [&inputs[0], &inputs[1]], inputs.get(2).filter(|_| self.bias), places, row)
    }
    fn show(&self) -> String {
        let source = match self.source {
            Pixels::Planes => "planes",
            Pixels::Places => "places",
            Pixels::Rgba8 { .. } => "rgba8",
        };
        format!("patch={}{} {source}", self.patch, if self.bias { " bias" } else { "" })
    }
}
