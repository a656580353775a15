// Role product: 64 weights of a column in Q5_K (see weight_q5_k), two sub-blocks of a block, times as many activations.

// Scale and least value of sub-block j: exact products of d and dmin with six bits.
fn product_terms(head: vec2<f32>, s: vec3<u32>, j: u32) -> vec2<f32> {
    let at = 8u * (j % 4u);
    let own = vec2<u32>(s.x >> at, s.y >> at);
    let low = s.z >> at;
    let above = vec2<u32>(low & 15u, (low >> 4u) & 15u) | (((own >> vec2<u32>(6u)) & vec2<u32>(3u)) << vec2<u32>(4u));
    return head * vec2<f32>(vec2<i32>(select(above, own & vec2<u32>(63u), j < 4u)));
}

fn product_value(t: vec2<f32>, codes: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(t.x), codes, vec4<f32>(-t.y));
}

// Codes of four low bits of four bytes, and fifth ones from bit j of four others.
fn product_codes(word: u32, fifths: u32, j: u32) -> vec4<f32> {
    return words_bytes((word & 0x0f0f0f0fu) | (((fifths >> j) & 0x01010101u) << 4u));
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = (col * (params.inner / 256u) + run / 4u) * 44u;
    let head = unpack2x16float(w[at]);
    let scales = vec3<u32>(w[at + 1u], w[at + 2u], w[at + 3u]);
    let j = run % 4u * 2u;
    let s = product_terms(head, scales, j);
    let t = product_terms(head, scales, j + 1u);
    let h = at + 4u;
    let h0 = w[h]; let h1 = w[h + 1u]; let h2 = w[h + 2u]; let h3 = w[h + 3u];
    let h4 = w[h + 4u]; let h5 = w[h + 5u]; let h6 = w[h + 6u]; let h7 = w[h + 7u];
    let i = at + 12u + run % 4u * 8u;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u];
    let v4 = w[i + 4u]; let v5 = w[i + 5u]; let v6 = w[i + 6u]; let v7 = w[i + 7u];
    var sum = a[0] * product_value(s, product_codes(v0, h0, j));
    sum = fma(a[1], product_value(s, product_codes(v1, h1, j)), sum);
    sum = fma(a[2], product_value(s, product_codes(v2, h2, j)), sum);
    sum = fma(a[3], product_value(s, product_codes(v3, h3, j)), sum);
    sum = fma(b[0], product_value(s, product_codes(v4, h4, j)), sum);
    sum = fma(b[1], product_value(s, product_codes(v5, h5, j)), sum);
    sum = fma(b[2], product_value(s, product_codes(v6, h6, j)), sum);
    sum = fma(b[3], product_value(s, product_codes(v7, h7, j)), sum);
    sum = fma(c[0], product_value(t, product_codes(v0 >> 4u, h0, j + 1u)), sum);
    sum = fma(c[1], product_value(t, product_codes(v1 >> 4u, h1, j + 1u)), sum);
    sum = fma(c[2], product_value(t, product_codes(v2 >> 4u, h2, j + 1u)), sum);
    sum = fma(c[3], product_value(t, product_codes(v3 >> 4u, h3, j + 1u)), sum);
    sum = fma(d[0], product_value(t, product_codes(v4 >> 4u, h4, j + 1u)), sum);
    sum = fma(d[1], product_value(t, product_codes(v5 >> 4u, h5, j + 1u)), sum);
    sum = fma(d[2], product_value(t, product_codes(v6 >> 4u, h6, j + 1u)), sum);
    sum = fma(d[3], product_value(t, product_codes(v7 >> 4u, h7, j + 1u)), sum);
    return words_sum(sum);
}
