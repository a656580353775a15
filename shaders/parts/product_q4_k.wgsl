// Role product: 64 weights of a column in Q4_K (see weight_q4_k), two sub-blocks of a block, times as many activations.

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

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = (col * (params.inner / 256u) + run / 4u) * 36u;
    let head = unpack2x16float(w[at]);
    let scales = vec3<u32>(w[at + 1u], w[at + 2u], w[at + 3u]);
    let s = product_terms(head, scales, run % 4u * 2u);
    let t = product_terms(head, scales, run % 4u * 2u + 1u);
    let i = at + 4u + run % 4u * 8u;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u];
    let v4 = w[i + 4u]; let v5 = w[i + 5u]; let v6 = w[i + 6u]; let v7 = w[i + 7u];
    var sum = a[0] * product_value(s, words_low(v0));
    sum = fma(a[1], product_value(s, words_low(v1)), sum);
    sum = fma(a[2], product_value(s, words_low(v2)), sum);
    sum = fma(a[3], product_value(s, words_low(v3)), sum);
    sum = fma(b[0], product_value(s, words_low(v4)), sum);
    sum = fma(b[1], product_value(s, words_low(v5)), sum);
    sum = fma(b[2], product_value(s, words_low(v6)), sum);
    sum = fma(b[3], product_value(s, words_low(v7)), sum);
    sum = fma(c[0], product_value(t, words_high(v0)), sum);
    sum = fma(c[1], product_value(t, words_high(v1)), sum);
    sum = fma(c[2], product_value(t, words_high(v2)), sum);
    sum = fma(c[3], product_value(t, words_high(v3)), sum);
    sum = fma(d[0], product_value(t, words_high(v4)), sum);
    sum = fma(d[1], product_value(t, words_high(v5)), sum);
    sum = fma(d[2], product_value(t, words_high(v6)), sum);
    sum = fma(d[3], product_value(t, words_high(v7)), sum);
    return words_sum(sum);
}
