//! Matrix products of many pairs, read through strides: products of activations, of any order of axes.

use super::matmul::Tile;
use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Error, Result};

/// How an operand is read: elements from one cell to the next, 0 where it is broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strides {
    /// Along the batch axes.
    pub batch: Vec<usize>,
    /// Along the rows of y for `x` and `residual`, along its columns for `w`.
    pub outer: usize,
    /// Along k for `x` and `w`, along the columns of y for `residual`.
    pub inner: usize,
}

/// `x`, `w`, with `residual` also `residual` -> `y` \[batch, rows, cols\] in the shape `shape`, row-major:
/// `y[b, row, n] = alpha * sum_k x[b, row, k] w[b, n, k] + beta * residual[b, row, n]`, operands read through strides.
///
/// Operands are f32 or f16, all of one type; sums are in f32. Neighbouring batch axes that continue each other in
/// every operand count as one, and at most four may be left. A weight is faster as [`MatMul`](super::MatMul) takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMatMul {
    /// Extents of the batch axes, slowest first.
    pub batch: Vec<usize>,
    /// Rows of y.
    pub rows: usize,
    /// Columns of y.
    pub cols: usize,
    /// Terms of a sum.
    pub inner: usize,
    /// How x is read.
    pub x: Strides,
    /// How w is read.
    pub w: Strides,
    /// How a third operand is read, if there is one.
    pub residual: Option<Strides>,
    /// Factor of the sums.
    pub alpha: f32,
    /// Factor of the residual.
    pub beta: f32,
    /// Shape of y.
    pub shape: Vec<usize>,
}

pub(super) const ENTRY: Entry =
    Entry { name: "batch_matmul", about: "alpha x w^T + beta residual for batches, through strides" };

/// Batch axes that the shader tells apart.
const AXES: usize = 4;

impl BatchMatMul {
    /// The product of `a` \[.., m, k\] and `b` \[.., k, n\], leading axes broadcast as NumPy does; with `across[0]`, `a` is
    /// \[.., k, m\], with `across[1]`, `b` is \[.., n, k\]. Operands of one axis are a row and a column, as in ONNX MatMul.
    ///
    /// Errors: the shapes do not match.
    pub fn numpy(a: &[usize], b: &[usize], across: [bool; 2]) -> Result<Self> {
        let wrong = || Error::graph(ENTRY.name, format!("{a:?} and {b:?} do not multiply"));
        let (a_batch, [m, k], [a_row, a_k]) = split(a, across[0], false).ok_or_else(wrong)?;
        let (b_batch, [k2, n], [b_k, b_col]) = split(b, across[1], true).ok_or_else(wrong)?;
        let rank = a_batch.len().max(b_batch.len());
        let extent = |own: &[usize], i: usize| (i + own.len()).checked_sub(rank).map_or(1, |i| own[i]);
        let mut batch = Vec::new();
        for i in 0..rank {
            let (p, q) = (extent(a_batch, i), extent(b_batch, i));
            if k != k2 || (p != q && p != 1 && q != 1) {
                return Err(wrong());
            }
            batch.push(if p == 1 { q } else { p });
        }
        if k != k2 {
            return Err(wrong());
        }
        let mut shape = batch.clone();
        shape.extend((a.len() > 1).then_some(m));
        shape.extend((b.len() > 1).then_some(n));
        let x = Strides { batch: broadcast(a_batch, m * k, rank), outer: a_row, inner: a_k };
        let w = Strides { batch: broadcast(b_batch, k * n, rank), outer: b_col, inner: b_k };
        Ok(Self { batch, rows: m, cols: n, inner: k, x, w, residual: None, alpha: 1.0, beta: 0.0, shape })
    }

    /// Batch axes as few as possible, four of them: extents, and the strides of x, w and residual.
    fn axes(&self) -> Option<Vec<[usize; 4]>> {
        let none = Strides { batch: vec![0; self.batch.len()], ..Strides::default() };
        let residual = self.residual.as_ref().unwrap_or(&none);
        let same = [&self.x, &self.w, residual].iter().all(|s| s.batch.len() == self.batch.len());
        let mut axes: Vec<[usize; 4]> = Vec::new();
        for (i, extent) in self.batch.iter().enumerate().filter(|(_, extent)| same && **extent != 1) {
            let axis = [*extent, self.x.batch[i], self.w.batch[i], residual.batch[i]];
            match axes.last_mut() {
                Some(last) if (1..4).all(|j| axis[j].checked_mul(*extent) == Some(last[j])) => {
                    *last = [last[0].checked_mul(*extent)?, axis[1], axis[2], axis[3]];
                }
                _ => axes.push(axis),
            }
        }
        let missing = AXES.checked_sub(axes.len()).filter(|_| same)?;
        Some([vec![[1, 0, 0, 0]; missing], axes].concat())
    }

    /// Whether an operand holds every cell that is read.
    fn holds(&self, ty: &TensorType, strides: &Strides, [outer, inner]: [usize; 2]) -> bool {
        let pairs = self.batch.iter().copied().zip(strides.batch.iter().copied());
        let mut all = pairs.chain([(outer, strides.outer), (inner, strides.inner)]);
        let last = all.try_fold(0usize, |at, (n, stride)| at.checked_add(n.checked_sub(1)?.checked_mul(stride)?));
        last.is_some_and(|at| at < ty.elements()) && ty.elements() <= u32::MAX as usize
    }
}

/// Batch axes, extents and strides of the last two axes of an operand; `second` turns a vector into a column.
fn split(shape: &[usize], across: bool, second: bool) -> Option<(&[usize], [usize; 2], [usize; 2])> {
    match shape {
        [] => None,
        [k] => Some((&[], if second { [*k, 1] } else { [1, *k] }, if second { [1, 0] } else { [0, 1] })),
        [batch @ .., a, b] if across => Some((batch, [*b, *a], [1, *b])),
        [batch @ .., a, b] => Some((batch, [*a, *b], [*b, 1])),
    }
}

/// Strides of `rank` batch axes, of which an operand has the last, with matrices of `size`.
fn broadcast(own: &[usize], size: usize, rank: usize) -> Vec<usize> {
    let mut step = size;
    let mut strides = vec![0; rank];
    for (stride, extent) in strides.iter_mut().rev().zip(own.iter().rev()) {
        *stride = if *extent == 1 { 0 } else { step };
        step *= extent;
    }
    strides
}

impl Kernel for BatchMatMul {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = vec!["x", "w"];
        names.extend(self.residual.as_ref().map(|_| "residual"));
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let axes = self.axes();
        require(self, axes.is_some(), || format!("more than {AXES} batch axes that differ in {:?}", self.batch))?;
        let mut reads = vec![(&self.x, [self.rows, self.inner]), (&self.w, [self.cols, self.inner])];
        reads.extend(self.residual.as_ref().map(|r| (r, [self.rows, self.cols])));
        for ((ty, (strides, extents)), port) in inputs.iter().zip(reads).zip(self.inputs()) {
            let fits = ty.dtype == inputs[0].dtype && ty.layout == super::Layout::Rows;
            require(self, fits && self.holds(ty, strides, extents), || {
                format!("{port} {ty} does not hold {:?} x {extents:?} by {strides:?}", self.batch)
            })?;
        }
        let product = |list: &[usize]| list.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
        let cells = product(&self.batch).and_then(|n| product(&[n, self.rows, self.cols]));
        let shaped = cells.is_some_and(|n| n > 0) && product(&self.shape) == cells;
        require(self, shaped, || {
            format!("{:?} does not hold {:?} of {} x {}", self.shape, self.batch, self.rows, self.cols)
        })?;
        flat_limit(self, cells.unwrap_or(usize::MAX))?;
        require(self, self.alpha.is_finite() && self.beta.is_finite(), || "a factor is not finite".into())?;
        Ok(vec![TensorType::new(inputs[0].dtype, &self.shape)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let axes = self.axes().ok_or_else(|| Error::graph(ENTRY.name, "too many batch axes"))?;
        let tile = Tile::pick(self.rows, caps);
        let residual = if self.residual.is_some() { "parts/residual_strided" } else { "parts/residual_none" };
        let elem = elem_part(io.inputs[0].dtype, caps)?;
        let files = vec![ENTRY.name, elem, "parts/x_strided", "parts/weight_strided", residual, tile.part];
        let batches: usize = self.batch.iter().product();
        let none = Strides::default();
        let added = self.residual.as_ref().unwrap_or(&none);
        let word = |n: usize| n as u32;
        let mut params = vec![
            ("rows", word(self.rows)),
            ("cols", word(self.cols)),
            ("inner", word(self.inner)),
            ("chunk_cols", word(self.cols)),
            ("batches", word(batches)),
        ];
        params.extend(["e1", "e2", "e3"].into_iter().zip(&axes[1..]).map(|(name, axis)| (name, word(axis[0]))));
        let named = [["x0", "x1", "x2", "x3"], ["w0", "w1", "w2", "w3"], ["r0", "r1", "r2", "r3"]];
        let ends = [
            [("x_row", self.x.outer), ("x_k", self.x.inner)],
            [("w_col", self.w.outer), ("w_k", self.w.inner)],
            [("r_row", added.outer), ("r_col", added.inner)],
        ];
        for (operand, (names, ends)) in named.into_iter().zip(ends).enumerate() {
            params.extend(names.into_iter().zip(&axes).map(|(name, axis)| (name, word(axis[operand + 1]))));
            params.extend(ends.map(|(name, stride)| (name, word(stride))));
        }
        params.extend([("alpha", self.alpha.to_bits()), ("beta", self.beta.to_bits())]);
        let groups = batches.saturating_mul(tile.tiles(self.rows, self.cols));
        Ok(vec![Launch { files, overrides: tile.overrides(), params, grid: grid_2d(groups, caps)?, chunk: None }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, (io.outputs[0].elements() * self.inner) as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::batch_matmul(self, inputs, row)
    }
    fn show(&self) -> String {
        let Self { batch, rows, cols, inner, alpha, beta, .. } = self;
        format!("{batch:?} {rows}x{inner}x{cols} alpha={alpha} beta={beta}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_numpy() {
        let shape = |a: &[usize], b: &[usize]| BatchMatMul::numpy(a, b, [false; 2]).map(|m| m.shape);
        assert_eq!(shape(&[5, 1, 3, 4], &[2, 4, 6]).unwrap(), [5, 2, 3, 6]);
        assert_eq!(shape(&[4], &[2, 4, 6]).unwrap(), [2, 6]);
        assert_eq!(shape(&[2, 3, 4], &[4]).unwrap(), [2, 3]);
        assert_eq!(shape(&[4], &[4]).unwrap(), Vec::<usize>::new());
        assert!(shape(&[3, 4], &[3, 4]).is_err());
        assert!(shape(&[3, 2, 2], &[2, 2, 2]).is_err());
        assert!(shape(&[], &[4]).is_err());
    }

    #[test]
    fn operands_that_are_too_small_are_errors() {
        let good = BatchMatMul::numpy(&[2, 3, 4], &[2, 4, 5], [false; 2]).unwrap();
        let types = [TensorType::f32(&[2, 3, 4]), TensorType::f32(&[2, 4, 5])];
        assert_eq!(good.infer(&types).unwrap(), [TensorType::f32(&[2, 3, 5])]);
        assert!(good.infer(&[types[0].clone(), TensorType::f32(&[2, 4, 4])]).is_err());
        assert!(good.infer(&types[..1]).is_err());
        let far = Strides { outer: usize::MAX, ..good.x.clone() };
        assert!(BatchMatMul { x: far, ..good.clone() }.infer(&types).is_err());
        assert!(BatchMatMul { shape: vec![29], ..good }.infer(&types).is_err());
    }
}
