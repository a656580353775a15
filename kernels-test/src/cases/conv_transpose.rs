//! conv_transpose: strides with and without overlap, padding, dilation, groups, extra cells, one and three axes.

use super::conv::{convolution, parts};
use crate::case::{Case, Input};
use omma::DType::{self, F16, F32};
use omma::kernels::{ConvTranspose, Convolution, Window};

fn case(x: DType, shape: &[usize], cols: usize, conv: Convolution, extra: [usize; 3]) -> Case {
    let w = Input::f32(&[shape[1], cols / conv.groups.max(1) * conv.window.cells()]);
    let (name, inputs) = parts(x, shape, w, cols, &conv);
    Case::new(format!("{name} extra {extra:?} {x}"), ConvTranspose { conv, extra }, inputs)
}

pub fn cases() -> Vec<Case> {
    let with_bias = |window: Window, groups: usize| Convolution { bias: true, ..convolution(window, groups) };
    let k3 = Window::planar(3, 3);
    let line = Window { size: [1, 1, 4], stride: [1, 1, 3], pad: [0, 0, 2], ..Window::default() };
    let cube = Window { size: [2, 3, 2], stride: [2, 1, 2], pad: [0, 1, 0], ..Window::default() };
    vec![
        case(F32, &[1, 1, 1, 1], 1, convolution(Window::planar(1, 1), 1), [0; 3]),
        case(F32, &[1, 3, 3, 5], 2, with_bias(k3, 1), [0; 3]),
        case(F32, &[2, 3, 4, 3], 4, with_bias(k3.stride(2).pad(1), 1), [0, 1, 1]),
        case(F32, &[1, 4, 5, 5], 6, with_bias(Window { dilation: [1, 2, 3], ..k3 }, 2), [0; 3]),
        case(F32, &[1, 2, 3, 3], 2, with_bias(Window { stride: [1, 3, 2], ..k3.pad(2) }, 2), [0, 1, 0]),
        case(F32, &[3, 4, 9], 8, with_bias(line, 4), [0, 0, 2]),
        case(F32, &[1, 3, 2, 4, 3], 3, with_bias(cube, 1), [1, 0, 0]),
        case(F16, &[1, 8, 4, 4], 4, with_bias(Window::planar(2, 2).stride(2), 1), [0; 3]),
        case(F32, &[1, 256, 16, 16], 64, with_bias(Window::planar(2, 2).stride(2), 1), [0; 3]).bench(),
    ]
}
