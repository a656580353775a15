// Role codes: a block of MXFP4 (see weight_mxfp4), 17 bytes in five words, times 32 activations; the scale after the sum.

// Twice the values of the low four bits of four bytes: 0 1 2 3 4 6 8 12, and their negatives.
fn codes_low(word: u32) -> vec4<f32> {
    let code = vec4<u32>(unpack4xU8(word & 0x0f0f0f0fu));
    let twice = vec4<i32>((vec4<u32>(0xc8643210u) >> (4u * (code & vec4<u32>(7u)))) & vec4<u32>(15u));
    return vec4<f32>(select(twice, -twice, code > vec4<u32>(7u)));
}

// The word at byte `s` + 1 of two, s = 0 .. 3.
fn codes_word(low: u32, high: u32, s: u32) -> u32 {
    return select((low >> ((8u * s + 8u) & 31u)) | (high << (24u - 8u * s)), high, s == 3u);
}

fn codes_product(block: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let i = block * 17u / 4u;
    let s = block % 4u; // where the block begins in its word
    let v0 = w[i]; let v1 = w[i + 1u]; let v2 = w[i + 2u]; let v3 = w[i + 3u]; let v4 = w[i + 4u];
    let c0 = codes_word(v0, v1, s);
    let c1 = codes_word(v1, v2, s);
    let c2 = codes_word(v2, v3, s);
    let c3 = codes_word(v3, v4, s);
    var sum = a[0] * codes_low(c0);
    sum = fma(a[1], codes_low(c1), sum);
    sum = fma(a[2], codes_low(c2), sum);
    sum = fma(a[3], codes_low(c3), sum);
    sum = fma(b[0], codes_low(c0 >> 4u), sum);
    sum = fma(b[1], codes_low(c1 >> 4u), sum);
    sum = fma(b[2], codes_low(c2 >> 4u), sum);
    sum = fma(b[3], codes_low(c3 >> 4u), sum);
    let e = (v0 >> (8u * s)) & 255u;
    // Half the scale; the two smallest are subnormal.
    return select(bitcast<f32>((e - 1u) << 23u), bitcast<f32>(0x200000u << e), e < 2u) * words_sum(sum);
}
