// Role product: 64 weights of a column in Q2_K (see weight_q2_k), a quarter of a block, times as many activations.

// d (s & 15) and dmin (s >> 4) of a byte of scales: exact products.
fn product_terms(head: vec2<f32>, byte: u32) -> vec2<f32> {
    return head * vec2<f32>(vec2<i32>(i32(byte & 15u), i32((byte >> 4u) & 15u)));
}

fn product_value(t: vec2<f32>, codes: u32) -> vec4<f32> {
    return fma(vec4<f32>(t.x), words_bytes(codes & 0x03030303u), vec4<f32>(-t.y));
}

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = (col * (params.inner / 256u) + run / 4u) * 21u;
    let head = unpack2x16float(w[at + 20u]);
    let scales = w[at + run % 4u];
    let s0 = product_terms(head, scales);
    let s1 = product_terms(head, scales >> 8u);
    let s2 = product_terms(head, scales >> 16u);
    let s3 = product_terms(head, scales >> 24u);
    let g = run % 2u * 4u;
    let i = at + 4u + run % 4u / 2u * 8u;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u];
    let v4 = w[i + 4u]; let v5 = w[i + 5u]; let v6 = w[i + 6u]; let v7 = w[i + 7u];
    var sum = a[0] * product_value(s0, v0 >> g);
    sum = fma(a[1], product_value(s0, v1 >> g), sum);
    sum = fma(a[2], product_value(s0, v2 >> g), sum);
    sum = fma(a[3], product_value(s0, v3 >> g), sum);
    sum = fma(b[0], product_value(s1, v4 >> g), sum);
    sum = fma(b[1], product_value(s1, v5 >> g), sum);
    sum = fma(b[2], product_value(s1, v6 >> g), sum);
    sum = fma(b[3], product_value(s1, v7 >> g), sum);
    sum = fma(c[0], product_value(s2, v0 >> (g + 2u)), sum);
    sum = fma(c[1], product_value(s2, v1 >> (g + 2u)), sum);
    sum = fma(c[2], product_value(s2, v2 >> (g + 2u)), sum);
    sum = fma(c[3], product_value(s2, v3 >> (g + 2u)), sum);
    sum = fma(d[0], product_value(s3, v4 >> (g + 2u)), sum);
    sum = fma(d[1], product_value(s3, v5 >> (g + 2u)), sum);
    sum = fma(d[2], product_value(s3, v6 >> (g + 2u)), sum);
    sum = fma(d[3], product_value(s3, v7 >> (g + 2u)), sum);
    return words_sum(sum);
}
