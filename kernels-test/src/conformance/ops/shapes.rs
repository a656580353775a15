//! What mappings share: kinds of elements, broadcasting, constants, copies. Numbers of 64 bits have a last axis of two
//! words on the device, which no operator counts.

use super::super::builder::{Builder, Stop};
use super::super::dtype::Logical;
use omma::Error;
use omma::graph::ValueId;
use omma::kernels::{Compare, Integer, IntegerOp, Orders, Rearrange, Select, Whole};

/// What an element is on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// f32.
    Float,
    /// A whole number in a word.
    Word {
        /// Its own width.
        bits: u32,
        /// i32 or u32.
        signed: bool,
    },
    /// 64 bits in two words.
    Pair {
        /// i64 or u64.
        signed: bool,
    },
}

impl Kind {
    /// Kind of a logical type.
    pub fn of(dtype: Logical) -> Self {
        match dtype {
            _ if dtype.is_wide() => Self::Pair { signed: dtype.is_signed() },
            _ if dtype.is_float() => Self::Float,
            _ => Self::Word { bits: dtype.bits(), signed: dtype.is_signed() },
        }
    }
    /// Kind of operand `i`.
    pub fn input(b: &Builder<'_>, i: usize) -> Result<Self, Stop> {
        Ok(Self::of(b.host(i)?.dtype))
    }
    /// Whether an element takes two words.
    pub fn wide(self) -> bool {
        matches!(self, Self::Pair { .. })
    }
    /// As the kernel `integer` names it.
    pub fn whole(self) -> Result<Whole, Stop> {
        match self {
            Self::Float => Err(Error::argument("operand", "a float where a whole number is due").into()),
            Self::Word { bits, .. } => Ok(Whole::Word { bits }),
            Self::Pair { signed } => Ok(Whole::Pair { signed }),
        }
    }
    /// A shape with the axis of words where there is one.
    pub fn device(self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        if self.wide() {
            shape.push(2);
        }
        shape
    }
}

/// Shape of a value as the operator counts it.
pub fn logical(b: &Builder<'_>, value: ValueId, kind: Kind) -> Vec<usize> {
    let mut shape = b.shape(value);
    if kind.wide() {
        shape.pop();
    }
    shape
}

/// The shape that two shapes broadcast to.
pub fn common(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Stop> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let mut shape = Vec::new();
    for i in 0..rank {
        match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => shape.push(x),
            (1, y) => shape.push(y),
            _ => return Err(Error::argument("shapes", format!("{a:?} and {b:?} do not broadcast")).into()),
        }
    }
    Ok(shape)
}

/// A value repeated to a shape.
pub fn expand(b: &mut Builder<'_>, value: ValueId, kind: Kind, to: &[usize]) -> Result<ValueId, Stop> {
    if logical(b, value, kind) == to {
        return Ok(value);
    }
    // The axis of words stays the last one.
    let view = Rearrange::expand(&b.shape(value), &kind.device(to))?;
    b.add(view, &[value])
}

/// Values of one kind broadcast to the shape that all of them have in common.
pub fn broadcast(b: &mut Builder<'_>, values: &[(ValueId, Kind)]) -> Result<Vec<ValueId>, Stop> {
    let mut shape = Vec::new();
    for (value, kind) in values {
        shape = common(&shape, &logical(b, *value, *kind))?;
    }
    values.iter().map(|(value, kind)| expand(b, *value, *kind, &shape)).collect()
}

/// A copy of a value in another shape (with the axis of words), made by a kernel.
pub fn copy(b: &mut Builder<'_>, value: ValueId, shape: &[usize]) -> Result<ValueId, Stop> {
    let view = Rearrange::all(&b.shape(value)).shaped(shape);
    b.add(view, &[value])
}

/// One number of a kind, as a value of one cell.
pub fn number(b: &mut Builder<'_>, kind: Kind, value: i64) -> ValueId {
    let name = format!("number {value} {kind:?}");
    let words = [value as u32, (value >> 32) as u32];
    let graph = b.graph();
    match kind {
        Kind::Float => graph.constant_f32(&name, &[1], &[value as f32]),
        Kind::Word { signed: true, .. } => graph.constant_i32(&name, &[1], &[value as i32]),
        Kind::Word { signed: false, .. } => graph.constant_u32(&name, &[1], &words[..1]),
        Kind::Pair { .. } => graph.constant_u32(&name, &[1, 2], &words),
    }
}

/// 0, 1, .. as values of a kind.
pub fn counting(b: &mut Builder<'_>, kind: Kind, count: usize) -> ValueId {
    let name = format!("0 .. {count} {kind:?}");
    let graph = b.graph();
    match kind {
        Kind::Float => {
            let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
            graph.constant_f32(&name, &[count], &values)
        }
        Kind::Word { signed: true, .. } => {
            let values: Vec<i32> = (0..count).map(|i| i as i32).collect();
            graph.constant_i32(&name, &[count], &values)
        }
        Kind::Word { signed: false, .. } => {
            let values: Vec<u32> = (0..count).map(|i| i as u32).collect();
            graph.constant_u32(&name, &[count], &values)
        }
        Kind::Pair { .. } => {
            let values: Vec<u32> = (0..count).flat_map(|i| [i as u32, 0]).collect();
            graph.constant_u32(&name, &[count, 2], &values)
        }
    }
}

/// `x op b` of whole numbers, broadcast.
pub fn integer(b: &mut Builder<'_>, op: IntegerOp, kind: Kind, x: ValueId, other: ValueId) -> Result<ValueId, Stop> {
    let sides = broadcast(b, &[(x, kind), (other, kind)])?;
    b.add(Integer { op, whole: kind.whole()? }, &sides)
}

/// Whether `x` and `other`, broadcast, are in one of the orders: u32, 0 or 1.
pub fn compare(b: &mut Builder<'_>, wanted: Orders, kind: Kind, x: ValueId, other: ValueId) -> Result<ValueId, Stop> {
    let sides = broadcast(b, &[(x, kind), (other, kind)])?;
    let pair = if let Kind::Pair { signed } = kind { Some(signed) } else { None };
    b.add(Compare { wanted, pair }, &sides)
}

/// `x` where the condition holds, else `other`; all broadcast.
pub fn select(
    b: &mut Builder<'_>,
    condition: ValueId,
    kind: Kind,
    x: ValueId,
    other: ValueId,
) -> Result<ValueId, Stop> {
    let flag = Kind::Word { bits: 8, signed: false };
    let sides = broadcast(b, &[(condition, flag), (x, kind), (other, kind)])?;
    b.add(Select { pair: kind.wide() }, &sides)
}

/// The orders by their usual signs.
pub fn orders(sign: &str) -> Orders {
    Orders { below: sign.contains('<'), equal: sign.contains('='), above: sign.contains('>'), neither: false }
}

/// A view with axes in another order and of other lengths, `view` being the source's axes as they are split.
pub fn split_axes(
    b: &mut Builder<'_>,
    value: ValueId,
    view: &[usize],
    perm: &[usize],
    shape: &[usize],
) -> Result<ValueId, Stop> {
    let kernel = Rearrange::transpose(view, perm)?.shaped(shape);
    b.add(kernel, &[value])
}

/// Part of an axis of a value, every `step`-th cell; the axis of words keeps out of it.
pub fn slice(b: &mut Builder<'_>, value: ValueId, cuts: &[(usize, usize, i64, usize)]) -> Result<ValueId, Stop> {
    let mut view = Rearrange::all(&b.shape(value));
    for (axis, start, step, extent) in cuts {
        view = view.slice(*axis, *start, *step, *extent)?;
    }
    b.add(view, &[value])
}
