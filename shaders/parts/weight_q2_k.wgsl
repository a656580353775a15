// Role weight: Q2_K of ggml, blocks of 256 values in 84 bytes: 16 bytes s, 64 bytes of codes, d f16, dmin f16. Value
// e = 128 h + 32 g + l has the code (byte 32 h + l) >> 2 g & 3 and s = s[e / 16].
//
//     w = d (s & 15) code - dmin (s >> 4)
//
// The products are exact in f32, so there is one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 84u;
    let e = 4u * (quad % 64u);
    let codes = unpack4xU8((block_u32(at + 16u + e / 128u * 32u + e % 32u) >> (e % 128u / 32u * 2u)) & 0x03030303u);
    let s = block_u8(at + e / 16u);
    return block_f16(at + 80u) * f32(s & 15u) * vec4<f32>(codes) - block_f16(at + 82u) * f32(s >> 4u);
}
