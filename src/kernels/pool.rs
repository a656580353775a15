//! Pooling over one to three axes: average, maximum, norm; by windows or adaptive.

use super::axis::{number, number_part};
use super::rows::arity;
use super::window::{Planes, Window, by_axis};
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// What is computed of the cells of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolOp {
    /// The sum over the count of cells inside `x`, or with `count_padding` of those in the padding as well.
    Average {
        /// Cells of the padding count as zeros.
        count_padding: bool,
    },
    /// The largest.
    Max,
    /// `(sum |v|^power)^(1 / power)`.
    Norm {
        /// At least 1.
        power: u32,
    },
}

/// Which windows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Windows {
    /// One every `stride` cells.
    Sliding {
        /// The window.
        window: Window,
        /// A last window may reach beyond the padding, if it begins before the end of `x`.
        ceil: bool,
    },
    /// As many along (z, y, x) as this says, which together cover `x`: `floor(i x / y)` to `ceil((i + 1) x / y)`.
    Adaptive([usize; 3]),
}

/// Whether the place of a maximum is an output, as the element of `x` by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Places {
    /// It is not.
    #[default]
    None,
    /// Elements are counted row-major.
    Rows,
    /// Within a plane the first axis is counted fastest.
    Columns,
}

/// `x` \[images, channels, ..\] with one to three axes -> `y`, and `ids` u32 where asked for. Maxima of f32, f16, i32
/// and u32; of equal cells the first. The rest of f32 and f16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What is computed.
    pub op: PoolOp,
    /// Of which windows.
    pub windows: Windows,
    /// Where the maximum was.
    pub places: Places,
}

pub(super) const ENTRY: Entry = Entry { name: "pool", about: "average, maximum or norm of windows, or adaptive" };

const LANES: u32 = 64;

impl Kernel for Pool {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        if self.places == Places::None { vec!["y"] } else { vec!["y", "ids"] }
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        arity(self, inputs)?;
        let x = &inputs[0];
        number(self, x)?;
        let max = self.op == PoolOp::Max;
        require(self, max || x.dtype.is_float(), || format!("{:?} of integers {x}", self.op))?;
        require(self, max || self.places == Places::None, || format!("{:?} has no place", self.op))?;
        require(self, self.op != PoolOp::Norm { power: 0 }, || "the power is 0".into())?;
        let planes = Planes::of(self, x)?;
        let places = match self.windows {
            Windows::Adaptive(places) => Some(places).filter(|p| p.iter().all(|e| (1..1 << 16).contains(e))),
            Windows::Sliding { window, ceil } => {
                window.check(self)?;
                window.places(planes.extents, ceil)
            }
        };
        let places = places.ok_or_else(|| Error::graph(ENTRY.name, format!("x {x} has no {:?}", self.windows)))?;
        let y = planes.with(self, x, planes.channels, places)?;
        let ids = (self.places != Places::None).then(|| TensorType::new(DType::U32, &y.shape));
        Ok([y].into_iter().chain(ids).collect())
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, y) = (Planes::of(self, &io.inputs[0])?, Planes::of(self, &io.outputs[0])?);
        let (window, spread) = match self.windows {
            Windows::Sliding { window, .. } => (window, 0.0),
            Windows::Adaptive(_) => (Window::default(), 1.0),
        };
        let (op, count_padding, power) = match self.op {
            PoolOp::Average { count_padding } => (0.0, f64::from(u8::from(count_padding)), 1),
            PoolOp::Max => (1.0, 0.0, 1),
            PoolOp::Norm { power } => (2.0, 0.0, power),
        };
        let places = match self.places {
            Places::None => "parts/place_none",
            Places::Rows => "parts/place_rows",
            Places::Columns => "parts/place_columns",
        };
        let items = io.outputs[0].elements();
        let mut params = vec![("items", items as u32)];
        params.extend(x.params(&y));
        params.extend(by_axis(["window_z", "window_y", "window_x"], window.size));
        params.extend(window.params());
        params.extend(by_axis(["pad_end_z", "pad_end_y", "pad_end_x"], window.pad_end));
        params.push(("power", power));
        Ok(vec![Launch {
            files: vec![ENTRY.name, number_part(io.inputs[0].dtype, caps)?, places],
            overrides: vec![("LANES", LANES.into()), ("OP", op), ("SPREAD", spread), ("COUNT_PADDING", count_padding)],
            params,
            grid: grid_2d(items.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::pool(self, &inputs[0], output, row)
    }
    fn show(&self) -> String {
        let op = match self.op {
            PoolOp::Average { count_padding: true } => "average of padding too".into(),
            PoolOp::Norm { power } => format!("norm {power}"),
            op => format!("{op:?}").split(' ').next().unwrap_or_default().to_lowercase(),
        };
        match self.windows {
            Windows::Sliding { window, ceil } => format!("{op} {}{}", window.show(), if ceil { " ceil" } else { "" }),
            Windows::Adaptive([z, y, x]) => format!("{op} to {z}x{y}x{x}"),
        }
    }
}
