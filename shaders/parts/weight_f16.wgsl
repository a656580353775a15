// Role weight: panels of f16, read as words, so that the f16 feature is not needed. Exact in f32.

@group(0) @binding(2) var<storage, read> w: array<vec2<u32>>; // [ceil(inner / 4), chunk_cols] quads

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let words = w[quad * params.chunk_cols + col];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
