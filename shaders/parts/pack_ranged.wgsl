// Role pack: blocks of Q4_1 and Q5_1 of ggml, codes of P_BITS bits from the least value to the greatest:
// d = (max - min) / (2^P_BITS - 1) and min as f16, codes floor((x - min) / d + 1/2).

override P_BITS: u32 = 4;

const PACK_STEP = 1u;

fn pack_bytes() -> u32 {
    return select(20u, 24u, P_BITS == 5u);
}

fn pack_code(above: f32, inverse: f32) -> u32 {
    return u32(clamp(above * inverse + 0.5, 0.0, f32((1u << P_BITS) - 1u)));
}

fn pack_block(block: u32, first: u32) {
    var least = x[first];
    var most = x[first];
    for (var i = 1u; i < 32u; i++) {
        least = min(least, x[first + i]);
        most = max(most, x[first + i]);
    }
    let d = (most - least) / f32((1u << P_BITS) - 1u);
    let inverse = select(0.0, 1.0 / d, d > 0.0);
    stream_u16(stream_half(d));
    stream_u16(stream_half(least));
    if P_BITS == 5u {
        var high = 0u;
        for (var i = 0u; i < 32u; i++) {
            high |= (pack_code(x[first + i] - least, inverse) >> 4u) << i;
        }
        stream_u16(high & 0xffffu);
        stream_u16(high >> 16u);
    }
    for (var i = 0u; i < 16u; i++) {
        let low = pack_code(x[first + i] - least, inverse) & 15u;
        stream_u8(low | ((pack_code(x[first + i + 16u] - least, inverse) & 15u) << 4u));
    }
}
