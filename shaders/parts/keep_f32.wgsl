// Role keep: a unit of 64 cached values as f32.

const KEEP_WORDS = 64u;

fn keep_unit(first: u32, count: u32) {
    for (var i = 0u; i < 64u; i++) {
        let bits = bitcast<u32>(unit_value(first, count, i));
        stream_u16(bits & 0xffffu);
        stream_u16(bits >> 16u);
    }
}
