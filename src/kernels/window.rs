//! Windows that slide over up to three axes, as convolutions and pools have them.
//!
//! All kernels work on the axes (z, y, x); a tensor with fewer axes lacks the first ones, which count as 1.

use super::{Kernel, Layout, TensorType, flat_limit, require};
use crate::{Error, Result};

/// A window by axis (z, y, x). An axis that a tensor lacks keeps the default: size, stride and dilation 1, no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Cells.
    pub size: [usize; 3],
    /// Distance of neighbouring windows.
    pub stride: [usize; 3],
    /// Distance of neighbouring cells in a window.
    pub dilation: [usize; 3],
    /// Padding before the first cell.
    pub pad: [usize; 3],
    /// Padding after the last cell.
    pub pad_end: [usize; 3],
}

impl Default for Window {
    fn default() -> Self {
        Self { size: [1; 3], stride: [1; 3], dilation: [1; 3], pad: [0; 3], pad_end: [0; 3] }
    }
}

/// Largest attribute of a window: sums and products of two stay within u32.
const LARGEST: usize = 1 << 15;

impl Window {
    /// A window of `height` x `width`.
    pub fn planar(height: usize, width: usize) -> Self {
        Self { size: [1, height, width], ..Self::default() }
    }
    /// The same window moved in steps of `stride` along y and x.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = [1, stride, stride];
        self
    }
    /// The same window with `pad` cells of padding on every side along y and x.
    #[must_use]
    pub fn pad(mut self, pad: usize) -> Self {
        (self.pad, self.pad_end) = ([0, pad, pad], [0, pad, pad]);
        self
    }
    /// Cells of the window.
    pub fn cells(&self) -> usize {
        self.size.iter().product()
    }
    /// Cells that the window spans along an axis.
    pub(super) fn reach(&self, axis: usize) -> usize {
        (self.size[axis] - 1) * self.dilation[axis] + 1
    }
    /// Places of the window along each axis, `extents` being those of x. With `ceil` a last window may reach beyond
    /// the padding, by less than a stride and if it begins before the end of x.
    pub(super) fn places(&self, extents: [usize; 3], ceil: bool) -> Option<[usize; 3]> {
        let mut places = [0; 3];
        for (axis, place) in places.iter_mut().enumerate() {
            let (padded, reach) = (extents[axis] + self.pad[axis] + self.pad_end[axis], self.reach(axis));
            if ceil && padded < reach && reach - padded < self.stride[axis] {
                *place = 1;
                continue;
            }
            let room = padded.checked_sub(reach)?;
            *place = room / self.stride[axis] + 1;
            let more = ceil && !room.is_multiple_of(self.stride[axis]);
            if more && *place * self.stride[axis] < extents[axis] + self.pad[axis] {
                *place += 1;
            }
        }
        Some(places)
    }
    /// Refuses sizes of 0 and what does not fit the arithmetic of the kernels.
    pub(super) fn check(&self, kernel: &dyn Kernel) -> Result<()> {
        let steps = self.size.iter().chain(&self.stride).chain(&self.dilation);
        let fits = steps.clone().all(|v| *v > 0) && steps.chain(&self.pad).chain(&self.pad_end).all(|v| *v < LARGEST);
        require(kernel, fits, || format!("{self:?} has a size of 0, or a number of {LARGEST} or more"))
    }
    /// Members of `Params`: strides, dilations, padding.
    pub(super) fn params(&self) -> Vec<(&'static str, u32)> {
        let mut all = by_axis(["stride_z", "stride_y", "stride_x"], self.stride);
        all.extend(by_axis(["dilation_z", "dilation_y", "dilation_x"], self.dilation));
        all.extend(by_axis(["pad_z", "pad_y", "pad_x"], self.pad));
        all
    }
    /// As plans print it: the last two axes, unless the first is used.
    pub(super) fn show(&self) -> String {
        let from = usize::from(self.size[0] == 1);
        let join = |v: &[usize; 3]| v[from..].iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut text = format!("{} stride={}", join(&self.size), join(&self.stride));
        if self.dilation != [1; 3] {
            text += &format!(" dilation={}", join(&self.dilation));
        }
        if self.pad != [0; 3] || self.pad_end != [0; 3] {
            text += &format!(" pad={}", join(&self.pad));
        }
        if self.pad != self.pad_end {
            text += &format!("..{}", join(&self.pad_end));
        }
        text
    }
}

/// Members of `Params` for the three axes.
pub(super) fn by_axis(names: [&'static str; 3], values: [usize; 3]) -> Vec<(&'static str, u32)> {
    names.into_iter().zip(values.map(|v| v as u32)).collect()
}

/// A tensor of planes: `[images, channels, ..]` with one to three axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planes {
    pub images: usize,
    pub channels: usize,
    /// Along (z, y, x).
    pub extents: [usize; 3],
    /// How many axes the tensor has.
    axes: usize,
}

impl Planes {
    /// Of a tensor type.
    pub fn of(kernel: &dyn Kernel, x: &TensorType) -> Result<Self> {
        let bad = || Error::graph(kernel.name(), format!("x {x} is not [images, channels, ..] with 1 to 3 axes"));
        let [images, channels, axes @ ..] = x.shape.as_slice() else { return Err(bad()) };
        if axes.is_empty() || axes.len() > 3 || x.layout != Layout::Rows || x.shape.contains(&0) {
            return Err(bad());
        }
        let mut extents = [1; 3];
        extents[3 - axes.len()..].copy_from_slice(axes);
        let cells = x.shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
        flat_limit(kernel, cells.unwrap_or(usize::MAX))?;
        require(kernel, extents.iter().all(|e| *e < 1 << 16), || format!("an axis of {x} is over 65535 cells"))?;
        Ok(Self { images: *images, channels: *channels, extents, axes: axes.len() })
    }
    /// The same images with other channels and extents.
    pub fn with(
        &self,
        kernel: &dyn Kernel,
        x: &TensorType,
        channels: usize,
        extents: [usize; 3],
    ) -> Result<TensorType> {
        let lost = &extents[..3 - self.axes];
        require(kernel, lost.iter().all(|e| *e == 1), || format!("the window has more axes than x {x}"))?;
        let mut shape = vec![self.images, channels];
        shape.extend(&extents[3 - self.axes..]);
        let y = TensorType::new(x.dtype, &shape);
        Self::of(kernel, &y)?;
        Ok(y)
    }
    /// Members of `Params`: extents of x and y.
    pub fn params(&self, y: &Self) -> Vec<(&'static str, u32)> {
        let mut all = by_axis(["x_z", "x_y", "x_x"], self.extents);
        all.extend(by_axis(["y_z", "y_y", "y_x"], y.extents));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_by_hand() {
        let window = Window::planar(3, 3).stride(2);
        assert_eq!(window.places([1, 16, 16], false), Some([1, 7, 7]));
        assert_eq!(window.places([1, 16, 16], true), Some([1, 8, 8]));
        // The last window would begin in the padding: it is left out.
        let window = Window::planar(3, 3).stride(3).pad(1);
        assert_eq!(window.places([1, 2, 2], true), Some([1, 1, 1]));
        let window = Window { dilation: [1, 2, 2], ..Window::planar(3, 3).pad(2) };
        assert_eq!(window.places([1, 17, 17], false), Some([1, 17, 17]));
        assert_eq!(Window::planar(3, 3).places([1, 2, 2], false), None);
        assert_eq!(Window::planar(4, 4).stride(2).places([1, 3, 3], true), Some([1, 1, 1]));
        assert_eq!(Window::planar(5, 5).stride(2).places([1, 3, 3], true), None);
    }
}
