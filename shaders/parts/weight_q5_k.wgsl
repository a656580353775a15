// Role weight: Q5_K of ggml, blocks of 256 values in 176 bytes: d f16, dmin f16, 12 bytes of scales, 32 bytes of fifth
// bits (bit j of byte l for sub-block j = e / 32), 128 bytes with the other four as in Q4_K.
//
//     w = d scale[j] code - dmin least[j]
//
// The products are exact in f32, so there is one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 176u;
    let e = 4u * (quad % 64u);
    let j = e / 32u;
    let fifth = unpack4xU8((block_u32(at + 16u + e % 32u) >> j) & 0x01010101u);
    let codes = block_nibbles(at + 48u + j / 2u * 32u + e % 32u, j % 2u == 1u) + 16u * fifth;
    let terms = k_scales(at + 4u, j);
    return block_f16(at) * terms.x * vec4<f32>(codes) - block_f16(at + 2u) * terms.y;
}
