// Role b: a second operand like x, or one row for all rows, read by quads. Strides are in cells.
// Promise: b_quad(row, i) belongs to x_quad(row, i). No barriers.

@group(1) @binding(0) var<storage, read> b: array<Elem4>; // [rows, cols] or [cols]

fn b_quad(row: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(b[row * (params.b_row / 4u) + i]);
}
