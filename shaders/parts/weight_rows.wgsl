// Role weight: a row-major f32 matrix, an activation as the second operand. Correct for any width; not tuned.

@group(0) @binding(2) var<storage, read> w: array<f32>; // [chunk_cols, inner]

fn w_at(col: u32, k: u32) -> f32 {
    return select(0.0, w[col * params.inner + min(k, params.inner - 1u)], k < params.inner);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let k = 4u * quad;
    return vec4<f32>(w_at(col, k), w_at(col, k + 1u), w_at(col, k + 2u), w_at(col, k + 3u));
}
