// Role product: 64 weights of a column in codes of 2, 4 or 8 bits (see weight_codes), k in runs of 64 and rows without
// padding, groups in order and of whole halves of these, times as many activations; the scales after the sums of 32.

// The highest bit of codes in two's complement turned over: codes from 2^(W_BITS - 1) on, and so is their zero point.
fn sum_word(word: u32) -> u32 {
    let high = select(select(0x80808080u, 0x88888888u, W_BITS == 4u), 0xaaaaaaaau, W_BITS == 2u);
    return select(word, word ^ high, W_SIGNED == 1u);
}

fn product_terms(k: u32, col: u32) -> vec2<f32> {
    return w_terms(k, col) + vec2<f32>(0.0, select(0.0, f32(1u << (W_BITS - 1u)), W_SIGNED == 1u));
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = col * (params.inner * W_BITS / 32u) + 2u * W_BITS * run;
    let t = product_terms(64u * run, col);
    let s = sum_codes(at, 1u, t.y, a, b);
    if W_BLOCK % 64u == 0u {
        return t.x * (s + sum_codes(at + W_BITS, 1u, t.y, c, d));
    }
    let q = product_terms(64u * run + 32u, col);
    return t.x * s + q.x * sum_codes(at + W_BITS, 1u, q.y, c, d);
}
