// Role pack: blocks of Q2_K of ggml. A sub-block of 16 values goes from the least of them, at most 0, to the greatest in
// steps s of which there are three; d = max s / 15 and dmin = max -least / 15 as f16; scales and offsets are the nearest
// multiples of what these are, codes floor((x + offset) / step + 1/2).

const PACK_STEP = 1u;

fn pack_bytes() -> u32 {
    return 84u;
}

// Step and offset of a sub-block.
fn pack_range(first: u32) -> vec2<f32> {
    var least = 0.0;
    var most = x[first];
    for (var i = 0u; i < 16u; i++) {
        least = min(least, x[first + i]);
        most = max(most, x[first + i]);
    }
    return vec2<f32>((most - least) / 3.0, -least);
}

fn pack_multiple(value: f32, unit: f32) -> u32 {
    return select(0u, u32(clamp(value / unit + 0.5, 0.0, 15.0)), unit > 0.0);
}

fn pack_code(value: f32, terms: vec2<f32>) -> u32 {
    return select(0u, u32(clamp((value + terms.y) / terms.x + 0.5, 0.0, 3.0)), terms.x > 0.0);
}

fn pack_block(block: u32, first: u32) {
    var terms: array<vec2<f32>, 16>;
    var top = vec2<f32>();
    for (var j = 0u; j < 16u; j++) {
        terms[j] = pack_range(first + 16u * j);
        top = max(top, terms[j]);
    }
    let unit = top / 15.0;
    let halves = vec2<u32>(stream_half(unit.x), stream_half(unit.y));
    for (var j = 0u; j < 16u; j++) {
        let scales = vec2<u32>(pack_multiple(terms[j].x, unit.x), pack_multiple(terms[j].y, unit.y));
        terms[j] = unpack2x16float(halves.x | (halves.y << 16u)) * vec2<f32>(scales);
        stream_u8(scales.x | (scales.y << 4u));
    }
    for (var i = 0u; i < 64u; i++) {
        let e = i / 32u * 128u + i % 32u;
        var byte = 0u;
        for (var g = 0u; g < 4u; g++) {
            byte |= pack_code(x[first + e + 32u * g], terms[(e + 32u * g) / 16u]) << (2u * g);
        }
        stream_u8(byte);
    }
    stream_u16(halves.x);
    stream_u16(halves.y);
}
