// Role weight: Q6_K of ggml, blocks of 256 values in 210 bytes: 128 bytes of low bits, 64 bytes of high bits, 16 signed
// scales, d f16. Value e = 128 h + 32 g + l has the low bits in byte 64 h + 32 (g & 1) + l, the low four for g < 2, and
// two high bits at 2 g of byte 32 h + l.
//
//     w = d scale[e / 16] (code - 32)
//
// Exact: the product has no more than 24 bits.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 210u;
    let e = 4u * (quad % 64u);
    let h = e / 128u;
    let g = e % 128u / 32u;
    let low = block_nibbles(at + 64u * h + 32u * (g % 2u) + e % 32u, g > 1u);
    let high = unpack4xU8((block_u32(at + 128u + 32u * h + e % 32u) >> (2u * g)) & 0x03030303u);
    return block_f16(at + 208u) * f32(block_i8(at + 192u + e / 16u)) * (vec4<f32>(low + 16u * high) - 32.0);
}
