// Role keep: a unit of 64 cached values as two blocks of Q4_0: 64 codes of 4 bits, then the two scales. A scale takes the
// value of the largest size among 32 to the lowest code: d = x / -8, as f16; codes are floor(x / d + 8.5), at most 15.

const KEEP_WORDS = 9u;

// d of 32 values, and what x is multiplied with.
fn keep_scale(first: u32, count: u32, begin: u32) -> vec2<f32> {
    var most = 0.0;
    for (var i = begin; i < begin + 32u; i++) {
        let value = unit_value(first, count, i);
        most = select(most, value, abs(value) > abs(most));
    }
    let d = most / -8.0;
    return vec2<f32>(d, select(0.0, 1.0 / d, d != 0.0));
}

fn keep_code(value: f32, inverse: f32) -> u32 {
    return u32(clamp(value * inverse + 8.5, 0.0, 15.0));
}

fn keep_unit(first: u32, count: u32) {
    let low = keep_scale(first, count, 0u);
    let high = keep_scale(first, count, 32u);
    for (var i = 0u; i < 64u; i += 2u) {
        let inverse = select(low.y, high.y, i >= 32u);
        let even = keep_code(unit_value(first, count, i), inverse);
        stream_u8(even | (keep_code(unit_value(first, count, i + 1u), inverse) << 4u));
    }
    stream_u16(stream_half(low.x));
    stream_u16(stream_half(high.x));
}
