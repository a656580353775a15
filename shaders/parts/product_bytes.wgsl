// Role product: 64 weights of a column with a byte each (see weight_bytes), k in runs of 64 and these within one tile,
// times as many activations; the factor after the sum.

fn product_values(word: u32) -> vec4<f32> {
    if W_E4M3 == 0u {
        return vec4<f32>(unpack4xI8(word));
    }
    let bytes = unpack4xU8(word);
    return vec4<f32>(w_e4m3(bytes.x), w_e4m3(bytes.y), w_e4m3(bytes.z), w_e4m3(bytes.w));
}

fn product_sixteen(at: u32, x: mat4x4<f32>, sum: vec4<f32>) -> vec4<f32> {
    var s = fma(x[0], product_values(w[at]), sum);
    s = fma(x[1], product_values(w[at + 1u]), s);
    s = fma(x[2], product_values(w[at + 2u]), s);
    return fma(x[3], product_values(w[at + 3u]), s);
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = (col * params.inner) / 4u + 16u * run;
    var s = product_sixteen(at, a, vec4<f32>());
    s = product_sixteen(at + 4u, b, s);
    s = product_sixteen(at + 8u, c, s);
    s = product_sixteen(at + 12u, d, s);
    let tiles = (params.inner + W_TILE_COLS - 1u) / W_TILE_COLS;
    let factors = params.chunk_cols * params.inner / 4u;
    let factor = bitcast<f32>(w[factors + col / W_TILE_ROWS * tiles + 64u * run / W_TILE_COLS]);
    return factor * select(1.0, 0.007874015748031496, W_E4M3 == 0u) * ((s.x + s.y) + (s.z + s.w));
}
