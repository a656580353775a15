//! binary: every function, every broadcast, widths that are not whole quads, many rows.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Binary, BinaryOp};

fn case(op: BinaryOp, dtype: DType, x: &[usize], b: &[usize]) -> Case {
    // Away from 0, for the division.
    let b_input = Input::float(dtype, b).fill(Fill::Uniform(0.25, 2.0));
    Case::new(format!("{op:?} {x:?} {b:?} {dtype}"), Binary { op }, vec![Input::float(dtype, x), b_input])
}

/// Every pair of values where functions end; of a floored rest those of finite `b`.
fn ends(op: BinaryOp) -> Vec<Input> {
    let inf = f64::INFINITY;
    let all = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 1e30, -1e30, 3.0000002, inf, -inf, f64::NAN];
    let side: &[f64] = if op == BinaryOp::Mod { &all[..12] } else { &all };
    let x: Vec<f64> = all.iter().flat_map(|v| side.iter().map(move |_| *v)).collect();
    let b: Vec<f64> = all.iter().flat_map(|_| side.iter().copied()).collect();
    [x, b].map(|values| Input::f32(&[values.len()]).fill(Fill::Values(values))).to_vec()
}

pub fn cases() -> Vec<Case> {
    use BinaryOp::{Add, Div, Max, Min, Mod, Mul, Pow, Prelu, Rem, Sub};
    let mut all = Vec::new();
    for op in [Add, Sub, Mul, Div, Max, Min, Prelu, Rem, Mod, Pow] {
        for cols in [1, 7, 64, 1028] {
            // One column: full is by column, a row is one cell.
            let shapes = [vec![5, 1], vec![1], vec![5, cols], vec![cols]];
            for b in &shapes[..if cols == 1 { 2 } else { 4 }] {
                all.push(case(op, DType::F32, &[5, cols], b));
            }
        }
        all.push(case(op, DType::F16, &[3, 68], &[3, 68]));
        all.push(case(op, DType::F16, &[3, 7], &[3, 1]));
    }
    let huge = vec![Input::f32(&[4, 33]).fill(Fill::Huge), Input::f32(&[4, 33]).fill(Fill::Huge)];
    all.push(Case::new("Mul huge", Binary { op: Mul }, huge));
    let tiny = vec![Input::f32(&[4, 36]).fill(Fill::Tiny), Input::f32(&[4, 36]).fill(Fill::Tiny)];
    all.push(Case::new("Add tiny", Binary { op: Add }, tiny));
    let pairs = |x: (f64, f64), b: (f64, f64)| {
        vec![Input::f32(&[4, 1001]).fill(Fill::Uniform(x.0, x.1)), Input::f32(&[4, 1001]).fill(Fill::Uniform(b.0, b.1))]
    };
    let small = || Input::f32(&[4, 1001]).fill(Fill::Uniform(-2e-39, 2e-39));
    let divisor = Input::f32(&[4, 1001]).fill(Fill::Uniform(1e-42, 3e-41));
    all.push(Case::new("Rem denormal", Binary { op: Rem }, vec![small(), divisor]));
    for op in [Rem, Mod] {
        all.push(Case::new(format!("{op:?} huge"), Binary { op }, pairs((-3e38, 3e38), (-1.0, 1.0))));
        all.push(Case::new(format!("{op:?} both signs"), Binary { op }, pairs((-100.0, 100.0), (-7.0, 7.0))));
    }
    all.push(Case::new("Pow of positive", Binary { op: Pow }, pairs((0.0, 100.0), (-19.0, 19.0))));
    all.push(Case::new("Pow near 1", Binary { op: Pow }, pairs((0.9, 1.1), (-600.0, 600.0))));
    for op in [Max, Min, Pow, Rem, Mod] {
        all.push(Case::new(format!("{op:?} ends"), Binary { op }, ends(op)));
    }
    all.push(case(Add, DType::F32, &[2, 3, 8], &[2, 3, 8]));
    all.push(case(Add, DType::F32, &[65_537, 3], &[3]));
    all.push(case(Mul, DType::F32, &[65_537, 4], &[65_537, 1]));
    all.push(case(Add, DType::F32, &[577, 1024], &[577, 1024]).bench());
    all.push(case(Add, DType::F32, &[577, 1024], &[1024]).bench());
    let inputs = [Input::f32(&[5, 1028]), Input::f32(&[5, 1])];
    all.extend(as_gpu("Mul 5x1028 by column", &Binary { op: Mul }, &inputs));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    use BinaryOp::{Add, Div, Max, Min, Mod, Mul, Pow, Prelu, Rem, Sub};
    let (op, dtype) = (d.pick(&[Add, Sub, Mul, Div, Max, Min, Prelu, Rem, Mod, Pow]), d.float());
    let (cols, outer) = (d.size(1100), d.size(3));
    let rows = d.size(60);
    let x = [outer, rows, cols];
    let of_rows = [outer, rows, 1];
    let b = d.pick(&[&x[..], &of_rows[..], &x[2..], &[1][..]]);
    let b = if cols == 1 && b.len() == 1 { &[1][..] } else { b };
    row!(case(op, dtype, &x[..], b))
}
