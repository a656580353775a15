// Role xy: rows of f32 whose width is a multiple of four cells, read and written as quads, 64 bits at a time, for
// software adapters. Where a load is a loop over lanes and components, that is faster than xy_quads.
//
// Promise: quad `i` of a row holds its cells 4 i .. 4 i + 3; arithmetic is in f32. No barriers.

alias XCell = vec2<u64>;
alias YCell = vec2<u64>;

fn quads() -> u32 {
    return params.cols / 4u;
}

// For i < quads().
fn x_quad(row: u32, i: u32) -> vec4<f32> {
    let pairs = x[row * quads() + i];
    return bitcast<vec4<f32>>(vec4<u32>(u32(pairs.x), u32(pairs.x >> 32u), u32(pairs.y), u32(pairs.y >> 32u)));
}

// 1 for each cell of the quad that exists, else 0.
fn quad_weight(row: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}

fn y_put(row: u32, i: u32, v: vec4<f32>) {
    let words = bitcast<vec4<u32>>(v);
    y[row * quads() + i] = vec2<u64>(u64(words.x) | (u64(words.y) << 32u), u64(words.z) | (u64(words.w) << 32u));
}
