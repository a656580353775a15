// Role pack: blocks of Q4_K and Q5_K of ggml, codes of P_BITS bits. A sub-block of 32 values goes from the least of them, at
// most 0, to the greatest in steps s; d = max s / 63 and dmin = max -least / 63 as f16; scales and offsets are the nearest
// multiples of what these are, codes floor((x + offset) / step + 1/2).

override P_BITS: u32 = 4;

const PACK_STEP = 1u;

fn pack_bytes() -> u32 {
    return select(144u, 176u, P_BITS == 5u);
}

// Step and offset of a sub-block.
fn pack_range(first: u32) -> vec2<f32> {
    var least = 0.0;
    var most = x[first];
    for (var i = 0u; i < 32u; i++) {
        least = min(least, x[first + i]);
        most = max(most, x[first + i]);
    }
    return vec2<f32>((most - least) / f32((1u << P_BITS) - 1u), -least);
}

fn pack_multiple(value: f32, unit: f32) -> u32 {
    return select(0u, u32(clamp(value / unit + 0.5, 0.0, 63.0)), unit > 0.0);
}

fn pack_code(value: f32, terms: vec2<f32>) -> u32 {
    let levels = f32((1u << P_BITS) - 1u);
    return select(0u, u32(clamp((value + terms.y) / terms.x + 0.5, 0.0, levels)), terms.x > 0.0);
}

fn pack_block(block: u32, first: u32) {
    var terms: array<vec2<f32>, 8>;
    var top = vec2<f32>();
    for (var j = 0u; j < 8u; j++) {
        terms[j] = pack_range(first + 32u * j);
        top = max(top, terms[j]);
    }
    let unit = top / 63.0;
    let halves = vec2<u32>(stream_half(unit.x), stream_half(unit.y));
    stream_u16(halves.x);
    stream_u16(halves.y);
    var scales: array<vec2<u32>, 8>;
    for (var j = 0u; j < 8u; j++) {
        scales[j] = vec2<u32>(pack_multiple(terms[j].x, unit.x), pack_multiple(terms[j].y, unit.y));
        terms[j] = unpack2x16float(halves.x | (halves.y << 16u)) * vec2<f32>(scales[j]);
    }
    for (var j = 0u; j < 4u; j++) {
        stream_u8((scales[j].x & 63u) | ((scales[j + 4u].x >> 4u) << 6u));
    }
    for (var j = 0u; j < 4u; j++) {
        stream_u8((scales[j].y & 63u) | ((scales[j + 4u].y >> 4u) << 6u));
    }
    for (var j = 4u; j < 8u; j++) {
        stream_u8((scales[j].x & 15u) | ((scales[j].y & 15u) << 4u));
    }
    for (var l = 0u; P_BITS == 5u && l < 32u; l++) {
        var fifth = 0u;
        for (var j = 0u; j < 8u; j++) {
            fifth |= (pack_code(x[first + 32u * j + l], terms[j]) >> 4u) << j;
        }
        stream_u8(fifth);
    }
    for (var j = 0u; j < 8u; j += 2u) {
        for (var l = 0u; l < 32u; l++) {
            let low = pack_code(x[first + 32u * j + l], terms[j]) & 15u;
            stream_u8(low | ((pack_code(x[first + 32u * j + 32u + l], terms[j + 1u]) & 15u) << 4u));
        }
    }
}
