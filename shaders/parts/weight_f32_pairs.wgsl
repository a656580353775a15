// Role weight: panels of f32, read 64 bits at a time, for software adapters. Where a load is a loop over lanes and
// components, it takes two thirds of the time of weight_f32. w_quad(quad, col) is w[col, 4 quad ..], zero beyond
// the end of k.

@group(0) @binding(2) var<storage, read> w: array<vec2<u64>>; // [ceil(inner / 4), chunk_cols] quads

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let pairs = w[quad * params.chunk_cols + col];
    return bitcast<vec4<f32>>(vec4<u32>(u32(pairs.x), u32(pairs.x >> 32u), u32(pairs.y), u32(pairs.y >> 32u)));
}
