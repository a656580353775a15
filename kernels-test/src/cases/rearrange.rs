//! rearrange: transpositions in every unit, slices backwards, repeats, splits of axes, six axes, many cells.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Axis, Rearrange, TensorType};

fn case(name: &str, dtype: DType, shape: &[usize], kernel: Rearrange) -> Case {
    let fill = match dtype {
        DType::U32 => Fill::Index(u32::MAX),
        DType::I32 => Fill::Uniform(-2e9, 2e9),
        _ => Fill::Uniform(-1.0, 1.0),
    };
    Case::new(format!("{name} {shape:?} {dtype}"), kernel, vec![Input::new(TensorType::new(dtype, shape), fill)])
}

fn view(base: i64, axes: &[(usize, i64)], shape: &[usize]) -> Rearrange {
    let axes = axes.iter().map(|(extent, stride)| Axis { extent: *extent, stride: *stride }).collect();
    Rearrange { base, axes, shape: shape.to_vec() }
}

fn transpose(dtype: DType, shape: &[usize], perm: &[usize]) -> Case {
    let kernel = Rearrange::transpose(shape, perm).expect("a permutation");
    case(&format!("transpose {perm:?}"), dtype, shape, kernel)
}

/// `[n, c, h b, w b]` -> `[n, b b c, h, w]`.
fn space_to_depth(n: usize, c: usize, h: usize, w: usize, b: usize) -> Case {
    let (hb, wb) = ((h * b) as i64, (w * b) as i64);
    let axes = [(n, c as i64 * hb * wb), (b, wb), (b, 1), (c, hb * wb), (h, b as i64 * wb), (w, b as i64)];
    case("space to depth", DType::F32, &[n, c, h * b, w * b], view(0, &axes, &[n, b * b * c, h, w]))
}

pub fn cases() -> Vec<Case> {
    use DType::{F16, F32, I32, U32};
    let all = |shape: &[usize]| Rearrange::all(shape);
    let flip = all(&[5, 67]).slice(0, 4, -1, 5).and_then(|v| v.slice(1, 66, -1, 67)).expect("inside");
    let steps = all(&[9, 40]).slice(0, 7, -3, 3).and_then(|v| v.slice(1, 4, 1, 32)).expect("inside");
    let repeat = |from: &[usize], to: &[usize]| Rearrange::expand(from, to).expect("repeats");
    let mut list = vec![
        case("scalar", F32, &[], all(&[])),
        case("one", F32, &[1], all(&[1])),
        case("empty", F32, &[0, 3], all(&[0, 3])),
        case("nothing of", F32, &[4, 3], all(&[4, 3]).slice(1, 0, 1, 0).expect("inside")),
        case("all", U32, &[3, 5, 7], all(&[3, 5, 7])),
        transpose(F32, &[1, 7], &[1, 0]),
        transpose(F32, &[13, 7], &[1, 0]),
        transpose(I32, &[16, 12], &[1, 0]),
        transpose(F32, &[15, 16], &[1, 0]),
        transpose(F32, &[17, 16], &[1, 0]),
        transpose(F32, &[8, 3, 12], &[2, 1, 0]),
        transpose(F32, &[4, 8, 3, 12], &[3, 2, 0, 1]),
        transpose(U32, &[5, 7, 2], &[1, 0, 2]),
        transpose(F32, &[2, 3, 4, 5, 6, 7], &[5, 4, 3, 2, 1, 0]),
        transpose(F32, &[3, 2, 2, 4, 3, 5], &[0, 2, 4, 1, 3, 5]),
        transpose(F32, &[2, 3, 2, 4, 2, 8], &[4, 3, 0, 1, 2, 5]),
        transpose(F16, &[9, 5, 16], &[1, 0, 2]),
        transpose(F16, &[9, 5, 12], &[1, 0, 2]),
        transpose(F16, &[9, 5, 6], &[1, 0, 2]),
        transpose(F16, &[9, 5], &[1, 0]),
        case("flip", F32, &[5, 67], flip),
        case("steps", F32, &[9, 40], steps),
        case("diagonal", F32, &[7, 7], view(0, &[(7, 8)], &[7])),
        case("windows", F32, &[41], view(1, &[(9, 4), (8, 1)], &[9, 8])),
        case("repeat", F32, &[3, 1, 5], repeat(&[3, 1, 5], &[2, 3, 4, 5])),
        case("repeat", F32, &[1], repeat(&[1], &[3, 65])),
        case("repeat", F32, &[12, 1], repeat(&[12, 1], &[12, 8])),
        space_to_depth(2, 3, 3, 5, 2),
        transpose(F32, &[70_000, 3], &[1, 0]),
        transpose(F32, &[577, 16, 64], &[1, 0, 2]).bench(),
        transpose(F32, &[16, 577, 64], &[0, 2, 1]).bench(),
        transpose(F32, &[3, 224, 224], &[1, 2, 0]).bench(),
        transpose(F32, &[1024, 576], &[1, 0]).bench(),
        space_to_depth(1, 64, 28, 28, 2).bench(),
    ];
    let denormal = Input::f32(&[6, 4]).fill(Fill::Tiny);
    list.push(Case::new("denormals", Rearrange::transpose(&[6, 4], &[1, 0]).expect("two axes"), vec![denormal]));
    let turn = Rearrange::transpose(&[33, 4, 20], &[1, 2, 0]).expect("three axes");
    list.extend(as_gpu("transpose [1, 2, 0]", &turn, &[Input::f32(&[33, 4, 20])]));
    list
}

/// Slices of every axis, some backwards: `(start, step, count)` each.
fn slices(shape: &[usize], slices: &[(usize, i64, usize)]) -> Case {
    let sliced = |view: Rearrange, (axis, (start, step, count)): (usize, &(usize, i64, usize))| {
        view.slice(axis, *start, *step, *count).expect("inside")
    };
    let view = slices.iter().enumerate().fold(Rearrange::all(shape), sliced);
    case(&format!("{slices:?}"), DType::F32, shape, view)
}

fn expand(from: &[usize], to: &[usize]) -> Case {
    case(&format!("to {to:?}"), DType::F32, from, Rearrange::expand(from, to).expect("repeats"))
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (rank, dtype) = (d.size(6), d.pick(&[DType::F32, DType::I32, DType::U32, DType::F16]));
    let shape = d.shape(rank, 200, 20_000);
    match d.below(4) {
        3 => {
            let from: Vec<usize> = shape.iter().map(|extent| if d.flag() { 1 } else { *extent }).collect();
            row!(expand(&from, &shape))
        }
        2 => {
            let cut = |extent: &usize| {
                let (step, count) = (d.size(*extent), d.below(*extent + 1));
                let count = count.min((extent - 1) / step + 1);
                let last = count.saturating_sub(1) * step;
                let first = d.below(extent - last);
                if d.flag() { (first + last, -(step as i64), count) } else { (first, step as i64, count) }
            };
            let list: Vec<(usize, i64, usize)> = shape.iter().map(cut).collect();
            row!(slices(&shape, &list))
        }
        _ => {
            let perm = d.permutation(rank);
            row!(transpose(dtype, &shape, &perm))
        }
    }
}
