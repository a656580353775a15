//! Mixtures of experts: routing, the order of tokens by expert, products with the experts' matrices, and back.
//!
//! route -> expert_sort -> expert_matmul (per = k) -> an activation -> expert_matmul -> expert_combine

use super::matmul::x_part;
use super::packing::weight_files;
use super::rows::{activation, arity, extents, reduce_part};
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, chunks, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// Scores of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// Softmax over all experts (Shazeer et al. 2017, Mixtral).
    Softmax,
    /// Sigmoid of each (DeepSeek-V3).
    Sigmoid,
}

/// `x` f32 \[rows, experts\] -> `experts` u32 \[rows, top\], the largest first, and `weights` f32 \[rows, top\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// Experts of a row: at most as many as there are.
    pub top: usize,
    /// What weights are made of.
    pub score: Score,
    /// Weights of a row add up to `scale`.
    pub normalise: bool,
    /// Factor of all weights.
    pub scale: f32,
}

/// `ids` u32 \[rows, top\] -> `order` u32 \[places\], `spans` u32 \[experts, 2\], `place` u32 \[rows, top\]: see
/// `shaders/expert_sort.wgsl`. Places are as many as ids, or `experts * capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertSort {
    /// Experts.
    pub experts: usize,
    /// Most rows of an expert; what is over is dropped. None: nothing is.
    pub capacity: Option<usize>,
}

/// `x` f32 \[rows, k\], `w` a weight \[experts * width, k\] in any layout, `order` and `spans` of [`ExpertSort`], `bias`
/// f32 \[experts, width\] where asked for -> `y` f32 \[places, width\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertMatMul {
    /// Assignments of a row of `x`: place p reads row `order[p] / per`. None: rows are places.
    pub per: Option<usize>,
    /// The capacity of the sort.
    pub capacity: Option<usize>,
    /// A last input.
    pub bias: bool,
}

/// `x` f32 \[places, cols\], `place` u32 and `weights` f32 \[rows, top\] -> `y` f32 \[rows, cols\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertCombine;

pub(super) const ROUTE: Entry = Entry { name: "route", about: "the best experts of each row with their weights" };
pub(super) const SORT: Entry =
    Entry { name: "expert_sort", about: "rows in the order of their experts, dropless or with a capacity" };
pub(super) const MATMUL: Entry =
    Entry { name: "expert_matmul", about: "products of sorted rows with their experts' matrices, in any layout" };
pub(super) const COMBINE: Entry = Entry { name: "expert_combine", about: "weighted sums of the experts' results" };

/// Rows of a tile of `expert_matmul`, and lanes, one a column.
const TILE_ROWS: usize = 8;
const LANES: u32 = 64;

impl Kernel for Route {
    fn name(&self) -> &'static str {
        ROUTE.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["experts", "weights"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        let x = &inputs[0];
        let fits = x.dtype == DType::F32 && (1..=x.cols()).contains(&self.top);
        require(self, fits, || format!("{} experts of x {x}, which is f32 with that many columns", self.top))?;
        let shape = [x.rows(), self.top];
        Ok(vec![TensorType::u32(&shape), TensorType::f32(&shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (rows, cols) = extents(self, &io.inputs[0])?;
        let (reduce, lanes) = reduce_part(cols.div_ceil(16), caps);
        let flag = |on: bool| f64::from(u8::from(on));
        Ok(vec![Launch {
            files: vec![ROUTE.name, reduce, "parts/best_shared"],
            overrides: vec![
                ("LANES", lanes.into()),
                ("TOP", self.top as f64),
                ("SIGMOID", flag(self.score == Score::Sigmoid)),
                ("NORMALISE", flag(self.normalise)),
            ],
            params: vec![("rows", rows as u32), ("cols", cols as u32), ("scale", self.scale.to_bits())],
            grid: grid_2d(rows, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::route(self, &inputs[0], output, row)
    }
    fn show(&self) -> String {
        let norm = if self.normalise { " normalised" } else { "" };
        format!("top {} {:?}{norm} scale={}", self.top, self.score, self.scale)
    }
}

impl Kernel for ExpertSort {
    fn name(&self) -> &'static str {
        SORT.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["ids"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["order", "spans", "place"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let ids = &inputs[0];
        require(self, ids.dtype == DType::U32 && ids.elements() > 0, || format!("ids {ids} are not u32, or none"))?;
        let places = self.capacity.map_or(Some(ids.elements()), |c| c.checked_mul(self.experts));
        let fits = self.experts > 0 && self.capacity != Some(0) && places.is_some();
        require(self, fits, || format!("{} experts with capacity {:?}", self.experts, self.capacity))?;
        let places = places.unwrap_or(0);
        flat_limit(self, places.max(ids.elements()))?;
        let spans = TensorType::u32(&[self.experts, 2]);
        Ok(vec![TensorType::u32(&[places]), spans, TensorType::u32(&ids.shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let assignments = io.inputs[0].elements();
        let lanes = if caps.software { 8 } else { 64.min(caps.max_lanes) };
        Ok(vec![Launch {
            files: vec![SORT.name],
            overrides: vec![("LANES", lanes.into()), ("CAPACITY", self.capacity.unwrap_or(0) as f64)],
            params: vec![("assignments", assignments as u32), ("experts", self.experts as u32)],
            grid: grid_2d(self.experts, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::expert_sort(self, &inputs[0], output, row)
    }
    fn show(&self) -> String {
        self.capacity.map_or(format!("{} experts", self.experts), |c| format!("{} experts of {c}", self.experts))
    }
}

impl Kernel for ExpertMatMul {
    fn name(&self) -> &'static str {
        MATMUL.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut ports = vec!["x", "w", "order", "spans"];
        ports.extend(self.bias.then_some("bias"));
        ports
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        let (x, w, order, spans) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        require(self, x.dtype == DType::F32 && x.rows() > 0, || format!("x {x} is not f32, or empty"))?;
        let experts = spans.elements() / 2;
        let matrix = w.shape.len() == 2 && w.cols() == x.cols() && experts > 0 && w.rows().is_multiple_of(experts);
        require(self, matrix && w.elements() > 0, || format!("w {w} is not {experts} matrices for x {x}"))?;
        if let Layout::Packed(packing) = w.layout {
            packing.check(self, w.rows(), w.cols())?;
        }
        weight_files(w, &Caps::floor())?;
        let listed = order.dtype == DType::U32 && spans.dtype == DType::U32 && order.elements() > 0;
        require(self, listed, || format!("order {order} and spans {spans} are not u32, or empty"))?;
        let places = self.capacity.is_none_or(|c| c > 0 && order.elements() == c * experts);
        require(self, places && self.per != Some(0), || format!("order {order} is not that of {self:?}"))?;
        if self.bias {
            let fits = inputs[4].dtype == DType::F32 && inputs[4].elements() == w.rows();
            require(self, fits, || format!("bias {} is not f32[{}]", inputs[4], w.rows()))?;
        }
        let shape = [order.elements(), w.rows() / experts];
        flat_limit(self, shape[0].saturating_mul(shape[1]))?;
        Ok(vec![TensorType::f32(&shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, w, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        if chunks(w, caps).len() > 1 {
            return Err(Error::MissingCapability {
                what: format!("experts' weights {w}"),
                needs: format!("a binding of {} bytes", w.bytes()),
                has: format!("{} bytes", caps.max_binding.min(caps.max_buffer)),
            });
        }
        let (places, experts, width) = (y.rows(), io.inputs[3].elements() / 2, y.cols());
        let (weight, mut overrides) = weight_files(w, caps)?;
        let bias = if self.bias { "parts/bias_cols" } else { "parts/bias_none" };
        let mut files = vec![MATMUL.name, "parts/elem_f32", x_part(x.cols()), bias];
        files.extend(weight);
        overrides.push(("LANES", LANES.into()));
        // Any spans need no more: each expert has at most one tile that is not full.
        let tiles = match self.capacity {
            Some(capacity) => {
                overrides.push(("CAPACITY", capacity as f64));
                files.push("parts/span_capacity");
                experts * capacity.div_ceil(TILE_ROWS)
            }
            None => {
                files.push("parts/span_filled");
                places / TILE_ROWS + experts.min(places)
            }
        };
        Ok(vec![Launch {
            files,
            overrides,
            params: vec![
                ("places", places as u32),
                ("x_rows", x.rows() as u32),
                ("cols", w.rows() as u32),
                ("inner", x.cols() as u32),
                ("chunk_cols", w.rows() as u32),
                ("experts", experts as u32),
                ("width", width as u32),
                ("per", self.per.unwrap_or(0) as u32),
            ],
            grid: grid_2d(tiles * width.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, io.outputs[0].elements() as u64 * io.inputs[0].cols() as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::expert_matmul(self, inputs, row)
    }
    fn show(&self) -> String {
        let per = self.per.map_or("sorted".into(), |per| format!("per={per}"));
        let capacity = self.capacity.map_or(String::new(), |c| format!(" capacity={c}"));
        format!("{per}{capacity}{}", if self.bias { " bias" } else { "" })
    }
}

impl Kernel for ExpertCombine {
    fn name(&self) -> &'static str {
        COMBINE.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "place", "weights"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        activation(self, &inputs[0])?;
        let (x, place, weights) = (&inputs[0], &inputs[1], &inputs[2]);
        let typed = x.dtype == DType::F32 && place.dtype == DType::U32 && weights.dtype == DType::F32;
        let like = place.shape == weights.shape && place.elements() > 0 && x.rows() > 0;
        require(self, typed && like, || format!("x {x}, place {place} and weights {weights} do not fit"))?;
        flat_limit(self, place.rows().saturating_mul(x.cols()))?;
        Ok(vec![TensorType::f32(&[place.rows(), x.cols()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, place) = (&io.inputs[0], &io.inputs[1]);
        let blocks = x.cols().div_ceil(4 * LANES as usize);
        Ok(vec![Launch {
            files: vec![COMBINE.name],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("tokens", place.rows() as u32),
                ("cols", x.cols() as u32),
                ("top", place.cols() as u32),
                ("places", x.rows() as u32),
                ("blocks", blocks as u32),
            ],
            grid: grid_2d(place.rows() * blocks, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::expert_combine(inputs, row)
    }
}
