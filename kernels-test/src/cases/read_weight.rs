//! read_weight: every layout with every code, odd sizes, picked rows with ids beyond the end, chunks.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use crate::packed::{layouts, step_of_rows};
use omma::DType;
use omma::kernels::{Block, Packing, ReadWeight, TensorType};

fn all_rows(packing: Packing, n: usize, k: usize) -> Case {
    let name = format!("{n}x{k} {}", packing.name());
    Case::new(name, ReadWeight { picked: false, dtype: DType::F32 }, vec![Input::packed(packing, n, k)])
}

fn picked(name: &str, rows: usize, weight: Input) -> Case {
    let ids = Input::new(TensorType::u32(&[rows]), Fill::Index(weight.ty.rows() as u32 + 3));
    let name = format!("{name} {rows} of {}x{}", weight.ty.rows(), weight.ty.cols());
    Case::new(name, ReadWeight { picked: true, dtype: DType::F32 }, vec![ids, weight])
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (packing, step) in layouts() {
        // AWQ has n in eights; the step of k is that of the format.
        for (n, k) in [(8, 256), (40, 3 * step), (16, 67), (104, 5)] {
            cases.push(all_rows(packing, n, k.next_multiple_of(step)));
        }
        if !matches!(packing, Packing::Awq { .. }) {
            cases.push(all_rows(packing, 1, step));
            cases.push(all_rows(packing, 7, 5 * 13usize.next_multiple_of(step)));
        }
    }
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        cases.push(picked(dtype.name(), 9, Input::panels(dtype, 13, 37)));
    }
    cases.push(picked("rows", 5, Input::f32(&[13, 37])));
    let q4 = Packing::Block(Block::Q4_0);
    cases.push(picked("many q4_0", 65_541, Input::packed(q4, 3, 32)));
    cases.push(picked("wide q4_0", 3, Input::packed(q4, 2, 32 * 65)));
    cases.push(picked("q4_k", 32, Input::packed(Packing::Block(Block::Q4K), 4096, 896 / 256 * 256)).bench());
    cases
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (n, k, rows) = (d.size(60), d.size(300), d.size(40));
    if d.below(3) == 2 {
        let dtype = d.pick(&[DType::F32, DType::F16, DType::BF16]);
        return row!(panels(dtype, rows, n, k));
    }
    let (packing, step) = d.pick(&layouts());
    let (n, k) = (n.next_multiple_of(step_of_rows(packing)), k.next_multiple_of(step));
    if d.flag() { row!(picked_packed(packing, rows, n, k)) } else { row!(all_rows(packing, n, k)) }
}

fn panels(dtype: DType, rows: usize, n: usize, k: usize) -> Case {
    picked(dtype.name(), rows, Input::panels(dtype, n, k))
}

fn picked_packed(packing: Packing, rows: usize, n: usize, k: usize) -> Case {
    picked(&packing.name(), rows, Input::packed(packing, n, k))
}
