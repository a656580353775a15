//! pad: every border beyond several periods, cuts, units of every size, six axes, tiles.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{Border, Pad, TensorType};

fn input(dtype: DType, shape: &[usize]) -> Input {
    let fill = if dtype == DType::U32 { Fill::Index(u32::MAX) } else { Fill::Uniform(-1.0, 1.0) };
    Input::new(TensorType::new(dtype, shape), fill)
}

fn case(dtype: DType, shape: &[usize], before: &[i64], after: &[i64], border: Border) -> Case {
    let name = format!("{border:?} {shape:?} {before:?} {after:?} {dtype}");
    Case::new(name, Pad { before: before.to_vec(), after: after.to_vec(), border }, vec![input(dtype, shape)])
}

fn tile(dtype: DType, shape: &[usize], repeats: &[usize]) -> Case {
    Case::new(format!("tile {shape:?} {repeats:?}"), Pad::tile(shape, repeats), vec![input(dtype, shape)])
}

pub fn cases() -> Vec<Case> {
    use DType::{F16, F32, U32};
    let half = Border::f32(0.5);
    let mut all = Vec::new();
    for border in [half, Border::Edge, Border::Reflect, Border::Wrap] {
        all.push(case(F32, &[1], &[0], &[0], border));
        all.push(case(F32, &[1], &[3], &[4], border));
        all.push(case(F32, &[5], &[17], &[23], border));
        all.push(case(F32, &[7, 9], &[-2, 3], &[1, -4], border));
        all.push(case(F32, &[7, 9], &[2, -9], &[0, 5], border));
        all.push(case(F32, &[3, 5, 8], &[1, 2, 0], &[0, 1, 0], border));
        all.push(case(F32, &[3, 5, 8], &[0, 0, 4], &[0, 0, 8], border));
        all.push(case(F32, &[3, 5, 6], &[0, 1, 2], &[0, 0, 4], border));
        all.push(case(F32, &[2, 3, 2, 3, 2, 3], &[1, 0, 1, 2, 0, 1], &[0, 1, 1, 0, 2, 1], border));
        all.push(case(F32, &[70_000, 3], &[1, 0], &[0, 1], border));
        all.push(case(F32, &[3, 224, 224], &[0, 4, 4], &[0, 4, 4], border).bench());
    }
    let bits = u32::from(half::f16::from_f32(0.5).to_bits());
    for border in [Border::word(bits | bits << 16), Border::Edge, Border::Reflect, Border::Wrap] {
        all.push(case(F16, &[3, 5, 8], &[0, 1, 0], &[0, 1, 0], border));
        all.push(case(F16, &[3, 5], &[1, 0], &[0, 2], border));
    }
    all.push(case(U32, &[5, 3, 2], &[1, 1, 0], &[2, 0, 0], Border::Fill([77, 77])));
    all.push(case(F32, &[0, 3], &[1, 0], &[1, 1], half));
    all.push(case(F32, &[0, 8], &[1, 0], &[1, 0], half));
    all.push(case(F32, &[4], &[-4], &[0], half));
    all.push(tile(F32, &[3], &[1]));
    all.push(tile(F32, &[3, 5], &[4, 3]));
    all.push(tile(U32, &[3, 1, 8], &[2, 5, 2]));
    all.push(tile(F32, &[2, 3, 2, 3, 2, 3], &[2, 2, 2, 2, 2, 2]));
    let kernel = Pad { before: vec![1, 2], after: vec![3, 4], border: Border::Reflect };
    all.extend(as_gpu("reflect 33x65", &kernel, &[Input::f32(&[33, 65])]));
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, rank) = (d.pick(&[DType::F32, DType::U32, DType::F16]), d.size(5));
    let shape = d.shape(rank, 60, 2000);
    if d.below(4) == 3 {
        let repeats = d.shape(rank, 5, 12);
        return row!(tile(dtype, &shape, &repeats));
    }
    let half = u32::from(half::f16::from_f32(0.5).to_bits());
    let fill = if dtype == DType::F16 { Border::word(half | half << 16) } else { Border::f32(0.5) };
    let border = d.pick(&[fill, Border::Edge, Border::Reflect, Border::Wrap]);
    // A cut leaves a cell or more of each axis.
    let mut side = |most: i64| d.below(10) as i64 - most.min(4);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for extent in &shape {
        before.push(side((*extent as i64 - 1) / 2));
        after.push(side((*extent as i64 - 1) / 2));
    }
    row!(case(dtype, &shape, &before, &after, border))
}
