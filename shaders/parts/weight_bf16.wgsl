// Role weight: panels of bf16, the upper halves of f32 values. Exact in f32.

@group(0) @binding(2) var<storage, read> w: array<vec2<u32>>; // [ceil(inner / 4), chunk_cols] quads

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let words = w[quad * params.chunk_cols + col];
    let low = bitcast<vec2<f32>>(words << vec2<u32>(16u));
    let high = bitcast<vec2<f32>>(words & vec2<u32>(0xffff0000u));
    return vec4<f32>(low.x, high.x, low.y, high.y);
}
