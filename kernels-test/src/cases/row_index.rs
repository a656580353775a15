//! row_index: one to six axes, negative and hostile coordinates, 64 bits.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{RowIndex, TensorType};

fn narrow(dtype: DType, tuples: usize, extents: &[usize]) -> Case {
    let low = if dtype == DType::I32 { -12.0 } else { 0.0 };
    let input = Input::new(TensorType::new(dtype, &[tuples, extents.len()]), Fill::Uniform(low, 12.0));
    Case::new(
        format!("{tuples} of {extents:?} {dtype}"),
        RowIndex { extents: extents.to_vec(), wide: false },
        vec![input],
    )
}

fn values(name: &str, dtype: DType, extents: &[usize], values: &[f64]) -> Case {
    let wide = name.starts_with("wide");
    let shape = [values.len() / extents.len()];
    let input = Input::new(TensorType::new(dtype, &shape), Fill::Values(values.to_vec()));
    Case::new(name, RowIndex { extents: extents.to_vec(), wide }, vec![input])
}

pub fn cases() -> Vec<Case> {
    use DType::{I32, U32};
    let max = f64::from(u32::MAX);
    let half = f64::powi(2.0, 31);
    let hostile = [half - 1.0, -half, -1.0, 6.0, 7.0, -7.0, -8.0, 0.0];
    let wide = [
        [0.0, 0.0],
        [6.0, 0.0],
        [7.0, 0.0],
        [max, max],
        [max - 6.0, max],
        [max - 7.0, max],
        [0.0, max],
        [1.0, 1.0],
        [0.0, half],
        [max, half - 1.0],
        [max, 0.0],
    ];
    let long: Vec<f64> = (0..70_001).flat_map(|i| [f64::from(i % 9), 0.0]).collect();
    vec![
        narrow(I32, 1, &[1]),
        narrow(I32, 1000, &[7]),
        narrow(U32, 1000, &[7, 3]),
        narrow(I32, 77, &[7, 3, 5, 1, 2, 9]),
        narrow(I32, 70_001, &[9]).bench(),
        values("i32 far out", I32, &[7], &hostile),
        values("u32 far out", U32, &[7], &[0.0, 6.0, 7.0, half, max]),
        values("wide far out", U32, &[7], wide.as_flattened()),
        values("wide many", U32, &[8], &long),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (dtype, tuples, rank) = (d.pick(&[DType::I32, DType::U32]), d.size(3000), d.size(6));
    let extents = d.shape(rank, 12, 1 << 20);
    row!(narrow(dtype, tuples, &extents))
}
