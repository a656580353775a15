// Role codes: a block of Q5_0 (see weight_q5_0), 22 bytes in six words, times 32 activations; the scale after the sum.

// Codes of four low (high: high) bits of four bytes and the fifth ones.
fn codes_low(word: u32, fifth: u32) -> vec4<f32> {
    return words_bytes((word & 0x0f0f0f0fu) | words_fifth(fifth)) - 16.0;
}

fn codes_high(word: u32, fifth: u32) -> vec4<f32> {
    return codes_low(word >> 4u, fifth);
}

fn codes_product(block: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let i = block * 11u / 2u;
    let odd = block % 2u == 1u;
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u];
    let v3 = w[i + 3u]; let v4 = w[i + 4u]; let v5 = w[i + 5u];
    let bits = words_third(v0, v1, odd);
    let c0 = words_third(v1, v2, odd);
    let c1 = words_third(v2, v3, odd);
    let c2 = words_third(v3, v4, odd);
    let c3 = words_third(v4, v5, odd);
    var sum = a[0] * codes_low(c0, bits);
    sum = fma(a[1], codes_low(c1, bits >> 4u), sum);
    sum = fma(a[2], codes_low(c2, bits >> 8u), sum);
    sum = fma(a[3], codes_low(c3, bits >> 12u), sum);
    sum = fma(b[0], codes_high(c0, bits >> 16u), sum);
    sum = fma(b[1], codes_high(c1, bits >> 20u), sum);
    sum = fma(b[2], codes_high(c2, bits >> 24u), sum);
    sum = fma(b[3], codes_high(c3, bits >> 28u), sum);
    return words_half(v0, odd) * words_sum(sum);
}
