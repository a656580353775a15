//! Borders: a tensor widened, or cut, along any axes.

use super::unit::{Unit, movable, runs, unit};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// What a cell outside the source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// The element with these bits: the low word, and the high one of a 64-bit element, else the low word again; an
    /// element of 2 bytes is in both halves of both ([`Border::f32`] and [`Border::word`] see to that).
    Fill([u32; 2]),
    /// The nearest cell of the source.
    Edge,
    /// The source mirrored about its first and its last cell, as often as it takes.
    Reflect,
    /// The source repeated.
    Wrap,
}

/// `x` \[n0, n1, ..\] -> `y` \[b0 + n0 + a0, b1 + n1 + a1, ..\]: `before[i]` and `after[i]` cells more, or fewer where
/// negative, along axis `i`. Elements are moved bit by bit; 64-bit elements are a last axis of two words without a
/// border. Repeating a tensor `n` times along an axis is wrapping with `(n - 1)` times its extent after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pad {
    /// Cells before the source, by axis.
    pub before: Vec<i64>,
    /// Cells after it.
    pub after: Vec<i64>,
    /// What they hold.
    pub border: Border,
}

pub(super) const ENTRY: Entry = Entry { name: "pad", about: "borders: filled, clamped, mirrored or wrapped; tiling" };

const AXES: usize = 6;

/// An axis: cells of `x`, cells of `y`, and cells of `y` before `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    source: i64,
    extent: i64,
    before: i64,
}

impl Axis {
    /// Whether a cell of `y` is so far from `x` that one turn does not bring it back.
    fn far(&self) -> bool {
        self.before >= self.source || self.extent - self.before > 2 * self.source - 1
    }
    fn plain(self) -> bool {
        self.before == 0 && self.source == self.extent
    }
}

impl Border {
    /// Filled with an f32.
    pub fn f32(value: f32) -> Self {
        Self::word(value.to_bits())
    }
    /// Filled with an element of 4 bytes, or two of 2.
    pub fn word(bits: u32) -> Self {
        Self::Fill([bits, bits])
    }
    /// Value of the override `BORDER`.
    fn code(self) -> f64 {
        match self {
            Self::Fill(_) => 0.0,
            Self::Edge => 1.0,
            Self::Reflect => 2.0,
            Self::Wrap => 3.0,
        }
    }
    fn name(self) -> &'static str {
        match self {
            Self::Fill(_) => "fill",
            Self::Edge => "edge",
            Self::Reflect => "reflect",
            Self::Wrap => "wrap",
        }
    }
}

impl Pad {
    /// A tensor of `shape` repeated `repeats[i]` times along axis `i`.
    pub fn tile(shape: &[usize], repeats: &[usize]) -> Self {
        let after = shape.iter().zip(repeats).map(|(n, r)| (*n as i64).saturating_mul(*r as i64 - 1)).collect();
        Self { before: vec![0; shape.len()], after, border: Border::Wrap }
    }

    fn axes(&self, shape: &[usize]) -> Vec<Axis> {
        let sides = self.before.iter().zip(&self.after);
        let axis = |(n, (before, after)): (&usize, (&i64, &i64))| {
            let source = *n as i64;
            Axis { source, extent: source.saturating_add(*before).saturating_add(*after), before: *before }
        };
        shape.iter().zip(sides).map(axis).collect()
    }
    /// An axis without a border joins the one before it, where the border of that one does not look at single cells.
    fn merged(&self, shape: &[usize]) -> Vec<Axis> {
        let whole = matches!(self.border, Border::Fill(_) | Border::Wrap);
        let mut merged: Vec<Axis> = Vec::new();
        for axis in self.axes(shape) {
            match merged.last_mut() {
                Some(last) if axis.plain() && (whole || last.plain()) => {
                    let n = axis.source;
                    *last = Axis { source: last.source * n, extent: last.extent * n, before: last.before * n };
                }
                _ => merged.push(axis),
            }
        }
        if merged.is_empty() {
            merged.push(Axis { source: 1, extent: 1, before: 0 });
        }
        merged
    }
    /// The unit, and the axes counted in it: whole units must stay together along the last axis.
    fn units(&self, x: &TensorType, caps: &Caps) -> Result<(Unit, Vec<Axis>)> {
        let mut axes = self.merged(&x.shape);
        let last = axes.len() - 1;
        // The buffer of an empty tensor holds a single word.
        let together =
            x.elements() > 0 && (axes[last].plain() || matches!(self.border, Border::Fill(_) | Border::Wrap));
        let Axis { source, extent, before } = axes[last];
        let unit = unit(x.dtype, &if together { [source, extent, before] } else { [1; 3] }, caps)?;
        let n = unit.elements as i64;
        axes[last] = Axis { source: source / n, extent: extent / n, before: before / n };
        Ok((unit, axes))
    }
}

impl Kernel for Pad {
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
        movable(self, x)?;
        let rank = x.shape.len();
        let alike = self.before.len() == rank && self.after.len() == rank;
        require(self, alike, || format!("{} and {} borders for x {x}", self.before.len(), self.after.len()))?;
        let axes = self.axes(&x.shape);
        let sane = axes.iter().all(|a| (0..1 << 31).contains(&a.extent) && a.before.abs() < 1 << 30);
        require(self, sane, || format!("borders {:?} and {:?} do not suit x {x}", self.before, self.after))?;
        let shape: Vec<usize> = axes.iter().map(|a| a.extent as usize).collect();
        let y = TensorType::new(x.dtype, &shape);
        movable(self, &y)?;
        let filled = matches!(self.border, Border::Fill(_)) || x.elements() > 0 || y.elements() == 0;
        require(self, filled, || format!("x {x} has no cells to fill {y} with"))?;
        let count = self.merged(&x.shape).len();
        require(self, count <= AXES, || format!("{count} axes, not {AXES} or fewer: do it in two steps"))?;
        Ok(vec![y])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        if io.outputs[0].elements() == 0 {
            return Ok(Vec::new());
        }
        let (unit, axes) = self.units(&io.inputs[0], caps)?;
        let items = axes.iter().map(|a| a.extent as usize).product::<usize>();
        let (lanes, steps, groups) = runs(items, caps);
        let [low, high] = if let Border::Fill(bits) = self.border { bits } else { [0, 0] };
        // Right-aligned: axis 5 is the last.
        let skip = AXES - axes.len();
        let axis = |i: usize| i.checked_sub(skip).map_or(Axis { source: 1, extent: 1, before: 0 }, |i| axes[i]);
        let mut params = vec![("items", items as u32), ("fill_low", low), ("fill_high", high)];
        let extents = ["e1", "e2", "e3", "e4", "e5"].into_iter().enumerate();
        params.extend(extents.map(|(i, name)| (name, axis(i + 1).extent as u32)));
        let before = ["b0", "b1", "b2", "b3", "b4", "b5"].into_iter().enumerate();
        params.extend(before.map(|(i, name)| (name, axis(i).before as u32)));
        let sources = ["n0", "n1", "n2", "n3", "n4", "n5"].into_iter().enumerate();
        params.extend(sources.map(|(i, name)| (name, axis(i).source as u32)));
        let numbers = [("LANES", lanes.into()), ("STEPS", steps.into())];
        let far = axes.iter().any(Axis::far);
        let variant = [("AXES", axes.len() as f64), ("BORDER", self.border.code()), ("FAR", far.into())];
        Ok(vec![Launch {
            files: vec![ENTRY.name, unit.part],
            overrides: numbers.into_iter().chain(variant).collect(),
            params,
            grid: grid_2d(groups, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost { flops: 0, bytes: io.outputs[0].bytes() + io.outputs[0].bytes().min(io.inputs[0].bytes()) }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::pad(self, &inputs[0], row)
    }
    fn show(&self) -> String {
        format!("{} {:?} {:?}", self.border.name(), self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pad(before: &[i64], after: &[i64], border: Border) -> Pad {
        Pad { before: before.to_vec(), after: after.to_vec(), border }
    }

    #[test]
    fn axes_without_a_border_join() {
        let zero = Border::Fill([0, 0]);
        assert_eq!(pad(&[0, 1, 0, 0], &[0, 1, 0, 0], zero).merged(&[2, 3, 4, 5]).len(), 2);
        assert_eq!(pad(&[0, 1, 0, 0], &[0, 1, 0, 0], Border::Edge).merged(&[2, 3, 4, 5]).len(), 3);
        assert_eq!(Pad::tile(&[2, 3], &[1, 1]).merged(&[2, 3]), [Axis { source: 6, extent: 6, before: 0 }]);
    }

    #[test]
    fn borders_that_make_no_sense_are_refused() {
        let x = [TensorType::f32(&[2, 3])];
        assert_eq!(pad(&[1, 0], &[0, -1], Border::Edge).infer(&x).unwrap()[0].shape, [3, 2]);
        assert!(pad(&[1], &[0], Border::Edge).infer(&x).is_err());
        assert!(pad(&[-3, 0], &[0, 0], Border::Edge).infer(&x).is_err());
        assert!(pad(&[i64::MAX, 0], &[i64::MAX, 0], Border::Edge).infer(&x).is_err());
        let none = [TensorType::f32(&[0, 3])];
        assert!(pad(&[1, 0], &[0, 0], Border::Wrap).infer(&none).is_err());
        assert!(pad(&[1, 0], &[0, 0], Border::Fill([0, 0])).infer(&none).is_ok());
    }
}
