// Role weight: Q4_K of ggml, blocks of 256 values in 144 bytes: d f16, dmin f16, 12 bytes of scales, 128 bytes of codes.
// Sub-block j = e / 32 has its codes in bytes 32 (j / 2) .., in the low bits for even j.
//
//     w = d scale[j] code - dmin least[j]
//
// The products are exact in f32, so there is one rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 144u;
    let e = 4u * (quad % 64u);
    let j = e / 32u;
    let codes = block_nibbles(at + 16u + j / 2u * 32u + e % 32u, j % 2u == 1u);
    let terms = k_scales(at + 4u, j);
    return block_f16(at) * terms.x * vec4<f32>(codes) - block_f16(at + 2u) * terms.y;
}
