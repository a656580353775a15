// Role residual: added after the activation; the width is a multiple of 4.

@group(0) @binding(4) var<storage, read> residual: array<Elem4>; // [rows, cols / 4]

fn residual_quad(row: u32, n: u32) -> vec4<f32> {
    return vec4<f32>(residual[(row * params.cols + n) / 4u]);
}
