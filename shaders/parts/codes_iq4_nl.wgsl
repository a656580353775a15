// Role codes: a block of IQ4_NL (see weight_iq4_nl), 18 bytes in five words, times 32 activations; the scale after the sum.

fn codes_low(word: u32) -> vec4<f32> {
    return iq4_looked_up(unpack4xU8(word & 0x0f0f0f0fu));
}

fn codes_product(block: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let i = block * 9u / 2u;
    let odd = block % 2u == 1u;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u]; let v4 = w[i + 4u];
    let c0 = words_third(v0, v1, odd);
    let c1 = words_third(v1, v2, odd);
    let c2 = words_third(v2, v3, odd);
    let c3 = words_third(v3, v4, odd);
    var sum = a[0] * codes_low(c0);
    sum = fma(a[1], codes_low(c1), sum);
    sum = fma(a[2], codes_low(c2), sum);
    sum = fma(a[3], codes_low(c3), sum);
    sum = fma(b[0], codes_low(c0 >> 4u), sum);
    sum = fma(b[1], codes_low(c1 >> 4u), sum);
    sum = fma(b[2], codes_low(c2 >> 4u), sum);
    sum = fma(b[3], codes_low(c3 >> 4u), sum);
    return words_half(v0, odd) * words_sum(sum);
}
