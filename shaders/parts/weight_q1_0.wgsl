// Role weight: Q1_0 of ggml, blocks of 128 values in 18 bytes: d f16, then a bit a value, low bits first. w = d or -d.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 128u) + quad / 32u) * 18u;
    let i = quad % 32u;
    let bits = extractBits(block_u8(at + 2u + i / 2u), i % 2u * 4u, 4u);
    let signs = vec4<u32>(bits & 1u, (bits >> 1u) & 1u, (bits >> 2u) & 1u, bits >> 3u);
    return block_f16(at) * (2.0 * vec4<f32>(signs) - 1.0);
}
