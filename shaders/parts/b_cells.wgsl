// Role b: a second operand in any broadcast, read cell by cell. Strides are in cells; 0 repeats.
// Promise: b_quad(row, i) belongs to x_quad(row, i); beyond the row it repeats the last cell. No barriers.

@group(1) @binding(0) var<storage, read> b: array<Elem>; // [rows, cols], [cols], [rows, 1] or [1]

fn b_quad(row: u32, i: u32) -> vec4<f32> {
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    let at = vec4<u32>(row * params.b_row) + c * params.b_col;
    return vec4<f32>(f32(b[at.x]), f32(b[at.y]), f32(b[at.z]), f32(b[at.w]));
}
