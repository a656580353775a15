//! Matrix product with a fused epilogue: `y = act(x w^T + bias) + residual`.
//!
//! Here: the descriptor, and the choice of tile that `patch_embed` shares. For few rows see `matvec`.

use super::act::ACT_PART;
use super::packing::{product_files, weight_files};
use super::{Act, Chunk, Cost, Entry, Io, Kernel, Launch, Layout, TensorType, chunks, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `x` \[.., k\], `w` \[n, k\] (panels of f32, f16 or bf16, a packed layout, or row-major f32), then `bias` f32 \[n\] and
/// `residual` \[.., n\] where asked for -> `y` \[.., n\] in the type of `x`. Sums in f32.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatMul {
    /// A third input, added to every row before the activation.
    pub bias: bool,
    /// Applied to the sum.
    pub act: Option<Act>,
    /// A last input of the shape and type of `y`, added after the activation.
    pub residual: bool,
}

pub(super) const ENTRY: Entry = Entry { name: "matmul", about: "act(x w^T + bias) + residual, tiled" };

impl Kernel for MatMul {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        self.ports()
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.infer_for(self, inputs)
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        self.launches(ENTRY.name, Tile::pick(io.inputs[0].rows(), caps), io, caps)
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        self.product_cost(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        self.oracle_row(inputs, row)
    }
    fn show(&self) -> String {
        self.attributes()
    }
}

/// What `matvec` shares.
impl MatMul {
    pub(super) fn ports(&self) -> Vec<&'static str> {
        let mut ports = vec!["x", "w"];
        ports.extend(self.bias.then_some("bias"));
        ports.extend(self.residual.then_some("residual"));
        ports
    }

    /// One dispatch a chunk of the weight.
    pub(super) fn launches(&self, file: &'static str, tile: Tile, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, w) = (&io.inputs[0], &io.inputs[1]);
        let (rows, inner) = (x.rows(), x.cols());
        let pieces = chunks(w, caps);
        whole_or_divisible(w, pieces.len(), caps)?;
        let (weight, weight_overrides) = match product_files(w) {
            Some(parts) if tile.part == RUNS => parts,
            _ => weight_files(w, caps)?,
        };
        let mut files = vec![file, elem_part(x.dtype, caps)?, x_part(inner), tile.part];
        files.extend(weight);
        files.extend(self.epilogue_parts(pieces.iter().all(|p| p.first % 4 == 0 && p.rows % 4 == 0)));
        let mut overrides = tile.overrides();
        overrides.extend(weight_overrides);
        overrides.push(("ACT", Act::code(self.act)));
        let dispatch = |(i, piece): (usize, &Chunk)| {
            let params = vec![
                ("rows", rows as u32),
                ("cols", w.rows() as u32),
                ("inner", inner as u32),
                ("first_col", piece.first as u32),
                ("chunk_cols", piece.rows as u32),
            ];
            let grid = tile.grid(rows, piece.rows, caps)?;
            let chunk = (pieces.len() > 1).then_some((1, i));
            Ok(Launch { files: files.clone(), overrides: overrides.clone(), params, grid, chunk })
        };
        pieces.iter().enumerate().map(dispatch).collect()
    }

    pub(super) fn infer_for(&self, kernel: &dyn Kernel, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let ports = self.ports();
        require(kernel, inputs.len() == ports.len(), || format!("{} inputs for {ports:?}", inputs.len()))?;
        let (x, w) = (&inputs[0], &inputs[1]);
        require(kernel, x.elements() > 0 && w.elements() > 0 && x.layout == Layout::Rows, || {
            format!("x {x} and w {w} must not be empty, x row-major")
        })?;
        require(kernel, w.shape.len() == 2 && w.cols() == x.cols(), || {
            format!("w {w} does not match x {x}: [n, k] with k = {}", x.cols())
        })?;
        match w.layout {
            Layout::Packed(packing) => packing.check(kernel, w.rows(), w.cols())?,
            _ => weight_part(w, &Caps::floor()).map(|_| ())?,
        }
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = w.rows();
        }
        let y = TensorType::new(x.dtype, &shape);
        if self.bias {
            require(kernel, inputs[2].dtype == DType::F32 && inputs[2].elements() == w.rows(), || {
                format!("bias {} must be f32[{}]", inputs[2], w.rows())
            })?;
        }
        if self.residual {
            let residual = &inputs[ports.len() - 1];
            let fits = residual.dtype == y.dtype && residual.rows() == y.rows() && residual.cols() == y.cols();
            require(kernel, fits && residual.layout == Layout::Rows, || {
                format!("residual {residual} does not match y {y}")
            })?;
        }
        Ok(vec![y])
    }

    /// The parts bias, act, residual and io; `quads` where every column group of 4 is whole and aligned.
    pub(super) fn epilogue_parts(&self, quads: bool) -> [&'static str; 4] {
        let residual = match (self.residual, quads) {
            (false, _) => "parts/residual_none",
            (true, true) => "parts/residual_quads",
            (true, false) => "parts/residual_scalars",
        };
        let bias = if self.bias { "parts/bias_cols" } else { "parts/bias_none" };
        [bias, ACT_PART, residual, if quads { "parts/io_quads" } else { "parts/io_scalars" }]
    }

    pub(super) fn product_cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, io.outputs[0].elements() as u64 * io.inputs[0].cols() as u64)
    }

    pub(super) fn oracle_row(&self, inputs: &[Array], row: usize) -> Vec<Cell> {
        let mut rest = inputs[2..].iter();
        let bias = if self.bias { rest.next() } else { None };
        let residual = if self.residual { rest.next() } else { None };
        reference::matmul(&inputs[0], &inputs[1], bias, self.act, residual, row)
    }

    pub(super) fn attributes(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.bias.then_some("bias"));
        words.extend(self.act.map(Act::name));
        words.extend(self.residual.then_some("residual"));
        words.join(" ")
    }
}

/// The part of role x for rows of `inner` activations.
pub(super) fn x_part(inner: usize) -> &'static str {
    if inner.is_multiple_of(4) { "parts/x_quads" } else { "parts/x_scalars" }
}

/// The part of role weight that reads `w`.
pub(super) fn weight_part(w: &TensorType, caps: &Caps) -> Result<&'static str> {
    match (w.layout, w.dtype) {
        (Layout::Panels, DType::F32) if caps.by_pairs() => Ok("parts/weight_f32_pairs"),
        (Layout::Panels, DType::F32) => Ok("parts/weight_f32"),
        (Layout::Panels, DType::F16) => Ok("parts/weight_f16"),
        (Layout::Panels, DType::BF16) => Ok("parts/weight_bf16"),
        (Layout::Rows, DType::F32) => Ok("parts/weight_rows"),
        _ => Err(Error::graph("matmul", format!("{w} is not a weight: f32, f16, bf16 panels or f32 rows"))),
    }
}

/// Layouts in sections are one dispatch or none.
pub(super) fn whole_or_divisible(w: &TensorType, pieces: usize, caps: &Caps) -> Result<()> {
    match w.layout {
        Layout::Packed(packing) if pieces > 1 && !packing.divisible() => Err(Error::MissingCapability {
            what: format!("weight {w}"),
            needs: format!("a binding of {} bytes", w.bytes()),
            has: format!("{} bytes", caps.max_binding.min(caps.max_buffer)),
        }),
        _ => Ok(()),
    }
}

/// The tile that takes weights by the role product.
const RUNS: &str = "parts/tile_vec_runs";

/// A tile part with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tile {
    pub part: &'static str,
    rows: usize,
    cols: usize,
    /// TILE_ROWS is an override of the part, not a constant.
    rows_vary: bool,
}

impl Tile {
    /// The tile for `rows` rows of output.
    pub fn pick(rows: usize, caps: &Caps) -> Self {
        if lavapipe_like(caps) {
            let rows = rows.div_ceil(8).clamp(1, 4) * 8;
            return Self { part: "parts/tile_subgroup", rows, cols: 64, rows_vary: true };
        }
        if caps.software {
            return Self { part: "parts/tile_direct", rows: 16, cols: 64, rows_vary: false };
        }
        Self { part: "parts/tile_shared", rows: 64, cols: 64, rows_vary: false }
    }

    /// The tile for an x that takes long to read: one that calls `x_quad` in few places, since compilers put the whole
    /// of it in each (SwiftShader takes minutes over the sixteen of `tile_direct`).
    pub fn pick_staged(rows: usize, caps: &Caps) -> Self {
        if lavapipe_like(caps) {
            Self::pick(rows, caps)
        } else {
            Self::pick(rows, &Caps { software: false, ..caps.clone() })
        }
    }

    /// The tile of `matvec` for `rows` <= 8 times `w`.
    pub fn pick_vec(rows: usize, w: &TensorType, caps: &Caps) -> Self {
        if lavapipe_like(caps) {
            return match rows {
                1 if product_files(w).is_some() => Self { part: RUNS, rows: 1, cols: 32, rows_vary: false },
                1 => Self { part: "parts/tile_vec_subgroup", rows: 1, cols: 128, rows_vary: false },
                _ => Self { part: "parts/tile_subgroup", rows: 8, cols: 64, rows_vary: true },
            };
        }
        Self { part: "parts/tile_vec_shared", rows, cols: 16, rows_vary: true }
    }

    /// Values of the part's overrides.
    pub fn overrides(&self) -> Vec<(&'static str, f64)> {
        if self.rows_vary { vec![("TILE_ROWS", self.rows as f64)] } else { Vec::new() }
    }

    /// Workgroups for `rows` x `cols` outputs, as the kernels number their tiles.
    pub fn grid(&self, rows: usize, cols: usize, caps: &Caps) -> Result<[u32; 3]> {
        grid_2d(self.tiles(rows, cols), caps)
    }

    /// Tiles that cover `rows` x `cols` outputs.
    pub fn tiles(&self, rows: usize, cols: usize) -> usize {
        rows.div_ceil(self.rows) * cols.div_ceil(self.cols)
    }
}

/// The subgroup parts promise their result for subgroups of exactly 8 lanes only.
fn lavapipe_like(caps: &Caps) -> bool {
    caps.software && caps.subgroup == Some((8, 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{MatVec, PatchEmbed, Pixels};

    fn launches(kernel: &dyn Kernel, inputs: &[TensorType], caps: &Caps) -> Vec<Launch> {
        let outputs = kernel.infer(inputs).unwrap();
        kernel.launch(&Io { inputs, outputs: &outputs }, caps).unwrap()
    }

    fn every_caps() -> Vec<Caps> {
        let software = Caps { software: true, ..Caps::floor() };
        let eight = Caps { subgroup: Some((8, 8)), ..software.clone() };
        vec![Caps::floor(), Caps { int64: true, ..eight.clone() }, eight, software]
    }

    #[test]
    fn grids_stay_within_the_device_and_cover_the_output() {
        for caps in every_caps() {
            for (m, n) in [(1, 1), (1, 32_000), (65_537, 3), (5_000_000, 8), (3, 5_000_000)] {
                let inputs = [TensorType::f32(&[m, 4]), TensorType::panels(DType::F32, n, 4)];
                for launch in launches(&MatMul::default(), &inputs, &caps) {
                    let [x, y, z] = launch.grid;
                    let groups = u64::from(x) * u64::from(y);
                    assert!(x.max(y) <= caps.max_groups && z == 1, "{launch:?}");
                    assert!(groups * 64 * 64 >= (m * n) as u64, "{launch:?}");
                }
            }
        }
    }

    #[test]
    fn a_large_weight_is_one_dispatch_a_chunk() {
        for caps in every_caps() {
            let w = TensorType::panels(DType::F32, 50_000, 1024);
            let pieces = chunks(&w, &caps);
            assert!(pieces.len() > 1);
            let inputs = [TensorType::f32(&[4, 1024]), w];
            for kernel in [&MatMul::default() as &dyn Kernel, &MatVec::default()] {
                let all = launches(kernel, &inputs, &caps);
                assert_eq!(all.len(), pieces.len());
                for (i, (launch, piece)) in all.iter().zip(&pieces).enumerate() {
                    assert_eq!(launch.chunk, Some((1, i)));
                    assert_eq!(launch.params[3], ("first_col", piece.first as u32));
                    assert_eq!(launch.params[4], ("chunk_cols", piece.rows as u32));
                    assert!(launch.files.contains(&"parts/io_quads"));
                }
            }
        }
    }

    #[test]
    fn wrong_operands_are_errors() {
        let x = TensorType::f32(&[2, 3, 8]);
        let w = TensorType::panels(DType::F16, 5, 8);
        let bias = MatMul { bias: true, ..MatMul::default() };
        assert_eq!(bias.infer(&[x.clone(), w.clone(), TensorType::f32(&[5])]).unwrap()[0].shape, [2, 3, 5]);
        assert!(bias.infer(&[x.clone(), w.clone()]).is_err(), "the bias is missing");
        assert!(bias.infer(&[x.clone(), w.clone(), TensorType::f32(&[4])]).is_err());
        let residual = MatMul { residual: true, ..MatMul::default() };
        assert!(residual.infer(&[x.clone(), w.clone(), TensorType::new(DType::F16, &[2, 3, 5])]).is_err());
        let plain = MatMul::default();
        assert!(plain.infer(&[x.clone(), TensorType::panels(DType::F32, 5, 9)]).is_err());
        assert!(plain.infer(&[x.clone(), TensorType::new(DType::F16, &[5, 8])]).is_err(), "f16 rows");
        assert!(plain.infer(&[TensorType::f32(&[0, 8]), w.clone()]).is_err());
        assert!(MatVec::default().infer(&[TensorType::f32(&[9, 8]), w]).is_err(), "9 rows");
        let patches = PatchEmbed { patch: 4, bias: false, source: Pixels::Planes };
        let pixels = TensorType::f32(&[1, 3, 3, 9]);
        assert!(patches.infer(&[pixels, TensorType::panels(DType::F32, 5, 48)]).is_err(), "no whole patch");
    }

    #[test]
    fn every_variant_links_and_keeps_the_floor() {
        for caps in every_caps() {
            for w in [DType::F32, DType::F16, DType::BF16] {
                for (k, n) in [(8, 8), (7, 5)] {
                    let kernel = MatMul { bias: true, act: Some(Act::Gelu), residual: true };
                    let vec = MatVec { bias: true, act: Some(Act::Gelu), residual: true };
                    for rows in [1, 3, 40] {
                        let y = TensorType::f32(&[rows, n]);
                        let weight = TensorType::panels(w, n, k);
                        let inputs = [TensorType::f32(&[rows, k]), weight, TensorType::f32(&[n]), y];
                        let mut all = launches(&kernel, &inputs, &caps);
                        if rows <= 8 {
                            all.extend(launches(&vec, &inputs, &caps));
                        }
                        for launch in all {
                            let linked = crate::wgsl::link(&launch.files).unwrap();
                            let reflection = crate::wgsl::reflect(&linked, &launch.overrides).unwrap();
                            reflection.check(linked.name(), &caps).unwrap();
                            let names: Vec<&str> = reflection.params.iter().map(|(name, _)| name.as_str()).collect();
                            assert_eq!(names, launch.params.iter().map(|(name, _)| *name).collect::<Vec<_>>());
                        }
                    }
                }
            }
        }
    }
}
