//! Integer kernels: odd sizes in every axis, every sign and zero point, the largest sums, the shapes of int8 models.

use super::conv::{planes, window};
use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{ConvInt, Each, Kernel, MatMulInt, PackBytes, QuantizeRange, TensorType, Window};

/// Bytes, a word each.
fn bytes(signed: bool, shape: &[usize]) -> Input {
    let (dtype, fill) = match signed {
        true => (DType::I32, Fill::Uniform(-128.99, 127.99)),
        false => (DType::U32, Fill::Index(256)),
    };
    Input::new(TensorType::new(dtype, shape), fill)
}

/// Words of four random bytes.
fn words(shape: &[usize]) -> Input {
    Input::new(TensorType::u32(shape), Fill::Index(u32::MAX))
}

pub fn pack_bytes() -> Vec<Case> {
    vec![
        pack(true, &[1]),
        pack(false, &[3, 1]),
        pack(true, &[5, 4]),
        pack(true, &[7, 13]),
        pack(false, &[2, 3, 31]),
        pack(true, &[65_537, 6]),
        pack(true, &[1024, 4096]).bench(),
    ]
}

fn product(kernel: MatMulInt, batch: Option<usize>, w_batch: bool, m: usize, n: usize) -> Case {
    let words_of = |lines: usize, batched: bool| {
        let mut shape = vec![lines, kernel.inner.div_ceil(4)];
        if let (Some(batch), true) = (batch, batched) {
            shape.insert(0, batch);
        }
        words(&shape)
    };
    let count = |each: Each, lines: usize| match each {
        Each::One => 1,
        Each::Line => lines,
        Each::BatchLine => lines * batch.unwrap_or(1),
    };
    let mut inputs = vec![
        words_of(m, true),
        words_of(n, w_batch),
        bytes(kernel.x_signed, &[count(kernel.x_zero, m)]),
        bytes(kernel.w_signed, &[count(kernel.w_zero, n)]),
    ];
    if kernel.scaled {
        let each = kernel.x_zero != Each::One;
        let rows = if each { m * batch.unwrap_or(1) } else { 1 };
        inputs.push(Input::f32(&[rows]));
        inputs.push(Input::f32(&[if each { n } else { 1 }]));
    }
    let zeros = format!("{:?} {:?}", kernel.x_zero, kernel.w_zero);
    Case::new(format!("{batch:?} {w_batch} {m}x{n} {} {zeros}", kernel.show()), kernel, inputs)
}

pub fn matmul_int() -> Vec<Case> {
    let base =
        MatMulInt { inner: 64, x_signed: false, w_signed: true, x_zero: Each::One, w_zero: Each::One, scaled: false };
    let mut all = Vec::new();
    for (m, k, n) in [(1, 1, 1), (2, 3, 5), (33, 31, 31), (32, 32, 32), (65, 130, 63), (7, 4096, 9), (3, 5, 70_000)] {
        all.push(product(MatMulInt { inner: k, ..base }, None, false, m, n));
    }
    for (x_signed, w_signed) in [(false, false), (true, true), (true, false)] {
        all.push(product(MatMulInt { x_signed, w_signed, inner: 37, ..base }, None, false, 19, 21));
    }
    for each in [Each::Line, Each::BatchLine] {
        let kernel = MatMulInt { x_zero: each, w_zero: each, inner: 13, ..base };
        all.push(product(kernel, Some(3), true, 5, 37));
        all.push(product(MatMulInt { scaled: true, ..kernel }, Some(3), true, 5, 37));
    }
    all.push(product(base, Some(4), false, 3, 5));
    all.push(product(MatMulInt { scaled: true, ..base }, None, false, 40, 40));
    all.push(product(MatMulInt { inner: 6, ..base }, Some(65_541), false, 1, 2));
    let mut most = product(MatMulInt { inner: 16_384, w_signed: false, ..base }, None, false, 2, 2);
    most.name += " largest";
    (most.inputs[0].fill, most.inputs[1].fill) = (Fill::Const(f64::from(u32::MAX)), Fill::Const(f64::from(u32::MAX)));
    (most.inputs[2].fill, most.inputs[3].fill) = (Fill::Const(0.0), Fill::Const(0.0));
    all.push(most);
    let int8 = MatMulInt { x_signed: true, x_zero: Each::Line, w_zero: Each::One, scaled: true, inner: 1024, ..base };
    all.push(product(int8, None, false, 577, 4096).bench());
    all
}

fn conv(window: Window, groups: usize, bias: bool, x: &[usize], cols: usize, zeros: bool) -> Case {
    let kernel = ConvInt { window, groups, bias };
    let mut w = vec![cols, x[1] / groups];
    w.extend(&window.size[5 - x.len()..]);
    let mut inputs = vec![bytes(false, x), bytes(true, &w), bytes(false, &[1])];
    inputs.push(bytes(true, &[if zeros { cols } else { 1 }]));
    inputs.extend(bias.then(|| Input::new(TensorType::new(DType::I32, &[cols]), Fill::Uniform(-1e5, 1e5))));
    Case::new(format!("{x:?} {cols} {} {zeros}", kernel.show()), kernel, inputs)
}

pub fn conv_int() -> Vec<Case> {
    let dilated = Window { dilation: [1, 2, 3], ..Window::planar(3, 2).pad(2) };
    let uneven = Window { pad: [0, 1, 0], pad_end: [0, 0, 2], ..Window::planar(2, 3).stride(2) };
    let line = Window { size: [1, 1, 3], pad: [0, 0, 1], pad_end: [0, 0, 1], ..Window::default() };
    let cube = Window { size: [2, 3, 2], pad: [1, 0, 1], pad_end: [1, 0, 1], ..Window::default() };
    vec![
        conv(Window::default(), 1, false, &[1, 1, 1, 1], 1, false),
        conv(Window::planar(2, 2), 1, false, &[1, 1, 3, 3], 1, false),
        conv(Window::planar(3, 3).pad(1), 1, true, &[2, 5, 7, 11], 6, true),
        conv(Window::planar(3, 3).pad(1).stride(2), 2, true, &[1, 6, 13, 9], 4, true),
        conv(dilated, 3, false, &[1, 3, 9, 11], 3, false),
        conv(uneven, 1, false, &[1, 2, 8, 9], 3, true),
        conv(line, 1, true, &[2, 3, 17], 5, false),
        conv(cube, 1, false, &[1, 2, 4, 5, 6], 3, true),
        conv(Window::planar(1, 1), 1, false, &[1, 300, 3, 3], 2, true),
        conv(Window::planar(3, 3).pad(1), 1, false, &[1, 64, 56, 56], 64, true).bench(),
    ]
}

pub fn quantize_range() -> Vec<Case> {
    let mut all = Vec::new();
    for (symmetric, levels) in [(false, 255.0), (true, 127.0)] {
        for (shape, fill) in [
            (&[1usize, 6][..], Fill::Uniform(-1.0, 3.0)),
            (&[1, 1], Fill::Uniform(-1.0, 1.0)),
            (&[7, 1001], Fill::Uniform(-2.0, 2.0)),
            (&[7, 65], Fill::Uniform(1.0, 2.0)),
            (&[7, 65], Fill::Uniform(-2.0, -1.0)),
            (&[3, 64], Fill::Zeros),
            (&[3, 64], Fill::Huge),
            (&[3, 500], Fill::Outlier),
            (&[65_537, 3], Fill::Uniform(-1.0, 1.0)),
            (&[1, 1], Fill::Tiny),
            (&[33, 5], Fill::Tiny),
            (&[33, 5], Fill::Uniform(-1e-37, 1e-37)),
            (&[33, 5], Fill::Uniform(-3e-36, 3e-36)),
        ] {
            all.push(range(QuantizeRange { symmetric, levels }, shape, fill));
        }
    }
    let kernel = QuantizeRange { symmetric: true, levels: 127.0 };
    all.push(Case::new("577x4096", kernel, vec![Input::f32(&[577, 4096])]).bench());
    all
}

pub fn draw_matmul_int(d: &mut Draw) -> Drawn {
    let (m, n, inner) = (d.size(80), d.size(80), d.size(300));
    let batch = d.maybe(&[2, 3, 5]);
    let w_batch = batch.is_some() && d.flag();
    let mut each = |batched: bool| {
        let all = [Each::One, Each::Line, Each::BatchLine];
        d.pick(&all[..if batched { 3 } else { 2 }])
    };
    let (x_zero, w_zero) = (each(batch.is_some()), each(w_batch));
    // Scales are as many as zero points.
    let scaled = d.flag() && (x_zero == Each::One) == (w_zero == Each::One);
    let kernel = MatMulInt { inner, x_signed: d.flag(), w_signed: d.flag(), x_zero, w_zero, scaled };
    row!(product(kernel, batch, w_batch, m, n))
}

pub fn draw_conv_int(d: &mut Draw) -> Drawn {
    let (groups, (planes, extents)) = (d.size(4), planes(d));
    let mut x = vec![d.size(3), groups * d.size(20)];
    x.extend(planes);
    let (cols, window) = (groups * d.size(20), window(d, extents));
    let (bias, zeros) = (d.flag(), d.flag());
    row!(conv(window, groups, bias, &x, cols, zeros))
}

fn pack(signed: bool, shape: &[usize]) -> Case {
    Case::new(format!("{signed} {shape:?}"), PackBytes, vec![bytes(signed, shape)])
}

pub fn draw_pack_bytes(d: &mut Draw) -> Drawn {
    let (signed, rank) = (d.flag(), d.size(4));
    let shape = d.shape(rank, 3000, 20_000);
    row!(pack(signed, &shape))
}

fn range(kernel: QuantizeRange, shape: &[usize], fill: Fill) -> Case {
    Case::new(format!("{} {shape:?} {fill:?}", kernel.show()), kernel, vec![Input::f32(shape).fill(fill)])
}

pub fn draw_quantize_range(d: &mut Draw) -> Drawn {
    let (symmetric, levels) = d.pick(&[(false, 255.0), (true, 127.0), (false, 15.0), (true, 7.0)]);
    let cols = d.size(5000);
    let (rows, fill) = (d.size(40_000 / cols), d.fill());
    row!(range(QuantizeRange { symmetric, levels }, &[rows, cols][..], fill))
}
