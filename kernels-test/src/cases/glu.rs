//! glu: one matrix or two, every activation, odd widths, the MLPs of LLaMA and Qwen2.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Act, Glu};

fn case(act: Act, packed: bool, dtype: DType, rows: usize, cols: usize, fill: Fill) -> Case {
    let name = format!("{}{} {rows}x{cols} {fill:?} {dtype}", act.name(), if packed { " packed" } else { "" });
    let gate = Input::float(dtype, &[rows, if packed { 2 * cols } else { cols }]).fill(fill);
    let mut inputs = vec![gate, Input::float(dtype, &[rows, cols])];
    inputs.truncate(if packed { 1 } else { 2 });
    Case::new(name, Glu { act, packed }, inputs)
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for packed in [false, true] {
        for act in Act::ALL {
            all.push(case(act, packed, DType::F32, 3, 68, Fill::Uniform(-6.0, 6.0)));
            all.push(case(act, packed, DType::F32, 5, 7, Fill::Uniform(-6.0, 6.0)));
        }
        all.push(case(Act::Silu, packed, DType::F32, 1, 1, Fill::Uniform(-6.0, 6.0)));
        all.push(case(Act::Gelu, packed, DType::F32, 2, 130, Fill::Huge));
        all.push(case(Act::Silu, packed, DType::F32, 2, 132, Fill::Tiny));
        all.push(case(Act::Silu, packed, DType::F32, 2, 1029, Fill::Zeros));
        all.push(case(Act::Silu, packed, DType::F16, 3, 68, Fill::Uniform(-4.0, 4.0)));
        all.push(case(Act::Silu, packed, DType::F16, 3, 9, Fill::Uniform(-4.0, 4.0)));
        all.push(case(Act::Silu, packed, DType::F32, 65_537, 3, Fill::Uniform(-1.0, 1.0)));
        all.push(case(Act::Silu, packed, DType::F32, 64, 4864, Fill::Uniform(-6.0, 6.0)).bench());
    }
    let inputs = [Input::f32(&[5, 2 * 1028])];
    all.extend(as_gpu("silu packed 5x1028", &Glu { act: Act::Silu, packed: true }, &inputs));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (act, packed, dtype) = (d.pick(&Act::ALL), d.flag(), d.float());
    let (cols, rows) = (d.size(2000), d.size(30));
    let fill = d.fill_of(dtype);
    row!(case(act, packed, dtype, rows, cols, fill))
}
