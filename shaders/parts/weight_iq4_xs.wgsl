// Role weight: IQ4_XS of ggml, blocks of 256 values in 136 bytes: d f16, 16 bits of high scale bits, 4 bytes of low ones,
// 128 bytes of codes. Sub-block j = e / 32 has the six-bit scale of four low bits and two at 2 j, and its codes in
// bytes 16 j .., the first half in the low bits.
//
//     w = d (scale[j] - 32) T[code]
//
// Exact but for one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 136u;
    let e = 4u * (quad % 64u);
    let j = e / 32u;
    let low = extractBits(block_u8(at + 4u + j / 2u), j % 2u * 4u, 4u);
    let scale = low + 16u * extractBits(block_u16(at + 2u), 2u * j, 2u);
    let codes = block_nibbles(at + 8u + 16u * j + e % 16u, e % 32u > 15u);
    return block_f16(at) * (f32(scale) - 32.0) * iq4_values(codes);
}
