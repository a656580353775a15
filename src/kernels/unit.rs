//! The role `unit`: kernels that move elements without looking at them move words, and as many at once as extents
//! and places allow.

use super::{Kernel, Launch, TensorType, grid_2d, require};
use crate::{Caps, DType, Error, Result};

/// What is moved at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// Elements in a unit.
    pub elements: usize,
    /// The part that defines it.
    pub part: &'static str,
}

/// The largest unit that divides all of `extents`, which are in elements: extents and offsets along dense axes.
pub(super) fn unit(dtype: DType, extents: &[i64], caps: &Caps) -> Result<Unit> {
    let fits = |n: i64| extents.iter().all(|e| e % n == 0);
    let sizes: &[(usize, &str)] = match dtype.size() {
        4 => &[(4, "parts/unit_quad"), (2, "parts/unit_pair"), (1, "parts/unit_word")],
        _ => &[(8, "parts/unit_quad"), (4, "parts/unit_pair"), (2, "parts/unit_word")],
    };
    match sizes.iter().find(|(n, _)| fits(*n as i64)) {
        Some((elements, part)) => Ok(Unit { elements: *elements, part }),
        None if caps.f16 => Ok(Unit { elements: 1, part: "parts/unit_half" }),
        None => Err(Error::MissingCapability {
            what: "moving single f16 elements".into(),
            needs: "the feature shader-f16".into(),
            has: "no shader-f16; use f32 activations".into(),
        }),
    }
}

/// Tensors that are moved: row-major, of 4 or 2 bytes an element; 8 bytes are a last axis of two words.
pub(super) fn movable(kernel: &dyn Kernel, x: &TensorType) -> Result<()> {
    use DType::{F16, F32, I32, U32};
    let fits = matches!(x.dtype, F32 | I32 | U32 | F16) && x.layout == super::Layout::Rows;
    require(kernel, fits, || format!("{x} is not row-major of f32, i32, u32 or f16"))?;
    let cells = x.shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
    require(kernel, cells.is_some_and(|n| n <= 1 << 31), || format!("{x} has more than 2^31 elements"))
}

/// Lanes, and the neighbouring items of each, of a kernel whose lanes take runs of items; and its workgroups.
///
/// On a software adapter every access of a lane costs the same wherever it goes, and a run saves divisions; on
/// a GPU neighbouring lanes touch neighbouring items.
pub(super) fn runs(items: usize, caps: &Caps) -> (u32, u32, usize) {
    let (lanes, steps) = if caps.software { (8, 32) } else { (64.min(caps.max_lanes), 1) };
    (lanes, steps, items.div_ceil((lanes * steps) as usize))
}

/// Launch of a kernel whose lanes take runs of cells, with the count of cells as its only param.
pub(super) fn by_item(
    files: Vec<&'static str>,
    overrides: &[(&'static str, f64)],
    items: usize,
    caps: &Caps,
) -> Result<Vec<Launch>> {
    if items == 0 {
        return Ok(Vec::new());
    }
    let (lanes, steps, groups) = runs(items, caps);
    let mut all = vec![("LANES", lanes.into()), ("STEPS", steps.into())];
    all.extend(overrides);
    let params = vec![("items", items as u32)];
    Ok(vec![Launch { files, overrides: all, params, grid: grid_2d(groups, caps)?, chunk: None }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_divide_every_extent() {
        let floor = Caps::floor();
        assert_eq!(unit(DType::F32, &[8, 0, 4], &floor).unwrap().part, "parts/unit_quad");
        assert_eq!(unit(DType::U32, &[8, 6], &floor).unwrap().elements, 2);
        assert_eq!(unit(DType::F32, &[8, -3], &floor).unwrap().part, "parts/unit_word");
        assert_eq!(unit(DType::F16, &[8, 2], &floor).unwrap().part, "parts/unit_word");
        assert!(unit(DType::F16, &[3], &floor).is_err());
        assert_eq!(unit(DType::F16, &[3], &Caps { f16: true, ..floor }).unwrap().part, "parts/unit_half");
    }
}
