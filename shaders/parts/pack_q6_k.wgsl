// Role pack: blocks of Q6_K of ggml. In a sub-block of 16 values the one of the largest size takes the lowest code, so that
// s = x / -32; d takes the s of the largest size to the lowest scale, d = s / -128, as f16; scales and codes are the nearest
// multiples, halves upwards.

const PACK_STEP = 2u;

fn pack_bytes() -> u32 {
    return 210u;
}

fn pack_code(value: f32, step: f32) -> u32 {
    return u32(extreme_multiple(value, step, -32.0, 31.0) + 32);
}

fn pack_block(block: u32, first: u32) {
    var steps: array<f32, 16>;
    var most = 0.0;
    for (var k = 0u; k < 16u; k++) {
        steps[k] = extreme(first + 16u * k, 16u) / -32.0;
        most = select(most, steps[k], abs(steps[k]) > abs(most));
    }
    let unit = most / -128.0;
    let half = stream_half(unit);
    var scales: array<i32, 16>;
    for (var k = 0u; k < 16u; k++) {
        scales[k] = extreme_multiple(steps[k], unit, -128.0, 127.0);
        steps[k] = unpack2x16float(half).x * f32(scales[k]);
    }
    for (var i = 0u; i < 128u; i++) {
        let e = i / 64u * 128u + i % 64u;
        let low = pack_code(x[first + e], steps[e / 16u]) & 15u;
        stream_u8(low | ((pack_code(x[first + e + 64u], steps[e / 16u + 4u]) & 15u) << 4u));
    }
    for (var i = 0u; i < 64u; i++) {
        let e = i / 32u * 128u + i % 32u;
        var byte = 0u;
        for (var g = 0u; g < 4u; g++) {
            byte |= (pack_code(x[first + e + 32u * g], steps[e / 16u + 2u * g]) >> 4u) << (2u * g);
        }
        stream_u8(byte);
    }
    for (var k = 0u; k < 16u; k++) {
        stream_u8(u32(scales[k]) & 255u);
    }
    stream_u16(half);
}
