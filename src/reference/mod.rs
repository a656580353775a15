//! The oracles: one boring f64 function per kernel, evaluated row by row so that large cases can check
//! sampled rows. They share no helper with the kernels. Each cell comes with the error bound that the
//! arithmetic of the kernel earns, argued where it is computed. Never optimised by hand.

mod act;
mod attention;
mod axis;
mod cache_places;
mod ceilings;
mod conv;
mod elementwise;
mod experts;
mod integer_products;
mod layout;
mod linear_attention;
mod matmul;
mod norm;
mod number;
mod packing;
mod patch_embed;
mod picks;
mod quantize_blocks;
mod quantize_k;
mod resize;
mod rope;
mod rows;
mod sampling;
mod sight;
mod softmax;
mod spatial;
mod unary;
mod whole;

pub use act::act;
pub use attention::{attention, attention_decode, attention_merge, attention_scores};
pub use axis::{argmax, reduce, scan, top_k};
pub use cache_places::cache_places;
pub use ceilings::fma_chain;
pub use conv::{conv, pool};
pub use elementwise::{binary, glu, layer_scale};
pub use experts::{expert_combine, expert_matmul, expert_sort, route, swiglu};
pub use integer_products::{conv_int, matmul_int, pack_bytes, quantize_range};
pub use layout::{concat, pad, rearrange};
pub use linear_attention::linear_attention;
pub use matmul::{batch_matmul, matmul};
pub use norm::{batch_norm, group_norm, l2_norm, layer_norm, layer_norm_stats, rms_norm};
pub use number::{cast, dequantize, quantize};
pub use packing::{read_weight, unpack, unpack_rows};
pub use patch_embed::patch_embed;
pub use picks::{gather, row_index, scatter};
pub use quantize_blocks::quantize_blocks;
pub use resize::{normalize, pillow_resize, resize};
pub use rope::rope;
pub use rows::{embed_tokens, interpolate_rows, kv_append, kv_encode, splice_rows};
pub use sampling::{advance, sample_ids, sample_logprob};
pub use softmax::softmax;
pub use spatial::{grid_sample, resample, roi_align};
pub use unary::unary;
pub use whole::{compare, convert, integer, select};

use crate::DType;

/// Half an ulp of f32 at 1: the relative error of one correctly rounded operation.
pub const F32_EPS: f64 = 5.960_464_477_539_063e-8;

/// A tensor of the oracle: f64 values, whatever the device holds. Integers up to 2^53 are exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Type on the device.
    pub dtype: DType,
    /// Extents, slowest axis first. Always row-major, also for weights.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub data: Vec<f64>,
    /// What each value may be off by as the device reads it; empty where it reads them exactly.
    pub slack: Vec<f64>,
}

impl Array {
    /// An array of values that the device holds as `dtype`.
    pub fn new(dtype: DType, shape: &[usize], data: Vec<f64>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { dtype, shape: shape.to_vec(), data, slack: Vec::new() }
    }
    /// [`Array::slack`] of a row along the last axis.
    pub fn slack_of(&self, row: usize) -> &[f64] {
        let cols = self.cols();
        self.slack.get(row * cols..row * cols + cols).unwrap_or_default()
    }
    /// Extent of the last axis.
    pub fn cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
    /// Product of the other axes.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len().saturating_sub(1)].iter().product()
    }
    /// One row along the last axis.
    pub fn row(&self, row: usize) -> &[f64] {
        let cols = self.cols();
        &self.data[row * cols..][..cols]
    }
    /// Relative rounding when the device stores a value of this type: half an ulp.
    pub fn store_ulp(&self) -> f64 {
        self.dtype.store_ulp()
    }
}

/// One expected value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The value in f64.
    pub want: f64,
    /// Largest absolute error that the kernel's arithmetic may make.
    pub bound: f64,
}

/// Smallest normal number of a type: below it devices may flush to zero.
fn smallest_normal(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f64::powi(2.0, -14),
        _ => f64::from(f32::MIN_POSITIVE),
    }
}

/// Error of storing `want` as `dtype`: half an ulp, or all of a number that may be flushed to zero.
fn store_error(want: f64, dtype: DType) -> f64 {
    let tiny = smallest_normal(dtype);
    if want.abs() < tiny { tiny } else { want.abs() * dtype.store_ulp() }
}

/// The value as f32 has it where it is beyond its range: infinite.
fn overflow(want: f64) -> f64 {
    if want.abs() > f64::from(f32::MAX) { want.signum() * f64::INFINITY } else { want }
}

/// A value that a kernel computes in f32 to within `error`, then stores as `dtype`.
fn computed(want: f64, error: f64, dtype: DType) -> Cell {
    let small = want.abs() - error < smallest_normal(dtype);
    let store = if small { smallest_normal(dtype) } else { store_error(want, dtype) };
    Cell { want, bound: error * (1.0 + dtype.store_ulp()) + store }
}

/// A value that is copied from a tensor of type `from` to one of type `to`: exact where `to` holds every value of
/// `from`, but denormal numbers may become zero.
fn moved(value: f64, from: DType, to: DType) -> Cell {
    let tiny = smallest_normal(from).max(smallest_normal(to));
    let widens = from == to || to == DType::F32;
    let bound = match widens {
        true if value == 0.0 || value.abs() >= tiny => 0.0,
        true => value.abs(),
        false => store_error(value, to),
    };
    Cell { want: value, bound }
}
