// Role product: 64 weights of a column in Q3_K (see weight_q3_k), a quarter of a block, times as many activations; the scales
// after the sums of 16.

// Two low bits of each byte from bit `low`, the third from bit `high` of four others.
fn product_codes(word: u32, low: u32, bits: u32, high: u32) -> vec4<f32> {
    return words_bytes(((word >> low) & 0x03030303u) | (((bits >> high) & 0x01010101u) << 2u)) - 4.0;
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let block = col * (params.inner / 256u) + run / 4u;
    let at = block * 55u / 2u;
    let odd = block % 2u == 1u;
    let r = run % 4u;
    let p0 = w[at]; let p1 = w[at + 1u]; let p2 = w[at + 2u]; let p3 = w[at + 3u];
    let p4 = w[at + 4u]; let p5 = w[at + 5u]; let p6 = w[at + 6u]; let p7 = w[at + 7u];
    let p8 = w[at + 8u];
    let i = at + 8u + r / 2u * 8u;
    let u0 = w[i]; let u1 = w[i + 1u]; let u2 = w[i + 2u]; let u3 = w[i + 3u];
    let u4 = w[i + 4u]; let u5 = w[i + 5u]; let u6 = w[i + 6u]; let u7 = w[i + 7u];
    let u8 = w[i + 8u];
    let g = r % 2u * 4u;
    let h0 = words_first(p0, p1, odd);
    let h1 = words_first(p1, p2, odd);
    let h2 = words_first(p2, p3, odd);
    let h3 = words_first(p3, p4, odd);
    let h4 = words_first(p4, p5, odd);
    let h5 = words_first(p5, p6, odd);
    let h6 = words_first(p6, p7, odd);
    let h7 = words_first(p7, p8, odd);
    let v0 = words_first(u0, u1, odd);
    let v1 = words_first(u1, u2, odd);
    let v2 = words_first(u2, u3, odd);
    let v3 = words_first(u3, u4, odd);
    let v4 = words_first(u4, u5, odd);
    let v5 = words_first(u5, u6, odd);
    let v6 = words_first(u6, u7, odd);
    let v7 = words_first(u7, u8, odd);
    var s0 = a[0] * product_codes(v0, g, h0, 2u * r);
    s0 = fma(a[1], product_codes(v1, g, h1, 2u * r), s0);
    s0 = fma(a[2], product_codes(v2, g, h2, 2u * r), s0);
    s0 = fma(a[3], product_codes(v3, g, h3, 2u * r), s0);
    var s1 = b[0] * product_codes(v4, g, h4, 2u * r);
    s1 = fma(b[1], product_codes(v5, g, h5, 2u * r), s1);
    s1 = fma(b[2], product_codes(v6, g, h6, 2u * r), s1);
    s1 = fma(b[3], product_codes(v7, g, h7, 2u * r), s1);
    var s2 = c[0] * product_codes(v0, g + 2u, h0, 2u * r + 1u);
    s2 = fma(c[1], product_codes(v1, g + 2u, h1, 2u * r + 1u), s2);
    s2 = fma(c[2], product_codes(v2, g + 2u, h2, 2u * r + 1u), s2);
    s2 = fma(c[3], product_codes(v3, g + 2u, h3, 2u * r + 1u), s2);
    var s3 = d[0] * product_codes(v4, g + 2u, h4, 2u * r + 1u);
    s3 = fma(d[1], product_codes(v5, g + 2u, h5, 2u * r + 1u), s3);
    s3 = fma(d[2], product_codes(v6, g + 2u, h6, 2u * r + 1u), s3);
    s3 = fma(d[3], product_codes(v7, g + 2u, h7, 2u * r + 1u), s3);
    let own = at + 24u + r % 2u;
    let four = words_first(w[own], w[own + 1u], odd) >> (r / 2u * 4u);
    let tail = w[at + 27u];
    let two = words_first(w[at + 26u], tail, odd) >> (2u * r);
    let scales = words_bytes((four & 0x0f0f0f0fu) | ((two & 0x03030303u) << 4u)) - 32.0;
    let sums = vec4<f32>(words_sum(s0), words_sum(s1), words_sum(s2), words_sum(s3));
    return words_half(tail, odd) * dot(scales, sums);
}
