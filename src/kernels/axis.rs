//! A tensor seen around one of its axes, `[outer, count, inner]`, and what kernels that work along an axis share.

use super::{Kernel, Layout, TensorType, elem_part, flat_limit, require};
use crate::{Caps, DType, Error, Result};

/// The extents around an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Around {
    /// Product of the axes before it.
    pub outer: usize,
    /// Its extent.
    pub count: usize,
    /// Product of the axes after it.
    pub inner: usize,
}

impl Around {
    /// Of a shape and an axis of it.
    pub fn of(shape: &[usize], axis: usize) -> Option<Self> {
        let count = *shape.get(axis)?;
        Some(Self { outer: shape[..axis].iter().product(), count, inner: shape[axis + 1..].iter().product() })
    }

    /// Checks `axis` and the size of `x`.
    pub fn checked(kernel: &dyn Kernel, x: &TensorType, axis: usize) -> Result<Self> {
        let around = Self::of(&x.shape, axis).filter(|_| x.layout == Layout::Rows);
        let around = around.ok_or_else(|| Error::graph(kernel.name(), format!("x {x} has no axis {axis}")))?;
        let cells = x.shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
        flat_limit(kernel, cells.unwrap_or(usize::MAX))?;
        Ok(around)
    }

    /// Lines along the axis.
    pub fn lines(&self) -> usize {
        self.outer * self.inner
    }

    /// The members `outer`, `count` and `inner` of a `Params`.
    pub fn params(&self) -> Vec<(&'static str, u32)> {
        vec![("outer", self.outer as u32), ("count", self.count as u32), ("inner", self.inner as u32)]
    }
}

/// `shape` without its axis `axis`.
pub(super) fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    shape.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, extent)| *extent).collect()
}

/// The part that defines `Stored` and `Number`.
pub(super) fn number_part(dtype: DType, caps: &Caps) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("parts/number_f32"),
        DType::F16 => elem_part(dtype, caps).map(|_| "parts/number_f16"),
        DType::I32 => Ok("parts/number_i32"),
        DType::U32 => Ok("parts/number_u32"),
        other => Err(Error::graph("numbers", format!("{other} is none of f32, f16, i32, u32"))),
    }
}

/// Numbers are f32, f16, i32 or u32, in rows.
pub(super) fn number(kernel: &dyn Kernel, x: &TensorType) -> Result<()> {
    let fits = matches!(x.dtype, DType::F32 | DType::F16 | DType::I32 | DType::U32) && x.layout == Layout::Rows;
    require(kernel, fits, || format!("{x} is not f32, f16, i32 or u32 in rows"))
}

/// How the items of a tensor that is put in order are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Items {
    /// One element an item.
    #[default]
    Single,
    /// Signed integers of 64 bits: the last axis of the tensor holds the low and the high word (u32).
    PairsI64,
    /// Unsigned integers of 64 bits: the last axis of the tensor holds the low and the high word (u32).
    PairsU64,
}

impl Items {
    /// Extents of the tensor `x` in items.
    pub(super) fn shape<'a>(self, kernel: &dyn Kernel, x: &'a TensorType) -> Result<&'a [usize]> {
        match self {
            Self::Single => number(kernel, x).map(|()| x.shape.as_slice()),
            _ => {
                let pairs = x.dtype == DType::U32 && x.shape.len() > 1 && x.cols() == 2;
                require(kernel, pairs, || format!("x {x} is not u32 with the two words of an item as last axis"))?;
                Ok(&x.shape[..x.shape.len() - 1])
            }
        }
    }

    /// Parts of the role key, with that of the role elem where it needs one.
    pub(super) fn parts(self, dtype: DType, caps: &Caps) -> Result<Vec<&'static str>> {
        Ok(match (self, dtype) {
            (Self::PairsI64, _) => vec!["parts/key_i64"],
            (Self::PairsU64, _) => vec!["parts/key_u64"],
            (_, DType::I32) => vec!["parts/key_i32"],
            (_, DType::U32) => vec!["parts/key_u32"],
            _ => vec![elem_part(dtype, caps)?, "parts/key_float"],
        })
    }
}

/// How a workgroup shares lines: its lanes, and how many lines it takes (`LANES` and `COLS`), both powers of two.
///
/// Neighbouring lanes take neighbouring lines where these lie next to each other, or where lines are short: a
/// software adapter pays for every barrier, and saves all of them with a line a lane.
pub(super) fn line_lanes(around: &Around, caps: &Caps) -> (u32, u32) {
    let slices = around.count.div_ceil(4).next_power_of_two();
    if caps.software {
        let alone = around.count <= SHORT && around.lines() >= 16;
        return if alone { (8, 8) } else { (slices.clamp(8, 256) as u32, 1) };
    }
    let most = 256.min(caps.max_lanes as usize).max(64);
    let cols = match around.inner {
        1 if around.count <= 16 => 64,
        inner => inner.max(1).next_power_of_two().min(32),
    };
    let lanes = (cols * slices).clamp(64, most).max(cols);
    ((if around.inner == 1 && around.count <= 16 { cols } else { lanes }) as u32, cols as u32)
}

/// Cells up to which a lane of a software adapter goes through a line alone.
const SHORT: usize = 4096;
