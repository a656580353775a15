// Role weight: Q3_K of ggml, blocks of 256 values in 110 bytes: 32 bytes of high bits, 64 bytes of low bits, 12 bytes s,
// d f16. Value e = 128 h + 32 g + l has the code ((low byte 32 h + l) >> 2 g & 3) - (bit 4 h + g of high byte l ? 0 : 4);
// scale k = e / 16 is six bits: four from s[k % 8], low ones for k < 8, and two from s[8 + k % 4].
//
//     w = d (scale - 32) code
//
// Exact but for one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 110u;
    let e = 4u * (quad % 64u);
    let low = unpack4xU8((block_u32(at + 32u + e / 128u * 32u + e % 32u) >> (e % 128u / 32u * 2u)) & 0x03030303u);
    let high = unpack4xU8((block_u32(at + e % 32u) >> (e / 32u)) & 0x01010101u);
    let codes = vec4<f32>(low + 4u * high) - 4.0;
    let k = e / 16u;
    let four = extractBits(block_u8(at + 96u + k % 8u), k / 8u * 4u, 4u);
    let two = extractBits(block_u8(at + 104u + k % 4u), k / 4u * 2u, 2u);
    return block_f16(at + 108u) * (f32(four + 16u * two) - 32.0) * codes;
}
