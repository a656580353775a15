// Role weight: Q8_0 of ggml, blocks of 32 values in 34 bytes: d f16, then 32 signed bytes. w = d code, exact but for one
// rounding.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 32u) + quad / 8u) * 34u;
    return block_f16(at) * vec4<f32>(unpack4xI8(block_u32(at + 2u + 4u * (quad % 8u))));
}
