// Role scales: the scale and the minimum of sub-block j (0 .. 7), six bits each in 12 bytes, of Q4_K and Q5_K of ggml:
// for j < 4 the low six bits of bytes j and j + 4, else four bits of byte j + 4 and the high two of bytes j - 4 and j.

fn k_scales(at: u32, j: u32) -> vec2<f32> {
    if j < 4u {
        return vec2<f32>(f32(block_u8(at + j) & 63u), f32(block_u8(at + j + 4u) & 63u));
    }
    let low = block_u8(at + j + 4u);
    let scale = (low & 15u) + 16u * (block_u8(at + j - 4u) >> 6u);
    let least = (low >> 4u) + 16u * (block_u8(at + j) >> 6u);
    return vec2<f32>(f32(scale), f32(least));
}
