// Role codes: a block of Q5_1 (see weight_q5_1), six words, times 32 activations.

fn codes_value(terms: vec2<f32>, word: u32, fifth: u32) -> vec4<f32> {
    return fma(vec4<f32>(terms.x), words_bytes((word & 0x0f0f0f0fu) | words_fifth(fifth)), vec4<f32>(terms.y));
}

fn codes_product(block: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let i = block * 6u;
    let t = unpack2x16float(w[i]);
    let bits = w[i + 1u];
    let c0 = w[i + 2u]; let c1 = w[i + 3u]; let c2 = w[i + 4u]; let c3 = w[i + 5u];
    var sum = a[0] * codes_value(t, c0, bits);
    sum = fma(a[1], codes_value(t, c1, bits >> 4u), sum);
    sum = fma(a[2], codes_value(t, c2, bits >> 8u), sum);
    sum = fma(a[3], codes_value(t, c3, bits >> 12u), sum);
    sum = fma(b[0], codes_value(t, c0 >> 4u, bits >> 16u), sum);
    sum = fma(b[1], codes_value(t, c1 >> 4u, bits >> 20u), sum);
    sum = fma(b[2], codes_value(t, c2 >> 4u, bits >> 24u), sum);
    sum = fma(b[3], codes_value(t, c3 >> 4u, bits >> 28u), sum);
    return words_sum(sum);
}
