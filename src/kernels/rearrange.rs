//! A copy of a tensor as seen through a strided view: transposed, sliced, reversed, repeated, split.

use super::unit::{Unit, movable, runs, unit};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Error, Result};

/// An axis of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Cells along it.
    pub extent: usize,
    /// Elements of the source from one cell to the next; 0 repeats, a negative number reverses.
    pub stride: i64,
}

/// `x` of any shape -> `y` of `shape`, row-major: `y[i0, i1, ..] = x[base + i0 stride0 + i1 stride1 + ..]`.
///
/// The axes of the view hold as many cells as `shape`, in the same order, but need not be the same axes: space to
/// depth is a transposition of six axes into four. Neighbouring axes that continue each other count as one, and
/// at most six may be left. Elements are moved bit by bit; 64-bit elements are a last axis of two words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rearrange {
    /// Element of `x` at the origin of the view.
    pub base: i64,
    /// The view, slowest axis first.
    pub axes: Vec<Axis>,
    /// Shape of `y`.
    pub shape: Vec<usize>,
}

pub(super) const ENTRY: Entry =
    Entry { name: "rearrange", about: "a strided view copied: transpose, slice, reverse, repeat, split" };

/// Axes that the shader tells apart.
const AXES: usize = 6;

impl Rearrange {
    /// All of a tensor of `shape`.
    pub fn all(shape: &[usize]) -> Self {
        let mut stride = 1i64;
        let mut axes: Vec<Axis> = Vec::new();
        for extent in shape.iter().rev() {
            axes.push(Axis { extent: *extent, stride });
            stride = stride.saturating_mul((*extent).max(1) as i64);
        }
        axes.reverse();
        Self { base: 0, axes, shape: shape.to_vec() }
    }
    /// A tensor of `shape` with its axes in the order `perm`: axis `i` of the result is axis `perm[i]` of the source.
    ///
    /// Errors: `perm` is not a permutation of the axes.
    pub fn transpose(shape: &[usize], perm: &[usize]) -> Result<Self> {
        let all = Self::all(shape);
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..shape.len()) {
            return Err(Error::graph(ENTRY.name, format!("{perm:?} does not permute {} axes", shape.len())));
        }
        let axes: Vec<Axis> = perm.iter().map(|p| all.axes[*p]).collect();
        Ok(Self { base: 0, shape: axes.iter().map(|a| a.extent).collect(), axes })
    }
    /// `extent` cells along axis `axis` of the view, from cell `start`, every `step`-th; a negative step goes backwards.
    ///
    /// Errors: there is no such axis, it is not an axis of `shape` any more, or a cell lies outside it.
    pub fn slice(mut self, axis: usize, start: usize, step: i64, extent: usize) -> Result<Self> {
        let fits = self.axes.get(axis).is_some_and(|a| {
            let last = start as i64 + step.saturating_mul(extent.saturating_sub(1) as i64);
            self.shape.get(axis) == Some(&a.extent)
                && (extent == 0 || (start < a.extent && (0..a.extent as i64).contains(&last)))
        });
        if !fits {
            let reason = format!("{extent} cells from {start} in steps of {step} are not on axis {axis} of {self:?}");
            return Err(Error::graph(ENTRY.name, reason));
        }
        let stride = self.axes[axis].stride;
        self.base += stride * if extent == 0 { 0 } else { start as i64 };
        self.axes[axis] = Axis { extent, stride: stride.saturating_mul(step) };
        self.shape[axis] = extent;
        Ok(self)
    }
    /// A tensor of `shape` repeated to the shape `to`: axes are matched from the last, and an axis of 1 repeats.
    ///
    /// Errors: an axis is neither 1 nor as wide as that of `to`.
    pub fn expand(shape: &[usize], to: &[usize]) -> Result<Self> {
        let all = Self::all(shape);
        let new = to.len().checked_sub(shape.len());
        let matches = |new: usize| shape.iter().zip(&to[new..]).all(|(s, t)| s == t || *s == 1);
        let Some(new) = new.filter(|new| matches(*new)) else {
            return Err(Error::graph(ENTRY.name, format!("{shape:?} cannot be repeated to {to:?}")));
        };
        let stride = |i: usize| match i.checked_sub(new) {
            Some(old) if shape[old] == to[i] => all.axes[old].stride,
            _ => 0,
        };
        let axes = to.iter().enumerate().map(|(i, extent)| Axis { extent: *extent, stride: stride(i) }).collect();
        Ok(Self { base: 0, axes, shape: to.to_vec() })
    }
    /// The same cells in the same order, in a tensor of another shape.
    #[must_use]
    pub fn shaped(mut self, shape: &[usize]) -> Self {
        self.shape = shape.to_vec();
        self
    }

    /// The axes without those of one cell, neighbours that continue each other joined.
    fn merged(&self) -> Vec<Axis> {
        let mut merged: Vec<Axis> = Vec::new();
        for axis in self.axes.iter().filter(|a| a.extent != 1) {
            match merged.last_mut() {
                Some(last) if last.stride == axis.stride * axis.extent as i64 => {
                    *last = Axis { extent: last.extent * axis.extent, stride: axis.stride };
                }
                _ => merged.push(*axis),
            }
        }
        if merged.is_empty() {
            merged.push(Axis { extent: 1, stride: 1 });
        }
        merged
    }
    /// First and last element of `x` that the view sees.
    fn reach(&self) -> (i128, i128) {
        let mut reach = (i128::from(self.base), i128::from(self.base));
        for axis in &self.axes {
            let span = i128::from(axis.stride) * (axis.extent.max(1) - 1) as i128;
            if span < 0 { reach.0 += span } else { reach.1 += span }
        }
        reach
    }
}

/// How a view is moved: axes in items, with the strides of both sides in units.
struct Moves {
    unit: Unit,
    part: &'static str,
    extents: Vec<usize>,
    from: Vec<i64>,
    to: Vec<i64>,
    /// Within a block, in units of `x` and of `y`.
    steps: (i64, i64),
}

impl Moves {
    fn of(view: &Rearrange, axes: &[Axis], dtype: crate::DType, caps: &Caps) -> Result<Self> {
        let dense = axes.len() - 1;
        if axes[dense].stride == 1 {
            let mut multiples: Vec<i64> = axes[..dense].iter().map(|a| a.stride).collect();
            multiples.extend([axes[dense].extent as i64, view.base]);
            return Ok(Self::units(axes, unit(dtype, &multiples, caps)?));
        }
        let source = axes.iter().position(|a| a.stride == 1 && a.extent % 4 == 0);
        let quads = axes.iter().all(|a| a.stride == 1 || a.stride % 4 == 0) && view.base % 4 == 0;
        match source {
            Some(source) if quads && dtype.size() == 4 && axes[dense].extent.is_multiple_of(4) => {
                Self::blocks(axes, source, caps)
            }
            _ => Ok(Self::units(axes, unit(dtype, &[1], caps)?)),
        }
    }
    fn units(axes: &[Axis], unit: Unit) -> Self {
        let (mut extents, n) = (axes.iter().map(|a| a.extent).collect::<Vec<_>>(), unit.elements);
        let last = extents.len() - 1;
        extents[last] /= n;
        let mut from: Vec<i64> = axes.iter().map(|a| a.stride / n as i64).collect();
        if n > 1 {
            from[last] = 1;
        }
        let to = (0..extents.len()).map(|i| extents[i + 1..].iter().product::<usize>() as i64).collect();
        Self { unit, part: "parts/move_units", extents, from, to, steps: (0, 0) }
    }
    /// Blocks of four cells along the axis `source`, which is dense in `x`, and four along the last one.
    fn blocks(axes: &[Axis], source: usize, caps: &Caps) -> Result<Self> {
        let last = axes.len() - 1;
        let mut extents: Vec<usize> = axes.iter().map(|a| a.extent).collect();
        let cells = |i: usize| extents[i + 1..].iter().product::<usize>() as i64;
        let mut to: Vec<i64> = (0..axes.len()).map(|i| cells(i) / 4).collect();
        let mut from: Vec<i64> = axes.iter().map(|a| a.stride / 4).collect();
        let steps = (from[last], to[source]);
        (from[last], to[last]) = (4 * from[last], 1);
        (from[source], to[source]) = (1, 4 * to[source]);
        extents[last] /= 4;
        extents[source] /= 4;
        let unit = unit(crate::DType::U32, &[4], caps)?;
        Ok(Self { unit, part: "parts/move_blocks", extents, from, to, steps })
    }
}

impl Kernel for Rearrange {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let x = &inputs[0];
        let y = TensorType::new(x.dtype, &self.shape);
        movable(self, x)?;
        movable(self, &y)?;
        let cells = self.axes.iter().try_fold(1usize, |n, a| n.checked_mul(a.extent));
        require(self, cells == Some(y.elements()), || format!("the view {:?} does not fill {y}", self.axes))?;
        let (low, high) = self.reach();
        let inside = y.elements() == 0 || (low >= 0 && high < x.elements() as i128);
        require(self, inside, || format!("the view reaches from {low} to {high} in x {x}"))?;
        let axes = self.merged().len();
        require(self, axes <= AXES, || format!("the view has {axes} axes, not {AXES} or fewer: do it in two steps"))?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let y = &io.outputs[0];
        if y.elements() == 0 {
            return Ok(Vec::new());
        }
        let axes = self.merged();
        let moves = Moves::of(self, &axes, y.dtype, caps)?;
        let items = moves.extents.iter().product::<usize>();
        let (lanes, steps, groups) = runs(items, caps);
        // Right-aligned: axis 5 is the last.
        let skip = AXES - axes.len();
        let extent = |i: usize| i.checked_sub(skip).map_or(1, |i| moves.extents[i] as u32);
        let from = |i: usize| i.checked_sub(skip).map_or(0, |i| moves.from[i] as u32);
        let to = |i: usize| i.checked_sub(skip).map_or(0, |i| moves.to[i] as u32);
        let base = self.base / moves.unit.elements as i64;
        let steps_of_block = [("x_step", moves.steps.0 as u32), ("y_step", moves.steps.1 as u32)];
        let mut params = vec![("items", items as u32), ("base", base as u32)];
        params.extend(steps_of_block);
        params.extend(["e1", "e2", "e3", "e4", "e5"].into_iter().enumerate().map(|(i, name)| (name, extent(i + 1))));
        params.extend(["s0", "s1", "s2", "s3", "s4", "s5"].into_iter().enumerate().map(|(i, name)| (name, from(i))));
        params.extend(["t0", "t1", "t2", "t3", "t4", "t5"].into_iter().enumerate().map(|(i, name)| (name, to(i))));
        Ok(vec![Launch {
            files: vec![ENTRY.name, moves.unit.part, moves.part],
            overrides: vec![("LANES", lanes.into()), ("STEPS", steps.into()), ("AXES", axes.len() as f64)],
            params,
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // What the view does not see is not read, what it repeats is read once.
        Cost { flops: 0, bytes: io.outputs[0].bytes() + io.outputs[0].bytes().min(io.inputs[0].bytes()) }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::rearrange(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        let axes: Vec<String> = self.axes.iter().map(|a| format!("{}:{}", a.extent, a.stride)).collect();
        format!("{}+[{}]", self.base, axes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn launch(view: &Rearrange, x: TensorType) -> Launch {
        let y = view.infer(std::slice::from_ref(&x)).unwrap();
        view.launch(&Io { inputs: &[x], outputs: &y }, &Caps::floor()).unwrap().remove(0)
    }

    #[test]
    fn axes_that_continue_each_other_are_one() {
        let heads = Rearrange::transpose(&[577, 16, 64], &[1, 0, 2]).unwrap();
        assert_eq!(heads.merged().len(), 3);
        assert_eq!(launch(&heads, TensorType::f32(&[577, 16, 64])).files[1..], ["parts/unit_quad", "parts/move_units"]);
        let last = Rearrange::transpose(&[3, 224, 224], &[1, 2, 0]).unwrap();
        assert_eq!(last.merged(), [Axis { extent: 224 * 224, stride: 1 }, Axis { extent: 3, stride: 224 * 224 }]);
        let square = Rearrange::transpose(&[8, 12], &[1, 0]).unwrap();
        assert_eq!(launch(&square, TensorType::f32(&[8, 12])).files[2], "parts/move_blocks");
        assert_eq!(Rearrange::all(&[2, 3, 4]).merged(), [Axis { extent: 24, stride: 1 }]);
    }

    #[test]
    fn views_that_leave_their_source_are_refused() {
        let x = [TensorType::f32(&[2, 3])];
        let view = |base, axes: &[(usize, i64)], shape: &[usize]| Rearrange {
            base,
            axes: axes.iter().map(|(extent, stride)| Axis { extent: *extent, stride: *stride }).collect(),
            shape: shape.to_vec(),
        };
        assert!(view(5, &[(6, -1)], &[6]).infer(&x).is_ok());
        assert!(view(4, &[(6, -1)], &[6]).infer(&x).is_err());
        assert!(view(1, &[(6, 1)], &[6]).infer(&x).is_err());
        assert!(view(0, &[(6, 1)], &[5]).infer(&x).is_err(), "another number of cells");
        assert!(view(0, &[(usize::MAX, 0), (2, 0)], &[2]).infer(&x).is_err(), "a count that overflows");
        assert!(view(0, &[(2, i64::MAX), (2, i64::MAX)], &[4]).infer(&x).is_err(), "a place that overflows");
        assert!(Rearrange::transpose(&[2, 3], &[0, 0]).is_err());
        assert!(Rearrange::expand(&[2, 3], &[2, 4]).is_err());
        assert!(Rearrange::expand(&[2, 3], &[3]).is_err());
        assert!(Rearrange::all(&[4]).slice(0, 3, -1, 4).is_ok());
        assert!(Rearrange::all(&[4]).slice(0, 3, -1, 5).is_err());
        assert!(Rearrange::all(&[4]).infer(&[TensorType::new(DType::I64, &[4])]).is_err());
    }
}
