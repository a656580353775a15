// Role product: 64 weights of a column in IQ4_XS (see weight_iq4_xs), two sub-blocks of a block, times as many activations;
// the scales after the sums of 32.

fn product_low(word: u32) -> vec4<f32> {
    return iq4_looked_up(unpack4xU8(word & 0x0f0f0f0fu));
}

fn product_scale(low: u32, high: u32, j: u32) -> f32 {
    return f32(i32(((low >> (4u * j)) & 15u) | (((high >> (2u * j)) & 3u) << 4u)) - 32);
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = (col * (params.inner / 256u) + run / 4u) * 34u;
    let j = run % 4u * 2u;
    let head = w[at];
    let low = w[at + 1u];
    let i = at + 2u + 4u * j;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u];
    let v4 = w[i + 4u]; let v5 = w[i + 5u]; let v6 = w[i + 6u]; let v7 = w[i + 7u];
    var s = a[0] * product_low(v0);
    s = fma(a[1], product_low(v1), s);
    s = fma(a[2], product_low(v2), s);
    s = fma(a[3], product_low(v3), s);
    s = fma(b[0], product_low(v0 >> 4u), s);
    s = fma(b[1], product_low(v1 >> 4u), s);
    s = fma(b[2], product_low(v2 >> 4u), s);
    s = fma(b[3], product_low(v3 >> 4u), s);
    var t = c[0] * product_low(v4);
    t = fma(c[1], product_low(v5), t);
    t = fma(c[2], product_low(v6), t);
    t = fma(c[3], product_low(v7), t);
    t = fma(d[0], product_low(v4 >> 4u), t);
    t = fma(d[1], product_low(v5 >> 4u), t);
    t = fma(d[2], product_low(v6 >> 4u), t);
    t = fma(d[3], product_low(v7 >> 4u), t);
    let high = head >> 16u;
    return unpack2x16float(head).x
        * (product_scale(low, high, j) * words_sum(s) + product_scale(low, high, j + 1u) * words_sum(t));
}
