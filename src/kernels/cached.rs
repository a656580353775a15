//! What attention reads of keys and values in any format: the part of role cache, and where rows and heads begin.

use super::{Kernel, Layout, TensorType, require};
use crate::Result;
use crate::quant::{CacheFormat, Packing};

/// The format of rows that are packed.
pub(super) fn packed_format(ty: &TensorType) -> Option<CacheFormat> {
    match ty.layout {
        Layout::Packed(Packing::Cache(format)) => Some(format),
        _ => None,
    }
}

/// The part that reads `ty`.
pub(super) fn cache_part(ty: &TensorType) -> &'static str {
    match packed_format(ty) {
        None => "parts/cache_elem",
        Some(CacheFormat::F32) => "parts/cache_f32",
        Some(CacheFormat::F16) => "parts/cache_f16",
        Some(CacheFormat::Q8_0) => "parts/cache_q8_0",
        Some(CacheFormat::Q4_0) => "parts/cache_q4_0",
    }
}

/// Values from row to row: packed rows are whole units.
pub(super) fn row_stride(ty: &TensorType) -> usize {
    match packed_format(ty) {
        None => ty.cols(),
        Some(_) => ty.cols().next_multiple_of(CacheFormat::UNIT),
    }
}

/// Keys and values are alike, in rows of type `q` or packed; packed ones have the first head in the first column.
pub(super) fn check_cached(
    kernel: &dyn Kernel,
    q: &TensorType,
    [k, v]: [&TensorType; 2],
    offsets: [usize; 2],
) -> Result<()> {
    let read = match packed_format(k) {
        None => k.layout == Layout::Rows && k.dtype == q.dtype,
        Some(_) => offsets == [0, 0],
    };
    let alike = k.layout == v.layout && k.dtype == v.dtype && k.rows() == v.rows();
    require(kernel, read && alike && q.layout == Layout::Rows, || {
        format!("q {q}, k {k} and v {v}, from columns {offsets:?}, do not match")
    })?;
    let counted =
        [k, v].iter().all(|ty| ty.rows().checked_mul(row_stride(ty)).is_some_and(|n| u32::try_from(n).is_ok()));
    require(kernel, counted, || format!("k {k} and v {v} have more elements than u32 counts"))
}

impl TensorType {
    /// Rows of keys or values in `format`, beside activations of type `compute`.
    pub fn cache(format: CacheFormat, compute: crate::DType, rows: usize, cols: usize) -> Self {
        match format.packing(compute) {
            None => Self::new(compute, &[rows, cols]),
            Some(packing) => Self::packed(packing, rows, cols),
        }
    }
}
