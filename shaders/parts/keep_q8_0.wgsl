// Role keep: a unit of 64 cached values as two blocks of Q8_0: 64 signed bytes, then the two scales. A scale is
// d = max |x| / 127 of 32 values, as f16; a code is the nearest x / d, halves away from zero, d before it became an f16.

const KEEP_WORDS = 17u;

// d of 32 values, and what x is multiplied with.
fn keep_scale(first: u32, count: u32, begin: u32) -> vec2<f32> {
    var most = 0.0;
    for (var i = begin; i < begin + 32u; i++) {
        most = max(most, abs(unit_value(first, count, i)));
    }
    var d = most / 127.0;
    d += fma(-d, 127.0, most) / 127.0;
    return vec2<f32>(d, select(0.0, 1.0 / d, d > 0.0));
}

fn keep_unit(first: u32, count: u32) {
    let low = keep_scale(first, count, 0u);
    let high = keep_scale(first, count, 32u);
    for (var i = 0u; i < 64u; i++) {
        let inverse = select(low.y, high.y, i >= 32u);
        let quotient = clamp(unit_value(first, count, i) * inverse, -127.0, 127.0);
        let whole = trunc(quotient);
        let away = select(0.0, sign(quotient), abs(quotient - whole) >= 0.5);
        stream_u8(u32(i32(whole + away)) & 0xffu);
    }
    stream_u16(stream_half(low.x));
    stream_u16(stream_half(high.x));
}
