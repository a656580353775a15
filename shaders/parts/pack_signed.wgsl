// Role pack: blocks of Q4_0 and Q5_0 of ggml, codes of P_BITS bits. d takes the value of the largest size to the lowest
// code: d = x / -2^(P_BITS - 1), as f16. Codes are floor(x / d + 2^(P_BITS - 1) + 1/2), at most the highest.

override P_BITS: u32 = 4;

const PACK_STEP = 2u;

fn pack_bytes() -> u32 {
    return select(18u, 22u, P_BITS == 5u);
}

fn pack_code(value: f32, inverse: f32) -> u32 {
    let half = f32(1u << (P_BITS - 1u));
    return u32(clamp(value * inverse + (half + 0.5), 0.0, 2.0 * half - 1.0));
}

fn pack_block(block: u32, first: u32) {
    var most = 0.0;
    for (var i = 0u; i < 32u; i++) {
        if abs(x[first + i]) > abs(most) {
            most = x[first + i];
        }
    }
    let d = most / -f32(1u << (P_BITS - 1u));
    let inverse = select(0.0, 1.0 / d, d != 0.0);
    stream_u16(stream_half(d));
    if P_BITS == 5u {
        var high = 0u;
        for (var i = 0u; i < 32u; i++) {
            high |= (pack_code(x[first + i], inverse) >> 4u) << i;
        }
        stream_u16(high & 0xffffu);
        stream_u16(high >> 16u);
    }
    for (var i = 0u; i < 16u; i++) {
        let low = pack_code(x[first + i], inverse) & 15u;
        stream_u8(low | ((pack_code(x[first + i + 16u], inverse) & 15u) << 4u));
    }
}
