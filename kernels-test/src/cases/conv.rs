//! conv: windows of 1 to 7 cells, strides, dilations, padding on one side, groups, one and three axes, places around the
//! tiles; convolutions of ResNet, ConvNeXt and of a patch embedding as bench rows. Transposed ones as well.

use super::as_gpu::as_gpu;
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType::{self, BF16, F16, F32};
use omma::kernels::{Act, Conv, Convolution, TensorType, Window};

pub(super) fn convolution(window: Window, groups: usize) -> Convolution {
    Convolution { window, groups, bias: false, act: None, transposed: None }
}

fn case(x: DType, w: DType, shape: &[usize], cols: usize, kernel: Convolution) -> Case {
    let (name, inputs) = parts(x, shape, Input::panels(w, cols, inner(shape, &kernel)), cols, &kernel);
    Case::new(format!("{name} {x} {w}"), Conv(kernel), inputs)
}

fn inner(shape: &[usize], kernel: &Convolution) -> usize {
    shape[1] / kernel.groups.max(1) * kernel.window.cells()
}

/// The transposed convolution of a window, with bias.
pub(super) fn transposed(window: Window, groups: usize, extra: [usize; 3]) -> Convolution {
    Convolution { bias: true, transposed: Some(extra), ..convolution(window, groups) }
}

/// Name and inputs of a convolution with these weights.
pub(super) fn parts(x: DType, shape: &[usize], w: Input, cols: usize, kernel: &Convolution) -> (String, Vec<Input>) {
    let mut inputs = vec![Input::float(x, shape), w];
    inputs.extend(kernel.bias.then(|| Input::f32(&[cols])));
    let Window { size, stride, dilation, pad, pad_end } = kernel.window;
    let name = format!(
        "{shape:?} to {cols} by {size:?} stride {stride:?} dilation {dilation:?} pad {pad:?} {pad_end:?} groups {} {:?}{}{}",
        kernel.groups,
        kernel.act,
        if kernel.bias { " bias" } else { "" },
        kernel.transposed.map_or(String::new(), |extra| format!(" transposed {extra:?}")),
    );
    (name, inputs)
}

pub fn cases() -> Vec<Case> {
    let plain = convolution;
    let with_bias = |window: Window, groups: usize| Convolution { bias: true, ..convolution(window, groups) };
    let k3 = Window::planar(3, 3);
    let lopsided = Window { pad: [0, 0, 1], pad_end: [0, 2, 3], ..k3 };
    let line = Window { size: [1, 1, 5], stride: [1, 1, 2], pad: [0, 0, 3], pad_end: [0, 0, 1], ..Window::default() };
    let cube = Window { size: [3, 2, 3], stride: [2, 1, 1], pad: [1, 0, 1], pad_end: [0, 1, 1], ..Window::default() };
    let up = Window { stride: [1, 3, 2], dilation: [1, 2, 1], ..k3.pad(2) };
    let silu = Convolution { act: Some(Act::Silu), ..with_bias(k3.pad(1), 1) };
    let mut all = vec![
        case(F32, F32, &[1, 1, 1, 1], 1, plain(Window::planar(1, 1), 1)),
        case(F32, F32, &[1, 3, 10, 11], 4, with_bias(lopsided, 1)),
        case(F32, F32, &[1, 3, 17, 17], 4, with_bias(Window { dilation: [1, 2, 2], ..k3.pad(2) }, 1)),
        case(F32, F32, &[2, 8, 13, 17], 12, with_bias(k3.pad(1).stride(2), 1)),
        case(F32, F32, &[1, 16, 9, 9], 8, with_bias(k3.pad(1), 4)),
        case(F32, F32, &[1, 16, 9, 9], 5, with_bias(Window::planar(1, 1), 1)),
        case(F32, F32, &[2, 130, 5, 7], 132, plain(k3.pad(1), 2)),
        case(F32, F32, &[1, 5, 8, 8], 65, silu.clone()),
        case(F32, F32, &[3, 4, 29], 6, with_bias(line, 2)),
        case(F32, F32, &[1, 3, 5, 6, 7], 7, with_bias(cube, 1)),
        case(F32, F32, &[1, 2, 3, 40], 3, plain(Window::planar(5, 1).pad(4), 1)),
        case(F32, F32, &[1, 1, 64, 64], 1, plain(Window::planar(64, 64), 1)),
        case(F32, F32, &[1, 1, 260, 260], 2, plain(k3, 1)),
        case(F16, F16, &[1, 6, 12, 12], 20, silu),
        case(F32, F32, &[1, 3, 3, 5], 2, transposed(k3, 1, [0; 3])),
        case(F32, F32, &[2, 6, 4, 3], 34, transposed(k3.stride(2).pad(1), 1, [0, 1, 1])),
        case(F32, F32, &[1, 4, 5, 5], 6, transposed(up, 2, [0, 2, 0])),
        case(F32, F32, &[3, 4, 9], 8, transposed(line, 4, [0, 0, 1])),
        case(F32, F32, &[1, 3, 2, 4, 3], 3, transposed(cube, 1, [1, 0, 0])),
        case(F32, BF16, &[1, 6, 12, 12], 33, with_bias(k3, 1)),
        case(F32, F32, &[1, 64, 56, 56], 64, with_bias(k3.pad(1), 1)).bench(),
        case(F32, F32, &[1, 256, 14, 14], 256, with_bias(Window::planar(1, 1), 1)).bench(),
        case(F32, F32, &[1, 3, 224, 224], 64, with_bias(Window::planar(7, 7).pad(3).stride(2), 1)).bench(),
        case(F32, F32, &[1, 256, 16, 16], 64, transposed(Window::planar(2, 2).stride(2), 1, [0; 3])).bench(),
        case(F32, F32, &[1, 3, 336, 336], 1024, plain(Window::planar(14, 14).stride(14), 1)).bench_only(),
    ];
    // Weights in rows: an activation as the filter.
    let kernel = with_bias(k3.pad(1), 2);
    let w = Input::new(TensorType::f32(&[6, 18]), Fill::Uniform(-1.0, 1.0));
    let (name, inputs) = parts(F32, &[1, 4, 6, 6], w, 6, &kernel);
    all.push(Case::new(format!("{name} rows"), Conv(kernel), inputs));
    let kernel = with_bias(lopsided.stride(2), 2);
    let (name, inputs) = parts(F32, &[2, 6, 19, 21], Input::panels(F32, 140, 27), 140, &kernel);
    all.extend(as_gpu(&name, &Conv(kernel), &inputs));
    all
}

/// A window that fits planes of these extents (z, y, x), with padding.
pub(super) fn window(d: &mut Draw, extents: [usize; 3]) -> Window {
    let mut window = Window::default();
    for axis in (0..3).filter(|axis| extents[*axis] > 1) {
        (window.pad[axis], window.pad_end[axis]) = (d.below(4), d.below(4));
        let room = extents[axis] + window.pad[axis] + window.pad_end[axis];
        window.size[axis] = d.size(room.min(7));
        window.dilation[axis] = d.size(((room - 1) / (window.size[axis] - 1).max(1)).clamp(1, 4));
        window.stride[axis] = d.size(4);
    }
    window
}

/// One to three axes: as a shape, and (z, y, x).
pub(super) fn planes(d: &mut Draw) -> (Vec<usize>, [usize; 3]) {
    let axes = d.pick(&[2, 2, 1, 3]);
    let shape = d.shape(axes, 40, 600);
    let mut extents = [1; 3];
    extents[3 - axes..].copy_from_slice(&shape);
    (shape, extents)
}

/// A convolution, also transposed, that leaves something of planes of these extents.
pub(super) fn drawn(d: &mut Draw, groups: usize, extents: [usize; 3]) -> Convolution {
    let mut window = window(d, extents);
    let mut transposed = None;
    if d.below(3) == 2 {
        transposed = Some([0; 3]);
        // What padding cuts off is less than the window spans.
        for axis in 0..3 {
            let reach = (window.size[axis] - 1) * window.dilation[axis];
            window.pad[axis] = window.pad[axis].min(reach / 2);
            window.pad_end[axis] = window.pad_end[axis].min(reach / 2);
        }
    }
    let act = d.maybe(&[Act::Silu, Act::Gelu]);
    Convolution { window, groups, bias: d.flag(), act, transposed }
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (x, w, groups) = (d.float(), d.pick(&[F32, F16, BF16]), d.size(4));
    let (planes, extents) = planes(d);
    let mut shape = vec![d.size(3), groups * d.size(20)];
    shape.extend(planes);
    let cols = groups * d.size(40);
    let kernel = drawn(d, groups, extents);
    row!(case(x, w, &shape, cols, kernel)).filled(0, d.fill_of(x))
}
