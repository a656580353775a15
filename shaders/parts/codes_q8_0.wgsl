// Role codes: a block of Q8_0 (see weight_q8_0), 34 bytes in nine words, times 32 activations; the scale after the sum.

fn codes_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xI8(word));
}

fn codes_product(block: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let i = block * 17u / 2u;
    let odd = block % 2u == 1u;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u]; let v4 = w[i + 4u];
    let v5 = w[i + 5u]; let v6 = w[i + 6u]; let v7 = w[i + 7u]; let v8 = w[i + 8u];
    var sum = a[0] * codes_bytes(words_third(v0, v1, odd));
    sum = fma(a[1], codes_bytes(words_third(v1, v2, odd)), sum);
    sum = fma(a[2], codes_bytes(words_third(v2, v3, odd)), sum);
    sum = fma(a[3], codes_bytes(words_third(v3, v4, odd)), sum);
    sum = fma(b[0], codes_bytes(words_third(v4, v5, odd)), sum);
    sum = fma(b[1], codes_bytes(words_third(v5, v6, odd)), sum);
    sum = fma(b[2], codes_bytes(words_third(v6, v7, odd)), sum);
    sum = fma(b[3], codes_bytes(words_third(v7, v8, odd)), sum);
    return words_half(v0, odd) * words_sum(sum);
}
