// Role weight: panels of f32. w_quad(quad, col) is w[col, 4 quad ..], zero beyond the end of k.

@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>; // [ceil(inner / 4), chunk_cols] quads

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    return w[quad * params.chunk_cols + col];
}
