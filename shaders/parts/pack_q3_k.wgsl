// Role pack: blocks of Q3_K of ggml. In a sub-block of 16 values the one of the largest size takes the lowest code, so that
// s = x / -4; d takes the s of the largest size to the lowest scale, d = s / -32, as f16; scales and codes are the nearest
// multiples, halves upwards.

const PACK_STEP = 2u;

fn pack_bytes() -> u32 {
    return 110u;
}

fn pack_code(value: f32, step: f32) -> u32 {
    return u32(extreme_multiple(value, step, -4.0, 3.0) + 4);
}

fn pack_block(block: u32, first: u32) {
    var steps: array<f32, 16>;
    var most = 0.0;
    for (var k = 0u; k < 16u; k++) {
        steps[k] = extreme(first + 16u * k, 16u) / -4.0;
        most = select(most, steps[k], abs(steps[k]) > abs(most));
    }
    let unit = most / -32.0;
    let half = stream_half(unit);
    var scales: array<u32, 16>;
    for (var k = 0u; k < 16u; k++) {
        let scale = extreme_multiple(steps[k], unit, -32.0, 31.0);
        scales[k] = u32(scale + 32);
        steps[k] = unpack2x16float(half).x * f32(scale);
    }
    for (var l = 0u; l < 32u; l++) {
        var byte = 0u;
        for (var g = 0u; g < 8u; g++) {
            let e = 32u * g + l;
            byte |= (pack_code(x[first + e], steps[e / 16u]) >> 2u) << g;
        }
        stream_u8(byte);
    }
    for (var i = 0u; i < 64u; i++) {
        let e = i / 32u * 128u + i % 32u;
        var byte = 0u;
        for (var g = 0u; g < 4u; g++) {
            byte |= (pack_code(x[first + e + 32u * g], steps[e / 16u + 2u * g]) & 3u) << (2u * g);
        }
        stream_u8(byte);
    }
    for (var k = 0u; k < 8u; k++) {
        stream_u8((scales[k] & 15u) | ((scales[k + 8u] & 15u) << 4u));
    }
    for (var k = 0u; k < 4u; k++) {
        let high = vec4<u32>(scales[k], scales[k + 4u], scales[k + 8u], scales[k + 12u]) >> vec4<u32>(4u);
        stream_u8(high.x | (high.y << 2u) | (high.z << 4u) | (high.w << 6u));
    }
    stream_u16(half);
}
