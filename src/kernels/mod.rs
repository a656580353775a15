//! Kernel descriptors: what a kernel binds, what shapes it makes, how it is launched and what it costs.
//!
//! A kernel is one file in `shaders/`, one file here, one oracle in `reference`, one case list in
//! `kernels-test`. Nothing here names a device: launching is a pure function of tensor types and [`Caps`].

mod act;
mod advance;
mod argmax;
mod attention;
mod attention_decode;
mod attention_scores;
mod axis;
mod batch_matmul;
mod batch_norm;
mod binary;
mod cache_places;
mod cached;
mod cast;
mod ceilings;
mod cell;
mod compare;
mod concat;
mod conv;
mod conv_int;
mod convert;
mod embed_tokens;
mod experts;
mod gather;
mod glu;
mod grid_sample;
mod group_norm;
mod integer;
mod interpolate_rows;
mod kv_append;
mod kv_encode;
mod l2_norm;
mod layer_norm;
mod layer_scale;
mod linear_attention;
mod matmul;
mod matmul_int;
mod matvec;
mod normalize;
mod number;
mod packing;
mod pad;
mod patch_embed;
mod pool;
mod quantize;
mod quantize_blocks;
mod quantize_range;
mod read_weight;
mod rearrange;
mod reduce;
mod resample;
mod resize;
mod rms_norm;
mod rope;
mod row_index;
mod rows;
mod sample;
mod scan;
mod scatter;
mod sight;
mod softmax;
mod splice_rows;
mod swiglu;
mod top_k;
mod unary;
mod unit;
mod window;

pub use act::Act;
pub use advance::Advance;
pub use argmax::Argmax;
pub use attention::Attention;
pub use attention_decode::{AttentionDecode, AttentionMerge};
pub use attention_scores::{AttentionScores, ScoreStage};
pub use axis::Items;
pub use batch_matmul::{BatchMatMul, Strides};
pub use batch_norm::BatchNorm;
pub use binary::{Binary, BinaryOp};
pub use cache_places::CachePlaces;
pub use cast::Cast;
pub use ceilings::{Copy, FmaChain};
pub use compare::{Compare, Orders, Select};
pub use concat::Concat;
pub use conv::{Conv, ConvGrouped, Convolution};
pub use conv_int::ConvInt;
pub use convert::{Convert, WordType};
pub use embed_tokens::EmbedTokens;
pub use experts::{ExpertCombine, ExpertMatMul, ExpertSort, Route, Score};
pub use gather::{Gather, Picks};
pub use glu::Glu;
pub use grid_sample::{GridMode, GridPadding, GridSample, RoiAlign};
pub use group_norm::GroupNorm;
pub use integer::{Integer, IntegerOp, Whole};
pub use interpolate_rows::InterpolateRows;
pub use kv_append::KvAppend;
pub use kv_encode::KvEncode;
pub use l2_norm::L2Norm;
pub use layer_norm::LayerNorm;
pub use layer_scale::LayerScale;
pub use linear_attention::LinearAttention;
pub use matmul::MatMul;
pub use matmul_int::{Each, MatMulInt, PackBytes};
pub use matvec::MatVec;
pub use normalize::Normalize;
pub use number::{Number, PowerRounding, SmallFloat};
pub use pad::{Border, Pad};
pub use patch_embed::{PatchEmbed, Pixels};
pub use pool::{Places, Pool, PoolOp, Windows};
pub use quantize::{Dequantize, Granularity, Quantize};
pub use quantize_blocks::QuantizeBlocks;
pub use quantize_range::QuantizeRange;
pub use read_weight::ReadWeight;
pub use rearrange::{Axis, Rearrange};
pub use reduce::{Reduce, ReduceOp};
pub use resample::Resample;
pub use resize::{Lines, Resize, longest_run, resize_passes};
pub use rms_norm::RmsNorm;
pub use rope::Rope;
pub use row_index::RowIndex;
pub use sample::{Sample, SampleSettings};
pub use scan::{Scan, ScanOp};
pub use scatter::{Combine, Scatter};
pub use sight::{Mask, ScoreBias};
pub use softmax::Softmax;
pub use splice_rows::SpliceRows;
pub use swiglu::Swiglu;
pub use top_k::TopK;
pub use unary::{Unary, UnaryOp};
pub use window::Window;

pub use crate::quant::{Block, CacheFormat, Codes, Packing, ScaleType, WeightFormat, Zero};

use crate::reference::{Array, Cell};
use crate::{Caps, DType, Error, Result};
use std::any::Any;
use std::fmt;

/// How the elements of a tensor lie in its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// Row-major, slowest axis first.
    #[default]
    Rows,
    /// A weight `[n, k]` in panels of four along `k`: element `(n, k)` is component `k % 4` of the quad
    /// `(k / 4) * n_count + n`. The tail of `k` is zero. Neighbouring lanes take neighbouring `n`.
    Panels,
    /// A quantized weight `[n, k]` in a published layout.
    Packed(Packing),
}

/// Element type, shape and layout of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Extents, slowest axis first.
    pub shape: Vec<usize>,
    /// Order of the elements.
    pub layout: Layout,
}

impl TensorType {
    /// A row-major tensor.
    pub fn new(dtype: DType, shape: &[usize]) -> Self {
        Self { dtype, shape: shape.to_vec(), layout: Layout::Rows }
    }
    /// A row-major f32 tensor.
    pub fn f32(shape: &[usize]) -> Self {
        Self::new(DType::F32, shape)
    }
    /// A row-major u32 tensor: token ids, positions, index lists.
    pub fn u32(shape: &[usize]) -> Self {
        Self::new(DType::U32, shape)
    }
    /// A weight `[n, k]` in panels.
    pub fn panels(dtype: DType, n: usize, k: usize) -> Self {
        Self { dtype, shape: vec![n, k], layout: Layout::Panels }
    }
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
    /// Extent of the last axis (1 for a scalar).
    pub fn cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
    /// Product of all axes but the last.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len().saturating_sub(1)].iter().product()
    }
    /// Bytes of one row: the last axis, padded to whole quads for panels.
    pub fn row_bytes(&self) -> usize {
        match self.layout {
            Layout::Rows => self.cols() * self.dtype.size(),
            Layout::Panels => self.cols().div_ceil(4) * 4 * self.dtype.size(),
            Layout::Packed(packing) => packing.row_bytes(self.rows(), self.cols()),
        }
    }
    /// Bytes of the buffer that holds the tensor, a multiple of 4 and at least 4.
    pub fn bytes(&self) -> u64 {
        let bytes = match self.layout {
            Layout::Packed(packing) => packing.bytes(self.rows(), self.cols()),
            _ => self.rows() as u64 * self.row_bytes() as u64,
        };
        bytes.next_multiple_of(4).max(4)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let layout = match self.layout {
            Layout::Rows => String::new(),
            Layout::Panels => ":panels".into(),
            Layout::Packed(packing) => format!(":{}", packing.name()),
        };
        write!(f, "{}[{}]{layout}", self.dtype, shape.join(","))
    }
}

/// Rows `first .. first + rows` of a tensor that is kept in a buffer of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// First row of the chunk in the tensor.
    pub first: usize,
    /// Rows of the chunk.
    pub rows: usize,
}

/// How a tensor is cut so that no piece exceeds a binding or a buffer of the device: one chunk when it fits.
/// Loader and kernels call the same function, so they agree.
pub fn chunks(ty: &TensorType, caps: &Caps) -> Vec<Chunk> {
    let limit = caps.max_binding.min(caps.max_buffer);
    let rows = ty.rows();
    if ty.bytes() <= limit {
        return vec![Chunk { first: 0, rows }];
    }
    let fit = (limit / ty.row_bytes() as u64) as usize;
    let step = if fit > 64 { fit / 64 * 64 } else { fit.max(1) };
    (0..rows).step_by(step).map(|first| Chunk { first, rows: step.min(rows - first) }).collect()
}

/// Types of a kernel's operands, in port order.
#[derive(Debug, Clone, Copy)]
pub struct Io<'a> {
    /// Types of the inputs.
    pub inputs: &'a [TensorType],
    /// Types of the outputs.
    pub outputs: &'a [TensorType],
}

/// One dispatch, fully decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// Shader files to link, without `.wgsl`: the kernel first, then parts as `"parts/<name>"`.
    pub files: Vec<&'static str>,
    /// Values of `override` constants.
    pub overrides: Vec<(&'static str, f64)>,
    /// Words of the `Params` struct by member name, in its order; f32 members as bits.
    pub params: Vec<(&'static str, u32)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// `(input, chunk)`: of a chunked input, the chunk that this dispatch binds.
    pub chunk: Option<(usize, usize)>,
}

/// Compulsory work of a node, over all its dispatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// 2 x multiply-adds of matrix products; 0 for kernels without one.
    pub flops: u64,
    /// Each input read once, each output written once.
    pub bytes: u64,
}

impl Cost {
    /// Bytes of all operands, no matrix product.
    pub fn traffic(io: &Io<'_>) -> Self {
        Self::product(io, 0)
    }
    /// Bytes of all operands and `2 * madds` flops.
    pub fn product(io: &Io<'_>, madds: u64) -> Self {
        let bytes = io.inputs.iter().chain(io.outputs).map(TensorType::bytes).sum();
        Self { flops: 2 * madds, bytes }
    }
}

/// A kernel with its attributes. Implementations are small structs; they are data, and pure.
pub trait Kernel: Any + fmt::Debug + Send + Sync {
    /// Name of the operation = name of the shader file.
    fn name(&self) -> &'static str;
    /// WGSL binding names of the inputs, in port order.
    fn inputs(&self) -> Vec<&'static str>;
    /// WGSL binding names of the outputs, in port order.
    fn outputs(&self) -> Vec<&'static str>;
    /// Types of the outputs, or what is wrong with the inputs.
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>>;
    /// Which input each output updates in place (`kv_append` its cache); the two share one buffer, which is
    /// bound once, under the output's name.
    fn updates(&self) -> Vec<(usize, usize)> {
        Vec::new()
    }
    /// The dispatches. Types were inferred before; an error names a missing capability.
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>>;
    /// Work.
    fn cost(&self, io: &Io<'_>) -> Cost;
    /// The f64 definition: row `row` of output `output` (a row runs along the last axis), each cell with its
    /// value and the absolute error that the arithmetic of the kernel may make at most.
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell>;
    /// Attributes as the plan prints them, e.g. `eps=1e-5`.
    fn show(&self) -> String {
        String::new()
    }
}

/// A registered kernel.
pub struct Entry {
    /// Name of the operation, and of the shader file.
    pub name: &'static str,
    /// One line on what it computes.
    pub about: &'static str,
}

/// Every kernel, in alphabetical order. Tests, benches, docs and the support table walk this list.
pub static KERNELS: &[Entry] = &[
    advance::ENTRY,
    argmax::ENTRY,
    attention::ENTRY,
    attention_decode::ENTRY,
    attention_decode::MERGE,
    attention_scores::ENTRY,
    batch_matmul::ENTRY,
    batch_norm::ENTRY,
    binary::ENTRY,
    cache_places::ENTRY,
    cast::ENTRY,
    compare::ENTRY,
    concat::ENTRY,
    conv::ENTRY,
    conv::GROUPED,
    conv_int::ENTRY,
    convert::ENTRY,
    ceilings::COPY,
    quantize::DEQUANTIZE,
    embed_tokens::ENTRY,
    experts::COMBINE,
    experts::MATMUL,
    experts::SORT,
    ceilings::FMA_CHAIN,
    gather::ENTRY,
    glu::ENTRY,
    grid_sample::ENTRY,
    group_norm::ENTRY,
    integer::ENTRY,
    interpolate_rows::ENTRY,
    kv_append::ENTRY,
    kv_encode::ENTRY,
    l2_norm::ENTRY,
    layer_norm::ENTRY,
    layer_scale::ENTRY,
    linear_attention::ENTRY,
    matmul::ENTRY,
    matmul_int::MATMUL,
    matvec::ENTRY,
    normalize::ENTRY,
    matmul_int::PACK,
    pad::ENTRY,
    patch_embed::ENTRY,
    pool::ENTRY,
    quantize::QUANTIZE,
    quantize_blocks::ENTRY,
    quantize_range::ENTRY,
    read_weight::ENTRY,
    rearrange::ENTRY,
    reduce::ENTRY,
    resample::ENTRY,
    resize::ENTRY,
    rms_norm::ENTRY,
    grid_sample::ROI_ALIGN,
    rope::ENTRY,
    experts::ROUTE,
    row_index::ENTRY,
    sample::ENTRY,
    scan::ENTRY,
    scatter::ENTRY,
    compare::SELECT,
    softmax::ENTRY,
    splice_rows::ENTRY,
    swiglu::ENTRY,
    top_k::ENTRY,
    unary::ENTRY,
];

/// Splits a count of workgroups over two grid dimensions; kernels recover it as
/// `group.x + group.y * groups.x` and leave early beyond their count.
pub fn grid_2d(groups: usize, caps: &Caps) -> Result<[u32; 3]> {
    let max = caps.max_groups as usize;
    let x = groups.clamp(1, max);
    let y = groups.max(1).div_ceil(x);
    if y > max {
        return Err(Error::MissingCapability {
            what: "dispatch".into(),
            needs: format!("{groups} workgroups"),
            has: format!("{max} x {max}"),
        });
    }
    Ok([x as u32, y as u32, 1])
}

/// The part that defines the activation element type `Elem` for `dtype`.
pub fn elem_part(dtype: DType, caps: &Caps) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("parts/elem_f32"),
        DType::F16 if caps.f16 => Ok("parts/elem_f16"),
        DType::F16 => Err(Error::MissingCapability {
            what: "f16 activations".into(),
            needs: "the feature shader-f16".into(),
            has: "no shader-f16; use f32 activations".into(),
        }),
        other => Err(Error::graph("activations", format!("{other} is not an activation type (f32, f16)"))),
    }
}

/// Checks operand count and the like with one message form.
pub(crate) fn require(kernel: &dyn Kernel, ok: bool, reason: impl FnOnce() -> String) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::graph(kernel.name(), reason())) }
}

/// Kernels with one lane an item count their items in u32, folded over two grid dimensions with room to spare.
pub(crate) fn flat_limit(kernel: &dyn Kernel, items: usize) -> Result<()> {
    require(kernel, items <= 1 << 31, || format!("{items} elements are more than 2^31 in one dispatch"))
}
