// Role pack: blocks of IQ4_NL (P_SUB 0) and IQ4_XS (P_SUB 1) of ggml. Among 32 values the one of the largest size takes the
// lowest entry of the table, so that s = x / -127. IQ4_NL keeps s as f16; IQ4_XS has eight of them, and d takes that of the
// largest size to the lowest scale, d = s / -32, as f16, scales being the nearest multiples, halves upwards. A code is the
// entry next to x / s, of two the lower.

override P_SUB: u32 = 0;

const PACK_STEP = 2u;

fn pack_bytes() -> u32 {
    return select(18u, 136u, P_SUB == 1u);
}

fn pack_code(value: f32, step: f32) -> u32 {
    let quotient = select(0.0, value / step, step != 0.0);
    // The number of middles between entries that lie below.
    var code = 0u;
    for (var i = 0u; i < 15u; i++) {
        code += select(0u, 1u, 2.0 * quotient > iq4_value(i) + iq4_value(i + 1u));
    }
    return code;
}

fn pack_codes(first: u32, step: f32) {
    for (var l = 0u; l < 16u; l++) {
        stream_u8(pack_code(x[first + l], step) | (pack_code(x[first + 16u + l], step) << 4u));
    }
}

fn pack_block(block: u32, first: u32) {
    if P_SUB == 0u {
        let step = extreme(first, 32u) / -127.0;
        stream_u16(stream_half(step));
        pack_codes(first, step);
        return;
    }
    var steps: array<f32, 8>;
    var most = 0.0;
    for (var j = 0u; j < 8u; j++) {
        steps[j] = extreme(first + 32u * j, 32u) / -127.0;
        most = select(most, steps[j], abs(steps[j]) > abs(most));
    }
    let unit = most / -32.0;
    let half = stream_half(unit);
    var low = 0u;
    var high = 0u;
    for (var j = 0u; j < 8u; j++) {
        let scale = extreme_multiple(steps[j], unit, -32.0, 31.0);
        low |= (u32(scale + 32) & 15u) << (4u * j);
        high |= (u32(scale + 32) >> 4u) << (2u * j);
        steps[j] = unpack2x16float(half).x * f32(scale);
    }
    stream_u16(half);
    stream_u16(high);
    stream_u16(low & 0xffffu);
    stream_u16(low >> 16u);
    for (var j = 0u; j < 8u; j++) {
        pack_codes(first + 32u * j, steps[j]);
    }
}
