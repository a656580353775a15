//! pool: averages with and without padding, dilation, windows cut at the end, places of maxima, norms, integers, adaptive
//! windows that overlap, one and three axes.

use super::conv::{planes, window};
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32, I32, U32};
use omma::kernels::{Places, Pool, PoolOp, Window, Windows};

fn case(op: PoolOp, windows: Windows, dtype: DType, shape: &[usize], places: Places, fill: Fill) -> Case {
    let kernel = Pool { op, windows, places };
    let name = format!("{shape:?} {op:?} {windows:?} {places:?} {dtype} {fill:?}");
    Case::new(name, kernel, vec![Input::float(dtype, shape).fill(fill)])
}

pub fn cases() -> Vec<Case> {
    let uniform = || Fill::Uniform(-1.0, 1.0);
    let average = |count_padding| PoolOp::Average { count_padding };
    let floor = |window| Windows::Sliding { window, ceil: false };
    let ceil = |window| Windows::Sliding { window, ceil: true };
    let k3 = Window::planar(3, 3);
    let line = Window { size: [1, 1, 3], stride: [1, 1, 2], pad: [0, 0, 1], ..Window::default() };
    let cube = Window { size: [5, 5, 5], stride: [3; 3], dilation: [2; 3], ..Window::default() };
    let lopsided = Window { pad: [0, 2, 0], pad_end: [0, 1, 2], dilation: [1, 2, 1], ..k3.stride(2) };
    let mut all = Vec::new();
    for op in [average(false), average(true), PoolOp::Max, PoolOp::Norm { power: 2 }, PoolOp::Norm { power: 3 }] {
        let ops = [
            (floor(Window::planar(1, 1)), vec![1, 1, 1, 1]),
            (floor(k3.pad(1)), vec![2, 3, 9, 9]),
            (ceil(k3.stride(2)), vec![1, 3, 16, 15]),
            (ceil(k3.stride(3).pad(1)), vec![1, 2, 2, 5]),
            (ceil(lopsided), vec![1, 5, 11, 14]),
            (ceil(cube), vec![1, 2, 7, 9, 8]),
            (floor(line), vec![2, 3, 32]),
            (ceil(cube), vec![1, 2, 16, 17, 18]),
            (Windows::Adaptive([1, 3, 5]), vec![2, 2, 7, 4]),
            (Windows::Adaptive([2, 1, 2]), vec![1, 2, 5, 3, 7]),
        ];
        for (windows, shape) in ops {
            all.push(case(op, windows, F32, &shape, Places::None, uniform()));
        }
    }
    let max = |windows, dtype, shape: &[usize], places, fill| case(PoolOp::Max, windows, dtype, shape, places, fill);
    all.extend([
        max(ceil(lopsided), F32, &[2, 3, 11, 14], Places::Rows, Fill::Index(3)),
        max(ceil(lopsided), F32, &[2, 3, 11, 14], Places::Columns, Fill::Index(3)),
        max(floor(cube), F32, &[1, 2, 16, 17, 18], Places::Columns, uniform()),
        max(floor(k3), I32, &[1, 2, 7, 9], Places::Rows, Fill::Uniform(-2e9, 2e9)),
        max(floor(k3), U32, &[1, 2, 7, 9], Places::None, Fill::Index(u32::MAX)),
        max(floor(k3), F32, &[1, 2, 7, 9], Places::None, Fill::Const(-3e38)),
        max(floor(k3), F16, &[1, 2, 7, 9], Places::None, uniform()),
        case(average(false), floor(k3.pad(1)), F16, &[1, 2, 7, 9], Places::None, uniform()),
        case(average(false), floor(k3.pad(1)), F32, &[1, 2, 7, 9], Places::None, Fill::Tiny),
        case(PoolOp::Norm { power: 2 }, floor(k3), F32, &[1, 2, 7, 9], Places::None, Fill::Zeros),
        case(average(false), floor(Window::planar(2, 1)), F32, &[1, 65_537, 2, 3], Places::None, uniform()),
        case(average(false), floor(k3.stride(2).pad(1)), F32, &[1, 64, 112, 112], Places::None, uniform()).bench(),
        max(floor(k3.stride(2).pad(1)), F32, &[1, 64, 112, 112], Places::None, uniform()).bench(),
    ]);
    all
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (planes, extents) = planes(d);
    let mut shape = vec![d.size(3), d.size(9)];
    shape.extend(planes);
    let windows = match d.below(3) {
        2 => Windows::Adaptive(extents.map(|extent| if extent > 1 { d.size(extent + 3) } else { 1 })),
        _ => {
            let mut window = window(d, extents);
            // Every window meets a cell of x.
            for (axis, extent) in extents.into_iter().enumerate() {
                window.pad[axis] = window.pad[axis].min(window.size[axis] / 2);
                window.pad_end[axis] = window.pad_end[axis].min(window.size[axis] / 2);
                let room = extent + window.pad[axis] + window.pad_end[axis];
                window.dilation[axis] = window.dilation[axis].min(((room - 1) / window.size[axis]).max(1));
                window.size[axis] = window.size[axis].min(room);
            }
            Windows::Sliding { window, ceil: d.flag() }
        }
    };
    let average = |count_padding| PoolOp::Average { count_padding };
    let ops = [PoolOp::Max, average(false), average(true), PoolOp::Norm { power: 2 }, PoolOp::Norm { power: 3 }];
    let op = d.pick(&ops);
    if op == PoolOp::Max && d.flag() {
        let places = d.pick(&[Places::Rows, Places::Columns, Places::None]);
        let (dtype, fill) = d.pick(&[(F32, Fill::Index(3)), (I32, Fill::Uniform(-2e9, 2e9)), (U32, Fill::Index(9))]);
        return row!(case(op, windows, dtype, &shape, places, fill));
    }
    let dtype = d.float();
    let fill = d.fill_of(dtype);
    row!(case(op, windows, dtype, &shape, Places::None, fill))
}
