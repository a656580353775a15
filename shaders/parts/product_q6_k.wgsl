// Role product: 64 weights of a column in Q6_K (see weight_q6_k), a quarter of a block, times as many activations; the scales
// after the sums of 16.

// Four low bits of each byte from bit `low`, two high ones from bit `high` of four others.
fn product_codes(word: u32, low: u32, bits: u32, high: u32) -> vec4<f32> {
    return words_bytes(((word >> low) & 0x0f0f0f0fu) | (((bits >> high) & 0x03030303u) << 4u)) - 32.0;
}

fn product_word(at: u32, odd: bool) -> u32 {
    return words_first(w[at], w[at + 1u], odd);
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let block = col * (params.inner / 256u) + run / 4u;
    let at = block * 105u / 2u;
    let odd = block % 2u == 1u;
    let r = run % 4u;
    let i = at + r / 2u * 16u;
    let u0 = w[i]; let u1 = w[i + 1u]; let u2 = w[i + 2u]; let u3 = w[i + 3u];
    let u4 = w[i + 4u]; let u5 = w[i + 5u]; let u6 = w[i + 6u]; let u7 = w[i + 7u];
    let u8 = w[i + 8u]; let u9 = w[i + 9u]; let u10 = w[i + 10u]; let u11 = w[i + 11u];
    let u12 = w[i + 12u]; let u13 = w[i + 13u]; let u14 = w[i + 14u]; let u15 = w[i + 15u];
    let u16 = w[i + 16u];
    let h = at + 32u + r / 2u * 8u;
    let p0 = w[h]; let p1 = w[h + 1u]; let p2 = w[h + 2u]; let p3 = w[h + 3u];
    let p4 = w[h + 4u]; let p5 = w[h + 5u]; let p6 = w[h + 6u]; let p7 = w[h + 7u];
    let p8 = w[h + 8u];
    let g = r % 2u * 4u;
    let h0 = words_first(p0, p1, odd);
    let h1 = words_first(p1, p2, odd);
    let h2 = words_first(p2, p3, odd);
    let h3 = words_first(p3, p4, odd);
    let h4 = words_first(p4, p5, odd);
    let h5 = words_first(p5, p6, odd);
    let h6 = words_first(p6, p7, odd);
    let h7 = words_first(p7, p8, odd);
    var s0 = a[0] * product_codes(words_first(u0, u1, odd), g, h0, g);
    s0 = fma(a[1], product_codes(words_first(u1, u2, odd), g, h1, g), s0);
    s0 = fma(a[2], product_codes(words_first(u2, u3, odd), g, h2, g), s0);
    s0 = fma(a[3], product_codes(words_first(u3, u4, odd), g, h3, g), s0);
    var s1 = b[0] * product_codes(words_first(u4, u5, odd), g, h4, g);
    s1 = fma(b[1], product_codes(words_first(u5, u6, odd), g, h5, g), s1);
    s1 = fma(b[2], product_codes(words_first(u6, u7, odd), g, h6, g), s1);
    s1 = fma(b[3], product_codes(words_first(u7, u8, odd), g, h7, g), s1);
    var s2 = c[0] * product_codes(words_first(u8, u9, odd), g, h0, g + 2u);
    s2 = fma(c[1], product_codes(words_first(u9, u10, odd), g, h1, g + 2u), s2);
    s2 = fma(c[2], product_codes(words_first(u10, u11, odd), g, h2, g + 2u), s2);
    s2 = fma(c[3], product_codes(words_first(u11, u12, odd), g, h3, g + 2u), s2);
    var s3 = d[0] * product_codes(words_first(u12, u13, odd), g, h4, g + 2u);
    s3 = fma(d[1], product_codes(words_first(u13, u14, odd), g, h5, g + 2u), s3);
    s3 = fma(d[2], product_codes(words_first(u14, u15, odd), g, h6, g + 2u), s3);
    s3 = fma(d[3], product_codes(words_first(u15, u16, odd), g, h7, g + 2u), s3);
    let scales = vec4<f32>(unpack4xI8(product_word(at + 48u + r, odd)));
    let sums = vec4<f32>(words_sum(s0), words_sum(s1), words_sum(s2), words_sum(s3));
    return words_half(w[at + 52u], odd) * dot(scales, sums);
}
