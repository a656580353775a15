// Role weight: an activation as the second operand, through strides. Uses w_first of the kernel.

@group(0) @binding(2) var<storage, read> w: array<Elem>; // any order of axes

fn w_at(col: u32, k: u32) -> f32 {
    let at = w_first + col * params.w_col + min(k, params.inner - 1u) * params.w_k;
    return select(0.0, f32(w[at]), k < params.inner);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let k = 4u * quad;
    return vec4<f32>(w_at(col, k), w_at(col, k + 1u), w_at(col, k + 2u), w_at(col, k + 3u));
}
