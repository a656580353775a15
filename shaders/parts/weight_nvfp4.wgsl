// Role weight: NVFP4 as ggml keeps it, blocks of 64 values in 36 bytes: four scales e4m3 without sign, one for 16 values,
// then 32 bytes of codes, eight for a scale, its first eight values in the low bits.
//
//     w = scale fp4(code),   fp4 = 0 .5 1 1.5 2 3 4 6 and, from 8 on, their negatives
//
// Exact. The code of NaN as a scale is 0, as ggml has it.

fn w_fp4(code: u32) -> f32 {
    // Twice the value, 4 bits each.
    let twice = f32(extractBits(0xc8643210u, 4u * (code & 7u), 4u));
    return select(twice, -twice, code > 7u);
}

// Half of a scale, so that it meets twice the value.
fn w_half_scale(byte: u32) -> f32 {
    let magnitude = byte & 127u;
    let normal = bitcast<f32>((magnitude << 20u) + (119u << 23u));
    let value = select(normal, f32(magnitude) * 0.0009765625, magnitude < 8u);
    return select(value, 0.0, byte == 127u);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 64u) + quad / 16u) * 36u;
    let i = quad % 16u;
    let codes = block_nibbles(at + 4u + i / 4u * 8u + i % 2u * 4u, i % 4u > 1u);
    let scale = w_half_scale(block_u8(at + i / 4u));
    return scale * vec4<f32>(w_fp4(codes.x), w_fp4(codes.y), w_fp4(codes.z), w_fp4(codes.w));
}
