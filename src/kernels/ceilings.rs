//! The two kernels that measure an adapter's ceilings: multiply-adds and memory traffic.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, Result};

/// Eight chains of vec4 fma a lane: x f32 \[count\] -> y f32 \[count\].
#[derive(Debug, Clone, PartialEq)]
pub struct FmaChain {
    /// Rounds of the chains, a multiple of 4.
    pub rounds: u32,
}

/// y = x, for f32 tensors of whole quads.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy;

pub(super) const FMA_CHAIN: Entry =
    Entry { name: "fma_chain", about: "eight chains of vec4 fma a lane: the FMA ceiling" };
pub(super) const COPY: Entry = Entry { name: "copy", about: "y = x: the bandwidth ceiling" };

/// The chains contract towards a fixed point, so that they never leave the normal range.
const FACTOR: f32 = 0.75;
const ADDEND: f32 = 0.125;
const LANES: u32 = 64;

impl Kernel for FmaChain {
    fn name(&self) -> &'static str {
        FMA_CHAIN.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, self.rounds.is_multiple_of(4), || format!("{} rounds are no multiple of 4", self.rounds))?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let count = io.inputs[0].elements();
        let groups = count.div_ceil(LANES as usize);
        require(self, groups <= caps.max_groups as usize, || format!("{groups} workgroups"))?;
        Ok(vec![Launch {
            files: vec!["fma_chain"],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("count", count as u32),
                ("turns", self.rounds / 4),
                ("factor", FACTOR.to_bits()),
                ("addend", ADDEND.to_bits()),
            ],
            grid: [groups.max(1) as u32, 1, 1],
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::product(io, 32 * u64::from(self.rounds) * io.inputs[0].elements() as u64)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::fma_chain(&inputs[0], self.rounds, f64::from(FACTOR), f64::from(ADDEND), row)
    }
    fn show(&self) -> String {
        format!("rounds={}", self.rounds)
    }
}

impl Kernel for Copy {
    fn name(&self) -> &'static str {
        COPY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs[0].elements().is_multiple_of(4), || format!("{} is not whole quads", inputs[0]))?;
        Ok(vec![inputs[0].clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let quads = io.inputs[0].elements() / 4;
        Ok(vec![Launch {
            files: vec!["copy"],
            overrides: vec![("LANES", LANES.into())],
            params: vec![("quads", quads as u32)],
            grid: grid_2d(quads.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        Cost::traffic(io)
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        inputs[0].row(row).iter().map(|v| Cell { want: *v, bound: 0.0 }).collect()
    }
}
