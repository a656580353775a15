// Role weight: Q5_1 of ggml, blocks of 32 values in 24 bytes: d f16, m f16, a word with the fifth bit of every code, then
// 16 bytes with the other four, the first half of the block in the low bits. w = d code + m, exact but for one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 32u) + quad / 8u) * 24u;
    let i = quad % 8u;
    let bits = block_u32(at + 4u) >> (4u * i);
    let fifth = vec4<u32>(bits & 1u, (bits >> 1u) & 1u, (bits >> 2u) & 1u, (bits >> 3u) & 1u);
    let codes = block_nibbles(at + 8u + 4u * (i % 4u), i > 3u) + 16u * fifth;
    return block_f16(at) * vec4<f32>(codes) + block_f16(at + 2u);
}
