// Role xy: rows whose width is a multiple of four cells, read and written as quads.
//
// Promise: quad `i` of a row holds its cells 4 i .. 4 i + 3; arithmetic is in f32. No barriers.

alias XCell = Elem4;
alias YCell = Elem4;

fn quads() -> u32 {
    return params.cols / 4u;
}

// For i < quads().
fn x_quad(row: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(x[row * quads() + i]);
}

// 1 for each cell of the quad that exists, else 0.
fn quad_weight(row: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}

fn y_put(row: u32, i: u32, v: vec4<f32>) {
    y[row * quads() + i] = YCell(v);
}
