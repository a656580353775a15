// Role block: bytes of weights in blocks that need not begin at whole words. Binds w.

@group(0) @binding(2) var<storage, read> w: array<u32>;

fn block_u8(at: u32) -> u32 {
    return extractBits(w[at / 4u], 8u * (at % 4u), 8u);
}

fn block_i8(at: u32) -> i32 {
    return extractBits(i32(block_u8(at)), 0u, 8u);
}

// Two bytes, the lower first; `at` is even.
fn block_u16(at: u32) -> u32 {
    return extractBits(w[at / 4u], 8u * (at % 4u), 16u);
}

fn block_f16(at: u32) -> f32 {
    return unpack2x16float(block_u16(at)).x;
}

// Four bytes from any place on, the lowest first.
fn block_u32(at: u32) -> u32 {
    let shift = 8u * (at % 4u);
    let low = w[at / 4u] >> shift;
    if shift == 0u {
        return low;
    }
    return low | (w[at / 4u + 1u] << (32u - shift));
}

// The low four bits (high: the high ones) of four bytes.
fn block_nibbles(at: u32, high: bool) -> vec4<u32> {
    return unpack4xU8((block_u32(at) >> select(0u, 4u, high)) & 0x0f0f0f0fu);
}
