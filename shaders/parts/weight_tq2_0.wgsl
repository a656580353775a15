// Role weight: TQ2_0 of ggml, blocks of 256 values in 66 bytes: 64 bytes of codes, d f16. Value e = 128 h + 32 g + l has the
// code (byte 32 h + l) >> 2 g & 3. w = d (code - 1), exactly.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 66u;
    let e = 4u * (quad % 64u);
    let codes = unpack4xU8((block_u32(at + e / 128u * 32u + e % 32u) >> (e % 128u / 32u * 2u)) & 0x03030303u);
    return block_f16(at + 64u) * (vec4<f32>(codes) - 1.0);
}
