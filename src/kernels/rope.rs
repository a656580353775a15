//! Rotary position embedding (Su et al. 2021) of queries or keys, by a table of cosines and sines.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, cell::cell, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `x` \[tokens, x_cols\], `positions` u32 \[tokens\], `table` f32 \[max_positions, rotary_dim\] (of every position
/// rotary_dim / 2 cosines, then as many sines) -> `y` \[tokens, heads * head_dim\].
///
/// With `axes`, `positions` is \[axes, tokens\], and a last input `pair_axis` u32 \[rotary_dim / 2\] names the axis whose
/// position turns a pair. Scaled variants, and frequencies that start over on each axis, differ in their table only.
/// Positions beyond the table take its last row.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Heads to turn.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Leading elements of a head that turn; the others pass through. Even.
    pub rotary_dim: usize,
    /// Column of `x` at which the first head starts (`x` may be a fused q, k, v matrix).
    pub x_offset: usize,
    /// Pairs are (2 i, 2 i + 1), as in GPT-J and the original LLaMA, instead of (i, i + rotary_dim / 2).
    pub interleaved: bool,
    /// Positions that a token has, if each pair takes its own.
    pub axes: Option<usize>,
    /// x and y are \[batch, heads, block, head_dim\], given as rows of one head; tokens are counted `batch * block`.
    pub block: Option<usize>,
}

pub(super) const ENTRY: Entry = Entry { name: "rope", about: "rotary position embedding by a cos/sin table" };

/// Heads of a token that one workgroup takes.
const SPAN: usize = 4;

impl Rope {
    /// All of `heads` heads turned half-split, by one position a token.
    pub fn whole(heads: usize, head_dim: usize) -> Self {
        Self { heads, head_dim, rotary_dim: head_dim, x_offset: 0, interleaved: false, axes: None, block: None }
    }
    /// Tokens of `x`.
    fn tokens(&self, x: &TensorType) -> usize {
        if self.block.is_some() { x.rows() / self.heads } else { x.rows() }
    }
    /// Cells from block to block, token to token, head to head of a tensor of `cols` columns.
    fn steps(&self, cols: usize) -> [usize; 3] {
        match self.block {
            Some(block) => [self.heads * block * cols, cols, block * cols],
            None => [0, cols, self.head_dim],
        }
    }
    /// Size of a cell, and its part: pairs of neighbours, or of axes of their own, keep to single elements.
    fn cell(&self, x_cols: usize) -> (usize, &'static str) {
        let odd = usize::from(self.interleaved || self.axes.is_some());
        cell(&[self.rotary_dim / 2, self.head_dim, self.x_offset, x_cols, odd])
    }
    /// Lanes of a workgroup: one a pair or passing cell of a head, up to 64.
    fn lanes(&self, size: usize) -> u32 {
        let items = (self.rotary_dim / 2).max(self.head_dim - self.rotary_dim) / size;
        (items.min(64) as u32).next_power_of_two().max(8)
    }
    fn check_attributes(&self) -> Result<()> {
        let fits =
            self.rotary_dim.is_multiple_of(2) && self.rotary_dim <= self.head_dim && self.heads.min(self.head_dim) > 0;
        require(self, fits, || format!("heads {} of {}, rotary {}", self.heads, self.head_dim, self.rotary_dim))
    }
}

impl Kernel for Rope {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = vec!["x", "positions", "table"];
        names.extend(self.axes.map(|_| "pair_axis"));
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let (x, positions, table) = (&inputs[0], &inputs[1], &inputs[2]);
        self.check_attributes()?;
        let cols = if self.block.is_some() { self.head_dim } else { self.heads.saturating_mul(self.head_dim) };
        require(self, self.x_offset.saturating_add(cols) <= x.cols(), || {
            format!("{cols} columns from {} are not in x {x}", self.x_offset)
        })?;
        let whole = self.block.is_none_or(|block| {
            let batch = block.checked_mul(self.heads).filter(|n| *n > 0);
            batch.is_some_and(|n| x.rows().is_multiple_of(n)) && x.cols() == cols
        });
        require(self, whole, || format!("x {x} is not [batch, {} heads, {:?} rows, {cols}]", self.heads, self.block))?;
        let wanted = self.tokens(x).checked_mul(self.axes.unwrap_or(1)).filter(|n| *n > 0 || x.rows() == 0);
        let listed = positions.dtype == DType::U32 && Some(positions.elements()) == wanted;
        require(self, listed, || format!("positions {positions} do not match x {x}"))?;
        let tabled = table.dtype == DType::F32 && table.cols() == self.rotary_dim && table.rows() > 0;
        require(self, tabled || self.rotary_dim == 0, || {
            format!("table {table} does not match rotary_dim {}", self.rotary_dim)
        })?;
        if let Some(axis) = inputs.get(3) {
            let paired = axis.dtype == DType::U32 && axis.elements() == self.rotary_dim / 2;
            require(self, paired, || format!("pair_axis {axis} does not match rotary_dim {}", self.rotary_dim))?;
        }
        super::flat_limit(self, x.rows().saturating_mul(x.cols()))?;
        Ok(vec![TensorType::new(x.dtype, &[x.rows(), cols])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, table) = (&io.inputs[0], &io.inputs[2]);
        let (size, cell) = self.cell(x.cols());
        let cells = |extent: usize| (extent / size) as u32;
        let blocks = self.heads.div_ceil(SPAN);
        let tokens = self.tokens(x);
        let (from, to) = (self.steps(x.cols()), self.steps(io.outputs[0].cols()));
        let turn = if self.axes.is_some() { "parts/turn_axes" } else { "parts/turn_one" };
        Ok(vec![Launch {
            files: vec!["rope", elem_part(x.dtype, caps)?, cell, turn],
            overrides: vec![("LANES", self.lanes(size).into()), ("INTERLEAVED", f64::from(u8::from(self.interleaved)))],
            params: vec![
                ("tokens", tokens as u32),
                ("heads", self.heads as u32),
                ("blocks", blocks as u32),
                ("head_dim", cells(self.head_dim)),
                ("half", cells(self.rotary_dim / 2)),
                ("block_rows", self.block.unwrap_or(tokens).max(1) as u32),
                ("x_offset", cells(self.x_offset)),
                ("x_block", cells(from[0])),
                ("x_row", cells(from[1])),
                ("x_head", cells(from[2])),
                ("y_block", cells(to[0])),
                ("y_row", cells(to[1])),
                ("y_head", cells(to[2])),
                ("max_positions", table.rows() as u32),
            ],
            grid: grid_2d(tokens * blocks, caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // Of x only the columns that turn are read, of the table one row a token.
        let tokens = self.tokens(&io.inputs[0]) as u64;
        let row = self.rotary_dim as u64 * 4 + 4;
        Cost { flops: 0, bytes: 2 * io.outputs[0].bytes() + tokens * row }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::rope(self, inputs, row)
    }
    fn show(&self) -> String {
        let pairs = if self.interleaved { "interleaved" } else { "half-split" };
        let Self { heads, head_dim, rotary_dim, x_offset, .. } = self;
        let axes = self.axes.map(|n| format!(" axes={n}")).unwrap_or_default();
        let block = self.block.map(|n| format!(" block={n}")).unwrap_or_default();
        format!("heads={heads}x{head_dim} rotary={rotary_dim} offset={x_offset} {pairs}{axes}{block}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_attributes_and_operands_are_errors() {
        let good = Rope::whole(2, 8);
        let inputs = [TensorType::f32(&[3, 16]), TensorType::u32(&[3]), TensorType::f32(&[9, 8])];
        assert_eq!(good.infer(&inputs).unwrap(), [TensorType::f32(&[3, 16])]);
        let bad = [
            Rope { heads: 0, ..good.clone() },
            Rope { heads: usize::MAX, ..good.clone() },
            Rope { rotary_dim: 7, ..good.clone() },
            Rope { rotary_dim: 10, ..good.clone() },
            Rope { rotary_dim: 6, ..good.clone() },
            Rope { x_offset: 1, ..good.clone() },
            Rope { x_offset: usize::MAX, ..good.clone() },
            Rope { axes: Some(2), ..good.clone() },
            Rope { block: Some(3), ..good.clone() },
            Rope { block: Some(0), head_dim: 16, ..good.clone() },
        ];
        for rope in bad {
            assert!(rope.infer(&inputs).is_err(), "{rope:?}");
        }
        let short = [inputs[0].clone(), TensorType::u32(&[2]), inputs[2].clone()];
        assert!(good.infer(&short).is_err(), "positions of other rows");
    }
}
