// Role weight: MXFP4 of the OCP Microscaling formats as ggml keeps it, blocks of 32 values in 17 bytes: an exponent e,
// then 16 bytes of codes, the first half of the block in the low bits, the second in the high ones.
//
//     w = 2^(e - 127) fp4(code),   fp4 = 0 .5 1 1.5 2 3 4 6 and, from 8 on, their negatives
//
// Exact, but a scale below the normal range may be flushed.

fn w_fp4(code: u32) -> f32 {
    // Twice the value, 4 bits each.
    let twice = f32(extractBits(0xc8643210u, 4u * (code & 7u), 4u));
    return select(twice, -twice, code > 7u);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 32u) + quad / 8u) * 17u;
    let i = quad % 8u;
    let codes = block_nibbles(at + 1u + 4u * (i % 4u), i > 3u);
    let e = block_u8(at);
    // Half the scale, so that it meets twice the value; the two smallest are subnormal.
    let half = select(bitcast<f32>((e - 1u) << 23u), bitcast<f32>(0x200000u << e), e < 2u);
    return half * vec4<f32>(w_fp4(codes.x), w_fp4(codes.y), w_fp4(codes.z), w_fp4(codes.w));
}
