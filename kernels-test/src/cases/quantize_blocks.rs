//! quantize_blocks: every format over values of one sign and of both, blocks of one value, blocks without any, and an
//! odd number of blocks, whose last word is half full.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::QuantizeBlocks;
use omma::quant::Encoding;

fn case(to: Encoding, n: usize, k: usize, fill: Fill) -> Case {
    let name = format!("{n}x{k} {to} {fill:?}");
    Case::new(name, QuantizeBlocks { to }, vec![Input::f32(&[n, k]).fill(fill)])
}

/// Formats, with the values of a row that each asks for.
fn formats() -> Vec<(Encoding, usize)> {
    let step = |to: Encoding| match to {
        Encoding::Block(block) => block.values(),
        Encoding::Nf4 | Encoding::Fp4 => 64,
        _ => 1,
    };
    Encoding::ALL.iter().filter(|(_, to)| to.packing().is_some()).map(|(_, to)| (*to, step(*to))).collect()
}

pub fn cases() -> Vec<Case> {
    let uniform = |low, high| Fill::Uniform(low, high);
    let mut all = Vec::new();
    for (to, step) in formats() {
        all.extend([
            case(to, 1, step.max(5), uniform(-1.0, 1.0)),
            case(to, 7, 3 * step, uniform(-0.05, 0.05)),
            case(to, 65, 2 * step, uniform(-1.0, 1.0)),
            case(to, 3, step, Fill::Zeros),
            case(to, 3, step, Fill::Const(-0.37)),
            case(to, 2, 4 * step, uniform(3.0, 4.0)),
            case(to, 5, 2 * step, uniform(-3e-6, 3e-6)),
            case(to, 2, 2 * step, Fill::Tiny),
            case(to, 9, 97usize.next_multiple_of(step), Fill::Outlier),
            case(to, 33, 576usize.next_multiple_of(step), uniform(-0.2, 0.2)),
            case(to, 1024, 1024, uniform(-0.05, 0.05)).bench_only(),
        ]);
    }
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (n, k) = (d.size(40), d.size(400));
    let (to, step) = d.pick(&formats());
    let fill = d.fill();
    row!(case(to, n, k.next_multiple_of(step), fill))
}
