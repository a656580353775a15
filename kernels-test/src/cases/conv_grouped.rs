//! conv_grouped: depthwise windows of 3, 5 and 7, groups of a few channels, widths around a quad, one and three axes, transposed.

use super::conv::{convolution, drawn, parts, planes, transposed};
use crate::case::{Case, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, F16, F32};
use omma::kernels::{Act, ConvGrouped, Convolution, Window};

fn case(x: DType, shape: &[usize], cols: usize, kernel: Convolution) -> Case {
    let inner = shape[1] / kernel.groups * kernel.window.cells();
    let (name, inputs) = parts(x, shape, Input::f32(&[cols, inner]), cols, &kernel);
    Case::new(format!("{name} {x}"), ConvGrouped(kernel), inputs)
}

pub fn cases() -> Vec<Case> {
    let with_bias = |window: Window, groups: usize| Convolution { bias: true, ..convolution(window, groups) };
    let k3 = Window::planar(3, 3);
    let lopsided = Window { pad: [0, 0, 1], pad_end: [0, 2, 3], dilation: [1, 2, 3], ..k3 };
    let up = Window { stride: [1, 3, 2], dilation: [1, 2, 1], ..k3.pad(2) };
    let line = Window { size: [1, 1, 4], stride: [1, 1, 3], pad: [0, 0, 3], ..Window::default() };
    let cube = Window { size: [2, 3, 3], stride: [1, 2, 1], pad: [1, 1, 1], ..Window::default() };
    vec![
        case(F32, &[1, 1, 1, 1], 1, convolution(Window::planar(1, 1), 1)),
        case(F32, &[1, 24, 14, 14], 24, with_bias(k3.pad(1), 24)),
        case(F32, &[2, 6, 15, 11], 6, with_bias(Window::planar(5, 5).pad(2).stride(2), 6)),
        case(F32, &[1, 5, 9, 7], 10, with_bias(lopsided, 5)),
        case(F32, &[2, 6, 6, 5], 4, convolution(k3.pad(1), 2)),
        case(F32, &[3, 4, 29], 8, with_bias(line, 4)),
        case(F32, &[1, 3, 4, 6, 7], 3, with_bias(cube, 3)),
        case(F32, &[2, 3, 5, 17], 3, with_bias(Window::planar(1, 19).pad(9), 3)),
        case(F32, &[1, 2, 7, 8], 2, with_bias(Window { dilation: [1, 1, 2], ..k3.pad(1) }, 2)),
        case(F32, &[1, 4, 5, 5], 6, transposed(up, 2, [0, 2, 1])),
        case(F32, &[1, 3, 2, 4, 3], 3, transposed(cube, 3, [1, 0, 0])),
        case(F32, &[1, 65_537, 1, 3], 65_537, convolution(Window::planar(1, 2), 65_537)),
        case(F16, &[1, 8, 9, 9], 8, Convolution { act: Some(Act::Gelu), ..with_bias(k3.pad(1), 8) }),
        case(F32, &[1, 96, 56, 56], 96, with_bias(Window::planar(7, 7).pad(3), 96)).bench(),
        case(F32, &[1, 144, 56, 56], 144, with_bias(k3.pad(1), 144)).bench(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (x, groups) = (d.float(), d.size(40));
    let (planes, extents) = planes(d);
    let mut shape = vec![d.size(3), groups * d.size(3)];
    shape.extend(planes);
    let cols = groups * d.size(3);
    let kernel = drawn(d, groups, extents);
    row!(case(x, &shape, cols, kernel)).filled(0, d.fill_of(x))
}
