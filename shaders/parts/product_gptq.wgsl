// Role product: 64 weights of a column in GPTQ's codes (see weight_gptq), k in runs of 64, groups in order and of whole
// halves of these, times as many activations; the scales after the sums of 32.

fn sum_word(word: u32) -> u32 {
    return word;
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let n = params.chunk_cols;
    // W_BITS words of 32 values.
    let at = 2u * W_BITS * run * n + col;
    let t = w_terms(64u * run, col);
    let s = sum_codes(at, n, t.x, a, b);
    if W_BLOCK % 64u == 0u {
        return t.y * (s + sum_codes(at + W_BITS * n, n, t.x, c, d));
    }
    let q = w_terms(64u * run + 32u, col);
    return t.y * s + q.y * sum_codes(at + W_BITS * n, n, q.x, c, d);
}
