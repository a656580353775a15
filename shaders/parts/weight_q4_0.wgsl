// Role weight: Q4_0 of ggml, blocks of 32 values in 18 bytes: d f16, then 16 bytes of codes, the first half of the block
// in the low bits, the second in the high ones. w = d (code - 8), exact but for one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 32u) + quad / 8u) * 18u;
    let i = quad % 8u;
    let codes = block_nibbles(at + 2u + 4u * (i % 4u), i > 3u);
    return block_f16(at) * (vec4<f32>(codes) - 8.0);
}
