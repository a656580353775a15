// Role codes: a block of Q4_1 (see weight_q4_1), five words, times 32 activations.

fn codes_product(block: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let i = block * 5u;
    let terms = unpack2x16float(w[i]);
    let scale = vec4<f32>(terms.x);
    let least = vec4<f32>(terms.y);
    let c0 = w[i + 1u]; let c1 = w[i + 2u]; let c2 = w[i + 3u]; let c3 = w[i + 4u];
    var sum = a[0] * fma(scale, words_low(c0), least);
    sum = fma(a[1], fma(scale, words_low(c1), least), sum);
    sum = fma(a[2], fma(scale, words_low(c2), least), sum);
    sum = fma(a[3], fma(scale, words_low(c3), least), sum);
    sum = fma(b[0], fma(scale, words_high(c0), least), sum);
    sum = fma(b[1], fma(scale, words_high(c1), least), sum);
    sum = fma(b[2], fma(scale, words_high(c2), least), sum);
    sum = fma(b[3], fma(scale, words_high(c3), least), sum);
    return words_sum(sum);
}
