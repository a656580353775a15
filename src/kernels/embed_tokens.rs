//! Token embedding: rows of a table, by token id.

use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, chunks, elem_part, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `ids` u32 \[tokens\], `table` a weight \[vocab, cols\] in panels of f32, f16 or bf16 -> `y` \[tokens, cols\].
///
/// Ids beyond the vocabulary take its last row. A table over the binding limit is kept in chunks of rows (each a
/// panel tensor of its own), one dispatch a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedTokens {
    /// Type of `y`.
    pub dtype: DType,
}

pub(super) const ENTRY: Entry = Entry { name: "embed_tokens", about: "rows of an embedding table by token id" };

const LANES: u32 = 64;
/// Columns of a row that one workgroup takes: four quads a lane.
const SPAN: usize = 1024;

fn table_part(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("parts/table_f32"),
        DType::F16 => Ok("parts/table_f16"),
        DType::BF16 => Ok("parts/table_bf16"),
        other => Err(Error::graph(ENTRY.name, format!("a table of {other} is not f32, f16 or bf16"))),
    }
}

impl Kernel for EmbedTokens {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["ids", "table"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (ids, table) = (&inputs[0], &inputs[1]);
        require(self, ids.dtype == DType::U32, || format!("ids {ids} are not u32"))?;
        let panels = table.layout == Layout::Panels && table.shape.len() == 2 && table.elements() > 0;
        require(self, panels, || format!("table {table} is not a filled weight in panels"))?;
        table_part(table.dtype)?;
        super::flat_limit(self, ids.elements().saturating_mul(table.cols()))?;
        Ok(vec![TensorType::new(self.dtype, &[ids.elements(), table.cols()])])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (ids, table) = (&io.inputs[0], &io.inputs[1]);
        let blocks = table.cols().div_ceil(SPAN);
        let parts = chunks(table, caps);
        let whole = parts.len() == 1;
        let dispatch = |(index, chunk): (usize, &super::Chunk)| {
            Ok(Launch {
                files: vec!["embed_tokens", elem_part(self.dtype, caps)?, table_part(table.dtype)?],
                overrides: vec![("LANES", LANES.into())],
                params: vec![
                    ("tokens", ids.elements() as u32),
                    ("cols", table.cols() as u32),
                    ("blocks", blocks as u32),
                    ("vocab", table.rows() as u32),
                    ("first_row", chunk.first as u32),
                    ("rows", chunk.rows as u32),
                ],
                grid: grid_2d(ids.elements() * blocks, caps)?,
                chunk: (!whole).then_some((1, index)),
            })
        };
        parts.iter().enumerate().map(dispatch).collect()
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // One row of the table a token.
        let (ids, table) = (&io.inputs[0], &io.inputs[1]);
        let rows = (ids.elements() * table.row_bytes()) as u64;
        Cost { flops: 0, bytes: rows + ids.bytes() + io.outputs[0].bytes() }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::embed_tokens(&inputs[0], &inputs[1], self.dtype, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_table_is_read_chunk_by_chunk() {
        let kernel = EmbedTokens { dtype: DType::F32 };
        let inputs = [TensorType::u32(&[5]), TensorType::panels(DType::F16, 1000, 6)];
        let outputs = kernel.infer(&inputs).unwrap();
        let caps = Caps { max_binding: 4096, ..Caps::floor() };
        let launches = kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, &caps).unwrap();
        let word = |l: &Launch, name: &str| l.params.iter().find(|(n, _)| *n == name).unwrap().1;
        let mut next = 0;
        for (i, launch) in launches.iter().enumerate() {
            assert_eq!(launch.chunk, Some((1, i)));
            assert_eq!(word(launch, "first_row"), next, "every row belongs to one dispatch");
            next += word(launch, "rows");
        }
        assert_eq!((next, launches.len()), (1000, 4));
        let whole = kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, &Caps::floor()).unwrap();
        assert_eq!((whole.len(), whole[0].chunk), (1, None));
    }

    #[test]
    fn other_tables_are_refused() {
        let kernel = EmbedTokens { dtype: DType::F32 };
        let ids = TensorType::u32(&[5]);
        for table in
            [TensorType::f32(&[7, 4]), TensorType::panels(DType::U8, 7, 4), TensorType::panels(DType::F32, 0, 4)]
        {
            assert!(kernel.infer(&[ids.clone(), table.clone()]).is_err(), "{table}");
        }
    }
}
