//! Numbers into a packed weight: what `--weights` and `omma quantize` do to a matrix.

use super::rows::arity;
use super::{Cost, Entry, Io, Kernel, Launch, Layout, TensorType, flat_limit, grid_2d, require};
use crate::quant::{Block, Encoding, Packing};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// `x` f32 \[n, k\] -> `y` \[n, k\] in the layout of `to`, rounded as ggml's reference quantizers and bitsandbytes do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantizeBlocks {
    /// The format.
    pub to: Encoding,
}

pub(super) const ENTRY: Entry = Entry { name: "quantize_blocks", about: "numbers into a packed weight" };

const LANES: usize = 64;

impl QuantizeBlocks {
    /// Files that encode, their overrides, values of a block for rows of `k`, and blocks that a lane takes.
    #[allow(clippy::type_complexity, reason = "the answer is taken apart where it is asked for, twice")]
    fn parts(&self, k: usize) -> Result<(&'static str, Vec<(&'static str, f64)>, usize, usize)> {
        let bits = |bits: f64| vec![("P_BITS", bits)];
        let sub = |sub: f64| vec![("P_SUB", sub)];
        Ok(match self.to {
            Encoding::Block(Block::Q2K) => ("parts/pack_q2_k", Vec::new(), 256, 1),
            Encoding::Block(Block::Q3K) => ("parts/pack_q3_k", Vec::new(), 256, 2),
            Encoding::Block(Block::Q4K) => ("parts/pack_k_ranged", bits(4.0), 256, 1),
            Encoding::Block(Block::Q5K) => ("parts/pack_k_ranged", bits(5.0), 256, 1),
            Encoding::Block(Block::Q6K) => ("parts/pack_q6_k", Vec::new(), 256, 2),
            Encoding::Block(Block::Iq4Nl) => ("parts/pack_iq4", sub(0.0), 32, 2),
            Encoding::Block(Block::Iq4Xs) => ("parts/pack_iq4", sub(1.0), 256, 2),
            Encoding::Block(Block::Mxfp4) => ("parts/pack_mxfp4", Vec::new(), 32, 4),
            Encoding::Block(Block::Q8_0) => ("parts/pack_q8_0", Vec::new(), 32, 2),
            Encoding::Block(Block::Q4_0) => ("parts/pack_signed", bits(4.0), 32, 2),
            Encoding::Block(Block::Q5_0) => ("parts/pack_signed", bits(5.0), 32, 2),
            Encoding::Block(Block::Q4_1) => ("parts/pack_ranged", bits(4.0), 32, 1),
            Encoding::Block(Block::Q5_1) => ("parts/pack_ranged", bits(5.0), 32, 1),
            Encoding::Nf4 => ("parts/pack_table4", vec![("P_FLOAT", 0.0)], 64, 1),
            Encoding::Fp4 => ("parts/pack_table4", vec![("P_FLOAT", 1.0)], 64, 1),
            Encoding::Int8 => ("parts/pack_rows", vec![("P_FLOAT", 0.0)], k, 4),
            Encoding::Fp8 => ("parts/pack_rows", vec![("P_FLOAT", 1.0)], k, 4),
            Encoding::Float(_) | Encoding::Block(_) => {
                return Err(Error::graph(ENTRY.name, format!("nothing encodes {:?}", self.to)));
            }
        })
    }
}

impl Kernel for QuantizeBlocks {
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
        arity(self, inputs)?;
        let x = &inputs[0];
        let rows = x.layout == Layout::Rows && x.dtype == DType::F32 && x.shape.len() == 2;
        require(self, rows, || format!("x {x} is not a matrix of f32 in rows"))?;
        let (n, k) = (x.rows(), x.cols());
        flat_limit(self, n.saturating_mul(k))?;
        let packing = self.to.packing().ok_or_else(|| Error::graph(ENTRY.name, format!("{} is no layout", self.to)))?;
        packing.check(self, n, k)?;
        let (.., values, _) = self.parts(k)?;
        require(self, k.is_multiple_of(values), || format!("x {x} has rows of no whole blocks of {values}"))?;
        Ok(vec![TensorType::packed(packing, n, k)])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (n, k) = (io.inputs[0].rows(), io.inputs[0].cols());
        let (part, mut overrides, values, step) = self.parts(k)?;
        overrides.push(("LANES", LANES as f64));
        let blocks = n * k / values;
        let sections = self.to.packing().map(|p| p.sections(n, k)).unwrap_or_default();
        let ends: Vec<usize> = sections
            .iter()
            .scan(0, |at, bytes| {
                *at += bytes.div_ceil(4);
                Some(*at)
            })
            .collect();
        let after = |section: usize| if matches!(self.to, Encoding::Block(_)) { 0 } else { ends[section] as u32 };
        let mut files = vec![ENTRY.name, part, "parts/stream_words"];
        files.extend(match part {
            "parts/pack_iq4" => &["parts/extreme_signed", "parts/iq4_table"][..],
            "parts/pack_q3_k" | "parts/pack_q6_k" | "parts/pack_mxfp4" => &["parts/extreme_signed"],
            _ => &[],
        });
        Ok(vec![Launch {
            files,
            overrides,
            params: vec![
                ("blocks", blocks as u32),
                ("values", values as u32),
                ("magnitudes", after(0)),
                ("table", if matches!(self.to.packing(), Some(Packing::Table4 { .. })) { after(1) } else { 0 }),
            ],
            grid: grid_2d(blocks.div_ceil(step * LANES), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::quantize_blocks(self.to, inputs[0].row(row))
    }
    fn show(&self) -> String {
        format!("to {}", self.to)
    }
}
