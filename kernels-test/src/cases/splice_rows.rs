//! splice_rows: gathers, splices, added position rows; indices beyond the sources.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{SpliceRows, TensorType};

fn indices(tokens: usize, below: usize) -> Input {
    Input::new(TensorType::u32(&[tokens]), Fill::Index(below as u32))
}

/// `rows` of the sources: one or two.
fn case(tokens: usize, cols: usize, rows: &[usize], extra: Option<usize>, dtype: DType) -> Case {
    let name = format!("{tokens}x{cols} of {rows:?} {dtype}{}", extra.map_or(String::new(), |e| format!(" + {e}")));
    let mut inputs: Vec<Input> = rows.iter().map(|r| Input::float(dtype, &[*r, cols])).collect();
    // A few indices lie beyond the sources and the table.
    inputs.push(indices(tokens, rows.iter().sum::<usize>() + 2));
    if let Some(extra) = extra {
        inputs.extend([Input::f32(&[extra, cols]), indices(tokens, extra + 2)]);
    }
    Case::new(name, SpliceRows { two: rows.len() == 2, add: extra.is_some() }, inputs)
}

pub fn cases() -> Vec<Case> {
    use DType::{F16, F32};
    let far = || Input::u32(&[5], &[u32::MAX, 0, 3, 4, 1 << 31]);
    vec![
        case(1, 1, &[1], None, F32),
        case(5, 3, &[7], None, F32),
        case(7, 5, &[3, 4], None, F32),
        case(7, 13, &[3, 4], None, F16),
        case(11, 67, &[5], Some(3), F32),
        case(11, 67, &[5], Some(3), F16),
        case(13, 66, &[5, 1], Some(17), F32),
        case(13, 66, &[5, 1], Some(17), F16),
        case(13, 68, &[5, 1], Some(17), F32),
        case(13, 1028, &[5, 1], Some(17), F16),
        case(65_537, 3, &[1000, 31], Some(7), F32),
        Case::new(
            "indices beyond",
            SpliceRows { two: true, add: true },
            vec![Input::f32(&[2, 3]), Input::f32(&[2, 3]), far(), Input::f32(&[4, 3]), far()],
        ),
        Case::new("gather beyond", SpliceRows::default(), vec![Input::f32(&[4, 3]), far()]),
        case(640, 4096, &[64, 576], None, F32).bench(),
        case(577, 1024, &[1, 576], Some(577), F32).bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (tokens, cols) = (d.size(200), d.size(300));
    let rows = [d.size(40), d.size(40)];
    let rows = &rows[..if d.flag() { 2 } else { 1 }];
    let (extra, dtype) = (d.flag().then(|| d.size(40)), d.float());
    row!(case(tokens, cols, rows, extra, dtype))
}
