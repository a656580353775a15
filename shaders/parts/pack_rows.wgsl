// Role pack: a byte a value and an f32 a row: max |x| and the nearest 127 x / max |x| (int8 of bitsandbytes), or
// max |x| / 448 and the nearest float e4m3fn of x by that. Ties go to even.

// Not 0: floats.
override P_FLOAT: u32 = 0;

// Four rows are whole words, whatever their length.
const PACK_STEP = 4u;

fn pack_bytes() -> u32 {
    return params.values;
}

// |value| at most 448.
fn pack_e4m3(value: f32) -> u32 {
    let size = bitcast<u32>(min(abs(value), 448.0));
    let normal = ((size + 0x7ffffu + ((size >> 20u) & 1u)) >> 20u) - 960u;
    let tiny = u32(round(abs(value) * 512.0));
    return select(normal, tiny, abs(value) < 0.015625) | select(0u, 128u, value < 0.0);
}

fn pack_block(block: u32, first: u32) {
    var most = 0.0;
    for (var i = 0u; i < params.values; i++) {
        most = max(most, abs(x[first + i]));
    }
    let factor = select(most, most / 448.0, P_FLOAT != 0u);
    y[params.magnitudes + block] = bitcast<u32>(factor);
    let divisor = select(1.0, factor, factor > 0.0);
    for (var i = 0u; i < params.values; i++) {
        let quotient = x[first + i] / divisor;
        if P_FLOAT != 0u {
            stream_u8(pack_e4m3(quotient));
        } else {
            stream_u8(u32(i32(round(clamp(quotient, -1.0, 1.0) * 127.0))) & 0xffu);
        }
    }
}
