// Role pack: blocks of Q8_0 of ggml: d = max |x| / 127 as f16, then the nearest x / d as signed bytes, halves away from
// zero. The quotient is of the d before it became an f16.

const PACK_STEP = 2u;

fn pack_bytes() -> u32 {
    return 34u;
}

fn pack_block(block: u32, first: u32) {
    var most = 0.0;
    for (var i = 0u; i < 32u; i++) {
        most = max(most, abs(x[first + i]));
    }
    var d = most / 127.0;
    d += fma(-d, 127.0, most) / 127.0;
    let inverse = select(0.0, 1.0 / d, d > 0.0);
    stream_u16(stream_half(d));
    for (var i = 0u; i < 32u; i++) {
        let quotient = clamp(x[first + i] * inverse, -127.0, 127.0);
        let whole = trunc(quotient);
        let away = select(0.0, sign(quotient), abs(quotient - whole) >= 0.5);
        stream_u8(u32(i32(whole + away)) & 0xffu);
    }
}
